package micronats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// connected returns the session. If there is no connection, it waits for one, up to the
// deadline and the dial timeout.
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

// state returns the session, a channel that is closed when there may be one, or the reason why
// there is none. With first, it starts to connect.
func (c *Client) state(first bool, now time.Time) (*session, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, nil, micro.ErrClosed
	case c.up.Load() != nil:
		return c.up.Load(), nil, nil
	case c.link != nil && (now.Sub(c.lostAt) > c.dialTimeout || loginRefused(c.lastErr)):
		return nil, nil, c.why() // others have waited long enough
	case c.link == nil && !c.dialing && first:
		c.dialing, c.lastErr = true, nil
		c.work.Go(c.dial)
	case c.link == nil && !c.dialing:
		return nil, nil, c.why()
	}
	return nil, c.changed, nil
}

// unreachable returns the error of a message that waited for a connection.
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

// change wakes all goroutines that wait for a change of state. c.mu is held.
func (c *Client) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// dial makes the first connection, or one in place of a connection that was closed permanently.
func (c *Client) dial() {
	fresh, in, err := c.open()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialing = false
	if err == nil && c.closed {
		err = micro.ErrClosed
	}
	if err == nil {
		c.use(fresh, in)
	} else {
		c.lastErr = err
		fresh.Close()
		in.end()
	}
	c.change()
}

// open makes a connection that is not used yet, with an inbox for it.
func (c *Client) open() (*link, *inbox, error) {
	fresh := &link{}
	in := newInbox(c)
	c.work.Go(in.run)
	made, err := c.connect(c.ctx, c.servers, -1, in.awaitRoom, events{
		lost:     func(err error) { c.down(fresh, in, err) },
		restored: func() { c.restored(fresh) },
		closed:   func(err error) { c.gone(fresh, in, err) },
		problem:  func(_ *nats.Subscription, err error) { c.problem(fresh, in, err) },
		failed:   func(err error) { c.failed(fresh, err) },
		lameDuck: func() { c.lameDuck(fresh, in) },
	})
	if err == nil && made.IsClosed() {
		err = connectError(c.servers, nats.ErrConnectionClosed)
	}
	*fresh, in.link = made, fresh
	return fresh, in, err
}

// use makes the client send over a connection. c.mu is held.
func (c *Client) use(l *link, in *inbox) {
	c.link, c.inbox, c.lastErr = l, in, nil
	c.up.Store(newSession(l, in))
	if in.ending {
		c.startMove()
	}
}

// The events of a link are ignored until it is the client's.

// down ends the session. It delivers the replies that have arrived and fails the other pending
// calls, whose replies are lost.
func (c *Client) down(l *link, in *inbox, err error) {
	c.mu.Lock()
	ended := c.old[in]
	if c.link == l {
		c.lastErr = fmt.Errorf("%w: the connection to NATS at %s was lost and has not been restored", micro.ErrUnreachable, c.servers.safe)
		if err != nil {
			c.lastErr = fmt.Errorf("%w: %w", c.lastErr, err)
		}
		c.lostAt = time.Now()
		ended = c.up.Swap(nil)
	}
	c.mu.Unlock()
	c.reportLost(ended)
	in.settle()
	in.calls.FailAll(micro.ErrConnectionLost)
}

// failed records why an attempt to reconnect failed.
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
		c.up.Store(newSession(l, c.inbox))
		c.change()
	}
}

// gone forgets a connection that was closed permanently. The next call makes another one.
func (c *Client) gone(l *link, in *inbox, err error) {
	c.down(l, in, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.inbox.end()
		c.link, c.inbox = nil, nil
		c.change()
	}
}

// problem handles an asynchronous report: the broker rejects the credentials or does not permit
// an operation.
func (c *Client) problem(l *link, in *inbox, err error) {
	if loginRefused(err) {
		c.failed(l, err)
	}
	found, ok := parseViolation(err)
	switch {
	case !ok:
	case found.operation == opSubscribe:
		in.refuse(found.subject)
	case found.operation == opPublish:
		if strings.HasPrefix(found.subject, nats.InboxPrefix) {
			c.silent.Store(true)
		}
		if s := c.up.Load(); s != nil {
			s.setPermitted(found.subject, false) // no longer
		}
		in.calls.FailIf(func(req *micro.Request) bool { return req.Pattern.Route() == found.subject }, c.forbidden(found.subject))
	}
}

// unsent reports whether err means that the connection had ended before the message was
// published. If so, it ends the session.
func (c *Client) unsent(s *session, err error) bool {
	if !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrConnectionClosed) {
		return false
	}
	c.reportLost(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up.CompareAndSwap(s, nil) {
		c.lostAt, c.lastErr = time.Now(), nil
	}
	return true
}
