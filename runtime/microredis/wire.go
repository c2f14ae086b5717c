package microredis

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// wire is a connection that knows when its peer was last heard of.
type wire struct {
	net.Conn

	reading       atomic.Int64 // micro.Clock when the read began that waits now; 0: none does
	heard         atomic.Int64 // micro.Clock when bytes last came
	before, after func()       // unless nil, called before each read, when what came has been dealt with, and after it
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn}
	w.heard.Store(clock())
	return w
}

func clock() int64 { return int64(micro.Clock()) }

// Read reads what has come.
func (w *wire) Read(b []byte) (int, error) {
	if w.before != nil {
		w.before()
	}
	w.reading.Store(clock())
	n, err := w.Conn.Read(b)
	w.reading.Store(0)
	if n > 0 {
		w.heard.Store(clock())
		if w.after != nil {
			w.after()
		}
	}
	return n, err
}

// silence returns for how long a read has waited in vain.
func (w *wire) silence() time.Duration {
	began := w.reading.Load()
	if began == 0 {
		return 0 // what has come is not even read yet
	}
	return time.Duration(clock() - max(began, w.heard.Load()))
}

// once is a dialer for a connection that has been made already. Further ones are
// dead from the start: a session ends with its connections.
func once(w *wire) func(context.Context, string, string) (net.Conn, error) {
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
