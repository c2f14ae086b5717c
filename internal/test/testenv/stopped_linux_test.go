package testenv

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// TestAwaitStopped checks that a process is taken for stopped only when every one of its threads
// is, and that the name of a program cannot pass for a state.
func TestAwaitStopped(t *testing.T) {
	self := func(pid, _ int) bool { return pid == os.Getpid() }
	if len(runningThreads(self)) == 0 {
		t.Error("this process has no thread that runs")
	}
	program := t.TempDir() + "/a) T 1 1 ("
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(sleep, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "1000")
	cmd.Args[0] = "sleep" // of which some systems have one program for many names
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	group := func(_, of int) bool { return of == cmd.Process.Pid }
	if got := runningThreads(group); len(got) != 1 {
		t.Errorf("before: %v", got)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	AwaitStopped(t, cmd.Process.Pid)
	if err := awaitGroupStopped(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat"); len(runningThreads(group)) > 0 {
		t.Errorf("after: %s", text)
	}
}
