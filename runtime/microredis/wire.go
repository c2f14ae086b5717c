package microredis

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/micro"
)

// socket is a connection that records when data last arrived.
type socket struct {
	net.Conn

	reading       atomic.Bool  // a read is waiting
	heard         atomic.Int64 // the clock when data last arrived
	before, after func()       // called before each read and after each that returned data; may be nil
}

func newSocket(conn net.Conn) *socket {
	w := &socket{Conn: conn}
	w.heard.Store(clock())
	return w
}

func clock() int64 { return int64(micro.Clock()) }

// Read reads from the connection and records the time.
func (w *socket) Read(b []byte) (int, error) {
	if w.before != nil {
		w.before()
	}
	w.reading.Store(true)
	n, err := w.Conn.Read(b)
	w.reading.Store(false)
	if n > 0 {
		w.heard.Store(clock())
		if w.after != nil {
			w.after()
		}
	}
	return n, err
}

// once returns a dialer that returns an existing connection. Any further connection that
// it returns is dead: a session ends with its connections.
func once(w *socket) func(context.Context, string, string) (net.Conn, error) {
	var taken atomic.Bool
	return func(context.Context, string, string) (net.Conn, error) {
		if !taken.Swap(true) {
			return w, nil
		}
		dead, other := net.Pipe()
		_ = other.Close()
		return dead, nil
	}
}
