package microtcp

import (
	"net"
	"syscall"
)

// queued counts the bytes that have been written to a connection and that the peer's host has
// not acknowledged, where the operating system reports them. The zero value counts nothing.
type queued struct{ conn syscall.RawConn }

func (q *queued) init(conn net.Conn) {
	if !countsQueued {
		return
	}
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	if socket, ok := conn.(*net.TCPConn); ok {
		q.conn, _ = socket.SyscallConn() // an error means that the connection has ended
	}
}

// known reports whether the bytes are counted.
func (q *queued) known() bool { return q.conn != nil }

// bytes returns the number of bytes. It returns false if the connection has been closed.
func (q *queued) bytes() (n int64, ok bool) {
	if q.conn == nil {
		return 0, false
	}
	err := q.conn.Control(func(fd uintptr) { n, ok = queuedBytes(fd) })
	return n, ok && err == nil
}
