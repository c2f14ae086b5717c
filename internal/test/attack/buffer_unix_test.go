//go:build unix

package attack_test

import "syscall"

// smallBuffer gives a connection the smallest receive buffer.
func smallBuffer(conn syscall.RawConn) (err error) {
	outer := conn.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	if outer != nil {
		return outer
	}
	return err
}
