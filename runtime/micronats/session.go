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
		c.mu.Lock()
		s, changed, err := c.state(first, began)
		c.mu.Unlock()
		if s != nil && req.Trace != nil && req.Trace.Connected != nil {
			req.Trace.Connected(s.nc.ConnectedAddr(), time.Since(began))
		}
		if s != nil || err != nil {
			return s, err
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil, c.unreachable("no connection in time")
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, c.unreachable("no connection in time")
			}
			return nil, calls.Ended(ctx)
		}
	}
}

// state returns the connection, or a channel that is closed when there may be
// one, or why there will be none. c.mu is held.
func (c *Client) state(first bool, now time.Time) (*session, <-chan struct{}, error) {
	switch {
	case c.closed:
		return nil, nil, micro.ErrClosed
	case c.up.Load() != nil:
		return c.up.Load(), nil, nil
	case c.nc != nil && now.Sub(c.lostAt) > c.dialTimeout:
		return nil, nil, fmt.Errorf("%w: NATS at %s has been gone for %s", micro.ErrUnreachable, c.servers.safe, now.Sub(c.lostAt).Round(time.Second))
	case c.nc == nil && !c.dialing && first:
		c.dialing = true
		c.dials.Go(c.dial)
	case c.nc == nil && !c.dialing:
		return nil, nil, fmt.Errorf("%w: %w", micro.ErrUnreachable, c.lastErr)
	}
	return nil, c.changed, nil
}

func (c *Client) unreachable(why string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastErr != nil {
		return fmt.Errorf("%w: %s: %w", micro.ErrUnreachable, why, c.lastErr)
	}
	return fmt.Errorf("%w: %s at %s", micro.ErrUnreachable, why, c.servers.safe)
}

// change wakes all who wait for another state. c.mu is held.
func (c *Client) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// dial connects for the first time, or after the connection was given up.
func (c *Client) dial() {
	var nc *nats.Conn
	nc, err := c.connect(c.servers, -1, events{
		lost:     func(err error) { c.down(err) },
		restored: c.restored,
		closed:   c.gone,
		problem:  func(*nats.Subscription, error) {},
	})
	if err == nil {
		var sub *nats.Subscription
		if sub, err = nc.Subscribe(c.inbox+"*", c.deliver); err == nil {
			err = sub.SetPendingLimits(-1, max(pendingBytes, 2*int(nc.MaxPayload())))
		}
	}
	c.mu.Lock()
	c.dialing = false
	if err == nil && nc.IsClosed() {
		err = fmt.Errorf("connect to NATS at %s: %w", c.servers.safe, nats.ErrConnectionClosed)
	}
	if err != nil {
		c.lastErr = err
	}
	unwanted := nc != nil && (err != nil || c.closed)
	if nc != nil && !unwanted {
		c.nc, c.lastErr = nc, nil
		c.up.Store(&session{nc})
	}
	c.change()
	c.mu.Unlock()
	if unwanted {
		nc.Close()
	}
}

// down ends the session: its calls cannot be answered any more.
func (c *Client) down(err error) {
	c.mu.Lock()
	c.lastErr, c.lostAt = err, time.Now()
	c.up.Store(nil)
	c.mu.Unlock()
	c.calls.FailAll(micro.ErrConnectionLost)
}

func (c *Client) restored(nc *nats.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.up.Store(&session{nc})
		c.change()
	}
}

// gone forgets a connection that does not come back: the next call makes another.
func (c *Client) gone(err error) {
	c.down(err)
	c.mu.Lock()
	c.nc = nil
	c.change()
	c.mu.Unlock()
}

// unsent reports whether err tells that the connection was not there any more to
// take a message. The session is over then.
func (c *Client) unsent(s *session, err error) bool {
	if !errors.Is(err, nats.ErrReconnectBufExceeded) && !errors.Is(err, nats.ErrConnectionClosed) {
		return false
	}
	if c.up.CompareAndSwap(s, nil) {
		c.mu.Lock()
		c.lostAt = time.Now()
		c.mu.Unlock()
	}
	return true
}
