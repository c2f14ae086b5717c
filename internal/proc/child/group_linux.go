package child

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithParent makes the kernel kill the process when the thread that started it ends.
// Launcher keeps that thread.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// awaitStopped waits until a process to which SIGSTOP was sent has stopped. On a busy
// machine, its other threads keep running until the thread that receives the signal is
// scheduled.
func awaitStopped(pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		var state unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &state, unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != nil || state.Signo != 0 {
			return // it has stopped or ended
		}
		<-tick.C
	}
}
