package usage

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestSample measures a process group that is busy.
func TestSample(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done & while :; do :; done")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	var s Sampler
	groups := []int{cmd.Process.Pid}
	first := s.Sample(groups)[cmd.Process.Pid]
	if first.CPU >= 0 || first.Memory <= 0 {
		t.Errorf("the first sample is %+v", first)
	}
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("a busy group uses no CPU")
		}
		u, ok := s.Sample(groups)[cmd.Process.Pid]
		if !ok {
			t.Fatal("the group is not known")
		}
		if u.CPU > 0 {
			return
		}
	}
}

func TestParseStat(t *testing.T) {
	group, got, ok := parseStat("7 (a) b) S 1 42 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 5 1000 3 18446744073709551615")
	if !ok || group != 42 || got.cpu != 2*time.Second || got.memory <= 0 {
		t.Errorf("group %d, %+v, %v", group, got, ok)
	}
	for _, text := range []string{"", "7", "7 (a) S 1 2", "7 (a) S x x x x x x x x x x x x x x x x x x x x x x x x"} {
		if _, _, ok := parseStat(text); ok {
			t.Errorf("%q was accepted", text)
		}
	}
}
