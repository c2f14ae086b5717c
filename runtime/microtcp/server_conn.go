package microtcp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// serverConn is one accepted connection. One goroutine at a time leads it: it
// reads, cuts frames and runs quick handlers itself. It is the Responder of all
// its messages.
type serverConn struct {
	listener *Listener
	server   *micro.Server
	conn     net.Conn
	peer     string
	slot     chan struct{} // of the connection limit; one is taken out at the end
	out      *writer
	ctx      context.Context
	cancel   context.CancelFunc

	draining atomic.Bool
	open     atomic.Int64 // requests not yet answered to the end
	ended    atomic.Bool  // the peer has closed its half
	idle     chan struct{}

	// Owned by the goroutine that leads.
	leader  lead.Leader
	in      decoder
	broken  bool // a framing error has happened: replies are dropped
	expires time.Time
}

const (
	// goAwayID is the id of a packet that no request has: a NestJS client
	// ignores it, ours takes its next messages to a new connection.
	goAwayID = `"msctl.goaway"`
	// refusal is the error of a message that came too late to a server that
	// drains: it was not handled, so it is safe to send it again.
	refusal = `{"status":503,"message":"the service is shutting down: the message was not handled"}`
	// brokenGrace is how long a connection is still read after a framing error.
	brokenGrace = 30 * time.Second
	// stallTimeout is how long a peer may leave a write where it is.
	stallTimeout = 30 * time.Second
)

func newServerConn(l *Listener, conn net.Conn) *serverConn {
	c := &serverConn{listener: l, server: l.server, conn: conn, peer: conn.RemoteAddr().String(), idle: make(chan struct{}, 1)}
	c.leader.Init(&l.watch, c.takeOver)
	c.in.limit = l.limits.maxBuffer
	c.out = newWriter(conn, l.limits.maxSend, stallTimeout, c.abort)
	c.ctx, c.cancel = context.WithCancel(l.server.Context())
	return c
}

// abort ends the connection at once.
func (c *serverConn) abort(err error) {
	if errors.Is(err, errSendBuffer) {
		c.listener.logPeer(slog.LevelWarn, "connection closed", c, err)
	}
	c.out.close(net.ErrClosed)
	c.cancel()
	_ = c.conn.Close()
}

// lead reads and dispatches until the connection ends or another goroutine takes over.
func (c *serverConn) lead() {
	for {
		c.out.cork()
		if leading := c.batch(); !leading {
			return
		}
		c.leader.Rest()
		c.out.uncork()
		if err := c.fill(); err != nil {
			c.end(err)
			return
		}
	}
}

// takeOver gives the lead to a new goroutine; the old leader is in a handler,
// which keeps the read buffer it works on.
func (c *serverConn) takeOver() {
	c.in.detach()
	go c.lead() // the listener waits for the connection, so for its leader
}

// batch dispatches every whole frame that has been read. It returns false when
// this goroutine does not lead any more.
func (c *serverConn) batch() (leading bool) {
	for {
		body, ok, err := c.in.next()
		if err == nil && !ok {
			return true
		}
		var p wire.Packet
		if err == nil {
			p, err = wire.Parse(body)
		}
		if err != nil {
			c.misframed(err)
			return true
		}
		if c.out.awaitRoom() {
			c.leader.Paused()
		}
		if !c.dispatch(&p) {
			return false
		}
	}
}

// dispatch runs one message here if it is quick, elsewhere if it may not be.
func (c *serverConn) dispatch(p *wire.Packet) (leading bool) {
	if c.draining.Load() && p.ID != nil {
		c.open.Add(1)
		_ = c.Respond(c.ctx, wire.Reply{ID: p.ID, Err: []byte(refusal), Disposed: true})
		return true
	}
	if c.server.Full() {
		c.out.uncork() // finished replies must not wait for requests that cannot start
		c.leader.Paused()
	}
	if p.ID != nil && (p.Pattern != nil || p.Data != nil) {
		c.open.Add(1)
	}
	in := c.server.Receive(c.ctx, p, c, c.peer)
	return in == nil || c.leader.Handle(in)
}

// misframed does what NestJS does with a stream that it can no longer read
// (docs/wire.md 3.3): it sends no error, closes its half, drops the replies, and continues
// to read for a while.
func (c *serverConn) misframed(err error) {
	c.listener.logPeer(slog.LevelError, "bad frame", c, err)
	c.in.discard()
	if c.broken {
		return
	}
	c.broken = true
	c.expires = time.Now().Add(brokenGrace)
	c.out.mute()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone already is no news
	}
}

// fill reads what has come. A part of a frame may wait for its rest no longer
// than the incomplete message timeout.
func (c *serverConn) fill() error {
	var err error
	if c.broken {
		err = c.conn.SetReadDeadline(c.expires)
	} else {
		err = c.in.bound(c.conn, c.listener.limits.incomplete)
	}
	if err != nil {
		return err
	}
	n, err := c.conn.Read(c.in.space())
	c.in.filled(n)
	if n > 0 {
		return nil
	}
	return err
}

// end closes the connection when its reading has ended.
func (c *serverConn) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		c.answerQuickly()
	case !errors.Is(err, net.ErrClosed):
		c.listener.logPeer(slog.LevelDebug, "connection ended", c, err)
	}
	c.abort(net.ErrClosed)
	c.listener.gone(c)
}

// answerQuickly lets a peer that has closed its half have the answers that are
// ready or about to be; like NestJS, it does not wait for slow ones.
func (c *serverConn) answerQuickly() {
	c.ended.Store(true)
	if c.open.Load() > 0 && !c.broken {
		grace := time.NewTimer(c.listener.endGrace)
		defer grace.Stop()
		select {
		case <-c.idle:
		case <-grace.C:
		case <-c.ctx.Done():
		}
	}
	c.out.settled()
}

// Respond frames one packet of an answer and sends it.
func (c *serverConn) Respond(_ context.Context, p wire.Reply) error {
	err := c.out.add(p.Size()+headerRoom, !p.Disposed && p.Err == nil && !p.NoHandler, func(dst []byte) []byte {
		units := p.Size() - wideBytes(p.ID) - wideBytes(p.Response) - wideBytes(p.Err)
		return p.Append(appendHeader(dst, units))
	})
	if p.Disposed || p.Err != nil || p.NoHandler {
		c.answered()
	}
	return err
}

// answered counts a request out.
func (c *serverConn) answered() {
	if c.open.Add(-1) == 0 && c.ended.Load() {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// wideBytes returns by how much b's length in bytes exceeds that in code units.
func wideBytes(b []byte) int { return len(b) - utf16Len(b) }

// goAway asks the peer to take its next messages elsewhere, and refuses those
// that come after a while all the same. Peers that know the sign close the
// connection themselves when they have their answers.
func (c *serverConn) goAway(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.abort(ctx.Err()) })
	defer stop()
	c.open.Add(1)
	_ = c.Respond(c.ctx, wire.Reply{ID: []byte(goAwayID), Disposed: true}) // a peer that is gone needs no sign
	c.awaitEnd(ctx, goAwayGrace)
	c.draining.Store(true)
}

// finish closes the connection once everything answered has been written.
func (c *serverConn) finish(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.abort(ctx.Err()) })
	defer stop()
	c.out.settled()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.awaitEnd(ctx, lingerTimeout) // the peer reads everything before the end; then its own end comes
	}
	c.abort(net.ErrClosed)
}

// awaitEnd waits until the connection is closed, for at most d.
func (c *serverConn) awaitEnd(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-c.ctx.Done():
	case <-ctx.Done():
	}
}

const (
	endGrace      = 20 * time.Millisecond  // for answers to a peer that has closed its half
	goAwayGrace   = 250 * time.Millisecond // for a peer to close after the sign to go away
	lingerTimeout = time.Second            // for a peer's end after ours
)
