package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// link is one connection with its buffers. Who has taken it owns it.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body bytes.Buffer
	idle time.Time // since when it was not used
}

// pool is the connections of a Conn. The zero pool is empty and open.
type pool struct {
	mu     sync.Mutex // guards what follows
	idle   []*link    // the one used last is the last
	open   map[*link]struct{}
	closed bool
}

// doubtful is how long a connection may have been idle before it is looked at
// whether the server has closed it meanwhile.
const doubtful = 100 * time.Millisecond

// errDialTimeout is a connection that could not be made in the time that one may
// take, while the request still had some.
var errDialTimeout = fmt.Errorf("no connection within %s", dialTimeout)

// take returns a connection that was idle, or a new one.
func (p *pool) take(ctx context.Context, c *Conn, deadline time.Time) (*link, error) {
	for {
		l, err := p.pop()
		if err != nil {
			return nil, err
		}
		if l == nil {
			return p.dial(ctx, c, deadline)
		}
		if time.Since(l.idle) < doubtful || alive(l.conn) {
			return l, nil
		}
		p.put(l, false)
	}
}

// pop takes the connection that was used last, so that those that are too many
// grow old; nil when none is idle.
func (p *pool) pop() (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, micro.ErrClosed
	}
	n := len(p.idle)
	if n == 0 {
		return nil, nil
	}
	l := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return l, nil
}

// put gives a connection back, or closes it where it cannot be used again.
func (p *pool) put(l *link, reusable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reusable && !p.closed {
		l.idle = time.Now()
		p.idle = append(p.idle, l)
		return
	}
	delete(p.open, l)
	_ = l.conn.Close() // of no use any more
}

// dial makes a connection.
func (p *pool) dial(ctx context.Context, c *Conn, deadline time.Time) (*link, error) {
	conn, err := connect(ctx, c, deadline)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, in: bufio.NewReader(conn)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return nil, micro.ErrClosed
	}
	if p.open == nil {
		p.open = map[*link]struct{}{}
	}
	p.open[l] = struct{}{}
	return l, nil
}

// connect dials and, for https, shakes hands, for as long as a connection may
// take, and no longer than the request has time.
func connect(ctx context.Context, c *Conn, deadline time.Time) (net.Conn, error) {
	until, own := time.Now().Add(dialTimeout), true
	if !deadline.IsZero() && deadline.Before(until) {
		until, own = deadline, false
	}
	timed, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(timed, "tcp", c.address)
	if err == nil && c.tls != nil {
		secured := tls.Client(conn, c.tls)
		if err = secured.HandshakeContext(timed); err != nil {
			_ = conn.Close()
		}
		conn = secured
	}
	switch late := timed.Err() != nil && ctx.Err() == nil; {
	case err == nil:
		return conn, nil
	case late && own:
		return nil, errors.Join(errDialTimeout, err)
	case late:
		return nil, os.ErrDeadlineExceeded
	}
	return nil, err
}

func (p *pool) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// close ends all connections; whoever uses one is told by its reads.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.idle = true, nil
	for l := range p.open {
		_ = l.conn.Close()
	}
}
