package microredis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
	"github.com/msctl/msctl/runtime/wire"
)

// Client is the micro.Conn for NestJS's Redis transport. Create it with Dial. It keeps
// two connections, which it opens on first use and reopens whenever they are lost.
type Client struct {
	url       string
	settings  settings
	uncounted bool
	waits     bool                        // messages wait while attempts to connect fail
	log       atomic.Pointer[slog.Logger] // nil for slog.Default
	bad       error                       // why the URL is invalid

	inFlight atomic.Int64 // calls and events in flight; while there are any, the heartbeat is faster
	calls    calls.Table
	link     *link
	ctx      context.Context
	cancel   context.CancelFunc
	begun    sync.Once
	wg       sync.WaitGroup

	mu     sync.Mutex // guards shared
	shared map[string]bool
}

// Dial returns a client for a server's URL: redis://[user:password@]host:port[/db], rediss://
// for TLS, redis+unix://[user:password@]/path for a Unix socket, or
// redis+sentinel://[user:password@]host:port,host:port/master (rediss+sentinel:// with TLS)
// for a master that Sentinels know. Options of other clients after a ? are ignored. The
// client connects on first use.
func Dial(url string, opts ...DialOption) *Client {
	c := &Client{url: url, settings: defaultSettings(), calls: calls.Table{Shared: true}, shared: map[string]bool{}}
	for _, o := range opts {
		o.applyDial(c)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var options *redis.Options
	var masters *redisurl.Sentinels
	options, masters, c.bad = parse(url, c.settings)
	c.link = &link{
		options: options, sentinels: masters, settings: c.settings, log: c.logger, changed: make(chan struct{}),
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

// Close closes the connections. Calls in flight fail with micro.ErrClosed.
func (c *Client) Close() error {
	c.calls.Close(micro.ErrClosed)
	c.cancel()
	c.begun.Do(func() {}) // prevents a later start
	if c.link.out != nil {
		c.link.out.close()
	}
	c.wg.Wait()
	return nil
}

// Exchange sends a request and passes the values of its response to reply.
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
			var left bool
			if left, err = c.call(ctx, s, channel, req, reply); left {
				s.abandon(r)
			} else {
				s.leave(r)
			}
		}
		switch {
		case errors.Is(err, errLost):
		case errors.Is(err, micro.ErrNotServed) && clock() < s.settled && pauseBefore(ctx, req.Deadline):
		default:
			return err
		}
	}
}

// pauseBefore waits for about 100 ms. It returns false, possibly at once, if the
// deadline or the end of ctx comes first.
func pauseBefore(ctx context.Context, deadline time.Time) bool {
	d := jitter(100 * time.Millisecond)
	return time.Until(deadline) > d && pause(ctx, d) == nil
}

// errLost means that the session ended before the message was sent, so the message may
// be sent on the next session.
var errLost = errors.New("the session has ended")

// call makes one call on a session that has subscribed to the reply channel. left reports
// whether the caller has left a stream before its end.
func (c *Client) call(ctx context.Context, s *session, channel string, req *micro.Request, reply micro.Reply) (left bool, err error) {
	call, err := c.calls.Begin(req, time.Now())
	if err != nil {
		return false, err
	}
	if s.over() { // it may have ended before Begin, and then FailAll has not seen the call
		call.Cancel()
		return false, errLost
	}
	s.watched()
	sent := &request{client: c, call: call.Ref(), channel: channel, counted: !c.uncounted && !s.cluster, alone: !req.All}
	if err := c.link.out.add(ctx, message{channel: channel, trace: req.Trace, receipt: sent, expires: expiry(req)}, guess(req), body(req, call.JSONID())); err != nil {
		call.Cancel()
		switch {
		case errors.Is(err, errUnsent):
			return false, errLost
		case errors.Is(err, context.DeadlineExceeded):
			return false, errLate
		}
		return false, err
	}
	values, err := call.Wait(ctx, reply)
	if n := sent.receivers.Load(); n > 0 && err == micro.ErrTimeout { //nolint:errorlint // one without a reason of its own
		err = fmt.Errorf("%w: the channel %s has %s", err, channel, subscribers(n))
	}
	var remote *micro.Error
	left = values > 0 && err != nil && !req.All && !errors.Is(err, micro.ErrTimeout) && !errors.Is(err, micro.ErrConnectionLost) && !errors.As(err, &remote)
	return left, err
}

func subscribers(n int64) string {
	if n == 1 {
		return "1 subscriber"
	}
	return fmt.Sprintf("%d subscribers", n)
}

// body returns a function that appends the body of a message.
func body(req *micro.Request, id []byte) func([]byte) []byte {
	return func(dst []byte) []byte {
		if req.Raw {
			return append(dst, req.Data...)
		}
		var room [256]byte
		metadata := micro.AppendMetadata(room[:0], req, time.Now())
		return wire.AppendRequest(dst, req.Pattern.JSON(), req.Data, metadata, id)
	}
}

// guess estimates the length of a message's body, including metadata. Usually the
// estimate has as many digits as the length, so appendPublish need not move the body.
func guess(req *micro.Request) int { return len(req.Pattern.JSON()) + len(req.Data) + 150 }

// expiry returns the deadline of a message in terms of clock.
func expiry(req *micro.Request) int64 {
	now := clock()
	return now + min(int64(time.Until(req.Deadline)), math.MaxInt64-now)
}

// request is the receipt of a call's message.
type request struct {
	client  *Client
	call    calls.Ref
	channel string
	counted bool
	alone   bool // only one receiver is expected

	receivers atomic.Int64 // 0 until they are known
}

// published fails the call if its message was not published or had no receiver.
func (r *request) published(receivers int64, err error) {
	switch {
	case errors.Is(err, micro.ErrConnectionLost): // it may have been published, and its reply may have arrived
		return
	case err != nil:
		r.call.Fail(err)
	case !r.counted:
		return
	case receivers == 0:
		r.call.Fail(fmt.Errorf("%w on channel %s at %s", micro.ErrNotServed, r.channel, r.client.link.options.Addr))
	case receivers > 1 && r.alone && !isReserved(r.channel):
		r.client.several(r.channel, receivers)
	}
	r.receivers.Store(receivers)
}

// maxShared limits the number of channels that several remembers.
const maxShared = 1024

// several logs, once per channel, that more than one instance serves it.
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

// noGroups explains why several instances received a message, and names alternatives.
const noGroups = "each instance handles every message, because Redis has no queue groups; RabbitMQ and NATS share the work"

// Publish sends an event and returns when Redis has accepted it, whether or not it had
// a receiver.
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

// connected returns a session for req. If there is none, it waits for one until the attempt
// to connect fails or, with waits, until the deadline.
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
	timer := time.NewTimer(time.Until(req.Deadline))
	defer timer.Stop()
	c.begin()
	if !c.waits {
		c.link.hasten()
	}
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
		case late, !now.running && !first, now.failed && !c.waits:
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

// unreachable returns the error of a message that could not be sent for lack of a
// connection.
func unreachable(failure error) error {
	switch {
	case failure == nil:
		return fmt.Errorf("%w: Redis did not accept the connection in time", micro.ErrUnreachable)
	case isRefusal(failure):
		return fmt.Errorf("%w: %w", refusal(failure), failure)
	}
	return fmt.Errorf("%w: %w", micro.ErrUnreachable, failure)
}

// begin starts the publisher on first use.
func (c *Client) begin() {
	c.begun.Do(func() {
		c.link.out = newPublisher(0)
	})
}

// receive handles a message on a reply channel.
func (c *Client) receive(_ *session, m *redis.Message) (leading bool) {
	c.take([]byte(m.Payload))
	return true
}

// take handles one packet of a reply. A packet without a string as its ID belongs to no
// call (docs/wire.md 1.3).
func (c *Client) take(body []byte) {
	body = js.SanitizeUTF8(body)
	p, err := wire.Parse(body)
	switch {
	case err != nil:
		c.calls.Ignore(body, "is not JSON")
	case len(p.ID) >= 2 && p.ID[0] == '"':
		c.calls.Deliver(p.ID[1:len(p.ID)-1], &p, body)
	default:
		c.calls.Ignore(body, calls.LacksID(&p))
	}
}
