package micro

import (
	"context"
	"sync"
	"time"
)

type requestKey struct{}

// RequestFromContext returns the message that the handler running under ctx was
// given, or nil. Clients use it to pass the correlation id and the trace on.
func RequestFromContext(ctx context.Context) *Request {
	req, _ := ctx.Value(requestKey{}).(*Request)
	return req
}

// requestContext is a handler's context. It is part of the message it belongs
// to and makes a timer only for those who ask for Done while there is a
// deadline, so that a quick handler pays for none.
type requestContext struct {
	parent context.Context
	req    *Request

	mu     sync.Mutex // guards timed, cancel and ended
	timed  context.Context
	cancel context.CancelFunc
	ended  bool
}

func (c *requestContext) Deadline() (time.Time, bool) {
	if c.req.Deadline.IsZero() {
		return c.parent.Deadline()
	}
	return c.req.Deadline, true
}

func (c *requestContext) Done() <-chan struct{} {
	if c.req.Deadline.IsZero() {
		return c.parent.Done()
	}
	return c.withTimer().Done()
}

func (c *requestContext) Err() error {
	if c.req.Deadline.IsZero() {
		return c.parent.Err()
	}
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Err()
	}
	if err := c.parent.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.req.Deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *requestContext) Value(key any) any {
	if key == (requestKey{}) {
		return c.req
	}
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.parent.Value(key)
}

// withTimer returns the context that ends at the deadline, made when first
// asked for.
func (c *requestContext) withTimer() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.parent, c.req.Deadline)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed
}

// end releases the timer when the handler has returned.
func (c *requestContext) end() {
	c.mu.Lock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
}
