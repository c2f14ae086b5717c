package gateway

import (
	"cmp"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// WithHeaderLimits limits a request's URL, in bytes (status 414), and its header, in bytes and in
// lines (status 431). The defaults are 8 KiB, 64 KiB, and 100; 0 keeps them.
func WithHeaderLimits(url, header, lines int) Option {
	return gatewayOption(func(g *Gateway) {
		s := &g.serving
		s.maxURL, s.maxHeader, s.maxLines = cmp.Or(url, s.maxURL), cmp.Or(header, s.maxHeader), cmp.Or(lines, s.maxLines)
	})
}

// WithConnectionLimits limits how many connections may be open, and how long a client may take to
// accept 32 KiB of a response; then its connection is closed, so that clients that do not read
// hold no memory. Connections beyond the limit are closed at once. The defaults are 20,000 and
// 30 s; 0 keeps them.
func WithConnectionLimits(open int, stalled time.Duration) Option {
	return gatewayOption(func(g *Gateway) {
		g.serving.maxOpen = cmp.Or(int64(open), g.serving.maxOpen)
		g.serving.stalled = cmp.Or(stalled, g.serving.stalled)
	})
}

// oversized returns the reason why a request is rejected before anything looks at it, or nil.
func (g *Gateway) oversized(req *http.Request) *problem {
	lines := 0
	for _, values := range req.Header {
		lines += len(values)
	}
	switch {
	case len(req.RequestURI) > g.serving.maxURL:
		return newProblem(http.StatusRequestURITooLong, "The URL is too long")
	case lines > g.serving.maxLines:
		return newProblem(http.StatusRequestHeaderFieldsTooLarge, "The header has too many lines")
	}
	return nil
}

// boundedListener limits the number of open connections, and how long their clients may take to
// read.
type boundedListener struct {
	net.Listener

	open    *atomic.Int64 // of all listeners of the gateway
	max     int64
	stalled time.Duration
}

// Accept returns the next connection within the limit.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max {
			return &boundedConn{Conn: conn, stalled: l.stalled, closed: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		// Accepting no more would leave the client waiting, and the connections of load balancers
		// behind those of an attacker.
		_ = conn.Close()
	}
}

// boundedConn closes a connection whose client does not read.
type boundedConn struct {
	net.Conn

	stalled time.Duration
	closed  func()
	own     atomic.Pointer[time.Time] // the deadline of the handler; nil for none
}

const writeChunk = 32 << 10

// Write writes b. Each chunk has the same time, however long the response is.
func (c *boundedConn) Write(b []byte) (n int, err error) {
	for {
		deadline := time.Now().Add(c.stalled)
		if own := c.own.Load(); own != nil && own.Before(deadline) {
			deadline = *own
		}
		if err := c.Conn.SetWriteDeadline(deadline); err != nil {
			return n, err
		}
		written, err := c.Conn.Write(b[n:min(n+writeChunk, len(b))])
		n += written
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// SetWriteDeadline sets a deadline that may be earlier than that of Write.
func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		c.own.Store(nil)
	} else {
		c.own.Store(&t)
	}
	return c.Conn.SetWriteDeadline(t) // for a Write that is blocked
}

// SetDeadline sets the deadlines of reads and writes.
func (c *boundedConn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// CloseWrite is what net/http calls after a response, so that its end is not lost.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection.
func (c *boundedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
