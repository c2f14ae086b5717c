package observe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	reported "github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// The limits of what is kept of streams until a packet is complete. A connection that exceeds them is
// still passed on, but its messages are no longer shown.
const (
	maxPacket  = 8 << 20  // UTF-16 code units of one packet
	maxPartial = 64 << 20 // bytes of all connections together
)

// Proxy passes messages on to a service. It does not change a byte of them.
type Proxy struct {
	*Observer
	// Address is what it listens on, host:port.
	Address string

	proxy   *fault.Proxy
	name    string // of the service
	conns   atomic.Uint64
	partial atomic.Int64 // bytes that are kept of incomplete packets
	foreign sync.Once    // something other than packets has been noted
}

// Listen observes the messages that clients send through listen, host:port, to a service, t. config
// encrypts the connections to the service; it may be nil. The proxy runs until it is closed.
func Listen(ctx context.Context, listen string, t target.Target, config *tls.Config, o Options) (*Proxy, error) {
	p := &Proxy{Observer: newObserver(ctx, t.String(), o), name: t.Name()}
	var err error
	p.proxy, err = fault.Start(p.ctx, fault.Options{Listen: listen, Target: t.Addresses, TLS: config, Raw: true, Observe: p.observe})
	if err != nil {
		p.Observer.Close()
		return nil, exit.InUse(err)
	}
	p.Address = p.proxy.Addr()
	p.start()
	p.done.Go(p.watch)
	return p, nil
}

// watch notes that the service cannot be reached, once for each time that it becomes so.
func (p *Proxy) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before fault.Stats
	down := false
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		now := p.proxy.Stats()
		failed := now.Unreachable > before.Unreachable
		if failed && !down {
			p.note("cannot reach " + p.Title + ": the connections of clients are reset")
		}
		if opened := now.Connections - before.Connections; failed || opened > 0 {
			down = failed
		}
		before = now
	}
}

// Close ends all connections.
func (p *Proxy) Close() {
	_ = p.proxy.Close() // always nil
	p.Observer.Close()
}

// observe is called for each connection.
func (p *Proxy) observe(client, _ net.Addr) fault.Observer {
	c := &proxied{proxy: p, peer: client.String(), place: strconv.FormatUint(p.conns.Add(1), 10)}
	c.requests.init(c, c.request)
	c.replies.init(c, c.reply)
	return c
}

// proxied is one connection. Each direction is used by one goroutine.
type proxied struct {
	proxy             *Proxy
	peer              string // the client's address
	place             string // of the keys of its requests
	requests, replies direction
	blind             atomic.Bool  // its messages cannot be recognized
	first             atomic.Int32 // the side that has ended first; 0 if none has
}

// Bytes implements fault.Observer.
func (c *proxied) Bytes(fromClient bool, b []byte) {
	d := &c.replies
	if fromClient {
		d = &c.requests
	}
	if c.blind.Load() {
		d.release()
		return
	}
	if err := d.add(b); err != nil {
		c.fail(err)
		d.release()
	}
}

// The sides of a connection.
const (
	clientSide int32 = iota + 1
	serviceSide
)

// End implements fault.Observer.
func (c *proxied) End(fromClient bool) {
	side, d := serviceSide, &c.replies
	if fromClient {
		side, d = clientSide, &c.requests
	}
	d.release()
	if c.first.CompareAndSwap(0, side) {
		return // the other side may still send
	}
	outcome, text := reported.Unreachable, "the service closed the connection before it replied"
	if c.first.Load() == clientSide {
		outcome, text = reported.Abandoned, "the client closed the connection before the reply"
	}
	c.proxy.table.lose(c.place, outcome, text, time.Now())
}

// fail gives up recognizing the messages of the connection.
func (c *proxied) fail(err error) {
	c.blind.Store(true)
	c.proxy.table.lose(c.place, reported.NoReply, "what follows on the connection cannot be read", time.Now())
	c.proxy.foreign.Do(func() {
		c.proxy.note(fmt.Sprintf("not NestJS's TCP transport (%v): the bytes of such connections are passed on, but not shown", err))
	})
}

// request handles a packet of the client.
func (c *proxied) request(p *wire.Packet, now time.Time) {
	s := &sent{
		service: c.proxy.name, transport: "tcp", peer: c.peer, pattern: pattern(p.Pattern), id: p.ID, data: dataOf(p),
		metadata: metadataOf(p.Metadata, nil),
	}
	if p.Pattern == nil {
		s.pattern = micro.Name("").JSON()
	}
	s.hidden = isReserved(routeOf(s.pattern))
	if p.ID == nil || !isMessage(p) {
		c.proxy.table.event(s, now)
		return
	}
	c.proxy.table.request(s, now, key{c.place, idOf(p)})
}

// reply handles a packet of the service.
func (c *proxied) reply(p *wire.Packet, now time.Time) {
	if isNotice(p) {
		return
	}
	c.proxy.table.reply(p, now, func() *sent {
		return &sent{service: c.proxy.name, transport: "tcp", peer: c.peer, pattern: micro.Name("").JSON(), id: p.ID}
	}, key{c.place, idOf(p)})
}

// direction recognizes the packets that one side sends. It is used by one goroutine.
type direction struct {
	conn   *proxied
	in     *microtcp.FrameReader
	source chunk
	packet func(*wire.Packet, time.Time)
	kept   int // bytes of an incomplete packet
}

func (d *direction) init(c *proxied, packet func(*wire.Packet, time.Time)) {
	d.conn, d.packet = c, packet
	d.in = microtcp.NewFrameReader(&d.source, 0)
	d.in.SetLimit(maxPacket)
}

// release frees the memory.
func (d *direction) release() {
	d.keep(0)
	d.in = nil
}

// keep sets how many bytes are kept, and reports whether that is within the limit.
func (d *direction) keep(n int) bool {
	total := d.conn.proxy.partial.Add(int64(n - d.kept))
	d.kept = n
	return total <= maxPartial
}

var errTooMuch = errors.New("too many packets are incomplete at the same time")

// add handles bytes. The error means that they, or what precedes them, are not packets.
func (d *direction) add(b []byte) error {
	if d.in == nil {
		return nil
	}
	now, left := time.Now(), d.kept+len(b)
	if !d.keep(left) {
		return errTooMuch
	}
	for d.source.rest = b; len(d.source.rest) > 0; {
		if err := d.in.Fill(); err != nil {
			return err
		}
		for {
			f, ok, err := d.in.Next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			left -= len(f.Header) + len(f.Raw)
			p, err := wire.Parse(f.Body)
			if err != nil {
				return errors.New("a frame does not contain JSON")
			}
			d.packet(&p, now)
		}
	}
	d.keep(left)
	return nil
}

// chunk is a connection from which bytes that have arrived are read.
type chunk struct {
	net.Conn // nil: nothing but Read and SetReadDeadline is called
	rest     []byte
}

// Read implements net.Conn.
func (c *chunk) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// SetReadDeadline implements net.Conn.
func (*chunk) SetReadDeadline(time.Time) error { return nil }
