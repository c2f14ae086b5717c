package micronats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// connected returns the connection, and waits for it when there is none: no
// longer than until the deadline, and no longer than the dial timeout.
func (c *Client) connected(ctx context.Context, req *micro.Request) (*session, error) {
	if s := c.up.Load(); s != nil {
		return s, nil
	}
	began := time.Now()
	limit := time.NewTimer(min(time.Until(req.Deadline), c.dialTimeout))
	defer limit.Stop()
	for first := true; ; first = false {
		s, changed, err := c.state(first, began)
		if s != nil && req.Trace != nil && req.Trace.Connected != nil {
			req.Trace.Connected(s.link.ConnectedAddr(), time.Since(began))
		}
		if s != nil || err != nil {
			return s, err
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil, c.unreachable()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, c.unreachable()
			}
			return nil, calls.Ended(ctx)
		}
	}
}

// state returns the connection, or a channel that is closed when there may be one, or the
// reason that there will be none. The first call starts connecting.
func (c *Client) state(first bool, now time.Time) (*session, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, nil, micro.ErrClosed
	case c.up.Load() != nil:
		return c.up.Load(), nil, nil
	case c.link != nil && (now.Sub(c.lostAt) > c.dialTimeout || loginRefused(c.lastErr)):
		return nil, nil, c.why() // it was waited for long enough
	case c.link == nil && !c.dialing && first:
		c.dialing, c.lastErr = true, nil
		c.dials.Go(c.dial)
	case c.link == nil && !c.dialing:
		return nil, nil, c.why()
	}
	return nil, c.changed, nil
}

// unreachable is the error of calls that waited for a connection.
func (c *Client) unreachable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why()
}

// why returns the reason that there is no connection. c.mu is held.
func (c *Client) why() error {
	if c.lastErr != nil {
		return c.lastErr
	}
	return fmt.Errorf("%w: NATS at %s does not answer", micro.ErrUnreachable, c.servers.safe)
}

// change wakes all goroutines that wait for another state. c.mu is held.
func (c *Client) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// dial connects for the first time, or after the connection was given up.
func (c *Client) dial() {
	fresh := &link{}
	made, err := c.connect(c.ctx, c.servers, -1, nil, events{
		lost:     func(err error) { c.down(fresh, err) },
		restored: func() { c.restored(fresh) },
		closed:   func(err error) { c.gone(fresh, err) },
		problem:  func(_ *nats.Subscription, err error) { c.problem(fresh, err) },
		failed:   func(err error) { c.failed(fresh, err) },
	})
	if err == nil {
		err = c.listen(made)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = false
	switch {
	case err != nil:
		c.lastErr = err
	case c.closed:
		made.Close()
	case made.IsClosed():
		c.lastErr = connectError(c.servers, nats.ErrConnectionClosed)
	default:
		*fresh = made
		c.link, c.lastErr = fresh, nil
		c.up.Store(&session{fresh})
	}
	c.change()
}

// listen subscribes to the inboxes of all calls, and waits until the broker has
// taken that: it may refuse it.
func (c *Client) listen(made link) error {
	sub, err := made.Subscribe(c.inbox+"*", c.deliver)
	if err == nil {
		err = sub.SetPendingLimits(-1, max(pendingReplies, 2*int(made.MaxPayload())))
	}
	if err == nil {
		err = made.FlushTimeout(c.dialTimeout)
	}
	if err == nil && c.refusesInbox(made.LastError()) {
		err = c.inboxRefused()
	}
	if err != nil {
		made.Close()
		return fmt.Errorf("subscribe to answers in NATS at %s: %w", c.servers.safe, err)
	}
	return nil
}

func (c *Client) refusesInbox(err error) bool {
	subject, ok := refusedSubject(err, "Subscription")
	return ok && subject == c.inbox+"*"
}

func (c *Client) inboxRefused() error {
	return fmt.Errorf("%w: NATS at %s does not let the user subscribe to %q", micro.ErrRefused, c.servers.safe, c.inbox+"*")
}

// pendingReplies limits the bytes of replies that wait to be dispatched.
const pendingReplies = 128 << 20

// The events of a link count once it is the client's.

// down ends the session: its calls cannot be answered any more.
func (c *Client) down(l *link, err error) {
	c.mu.Lock()
	if c.link != l {
		c.mu.Unlock()
		return
	}
	c.lastErr = fmt.Errorf("%w: the connection to NATS at %s was lost and is not back", micro.ErrUnreachable, c.servers.safe)
	if err != nil {
		c.lastErr = fmt.Errorf("%w: %w", c.lastErr, err)
	}
	c.lostAt = time.Now()
	c.up.Store(nil)
	c.mu.Unlock()
	c.calls.FailAll(micro.ErrConnectionLost)
}

// failed remembers why it takes a while to come back.
func (c *Client) failed(l *link, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.lastErr = connectError(c.servers, err)
	}
}

func (c *Client) restored(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l && !c.closed {
		c.lastErr = nil
		c.up.Store(&session{l})
		c.change()
	}
}

// gone forgets a connection that does not come back: the next call makes another.
func (c *Client) gone(l *link, err error) {
	c.down(l, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.link = nil
		c.change()
	}
}

// problem handles an asynchronous error of the broker: the user may not publish to a
// subject, so calls there would time out.
func (c *Client) problem(l *link, err error) {
	if loginRefused(err) {
		c.failed(l, err)
	}
	if c.refusesInbox(err) { // it did not before
		c.calls.FailAll(c.inboxRefused())
	}
	subject, ok := refusedSubject(err, "Publish")
	if !ok {
		return
	}
	err = fmt.Errorf("%w: NATS at %s does not let the user publish to %q", micro.ErrRefused, c.servers.safe, subject)
	c.calls.FailIf(func(req *micro.Request) bool { return req.Pattern.Route() == subject }, err)
}

// unsent reports whether err means that the connection had already ended when the message
// was published. The session is over then.
func (c *Client) unsent(s *session, err error) bool {
	if !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrConnectionClosed) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up.CompareAndSwap(s, nil) {
		c.lostAt, c.lastErr = time.Now(), nil
	}
	return true
}
