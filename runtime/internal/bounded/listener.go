package bounded

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Listener limits how many of its connections are open, and how long their clients may take to
// accept a Chunk; then the connection fails, so that clients that do not read hold no memory.
// Connections beyond the limit are closed at once.
type Listener struct {
	net.Listener

	Open    *atomic.Int64 // counts the open connections; listeners may share it
	Max     int64         // the limit
	Stalled time.Duration // the time
}

// Accept returns the next connection within the limit.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.Open.Add(1) <= l.Max {
			return &conn{Conn: c, stalled: l.Stalled, closed: sync.OnceFunc(func() { l.Open.Add(-1) })}, nil
		}
		l.Open.Add(-1)
		// Accepting no more would leave the client waiting, and the connections of load balancers
		// behind those of an attacker.
		_ = c.Close()
	}
}

// conn closes a connection whose client does not read.
type conn struct {
	net.Conn

	stalled time.Duration
	closed  func()
	own     atomic.Pointer[time.Time] // the deadline of the handler; nil for none
}

// Chunk is how much of a response has the time of Listener.Stalled, in bytes.
const Chunk = 32 << 10

// Write writes b. Each chunk has the same time, however long the response is.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		deadline := time.Now().Add(c.stalled)
		if own := c.own.Load(); own != nil && own.Before(deadline) {
			deadline = *own
		}
		if err := c.Conn.SetWriteDeadline(deadline); err != nil {
			return n, err
		}
		written, err := c.Conn.Write(b[n:min(n+Chunk, len(b))])
		n += written
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// SetWriteDeadline sets a deadline that may be earlier than that of Write.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.own.Store(nil)
	} else {
		c.own.Store(&t)
	}
	return c.Conn.SetWriteDeadline(t) // for a Write that is blocked
}

// SetDeadline sets the deadlines of reads and writes.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// CloseWrite is what net/http calls after a response, so that its end is not lost.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection.
func (c *conn) Close() error {
	c.closed()
	return c.Conn.Close()
}
