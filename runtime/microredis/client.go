package microredis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Client is the micro.Conn of NestJS's Redis transport. Make it with Dial. It keeps
// two connections, made when first needed and made again when they were lost.
type Client struct {
	url       string
	settings  settings
	uncounted bool
	log       atomic.Pointer[slog.Logger] // nil for slog.Default
	bad       error                       // the URL

	inFlight atomic.Int64 // messages that somebody waits for: the heartbeat is then quick
	calls    calls.Table
	link     *link
	ctx      context.Context
	cancel   context.CancelFunc
	begun    sync.Once
	wg       sync.WaitGroup

	mu     sync.Mutex // guards shared
	shared map[string]bool
}

// Dial returns a client for a server's URL: redis://[user:password@]host:port[/db],
// or rediss:// for TLS. Nothing is connected yet.
func Dial(url string, opts ...DialOption) *Client {
	c := &Client{url: url, settings: defaultSettings(), shared: map[string]bool{}}
	for _, o := range opts {
		o.applyDial(c)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var options *redis.Options
	options, c.bad = parse(url, c.settings)
	c.link = &link{
		options: options, settings: c.settings, log: c.logger, changed: make(chan struct{}),
		receive: c.receive, prepare: func(context.Context, *session) error { return nil },
		ended:   func(*session) { c.calls.FailAll(micro.ErrConnectionLost) },
		waiting: func() bool { return c.inFlight.Load() > 0 },
	}
	return c
}

// SetLogger sets where the client logs lost and restored connections, and channels
// that more than one instance serves. micro.NewClient calls it with the logger of
// micro.WithLogger. The default is slog.Default.
func (c *Client) SetLogger(log *slog.Logger) { c.log.Store(log) }

func (c *Client) logger() *slog.Logger {
	if log := c.log.Load(); log != nil {
		return log
	}
	return slog.Default()
}

// Close closes the connections; calls in flight fail with micro.ErrClosed.
func (c *Client) Close() error {
	c.calls.Close(micro.ErrClosed)
	c.cancel()
	c.begun.Do(func() {}) // nothing begins any more
	if c.link.out != nil {
		c.link.out.close()
	}
	c.wg.Wait()
	return nil
}

// Exchange sends a request and hands the values of its answer to reply.
func (c *Client) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	calls.Bound(ctx, req)
	channel := channelName(req.Pattern.Route())
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		r, err := s.listen(ctx, channel+replySuffix, req.Deadline)
		if err == nil {
			err = c.call(ctx, s, channel, req, reply)
			s.leave(r)
		}
		switch {
		case errors.Is(err, errLost):
		case errors.Is(err, micro.ErrNotServed) && clock() < s.settled && pauseBefore(ctx, req.Deadline):
		default:
			return err
		}
	}
}

// pauseBefore waits a moment, and reports whether it is over before the deadline and
// before the end of ctx.
func pauseBefore(ctx context.Context, deadline time.Time) bool {
	d := jitter(100 * time.Millisecond)
	return time.Until(deadline) > d && pause(ctx, d) == nil
}

// errLost: the session ended before the message was sent, so another may send it.
var errLost = errors.New("the session has ended")

// call makes one call by a session that has subscribed to the reply channel.
func (c *Client) call(ctx context.Context, s *session, channel string, req *micro.Request, reply micro.Reply) error {
	call, err := c.calls.Begin(req, time.Now())
	if err != nil {
		return err
	}
	if s.over() { // its end may have come before the call began, which would then not be told
		call.Cancel()
		return errLost
	}
	s.watched()
	sent := &request{client: c, call: call.Ref(), channel: channel, counted: !c.uncounted && !s.cluster, alone: !req.All}
	if err := c.link.out.add(ctx, message{channel: channel, trace: req.Trace, receipt: sent, expires: expiry(req)}, guess(req), body(req, call.JSONID())); err != nil {
		call.Cancel()
		switch {
		case errors.Is(err, errUnsent):
			return errLost
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%w: too many messages were waiting to be sent", micro.ErrTimeout)
		}
		return err
	}
	_, err = call.Wait(ctx, reply)
	return err
}

// body returns what appends the body of a message.
func body(req *micro.Request, id []byte) func([]byte) []byte {
	return func(dst []byte) []byte {
		var room [256]byte
		metadata := micro.AppendMetadata(room[:0], req, time.Now())
		return wire.AppendRequest(dst, req.Pattern.JSON(), req.Data, metadata, id)
	}
}

// guess returns about how long the body of a message is: with its metadata mostly
// as many digits as it will have.
func guess(req *micro.Request) int { return len(req.Pattern.JSON()) + len(req.Data) + 150 }

// expiry returns the deadline of a message by clock.
func expiry(req *micro.Request) int64 { return clock() + int64(time.Until(req.Deadline)) }

// request is the receipt of a call's message.
type request struct {
	client  *Client
	call    calls.Ref
	channel string
	counted bool
	alone   bool // only one is expected to receive it
}

// published ends the call unless somebody has received its message.
func (r *request) published(receivers int64, err error) {
	switch {
	case err != nil:
		r.call.Fail(err)
	case !r.counted:
	case receivers == 0:
		r.call.Fail(fmt.Errorf("%w: no subscriber on channel %s at %s", micro.ErrNotServed, r.channel, r.client.link.options.Addr))
	case receivers > 1 && r.alone && !isReserved(r.channel):
		r.client.several(r.channel, receivers)
	}
}

// maxShared bounds the channels that are remembered for having been logged.
const maxShared = 1024

// several tells, once for each channel, that more than one instance serves it.
func (c *Client) several(channel string, receivers int64) {
	c.mu.Lock()
	known := c.shared[channel] || len(c.shared) >= maxShared
	if !known {
		c.shared[channel] = true
	}
	c.mu.Unlock()
	if !known {
		c.logger().Warn("more than one instance received a request: "+noGroups, "transport", "redis", "channel", channel, "receivers", receivers)
	}
}

// noGroups says what to do about it.
const noGroups = "each instance handles every message, because Redis has no queue groups; RabbitMQ and NATS share the work"

// Publish sends an event; it returns when Redis has taken it, whether anybody has
// received it or not.
func (c *Client) Publish(ctx context.Context, req *micro.Request) error {
	c.inFlight.Add(1)
	defer c.inFlight.Add(-1)
	calls.Bound(ctx, req)
	channel := channelName(req.Pattern.Route())
	for {
		s, err := c.connected(ctx, req)
		if err != nil {
			return err
		}
		s.watched()
		sent := make(event, 1)
		err = c.link.out.add(ctx, message{channel: channel, trace: req.Trace, receipt: sent, expires: expiry(req)}, guess(req), body(req, nil))
		if err == nil {
			err = sent.wait(ctx, req.Deadline)
		}
		switch {
		case err != nil && c.ctx.Err() != nil:
			return micro.ErrClosed
		case !errors.Is(err, errUnsent):
			return err
		}
	}
}

// event is the receipt of an event.
type event chan error

func (e event) published(_ int64, err error) { e <- err }

func (e event) wait(ctx context.Context, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case err := <-e:
		return err
	case <-timer.C:
		return micro.ErrTimeout
	case <-ctx.Done():
		return calls.Ended(ctx)
	}
}

// connected returns the session by which req may be sent now, and waits for one if
// there is none.
func (c *Client) connected(ctx context.Context, req *micro.Request) (*session, error) {
	switch {
	case c.bad != nil:
		return nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, c.bad)
	case ctx.Err() != nil:
		return nil, calls.Ended(ctx)
	case !time.Now().Before(req.Deadline):
		return nil, calls.ErrTooLate
	}
	if s := c.link.session(); s != nil && !s.over() {
		return s, nil
	}
	if c.ctx.Err() != nil {
		return nil, micro.ErrClosed
	}
	began := time.Now()
	timer := time.NewTimer(min(time.Until(req.Deadline), c.settings.dialTimeout))
	defer timer.Stop()
	c.begin()
	for first, late := true, false; ; first = false {
		now := c.link.state()
		switch {
		case now.session != nil && !now.session.over():
			if req.Trace != nil && req.Trace.Connected != nil {
				req.Trace.Connected(c.link.options.Addr, time.Since(began))
			}
			return now.session, nil
		case c.ctx.Err() != nil:
			return nil, micro.ErrClosed
		case late, !now.running && !first:
			return nil, unreachable(now.failure)
		case !now.running:
			c.link.start(c.ctx, &c.wg)
			continue
		}
		select {
		case <-now.changed:
		case <-timer.C:
			late = true
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, context.Cause(ctx)
			}
			late = true
		}
	}
}

// unreachable is the error of a message for which there was no connection.
func unreachable(failure error) error {
	switch {
	case failure == nil:
		return fmt.Errorf("%w: Redis did not accept the connection in time", micro.ErrUnreachable)
	case isRefusal(failure):
		return fmt.Errorf("%w: %w", micro.ErrRefused, failure)
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
}

// begin starts what a client needs as soon as it is used.
func (c *Client) begin() {
	c.begun.Do(func() {
		c.link.out = newPublisher(0)
	})
}

// receive takes what comes on the reply channels.
func (c *Client) receive(_ *session, m *redis.Message) (leading bool) {
	c.take([]byte(m.Payload))
	return true
}

// take takes a packet of an answer. Without an id that is a string it is nobody's
// (docs/wire.md 1.3).
func (c *Client) take(body []byte) {
	body = js.SanitizeUTF8(body)
	p, err := wire.Parse(body)
	if err == nil && len(p.ID) >= 2 && p.ID[0] == '"' {
		c.calls.Deliver(p.ID[1:len(p.ID)-1], &p, body)
	}
}
