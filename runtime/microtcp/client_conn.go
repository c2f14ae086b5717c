package microtcp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// clientConn is one connection of a client. One goroutine reads it; callers
// write through the shared writer and wait for their own packets.
type clientConn struct {
	address *address
	conn    net.Conn
	out     *writer
	prefix  [idPrefixLen]byte

	goingAway atomic.Bool // the server has asked to be left
	dead      atomic.Bool // err is set

	mu     sync.Mutex // guards what follows
	last   uint64     // the number of the last call
	calls  map[uint64]*call
	missed map[uint64]missed // calls that gave up before their answer ended
	oldest []uint64          // keys of missed in order, for bounding it
	err    error             // why the connection ended
	left   bool              // nothing more is sent

	deadlines deadlines // of calls
}

// missed is what is remembered of a call that gave up.
type missed struct {
	at    time.Time
	trace *micro.Trace
}

// maxMissed bounds the calls a connection remembers after they gave up.
const maxMissed = 8192

// A packet's id has the form of NestJS' ids, 21 hexadecimal digits: 8 that tell
// connections apart and the number of the call.
const (
	idPrefixLen = 8
	idLen       = 21
)

func newClientConn(a *address, conn net.Conn) *clientConn {
	c := &clientConn{address: a, conn: conn, calls: map[uint64]*call{}, missed: map[uint64]missed{}}
	var random [idPrefixLen / 2]byte
	_, _ = rand.Read(random[:]) // never fails
	hex.Encode(c.prefix[:], random[:])
	c.deadlines.timer = time.AfterFunc(time.Hour, c.expire)
	c.deadlines.timer.Stop()
	c.out = newWriter(conn, a.client.limits.maxSend, stallTimeout, c.fail)
	c.out.spawn = a.client.wg.Go
	return c
}

// usable reports whether new calls may use the connection.
func (c *clientConn) usable() bool { return !c.goingAway.Load() && !c.dead.Load() }

// begin registers a call and gives it its id.
func (c *clientConn) begin(k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(c.err, micro.ErrClosed):
		return c.err
	case c.err != nil || c.left:
		return errUnsent
	}
	c.last++
	k.number = c.last
	k.id = c.appendID(k.id[:0], k.number)
	c.calls[k.number] = k
	c.deadlines.add(k)
	return nil
}

// appendID appends the JSON text of the id of call n.
func (c *clientConn) appendID(dst []byte, n uint64) []byte {
	dst = append(append(dst, '"'), c.prefix[:]...)
	var digits [16]byte
	hexDigits := strconv.AppendUint(digits[:0], n, 16)
	for i := len(hexDigits); i < idLen-idPrefixLen; i++ {
		dst = append(dst, '0')
	}
	return append(append(dst, hexDigits...), '"')
}

// numberOf returns the call an id belongs to; ok is false for ids that this
// connection has not made.
func (c *clientConn) numberOf(id []byte) (n uint64, ok bool) {
	if len(id) != idLen+2 || string(id[1:1+idPrefixLen]) != string(c.prefix[:]) {
		return 0, false
	}
	for _, d := range id[1+idPrefixLen : 1+idLen] {
		switch {
		case '0' <= d && d <= '9':
			n = n<<4 | uint64(d-'0')
		case 'a' <= d && d <= 'f':
			n = n<<4 | uint64(d-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// giveUp forgets a call whose caller waits no longer, and remembers it for a
// while, so that its late answer can be told from a foreign one. It returns
// false when the call has just ended: then its end is there to be taken.
func (c *clientConn) giveUp(k *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.calls[k.number]; !waits {
		return false
	}
	c.missLocked(k)
	c.leaveIdle()
	return true
}

// missLocked turns a call that waits into one that has given up.
func (c *clientConn) missLocked(k *call) {
	c.forget(k)
	c.miss(k.number, k.observer)
}

// forget takes a call off the list; whoever does it, with mu held, has ended the
// call or is its caller. Nobody but the caller knows the call afterwards.
func (c *clientConn) forget(k *call) {
	delete(c.calls, k.number)
	c.deadlines.remove(k)
}

// errLeft ends a connection whose server goes away, when nothing waits on it.
var errLeft = fmt.Errorf("%w: the server is going away", micro.ErrConnectionLost)

func (c *clientConn) miss(n uint64, trace *micro.Trace) {
	c.missed[n] = missed{time.Now(), trace}
	if c.oldest = append(c.oldest, n); len(c.oldest) > maxMissed {
		delete(c.missed, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
}

// fail ends the connection; every call that waits on it gets err.
func (c *clientConn) fail(err error) {
	if !errors.Is(err, micro.ErrClosed) && !errors.Is(err, micro.ErrConnectionLost) {
		err = fmt.Errorf("%w: %w", micro.ErrConnectionLost, err)
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	c.dead.Store(true)
	c.deadlines.timer.Stop()
	for _, k := range c.calls {
		c.forget(k)
		k.end(err)
	}
	c.mu.Unlock()
	c.out.close(err) // first, so that nothing is started any more
	_ = c.conn.Close()
}

// lost returns why the connection has ended; it has.
func (c *clientConn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// serve reads the connection until it ends, or its client is closed.
func (c *clientConn) serve() {
	stop := context.AfterFunc(c.address.client.ctx, func() { c.fail(micro.ErrClosed) })
	defer stop()
	c.read()
}

// read takes packets off the connection until it ends.
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

// deliver hands every whole packet to its call.
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
		if n, ok := c.numberOf(p.ID); ok {
			c.hand(n, &p, body)
		} else if string(p.ID) == goAwayID {
			c.leave()
		}
	}
}

// hand gives a packet to its call, or to nobody but the trace of one that gave up.
func (c *clientConn) hand(n uint64, p *wire.Packet, body []byte) {
	value, remote, last := p.Reply()
	c.mu.Lock()
	k := c.calls[n]
	if k == nil {
		m, ok := c.missed[n]
		if ok && last {
			delete(c.missed, n)
		}
		c.mu.Unlock()
		if ok && last {
			m.tell(remote)
		}
		return
	}
	// Under mu, because a call is used again once it is forgotten.
	if last {
		c.forget(k)
	}
	if !k.put(value, remote, last, body) {
		c.forget(k)
		k.end(errSlowCaller)
	}
	c.leaveIdle()
	c.mu.Unlock()
}

func (m missed) tell(remote []byte) {
	if m.trace == nil || m.trace.Late == nil {
		return
	}
	late := micro.LateReply{By: time.Since(m.at)}
	if remote != nil {
		late.Err = micro.RemoteError(append([]byte(nil), remote...))
	}
	m.trace.Late(late)
}

// leave stops new calls on the connection, and closes it when nothing waits.
func (c *clientConn) leave() {
	c.goingAway.Store(true)
	c.address.avoid()
	c.mu.Lock()
	c.leaveIdle()
	c.mu.Unlock()
}

// leaveIdle closes a connection whose server goes away, once nothing waits on it
// and every event has been written. It is called with mu held.
func (c *clientConn) leaveIdle() {
	if !c.goingAway.Load() || len(c.calls) > 0 || c.left || c.err != nil {
		return
	}
	c.left = true
	c.address.client.wg.Go(func() {
		c.out.refuse()
		c.out.settled()
		c.fail(errLeft)
	})
}

// publish sends an event and waits until the connection has taken it.
func (a *address) publish(ctx context.Context, req *micro.Request) error {
	conn, err := a.connected(ctx, req)
	if err != nil {
		return err
	}
	start, end, err := conn.send(ctx, req, nil, time.Now())
	if err == nil {
		err = conn.out.await(ctx, req.Deadline, start, end)
	}
	return conn.sendError(ctx, err)
}

// sendError says in the words of micro.Conn why a message could not be sent.
func (c *clientConn) sendError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoRoom):
		return gaveUp(ctx)
	case errors.Is(err, errRefused) && !errors.Is(c.lost(), micro.ErrClosed):
		return errUnsent
	}
	return c.lost()
}
