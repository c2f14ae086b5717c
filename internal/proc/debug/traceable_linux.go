package debug

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// TraceableName is the hidden command that calls [ExecTraceable].
const TraceableName = "__traceable"

// NeedsTraceable reports whether only ancestors of a process may attach to it.
func NeedsTraceable() bool {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return err == nil && strings.TrimSpace(string(scope)) == "1"
}

// Runs reports whether a process that calls ExecTraceable has become the program. Delve
// reads the program of a process when it attaches.
func Runs(pid int, program string) bool {
	now, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	want, wantErr := os.Stat(program)
	return err == nil && wantErr == nil && os.SameFile(now, want)
}

// init keeps the program on the first thread of the process, for ExecTraceable.
func init() { //nolint:gochecknoinits // only before main is the goroutine certain to be on that thread
	if len(os.Args) > 1 && os.Args[1] == TraceableName {
		runtime.LockOSThread()
	}
}

// ExecTraceable replaces this process by a program to which any process of the user may
// attach, if [NeedsTraceable] reports that only its ancestors may, as the Yama security
// module of many distributions demands: Delve is none of them. It returns only if that fails. Call it on
// the goroutine of main, in a process whose first argument is [TraceableName].
//
// Subtle: Yama stores the exception with the first thread of the process, which an exec
// from any other thread ends.
func ExecTraceable(words []string) error {
	path, err := exec.LookPath(words[0])
	if err != nil {
		return fmt.Errorf("start %s: %w", words[0], err)
	}
	_ = unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0) // fails without Yama
	if err := syscall.Exec(path, words, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", words[0], err)
	}
	return nil
}
