package microtcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

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

	leaving   atomic.Bool // no new calls: the server has asked its clients to leave, or the connection is idle or old
	dead      atomic.Bool // the connection has ended, or nothing more can be written to it
	cut       cut
	finishing atomic.Bool
	events    atomic.Int64                // where the last event ends in the connection's stream
	event     atomic.Pointer[micro.Trace] // of the last event that has a function Stray

	unread  calls.Unconfirmed // events that the peer's host has not acknowledged
	pending queued            // the bytes among them
	halved  atomic.Bool       // our half has been closed

	part atomic.Pointer[partial] // of a frame that waits for the rest; nil for none
	acks acker
}

func newClientConn(a *address, conn net.Conn) *clientConn {
	c := &clientConn{address: a, conn: conn}
	c.calls.SingleReplier = true
	c.out = newWriter(conn, a.client.limits.maxSend, stallTimeout, c.cannotWrite)
	c.out.spawn = a.client.wg.Go
	c.acks.init(conn)
	c.pending.init(conn)
	return c
}

// usable reports whether new calls may use the connection.
func (c *clientConn) usable() bool { return !c.leaving.Load() && !c.dead.Load() }

// cannotWrite is called when writing has failed. The replies that have arrived are
// delivered before the reader ends the connection.
func (c *clientConn) cannotWrite(err error) {
	c.dead.Store(true)
	c.cut.make(c.conn, err, lastReads)
}

// fail ends the connection. Every call that is pending on it gets err.
func (c *clientConn) fail(err error) {
	if !errors.Is(err, micro.ErrClosed) && !errors.Is(err, micro.ErrConnectionLost) {
		err = fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	// Subtle: dead is set first, because a caller whose call ends may try again at once, and
	// must not find this connection usable.
	c.dead.Store(true)
	c.calls.Close(err)
	c.out.close(err) // before the connection, so that no new write starts on it
	c.acks.stop()
	c.reportLost()
	_ = c.conn.Close()
}

// finish ends every pending call with err, and then the connection. If the peer may not have
// read every event yet, it closes its half only, and what still arrives is read for a while:
// a late reply would reset a closed connection, and with it discard the events.
func (c *clientConn) finish(err error) {
	if c.finishing.Swap(true) {
		return
	}
	c.dead.Store(true)
	c.calls.Close(err)
	c.out.refuse()
	if c.events.Load() <= c.out.acked.Load() {
		c.fail(err)
		return
	}
	limit := time.AfterFunc(c.address.client.linger, func() { c.fail(err) })
	c.out.settled()
	limit.Stop()
	c.cut.make(c.conn, err, c.address.client.linger)
	c.halved.Store(true)
	if half, ok := c.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		c.fail(err)
	}
}

// serve reads the connection until it ends or its client is closed.
func (c *clientConn) serve() {
	stop := context.AfterFunc(c.address.client.ctx, func() { c.finish(micro.ErrClosed) })
	defer stop()
	defer c.watchAge()()
	c.read()
}

// read reads packets from the connection until it ends.
func (c *clientConn) read() {
	in := decoder{limit: c.address.client.limits.maxBuffer}
	for {
		err := in.bound(c.conn, c.address.client.limits.incomplete, &c.cut)
		if err != nil {
			c.fail(c.ended(err, &in))
			return
		}
		n, err := c.conn.Read(in.space())
		in.filled(n)
		if n > 0 {
			err = c.deliver(&in)
		}
		if err != nil {
			c.fail(c.ended(err, &in))
			return
		}
		c.acks.read(c.calls.Len())
	}
}

// ended returns why the connection ends. Data that the peer has sent and that is no packet
// is the reason, if there is any, and is shown to the traces of the pending calls.
func (c *clientConn) ended(err error, in *decoder) error {
	var large *TooLargeError
	switch {
	case errors.Is(err, micro.ErrBadReply): // deliver has shown it
	case errors.As(err, &large):
		c.ignore(in.buf[in.start:], "is too large: "+large.Error())
	case errors.Is(err, errFraming):
		c.ignore(in.buf[in.start:], "cannot be read: "+err.Error())
		return fmt.Errorf("%w: %w: it cannot be read: %w", micro.ErrConnectionLost, micro.ErrBadReply, err)
	case errors.Is(err, io.EOF) && in.pending():
		part := in.partial()
		c.ignore(part.head, part.lacks())
		return fmt.Errorf("%w: %w: it %s", micro.ErrConnectionLost, micro.ErrBadReply, part.lacks())
	case c.cut.reason() != nil: // it is why the peer has closed the connection, or must be given up
		c.showPart(in)
		return c.cut.reason()
	case errors.Is(err, io.EOF):
		return micro.ErrConnectionLost
	case errors.Is(err, os.ErrDeadlineExceeded): // set by bound, and by no other code
		part := in.partial()
		c.ignore(part.head, part.lacks())
		return fmt.Errorf("%w: %w: it %s: %w", micro.ErrConnectionLost, micro.ErrBadReply, part.lacks(), os.ErrDeadlineExceeded)
	}
	c.showPart(in)
	return err
}

// ignore shows data that the peer has sent and that is no reply to the traces of the pending
// calls, and to that of the last event.
func (c *clientConn) ignore(data []byte, why string) {
	c.calls.Ignore(data, why)
	c.show(data, why)
}

func (c *clientConn) show(data []byte, why string) {
	if trace := c.event.Load(); trace != nil {
		trace.Stray(time.Now(), data, why)
	}
}

// showPart shows the part of a frame that has arrived to the trace of the last event.
func (c *clientConn) showPart(in *decoder) {
	if in.pending() {
		part := in.partial()
		c.show(part.head, part.lacks())
	}
}

// deliver passes every complete packet to its call.
func (c *clientConn) deliver(in *decoder) error {
	for alone := true; ; alone = false {
		body, ok, err := in.next()
		if err == nil && !ok {
			c.note(in, alone)
		}
		if err != nil || !ok {
			return err
		}
		p, err := wire.Parse(body)
		if err != nil {
			c.ignore(body, "is not JSON")
			return fmt.Errorf("%w: %w: it is not JSON", errFraming, micro.ErrBadReply)
		}
		switch {
		case string(p.ID) == goAwayID:
			c.address.avoid(avoidFor)
			c.leave(errLeft)
		case len(p.ID) > 2 && p.ID[0] == '"':
			c.calls.Deliver(p.ID[1:len(p.ID)-1], &p, body)
		default:
			c.ignore(body, calls.LacksID(&p))
		}
	}
}

// note remembers the part of a frame that waits for the rest. alone reports whether the
// read brought nothing else: otherwise the part has just begun to arrive.
func (c *clientConn) note(in *decoder, alone bool) {
	switch {
	case alone && in.pending():
		part := in.partial()
		c.part.Store(&part)
	case c.part.Load() != nil:
		c.part.Store(nil)
	}
}

// overdue adds to the error of a call that timed out that a part of a frame, after which
// its reply may be, waits for the rest.
func (c *clientConn) overdue(req *micro.Request, err error) error {
	part := c.part.Load()
	if part == nil || !errors.Is(err, micro.ErrTimeout) {
		return err
	}
	if req.Trace != nil && req.Trace.Stray != nil {
		req.Trace.Stray(time.Now(), part.head, part.lacks())
	}
	return fmt.Errorf("%w: %w: it %s", micro.ErrTimeout, micro.ErrBadReply, part.lacks())
}

// Why a connection ends once no call is pending on it.
var (
	errLeft    = fmt.Errorf("%w: the server is going away", micro.ErrConnectionLost)
	errRetired = fmt.Errorf("%w: it was idle or old", micro.ErrConnectionLost)
)

// leave stops new calls on the connection. It closes the connection when no call is pending
// any more and every event has been written.
func (c *clientConn) leave(why error) {
	c.leaving.Store(true)
	// Subtle: the goroutine is started while the table is not closed, so before the
	// reading goroutine ends: the client's WaitGroup is not at zero.
	c.calls.Drain(why, func() {
		c.address.client.wg.Go(func() {
			c.out.refuse()
			c.out.settled()
			c.finish(why)
		})
	})
}
