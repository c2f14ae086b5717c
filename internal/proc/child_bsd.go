//go:build unix && !linux

package proc

import "syscall"

// dieWithParent does nothing where the kernel offers nothing: the guard is
// alone there.
func dieWithParent(*syscall.SysProcAttr) {}

// awaitStopped does not wait: the signal was sent.
func awaitStopped(int) {}
