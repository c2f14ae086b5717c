// Package deadline contains a context with a deadline that costs nothing until
// something waits for it.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context is a context that also ends at a time. Unlike that of context.WithDeadline, it
// can be embedded in a larger value, and it creates a timer only when Done is called:
// most of what runs under a deadline does not wait for anything. Start it before its
// first use, and end it with End. It must not be copied. It is safe for concurrent use.
type Context struct {
	parent context.Context
	at     time.Time // zero means no deadline of its own
	cause  error

	mu     sync.Mutex // guards the fields below
	timed  context.Context
	cancel context.CancelFunc
	ended  bool
}

// Start sets the parent and the time, before the first use of the context. Cause is the
// context.Cause after that time. With a zero time, the context is its parent.
func (c *Context) Start(parent context.Context, at time.Time, cause error) {
	c.parent, c.at, c.cause = parent, at, cause
}

// Until returns what a transport has to wait for that observes the time at by itself:
// ctx, or its parent if ctx is a Context that does not end earlier. So a call that is
// bound by its request and by its context in the same way has one timer, not two.
func Until(ctx context.Context, at time.Time) context.Context {
	if c, ok := ctx.(*Context); ok && !at.IsZero() && !c.at.Before(at) {
		return c.parent
	}
	return ctx
}

// Deadline returns the earlier of the context's time and the parent's deadline.
func (c *Context) Deadline() (at time.Time, ok bool) {
	at, ok = c.parent.Deadline()
	if c.at.IsZero() || ok && at.Before(c.at) {
		return at, ok
	}
	return c.at, true
}

// Done returns a channel that is closed at the deadline, or when the parent or the
// context ends.
func (c *Context) Done() <-chan struct{} {
	if c.at.IsZero() {
		return c.parent.Done()
	}
	return c.withTimer().Done()
}

// Err returns why the context has ended, or nil.
func (c *Context) Err() error {
	if c.at.IsZero() {
		return c.parent.Err()
	}
	c.mu.Lock()
	timed, ended := c.timed, c.ended
	c.mu.Unlock()
	if timed != nil {
		return timed.Err()
	}
	if err := c.parent.Err(); err != nil {
		return err
	}
	switch {
	case ended:
		return context.Canceled
	case !time.Now().Before(c.at):
		// From here on, Err must not change when the context ends.
		return c.withTimer().Err()
	}
	return nil
}

// Value returns the parent's value for key. It asks the timer, if there is one, for the values that
// the context package keeps there: the cause, and the contexts derived from this one.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	switch {
	case timed != nil:
		return timed.Value(key)
	case c.at.IsZero() || time.Now().Before(c.at):
		return c.parent.Value(key)
	}
	return c.withTimer().Value(key)
}

// withTimer returns the context with a timer, which it creates on first use.
func (c *Context) withTimer() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadlineCause(c.parent, c.at, c.cause)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed
}

// End ends the context and releases its timer.
func (c *Context) End() {
	c.mu.Lock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
}
