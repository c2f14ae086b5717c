//go:build unix

package proc

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// detach gives the guard a session of its own: what the terminal or a kill of
// msctl's group sends does not reach it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

func killGroup(pid int) { group{}.kill(pid) }

// hideGuard keeps the guard alive when somebody ends everything called msctl:
// by the name of the program, and by a polite signal.
func hideGuard() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	_ = os.WriteFile("/proc/self/comm", []byte(guardName), 0) // Linux only
}
