package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/proc/child"
	"github.com/msctl/msctl/internal/workspace"
)

// TestKillNine checks that no process is left of a run whose supervisor was killed: not even
// a grandchild that ignores SIGTERM, a process that is starting, or a paused one.
func TestKillNine(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices+"  npm: {command: [$SELF, __command, grandchild, stubborn], port: $3}\n")
	mark := fmt.Sprintf("MSCTL_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	cache := t.TempDir()
	for _, until := range []string{"all-ready", "paused npm", "starting npm", "building"} {
		t.Run(until, func(t *testing.T) {
			killRun(t, file, cache, mark, func(line string) bool {
				if until == "paused npm" && strings.HasPrefix(line, "all-ready") {
					pauseAll(t, controlOf(t, file, cache))
				}
				if until == "all-ready" && strings.HasPrefix(line, until) && len(marked(t, mark)) < 6 { // supervisor, guard, three services, grandchild
					t.Errorf("too few processes are running: %v", marked(t, mark))
				}
				return strings.HasPrefix(line, until)
			})
			for _, port := range ports {
				if !refused(port) {
					t.Errorf("port %d is still open", port)
				}
			}
			if left, _ := os.ReadDir(cache); until == "all-ready" {
				for _, entry := range left {
					if entry.IsDir() {
						t.Errorf("folder left in the cache: %s", entry.Name())
					}
				}
			}
		})
	}
}

// killRun starts a run in a process of its own, and kills that process at the first line for
// which now returns true. It returns when no process with the environment variable mark is
// left.
func killRun(t *testing.T, file, cache, mark string, now func(line string) bool, arguments ...string) {
	t.Helper()
	cmd := exec.Command(self(t), append([]string{"__run", file, cache}, arguments...)...)
	cmd.Env = append(os.Environ(), mark)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && !now(lines.Text()); {
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitNone(t, mark)
}

// TestKillNineBrokers checks the same for the brokers of a run, including RabbitMQ's helper
// processes and the brokers' folders.
func TestKillNineBrokers(t *testing.T) {
	t.Parallel()
	needBrokers(t, workspace.Brokers()...)
	file, _ := shop(t, allWorkers())
	mark := fmt.Sprintf("MSCTL_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	for _, until := range []string{"starting rabbitmq", "all-ready"} {
		t.Run(until, func(t *testing.T) {
			cache := t.TempDir()
			killRun(t, file, cache, mark, func(line string) bool {
				if until == "all-ready" && strings.HasPrefix(line, until) && len(marked(t, mark)) < 8 { // supervisor, guard, three brokers and services
					t.Errorf("too few processes are running: %v", marked(t, mark))
				}
				return strings.HasPrefix(line, until)
			})
			if left, _ := filepath.Glob(filepath.Join(cache, sessionPrefix+"*")); len(left) > 0 {
				t.Errorf("folders left in the cache: %v", left)
			}
		})
	}
}

// TestKillNineDebugged checks the same for a service that is debugged, and for its debugger,
// while the service runs and while the debugger holds it.
func TestKillNineDebugged(t *testing.T) {
	t.Parallel()
	needDelve(t)
	file, ports := shop(t, onlyItems)
	mark := fmt.Sprintf("MSCTL_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	for name, hold := range map[string]bool{"runs": false, "is held": true} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			killRun(t, file, t.TempDir(), mark, func(line string) bool {
				if !strings.HasPrefix(line, "debugger items") {
					return false
				}
				if found := marked(t, mark); len(found) < 4 { // supervisor, guard, service, Delve
					t.Errorf("too few processes are running: %v", found)
				}
				if hold {
					var ignored any
					dialDelve(t, fmt.Sprintf("127.0.0.1:%d", port)).call("Command", command{"halt"}, &ignored)
				}
				return true
			}, fmt.Sprint(port))
			if !refused(ports[0]) || !refused(port) {
				t.Errorf("port %d or %d is still open", ports[0], port)
			}
		})
	}
}

// pauseAll pauses all services; npm is the last.
func pauseAll(t *testing.T, c Control) {
	t.Helper()
	for _, name := range []string{"items", "orders", "npm"} {
		if err := c.Pause(t.Context(), name, MaxPause); err != nil {
			t.Fatal(err)
		}
	}
}

func awaitNone(t *testing.T, mark string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(testTimeout)
	for len(marked(t, mark)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("processes left: %v", marked(t, mark))
		}
		<-tick.C
	}
}

// TestSuspended checks that a run that is suspended, as by Ctrl-Z, is found, and that
// finding it does not wait for an answer.
func TestSuspended(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  command: {command: [$SELF, __command], port: $1}\n")
	cache := t.TempDir()
	mark := fmt.Sprintf("MSCTL_TEST_MARK=%d-%d", os.Getpid(), time.Now().UnixNano())
	killRun(t, file, cache, mark, func(line string) bool {
		if !strings.HasPrefix(line, "all-ready") {
			return false
		}
		w, err := workspace.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		only := func() Control {
			runs, err := Runs(t.Context(), w, cache)
			if err != nil || len(runs) != 1 {
				t.Fatalf("got %d runs, error %v, want 1", len(runs), err)
			}
			return runs[0]
		}
		run := only()
		if run.Suspended || run.Pid == 0 {
			t.Errorf("an active run is %+v", run)
		}
		for _, suspend := range []bool{true, false} {
			send := map[bool]syscall.Signal{true: syscall.SIGSTOP, false: syscall.SIGCONT}[suspend]
			if err := syscall.Kill(run.Pid, send); err != nil {
				t.Fatal(err)
			}
			tick := time.NewTicker(time.Millisecond)
			for child.Suspended(run.Pid) != suspend {
				<-tick.C
			}
			tick.Stop()
			if got := only(); got.Suspended != suspend || got.Pid != run.Pid {
				t.Errorf("after %v: %+v", send, got)
			}
		}
		return true
	})
}
