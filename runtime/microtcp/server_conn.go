package microtcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/lead"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// serverConn is one accepted connection. One goroutine at a time leads it: the leader
// reads frames and runs quick handlers itself. serverConn is the Responder of all its
// messages.
type serverConn struct {
	listener *Listener
	server   *micro.Server
	conn     net.Conn
	peer     string
	slot     chan struct{} // the connection limit; gone frees a place
	out      *writer
	ctx      context.Context
	cancel   context.CancelFunc

	shaking  atomic.Bool // the TLS handshake is not complete
	draining atomic.Bool
	open     atomic.Int64 // requests without a final reply
	ended    atomic.Bool  // the peer has closed its half
	cut      cut
	idle     chan struct{}

	// Owned by the leading goroutine.
	leader  lead.Leader
	in      decoder
	arrived arrivals
	acks    acker
	broken  bool // after a framing error: replies are dropped
	expires time.Time
}

const (
	// goAwayID is the ID of a packet that asks the peer to leave. No request has this
	// ID: a NestJS client ignores the packet, and ours opens a new connection for its
	// next messages.
	goAwayID = `"msctl.goaway"`
	// refusal is the error for a message that reaches a draining server too late. The
	// message was not handled, so it is safe to send it again.
	refusal = `{"status":503,"message":"the service is shutting down: the message was not handled"}`
	// brokenGrace is how long a connection is still read after a framing error.
	brokenGrace = 30 * time.Second
	// handshakeTimeout limits the TLS handshake: a connection that has not completed it
	// occupies a place of the connection limit.
	handshakeTimeout = 10 * time.Second
	// stallTimeout limits how long a write may make no progress.
	stallTimeout = 15 * time.Second
)

func newServerConn(l *Listener, conn net.Conn) *serverConn {
	c := &serverConn{listener: l, server: l.server, conn: conn, peer: conn.RemoteAddr().String(), idle: make(chan struct{}, 1)}
	c.leader.Init(&l.watch, c.takeOver)
	c.in.limit = l.limits.maxBuffer
	c.acks.init(conn)
	c.out = newWriter(conn, l.limits.maxSend, stallTimeout, c.cannotWrite)
	c.ctx, c.cancel = context.WithCancel(l.server.Context())
	_, secure := conn.(*tls.Conn)
	c.shaking.Store(secure)
	return c
}

// cannotWrite is called when writing has failed. A peer that does not read is disconnected.
// Otherwise, the peer has closed the connection, and the messages that it sent before that
// are handled.
func (c *serverConn) cannotWrite(err error) {
	switch {
	case errors.Is(err, errSendBuffer):
		c.listener.logPeer(slog.LevelWarn, "connection closed", c, err)
		c.abort()
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.abort()
	default:
		c.cut.make(c.conn, err, lastReads)
	}
}

// serve completes the TLS handshake, if any, and leads the connection.
func (c *serverConn) serve() {
	if conn, ok := c.conn.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
		err := conn.HandshakeContext(ctx)
		cancel()
		if err != nil {
			if header := (tls.RecordHeaderError{}); errors.As(err, &header) && header.Conn != nil {
				alert(header.Conn)
			}
			c.end(fmt.Errorf("TLS handshake: %w", err))
			return
		}
		c.shaking.Store(false)
	}
	c.lead()
}

// alert sends a peer that does not use TLS an alert that asks for it, as OpenSSL does, and reads
// what the peer has sent: otherwise, closing the connection could discard the alert.
func alert(conn net.Conn) {
	const (
		record          = "\x15\x03\x03\x00\x02" // an alert of TLS 1.2
		protocolVersion = "\x02\x46"             // fatal
	)
	_ = conn.SetDeadline(time.Now().Add(lastReads))
	if _, err := conn.Write([]byte(record + protocolVersion)); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, flushAt)
	}
}

// abort closes the connection immediately.
func (c *serverConn) abort() {
	c.out.close(net.ErrClosed)
	c.cancel()
	c.acks.stop()
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
		c.acks.read(int(c.open.Load())) // a peer may hold its next request back until then
		if err := c.fill(); err != nil {
			c.end(err)
			return
		}
	}
}

// takeOver starts a new leader while the old one is still in a handler.
func (c *serverConn) takeOver() {
	// Subtle: the handler's request points into the read buffer. The old leader keeps
	// that buffer, and the new one reads into a copy of the rest.
	c.in.detach()
	go c.lead() // the listener waits for the connection, so for its leader
}

// batch dispatches every complete frame that has been read. It returns false if this
// goroutine no longer leads.
func (c *serverConn) batch() (leading bool) {
	for {
		for c.in.pending() && c.server.Full() {
			c.out.uncork() // finished replies must not wait for requests that cannot start
			c.leader.Paused()
			if !c.readAhead() {
				break
			}
		}
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

// dispatch handles one message: on this goroutine if its handler has been quick, or else
// on another one. It returns false if this goroutine no longer leads.
func (c *serverConn) dispatch(p *wire.Packet) (leading bool) {
	if c.draining.Load() && p.ID != nil {
		c.open.Add(1)
		_ = c.Respond(c.ctx, wire.Reply{ID: p.ID, Err: []byte(refusal), Disposed: true})
		return true
	}
	if p.ID != nil && string(p.Pattern) == wire.ConfirmPattern { // what precedes it has been dispatched
		c.open.Add(1)
		_ = c.Respond(c.ctx, wire.Reply{ID: p.ID, Disposed: true}) // an error means that the peer is gone
		return true
	}
	if c.server.Full() {
		c.out.uncork() // finished replies must not wait for requests that cannot start
		c.leader.Paused()
	}
	// Counted before Deliver: the reply may be sent before Deliver returns.
	if p.ID != nil && (p.Pattern != nil || p.Data != nil) {
		c.open.Add(1)
	}
	in := c.server.Deliver(c.ctx, micro.Delivery{Packet: p, To: c, Peer: c.peer, Received: c.arrived.last(c.in.waiting())})
	return in == nil || c.leader.Handle(in)
}

// misframed does what NestJS does with a stream that can no longer be parsed
// (docs/wire.md 3.3): it sends no error, closes its half of the connection, drops all
// replies, and continues to read for a while.
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
		_ = half.CloseWrite() // the peer may have left already
	}
}

// fill waits for data and reads it. An incomplete frame must be completed within the
// incomplete-message timeout.
func (c *serverConn) fill() error {
	var err error
	if c.broken {
		err = c.conn.SetReadDeadline(c.expires)
	} else {
		err = c.in.bound(c.conn, c.listener.limits.incomplete, &c.cut)
	}
	if err != nil {
		return err
	}
	n, err := c.read()
	if n > 0 {
		return nil
	}
	return err
}

func (c *serverConn) read() (n int, err error) {
	waiting := c.in.waiting()
	n, err = c.conn.Read(c.in.space())
	c.in.filled(n)
	if n > 0 {
		c.arrived.add(time.Now(), n, waiting)
	}
	return n, err
}

// maxBacklog limits how much a connection reads ahead, in bytes, while the server is at its
// limit of messages in flight.
const maxBacklog = 256 << 10

// readAhead reads up to maxBacklog until the server is below its limit. Messages that waited
// in the operating system would have all of their time left when they are read. It returns
// false if the connection has been closed.
func (c *serverConn) readAhead() bool {
	below := make(chan error, 1)
	go func() {
		err := c.server.AwaitRoom(c.ctx)
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // ends the read
		below <- err
	}()
	for c.in.waiting() < maxBacklog {
		if _, err := c.read(); err != nil {
			break // fill returns it again if it is the connection's
		}
		c.acks.read(int(c.open.Load()))
	}
	err := <-below
	c.in.timed = true // so that fill resets the deadline
	return err == nil
}

// end closes the connection after a read error.
func (c *serverConn) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		c.answerQuickly()
	case !errors.Is(err, net.ErrClosed):
		c.listener.logPeer(slog.LevelDebug, "connection ended", c, err)
	}
	c.abort()
	c.listener.gone(c)
}

// answerQuickly sends a peer that has closed its half the replies that are ready, or will
// be within endGrace. Like NestJS, it does not wait for slow ones.
func (c *serverConn) answerQuickly() {
	// Subtle: ended is set before open is read, and answered does the reverse. So one of
	// the two sees the last reply, whichever comes first.
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

// Respond sends one packet of a reply in a frame.
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

// answered records the final reply to a request.
func (c *serverConn) answered() {
	if c.open.Add(-1) == 0 && c.ended.Load() {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// wideBytes returns the length of b in bytes minus its length in UTF-16 code units.
func wideBytes(b []byte) int { return len(b) - utf16Len(b) }

// goAway asks the peer to send its next messages elsewhere, and rejects those that still
// arrive after goAwayGrace. Our own clients understand the request, and close the
// connection when they have received all replies.
func (c *serverConn) goAway(ctx context.Context) {
	if c.shaking.Load() {
		c.abort() // the peer cannot have sent anything
		return
	}
	stop := context.AfterFunc(ctx, c.abort)
	defer stop()
	c.open.Add(1)                                                          // Respond subtracts it
	_ = c.Respond(c.ctx, wire.Reply{ID: []byte(goAwayID), Disposed: true}) // the peer may have left already
	c.awaitEnd(ctx, goAwayGrace)
	c.draining.Store(true)
}

// finish closes the connection when all replies have been written.
func (c *serverConn) finish(ctx context.Context) {
	stop := context.AfterFunc(ctx, c.abort)
	defer stop()
	c.out.settled()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		// Closing both halves at once could discard replies the peer has not read yet.
		c.awaitEnd(ctx, lingerTimeout)
	}
	c.abort()
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
	endGrace      = 20 * time.Millisecond  // for replies to a peer that has closed its half
	goAwayGrace   = 250 * time.Millisecond // for a peer to close the connection when asked to leave
	lingerTimeout = time.Second            // for a peer to close its half after ours
)
