package child

import "golang.org/x/sys/unix"

// Suspended reports whether a process has been stopped, as by Ctrl-Z, and not continued.
func Suspended(pid int) bool {
	const stopped = 4 // SSTOP of <sys/proc.h>
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	return err == nil && info.Proc.P_stat == stopped
}
