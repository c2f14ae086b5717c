package target

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// TestOtherProtocolOfPostgreSQL checks that a server that closes the connection on everything
// but its own question is recognized by the reply to that.
func TestOtherProtocolOfPostgreSQL(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer conn.Close()
				text := make([]byte, 8)
				if n, _ := conn.Read(text); bytes.Equal(text[:n], sslRequest) {
					_, _ = conn.Write([]byte("N"))
					_, _ = conn.Read(text) // it waits for the client
				}
			})
		}
	})
	if got := OtherProtocol(t.Context(), l.Addr().String()); got != "PostgreSQL" {
		t.Errorf("got %q, want PostgreSQL", got)
	}
	_ = l.Close()
	served.Wait()
}
