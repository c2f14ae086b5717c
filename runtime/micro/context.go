package micro

import (
	"context"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/tap"
)

type requestKey struct{}

// RequestFromContext returns the message that the handler with context ctx is handling,
// or nil. Clients use it to pass on the correlation ID and the trace.
func RequestFromContext(ctx context.Context) *Request {
	req, _ := ctx.Value(requestKey{}).(*Request)
	return req
}

// requestContext is a handler's context. It is allocated with its message, and it
// creates a timer only when Done is called and there is a deadline, so that a handler
// that does not wait for anything does not pay for one.
type requestContext struct {
	parent context.Context
	req    *Request

	mu     sync.Mutex // guards timed, cancel, and ended
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
	if c.req.report != nil && tap.IsKey(key) {
		return c.req.report.span
	}
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.parent.Value(key)
}

// withTimer returns the context that ends at the deadline, creating it on first use.
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
