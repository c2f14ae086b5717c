//go:build unix && !linux

package child

import "syscall"

// dieWithParent does nothing: these kernels have no parent-death signal, so cleaning
// up is left to the guard.
func dieWithParent(*syscall.SysProcAttr) {}

// awaitStopped does not wait.
func awaitStopped(int) {}
