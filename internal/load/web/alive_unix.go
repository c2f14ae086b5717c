//go:build unix

package web

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// alive reports whether the server has not closed a connection that is idle.
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
		// With TLS there may be something that is not for us; else nobody asked.
		open = errors.Is(err, unix.EAGAIN) || err == nil && n > 0 && secured
		return true
	})
	return err == nil && open
}
