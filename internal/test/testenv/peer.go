package testenv

import (
	"net"
	"sync"
	"testing"
)

// ServeEach calls serve for each connection to the address that it returns, until the test
// ends, and closes the connection when serve has returned.
func ServeEach(tb testing.TB, serve func(net.Conn)) (addr string) {
	tb.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	tb.Cleanup(func() {
		_ = socket.Close()
		all.Wait()
	})
	return socket.Addr().String()
}
