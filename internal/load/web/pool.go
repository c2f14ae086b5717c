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

// link is one connection with its buffers. It is owned by the goroutine that took it
// from the pool.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body bytes.Buffer
	idle time.Time // when it was last used
}

// pool holds the connections of a Conn. The zero pool is empty and open.
type pool struct {
	mu     sync.Mutex // guards what follows
	idle   []*link    // the most recently used is the last
	open   map[*link]struct{}
	closed bool
}

// maxTrusted is how long a connection may be idle before it is checked whether the
// server has closed it.
const maxTrusted = time.Millisecond

// errDialTimeout means that a connection took too long although the request's deadline
// had not passed.
var errDialTimeout = fmt.Errorf("no connection within %s", dialTimeout)

// take returns an idle connection, or a new one.
func (p *pool) take(ctx context.Context, c *Conn, deadline time.Time) (*link, error) {
	for {
		l, err := p.pop()
		if err != nil {
			return nil, err
		}
		if l == nil {
			return p.dial(ctx, c, deadline)
		}
		if time.Since(l.idle) < maxTrusted || alive(l.conn) {
			return l, nil
		}
		p.put(l, false)
	}
}

// pop takes the most recently used idle connection, so that surplus ones stay idle; nil
// if there is none.
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

// put returns a connection to the pool, or closes it if it cannot be reused.
func (p *pool) put(l *link, reusable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reusable && !p.closed {
		l.idle = time.Now()
		p.idle = append(p.idle, l)
		return
	}
	delete(p.open, l)
	_ = l.conn.Close() // no longer used
}

// dial opens a connection.
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

// connect dials and, for https, performs the TLS handshake. It is bounded by dialTimeout
// and by the request's deadline.
func connect(ctx context.Context, c *Conn, deadline time.Time) (net.Conn, error) {
	until, own := time.Now().Add(dialTimeout), true
	if !deadline.IsZero() && deadline.Before(until) {
		until, own = deadline, false
	}
	timed, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err := (&net.Dialer{Control: c.control}).DialContext(timed, "tcp", c.address)
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

// close closes all connections, which fails the reads and writes in progress.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.idle = true, nil
	for l := range p.open {
		_ = l.conn.Close()
	}
}
