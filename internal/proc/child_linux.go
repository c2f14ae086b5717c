package proc

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the process when the thread that started it
// ends: launcher keeps that thread.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// awaitStopped returns when a child that was told to stop has stopped. On a busy
// machine its other threads work on until the one that takes the signal gets a
// processor.
func awaitStopped(pid int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		var state unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &state, unix.WSTOPPED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != nil || state.Signo != 0 {
			return // it has stopped, or it is gone
		}
		<-tick.C
	}
}
