package microtcp

import (
	"syscall"
	"unsafe"
)

const countsQueued = true

// queuedBytes reads SIOCOUTQ of tcp(7). It is also known after the connection has
// ended with an error.
func queuedBytes(fd uintptr) (n int64, ok bool) {
	var count int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&count))) //nolint:gosec // the kernel writes an int
	return int64(count), errno == 0
}
