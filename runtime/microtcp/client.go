package microtcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/backoff"
	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/liveness"
	"github.com/msctl/msctl/runtime/internal/stagger"
	"github.com/msctl/msctl/runtime/micro"
)

// Client is the micro.Conn of NestJS's TCP transport. Create it with Dial. It keeps one
// connection to each address, opens it when it is first needed, and reopens it when it is
// needed after a loss. Calls that are pending on a lost connection fail at once. It is safe
// for concurrent use.
type Client struct {
	addresses   []*address
	limits      limits
	dialTimeout time.Duration
	control     stagger.Control
	maxIdle     time.Duration
	maxAge      time.Duration
	linger      time.Duration // for a server that has not read every event when the client is closed

	answers waiters // for the end of a dial

	log  atomic.Pointer[slog.Logger] // nil for slog.Default
	lost calls.Lost                  // events

	next   atomic.Uint32 // the address to start from, so that equally good ones take turns
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // of dialing and reading goroutines
}

// Dial returns a client for one or several addresses, separated by commas: "host:port", or
// "unix:///path" for a Unix socket, such as that of a NestJS server whose port is a path. A
// message goes to the address with the fewest calls in flight. Dial opens no connection.
func Dial(addresses string, opts ...DialOption) *Client {
	c := &Client{limits: defaultLimits(), dialTimeout: 5 * time.Second, linger: lingerTimeout}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, o := range opts {
		o.applyDial(c)
	}
	for a := range strings.SplitSeq(addresses, ",") {
		c.addresses = append(c.addresses, &address{client: c, target: strings.TrimPrefix(strings.TrimSpace(a), unixScheme), bit: 1 << (len(c.addresses) % 64)})
	}
	return c
}

// SetLogger sets where the client logs events that may have been lost. micro.NewClient calls
// it with the logger of micro.WithLogger. The default is slog.Default.
func (c *Client) SetLogger(log *slog.Logger) { c.log.Store(log) }

func (c *Client) logger() *slog.Logger {
	if log := c.log.Load(); log != nil {
		return log
	}
	return slog.Default()
}

// Close closes all connections. Calls in flight fail at once with micro.ErrClosed. Events
// that Publish has accepted still reach a server that is busy: Close waits up to a second
// until it has read them. On Linux, the error is a *micro.LostEventsError if a connection of
// the client ended before the peer's host had acknowledged all events.
func (c *Client) Close() error {
	c.cancel() // which finishes every connection
	c.wg.Wait()
	return c.lost.Err()
}

// maxResends limits how often a message is sent again because servers that were shutting
// down rejected it.
const maxResends = 3

// Exchange sends a request, and passes the values of its reply to reply.
func (c *Client) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	calls.Bound(ctx, req)
	for r := (route{client: c}); ; {
		a := r.next()
		err := a.exchange(ctx, req, reply)
		if err == nil || !r.retry(ctx, req, a, err) {
			return err
		}
	}
}

// Publish sends an event. It returns when the event has been written or, with
// micro.Request.Confirm, when the server has read it.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	if req.Raw && !js.Valid(js.SanitizeUTF8(req.Data)) { // the server would close the connection
		return errors.New("the body of a message over TCP must be JSON")
	}
	calls.Bound(ctx, req)
	if ctx.Err() != nil {
		return gaveUp(ctx)
	}
	for r := (route{client: c}); ; {
		a := r.next()
		err := a.publish(ctx, req)
		if err == nil || !r.retry(ctx, req, a, err) {
			return err
		}
	}
}

// route chooses the addresses to which one message is sent, one after another, until one
// accepts it.
type route struct {
	client  *Client
	tried   uint64 // the bits of the addresses that were unreachable, or have not answered yet
	pending uint64 // the bits of the addresses that have not answered yet
	again   bool   // this is the second round through all addresses
	resends int
}

// retry reports whether a message that failed with err at a may be sent again: it was not
// handled, and another connection or another address is available.
func (r *route) retry(ctx context.Context, req *micro.Request, a *address, err error) bool {
	switch {
	case errors.Is(err, errUnsent):
		r.resends++
		return r.resends <= maxResends
	case errors.Is(err, errDial):
		r.tried |= a.bit
		r.pending &^= a.bit
		if errors.Is(err, errPending) {
			r.pending |= a.bit
		}
		all := min(len(r.client.addresses), 64)
		switch {
		case bits.OnesCount64(r.tried) < all:
			return true
		case r.pending != 0:
			return r.awaitAnswer(ctx, req)
		case all == 1 || r.again:
			return false
		}
		r.tried, r.again = 0, true // the first may have become reachable in the meantime
		return true
	}
	return false
}

// awaitAnswer waits until one of the pending addresses has answered, and makes next choose
// among them. It returns false if the deadline of the message comes first.
func (r *route) awaitAnswer(ctx context.Context, req *micro.Request) bool {
	deadline := time.NewTimer(time.Until(req.Deadline))
	defer deadline.Stop()
	for {
		answered := r.client.answers.next()
		for _, a := range r.client.addresses {
			if r.pending&a.bit != 0 && !a.dialing.Load() {
				r.tried &^= r.pending
				return true
			}
		}
		select {
		case <-answered:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// next returns the address with the fewest calls in flight. It prefers addresses that have
// not been unreachable within the last second.
func (r *route) next() *address {
	all := r.client.addresses
	if len(all) == 1 {
		return all[0]
	}
	now := int64(micro.Clock())
	first := int(r.client.next.Add(1))
	var best *address
	for i := range all {
		a := all[(first+i)%len(all)]
		if r.tried&a.bit == 0 && (best == nil || a.better(best, now)) {
			best = a
		}
	}
	if best == nil { // of more than 64 addresses, some share a bit
		best = all[first%len(all)]
	}
	return best
}

// address is the address of one server, with the connection to it.
type address struct {
	client    *Client
	target    string
	bit       uint64 // identifies it among up to 64 addresses
	inFlight  atomic.Int64
	downUntil atomic.Int64 // by micro.Clock
	dialing   atomic.Bool
	memory    stagger.Memory // of the IP addresses of its host name

	conn atomic.Pointer[clientConn]

	mu   sync.Mutex // guards dial, and changes of conn
	dial *dial
}

// dial is one attempt to connect. Many calls may wait for it.
type dial struct {
	done chan struct{} // closed when conn or err is set
	conn *clientConn
	err  error
	took time.Duration
}

// avoidFor is how long an address is avoided after it was unreachable, or after its server
// announced that it is shutting down.
const avoidFor = time.Second

// avoid makes messages prefer other addresses for a while.
func (a *address) avoid(d time.Duration) { a.downUntil.Store(int64(micro.Clock() + d)) }

// better reports whether a message should go to a rather than to b.
func (a *address) better(b *address, now int64) bool {
	if rank, other := a.rank(now), b.rank(now); rank != other {
		return rank < other
	}
	return a.inFlight.Load() < b.inFlight.Load()
}

// rank returns 0 for an address without known problems, 1 for one with a dial in progress,
// and 2 for one to avoid.
func (a *address) rank(now int64) int {
	switch {
	case a.downUntil.Load() > now:
		return 2
	case a.dialing.Load():
		return 1
	}
	return 0
}

// errUnsent means that the message was certainly not handled, because its connection ended
// before it was sent, or because its server rejected it. It may be sent again.
var errUnsent = fmt.Errorf("%w before the message was sent", micro.ErrConnectionLost)

// errDial marks the errors of an address that cannot be connected to.
var errDial = fmt.Errorf("%w", micro.ErrUnreachable)

// errPending marks the errors of an address that has not answered yet. Another one may be
// faster.
var errPending = fmt.Errorf("%w", errDial)

// connected returns the connection, and opens it if there is none. Calls that arrive during
// a dial wait for it, unless another address has a connection; if there are several addresses,
// they do so for a moment only.
func (a *address) connected(ctx context.Context, req *micro.Request) (*clientConn, error) {
	if conn := a.conn.Load(); conn != nil && conn.usable() {
		return conn, nil
	}
	if time.Until(req.Deadline) <= 0 {
		return nil, calls.ErrTooLate
	}
	a.mu.Lock()
	if conn := a.conn.Load(); conn != nil && conn.usable() { // opened in the meantime
		a.mu.Unlock()
		return conn, nil
	}
	if a.client.ctx.Err() != nil {
		a.mu.Unlock()
		return nil, micro.ErrClosed
	}
	d := a.dial
	if d == nil {
		d = &dial{done: make(chan struct{})}
		a.dial = d
		a.dialing.Store(true)
		a.client.wg.Go(func() { a.connect(d) })
	}
	a.mu.Unlock()
	if a.dispensable() {
		return nil, fmt.Errorf("%w: %s is being connected to", errDial, a.target)
	}
	return a.await(ctx, req, d)
}

// dispensable reports whether another address has a connection, so that no message needs to
// wait for one to this address.
func (a *address) dispensable() bool {
	for _, b := range a.client.addresses {
		if conn := b.conn.Load(); b != a && conn != nil && conn.usable() {
			return true
		}
	}
	return false
}

// await waits for a dial until the deadline of the call.
func (a *address) await(ctx context.Context, req *micro.Request, d *dial) (*clientConn, error) {
	wait, late := time.Until(req.Deadline), micro.ErrUnreachable
	if len(a.client.addresses) > 1 && wait > stagger.Delay {
		wait, late = stagger.Delay, errPending
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-d.done:
	case <-timer.C:
		return nil, fmt.Errorf("%w: %s did not accept the connection in time", late, a.target)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("%w: %s did not accept the connection in time", micro.ErrUnreachable, a.target)
		}
		return nil, context.Cause(ctx)
	}
	if d.err == nil && req.Trace != nil && req.Trace.Connected != nil {
		req.Trace.Connected(a.target, d.took)
	}
	return d.conn, d.err
}

// connect opens the connection for all callers that wait for the dial.
func (a *address) connect(d *dial) {
	start := time.Now()
	nc, err := a.dialWithRetry()
	var conn *clientConn
	if err == nil {
		conn = newClientConn(a, nc)
	}
	a.mu.Lock()
	if a.client.ctx.Err() != nil && conn != nil {
		_ = nc.Close()
		conn, err = nil, micro.ErrClosed
	}
	d.conn, d.err, d.took = conn, err, time.Since(start)
	a.dial = nil
	a.dialing.Store(false)
	if conn != nil {
		a.conn.Store(conn)
		a.client.wg.Go(conn.serve)
	} else {
		a.avoid(avoidFor)
		if d.took > stagger.Delay {
			a.avoid(stagger.Avoid)
		}
	}
	a.mu.Unlock()
	close(d.done)
	a.client.answers.broadcast()
}

// dialWithRetry tries as often as WithReconnect allows.
func (a *address) dialWithRetry() (net.Conn, error) {
	limits := a.client.limits
	pauses := backoff.Pauses{Longest: limits.delay}
	for attempt := 0; ; attempt++ {
		conn, err := a.dialOnce()
		if err == nil {
			return conn, nil
		}
		if a.client.ctx.Err() != nil {
			return nil, micro.ErrClosed
		}
		if limits.attempts >= 0 && attempt >= limits.attempts || a.replaceable() {
			return nil, fmt.Errorf("%w: %w", errDial, err)
		}
		if pauses.Wait(a.client.ctx) != nil {
			return nil, micro.ErrClosed
		}
	}
}

// replaceable reports whether another address can be used instead.
func (a *address) replaceable() bool {
	now := int64(micro.Clock())
	for _, b := range a.client.addresses {
		if b != a && b.rank(now) == 0 {
			return true
		}
	}
	return false
}

func (a *address) dialOnce() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(a.client.ctx, a.client.dialTimeout)
	defer cancel()
	targets, err := stagger.Resolve(ctx, a.target)
	if err != nil {
		return nil, err
	}
	return stagger.First(ctx, a.memory.Order(targets), stagger.Noting(&a.memory, a.dialTarget))
}

// dialTarget opens a connection to one of the IP addresses.
func (a *address) dialTarget(ctx context.Context, target string) (net.Conn, error) {
	conn, err := stagger.Connect(ctx, target, a.client.control)
	if err != nil {
		return nil, err
	}
	liveness.Watch(conn, a.client.limits.peer)
	if config := a.client.limits.tls; config != nil {
		return handshake(ctx, conn, config, a.target)
	}
	return conn, nil
}

// handshake secures a connection to target. It closes the connection if that fails.
func handshake(ctx context.Context, conn net.Conn, config *tls.Config, target string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(target)
		if isPath(target) {
			config.ServerName = "localhost"
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// waiters are goroutines that wait for the next broadcast. The zero value is ready to use.
type waiters struct {
	mu sync.Mutex
	ch chan struct{} // closed by the next broadcast; nil if nothing waits
}

// next returns a channel that the next broadcast closes.
func (s *waiters) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *waiters) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
