//go:build unix

package web

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// alive reports whether an idle connection has not been closed by the server.
func alive(conn net.Conn) bool {
	encrypted, secured := conn.(*tls.Conn)
	if secured {
		conn = encrypted.NetConn()
	}
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	socket, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = socket.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		// With TLS, the bytes may be a session ticket. Without TLS, they are unexpected.
		open = errors.Is(err, unix.EAGAIN) || err == nil && n > 0 && secured
		return true
	})
	return err == nil && open
}
