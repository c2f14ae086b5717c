//go:build unix

package child

import (
	"os"
	"os/exec"
	"syscall"
)

// group is the process group that a process leads. The ID of the group is that of the
// process.
type group struct{}

// prepare makes the process the leader of a new group. This also keeps Ctrl-C on the
// terminal from reaching it, because the supervisor decides how services end.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}

func (group) adopt(*os.Process) error { return nil }

// The errors of syscall.Kill below are ignored: they mean that the group is gone.

func (group) terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

func (group) interrupt(pid int) bool { return syscall.Kill(-pid, syscall.SIGINT) == nil }

func (group) kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func (group) pause(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
		return err
	}
	awaitStopped(pid)
	return nil
}

func (group) resume(pid int) { _ = syscall.Kill(-pid, syscall.SIGCONT) }

func (group) includes(leader, pid int) bool {
	id, err := syscall.Getpgid(pid)
	return err == nil && id == leader
}

func (group) close() {}
