package microtcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// clientConn is one connection of a client. One goroutine reads it. Callers write
// through the shared writer, and wait for their own replies.
type clientConn struct {
	address *address
	conn    net.Conn
	out     *writer
	calls   calls.Table // closed when the connection ends

	goingAway atomic.Bool // the server has asked its clients to leave
	dead      atomic.Bool // the connection has ended
}

func newClientConn(a *address, conn net.Conn) *clientConn {
	c := &clientConn{address: a, conn: conn}
	c.calls.SingleReplier = true
	c.out = newWriter(conn, a.client.limits.maxSend, stallTimeout, c.fail)
	c.out.spawn = a.client.wg.Go
	return c
}

// usable reports whether new calls may use the connection.
func (c *clientConn) usable() bool { return !c.goingAway.Load() && !c.dead.Load() }

// fail ends the connection. Every call that is pending on it gets err.
func (c *clientConn) fail(err error) {
	if !errors.Is(err, micro.ErrClosed) && !errors.Is(err, micro.ErrConnectionLost) {
		err = fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	// Subtle: dead is set first, because a caller whose call ends may try again at once, and
	// must not find this connection usable.
	c.dead.Store(true)
	if !c.calls.Close(err) {
		return
	}
	c.out.close(err) // before the connection, so that no new write starts on it
	_ = c.conn.Close()
}

// serve reads the connection until it ends or its client is closed.
func (c *clientConn) serve() {
	stop := context.AfterFunc(c.address.client.ctx, func() { c.fail(micro.ErrClosed) })
	defer stop()
	c.read()
}

// read reads packets from the connection until it ends.
func (c *clientConn) read() {
	in := decoder{limit: c.address.client.limits.maxBuffer}
	for {
		if err := in.bound(c.conn, c.address.client.limits.incomplete); err != nil {
			c.fail(err)
			return
		}
		n, err := c.conn.Read(in.space())
		in.filled(n)
		if n > 0 {
			err = c.deliver(&in)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = micro.ErrConnectionLost
			}
			c.fail(err)
			return
		}
	}
}

// deliver passes every complete packet to its call.
func (c *clientConn) deliver(in *decoder) error {
	for {
		body, ok, err := in.next()
		if err != nil || !ok {
			return err
		}
		p, err := wire.Parse(body)
		if err != nil {
			return fmt.Errorf("%w: %w", errFraming, err)
		}
		switch {
		case string(p.ID) == goAwayID:
			c.leave()
		case len(p.ID) > 2 && p.ID[0] == '"':
			c.calls.Deliver(p.ID[1:len(p.ID)-1], &p, body)
		}
	}
}

// errLeft ends a connection whose server is going away, once no call is pending on it.
var errLeft = fmt.Errorf("%w: the server is going away", micro.ErrConnectionLost)

// leave stops new calls on a connection whose server is going away. It closes the
// connection when no call is pending any more and every event has been written.
func (c *clientConn) leave() {
	c.goingAway.Store(true)
	c.address.avoid()
	// Subtle: the goroutine is started while the table is not closed, so before the
	// reading goroutine ends: the client's WaitGroup is not at zero.
	c.calls.Drain(errLeft, func() {
		c.address.client.wg.Go(func() {
			c.out.refuse()
			c.out.settled()
			c.fail(errLeft)
		})
	})
}
