// Package liveness finds out that the host at the other end of a connection has vanished: a
// machine that lost its power or network, or a firewall or load balancer that forgot the
// connection. Nothing arrives from there, not even the end of the connection, and by their
// defaults operating systems notice it after about 15 minutes.
package liveness

import (
	"crypto/tls"
	"net"
	"runtime"
	"time"
)

// Watch makes the operating system end conn with an error when its peer has acknowledged
// nothing for timeout although something was sent. An idle connection is probed, so its end
// is noticed after about the same time. A peer that acknowledges and does not reply is alive.
//
// On Linux, one timeout covers data and probes (TCP_USER_TIMEOUT). A peer that acknowledges,
// but whose buffers have been full for the timeout, is lost, too. macOS and Windows count the
// time of retransmissions in whole seconds (TCP_RXT_CONNDROPTIME, TCP_MAXRT). On other
// systems, only idle connections are watched. Connections other than TCP and TLS over TCP are
// left alone, as is every connection if timeout is not positive.
func Watch(conn net.Conn, timeout time.Duration) {
	tcp := tcpOf(conn)
	if tcp == nil || timeout <= 0 {
		return
	}
	// Errors mean that the connection has ended already, which its first read reports.
	pause := max(timeout/3, time.Second)
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: pause, Interval: pause, Count: 2})
	control(tcp, timeout)
}

// Tolerate lets the peer of a watched connection leave its buffers full for as long as it
// likes, because it has announced that it will not read. Another Watch ends this.
func Tolerate(conn net.Conn) {
	if tcp := tcpOf(conn); tcp != nil && runtime.GOOS == "linux" { // on other systems, full buffers do not count
		control(tcp, 0)
	}
}

// tcpOf returns the TCP connection under conn, or nil if there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

func control(tcp *net.TCPConn, timeout time.Duration) {
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { limit(fd, timeout) })
	}
}
