//go:build unix

package socket

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanPass reports whether listening sockets can be passed to another process.
const CanPass = true

// Descriptor duplicates a listening socket for a child process.
//
// Subtle: it does not use the listener's File method, because the Fd method of that
// file makes the socket, which all processes share, blocking. A drain cannot interrupt
// a blocking accept.
func Descriptor(l net.Listener) (*os.File, error) {
	conn, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("descriptor of %s: %w", l.Addr(), err)
	}
	var copied int
	var failure error
	if err := conn.Control(func(fd uintptr) {
		copied, failure = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
	}); err != nil {
		return nil, fmt.Errorf("descriptor of %s: %w", l.Addr(), err)
	}
	if failure != nil {
		return nil, fmt.Errorf("descriptor of %s: %w", l.Addr(), failure)
	}
	return os.NewFile(uintptr(copied), "listener "+l.Addr().String()), nil
}
