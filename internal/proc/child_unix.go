//go:build unix

package proc

import (
	"os"
	"os/exec"
	"syscall"
)

// group is the process group a child leads. Its number is the child's.
type group struct{}

// prepare makes the process lead a group of its own, which also keeps Ctrl-C on
// the terminal from it: how services end is the supervisor's decision.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}

func (group) adopt(*os.Process) error { return nil }

// terminate asks all of the group to end. One that is gone needs no asking.
func (group) terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

// pause stops all of the group where it is, until resume.
func (group) pause(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
		return err
	}
	awaitStopped(pid)
	return nil
}

// resume has the group go on. One that is gone needs no more.
func (group) resume(pid int) { _ = syscall.Kill(-pid, syscall.SIGCONT) }

// kill ends all of the group.
func (group) kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func (group) close() {}
