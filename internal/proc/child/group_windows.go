package child

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a job object. Its processes end when its last handle is closed, which
// Windows does when msctl dies. This file compiles but has not been tested on Windows.
type group struct {
	mu  sync.Mutex // guards job
	job windows.Handle
}

func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// adopt puts the process, and with it all its future descendants, into a new job.
func (g *group) adopt(p *os.Process) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("create a job object: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		err = p.WithHandle(func(handle uintptr) {
			err = windows.AssignProcessToJobObject(job, windows.Handle(handle))
		})
	}
	if err != nil {
		_ = windows.CloseHandle(job)
		return fmt.Errorf("set up a job object: %w", err)
	}
	g.mu.Lock()
	g.job = job
	g.mu.Unlock()
	return nil
}

// terminate sends Ctrl-Break, which Go programs receive as os.Interrupt.
func (g *group) terminate(pid int) {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(pid)) // fails without a console; the process is then killed later
}

// interrupt is not supported: Windows sends Ctrl-C to whole consoles.
func (*group) interrupt(int) bool { return false }

// pause is not supported: Windows has no documented way to suspend a process and its
// descendants.
func (*group) pause(int) error { return ErrNoPause }

func (*group) resume(int) {}

func (g *group) kill(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job != 0 {
		_ = windows.TerminateJobObject(g.job, 1) // fails if the processes have ended
		return
	}
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // fails if the process has ended
	}
}

// includes reports only the process itself: the members of a job are not listed.
func (*group) includes(leader, pid int) bool { return leader == pid }

func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.job != 0 {
		_ = windows.CloseHandle(g.job)
		g.job = 0
	}
}
