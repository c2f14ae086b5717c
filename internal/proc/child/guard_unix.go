//go:build unix

package child

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// detach gives the process a session of its own, out of reach of the terminal's
// signals and of signals to msctl's process group.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

func killGroup(pid int) { group{}.kill(pid) }

// hideGuard keeps the guard alive when all processes named msctl are terminated: it
// ignores the signals and, on Linux, changes its name.
func hideGuard() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	_ = os.WriteFile("/proc/self/comm", []byte(guardName), 0)
}
