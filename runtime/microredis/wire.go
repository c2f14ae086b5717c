package microredis

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/micro"
)

// socket is a connection that knows when its peer was last heard of.
type socket struct {
	net.Conn

	reading       atomic.Bool  // a read waits
	heard         atomic.Int64 // micro.Clock when bytes last came
	before, after func()       // unless nil, called before each read, when what came has been dealt with, and after it
}

func newSocket(conn net.Conn) *socket {
	w := &socket{Conn: conn}
	w.heard.Store(clock())
	return w
}

func clock() int64 { return int64(micro.Clock()) }

// Read reads what has come.
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

// once is a dialer for a connection that has been made already. Further ones are
// dead from the start: a session ends with its connections.
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
