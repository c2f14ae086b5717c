//go:build unix

package proc

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// canHandOver: descriptors can be given to a child here.
const canHandOver = true

// descriptor duplicates a listening socket for a child. It is not l.File: the
// Fd method of that file would make the socket, which the processes share,
// block, and an accept that blocks cannot be ended by a drain.
func descriptor(l net.Listener) (*os.File, error) {
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
