package child

import "golang.org/x/sys/unix"

// parentOf returns the ID of the parent of a process, or 0.
func parentOf(pid int) int {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return 0
	}
	return int(info.Eproc.Ppid)
}
