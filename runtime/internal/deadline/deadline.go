// Package deadline contains a context with a deadline that costs nothing until
// something waits for it.
package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// Context is a context that also ends at a time. Unlike that of context.WithDeadline, it
// can be embedded in a larger value, and it creates a timer only when Done is called:
// most of what runs under a deadline does not wait for anything. Start it before its
// first use, and end it with End. It must not be copied. It is safe for concurrent use.
type Context struct {
	parent context.Context
	at     time.Time             // zero means no deadline of its own
	cause  *error                // a pointer, which is smaller
	timed  atomic.Pointer[timed] // nil until there is a timer
}

// timed is the context with a timer.
type timed struct {
	context.Context
	cancel context.CancelFunc
}

// over stands for the timer of a context that has ended without one.
var over = newOver()

func newOver() *timed {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &timed{ctx, cancel}
}

// Start sets the parent and the time, before the first use of the context. *cause is the
// context.Cause after that time. With a zero time, the context is its parent.
func (c *Context) Start(parent context.Context, at time.Time, cause *error) {
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
	if t := c.timed.Load(); t != nil {
		return t.Err()
	}
	if err := c.parent.Err(); err != nil || c.at.IsZero() {
		return err
	}
	if !time.Now().Before(c.at) {
		// From here on, Err must not change when the context ends.
		return c.withTimer().Err()
	}
	return nil
}

// Value returns the parent's value for key. It asks the timer, if there is one, for the values that
// the context package keeps there: the cause, and the contexts derived from this one.
func (c *Context) Value(key any) any {
	switch t := c.timed.Load(); {
	case t == over:
		if v := c.parent.Value(key); v != nil {
			return v
		}
		return t.Value(key)
	case t != nil:
		return t.Value(key)
	case c.at.IsZero() || time.Now().Before(c.at):
		return c.parent.Value(key)
	}
	return c.withTimer().Value(key)
}

// withTimer returns the context with a timer, which it creates on first use.
func (c *Context) withTimer() *timed {
	if t := c.timed.Load(); t != nil {
		return t
	}
	ctx, cancel := context.WithDeadlineCause(c.parent, c.at, *c.cause)
	t := &timed{ctx, cancel}
	if !c.timed.CompareAndSwap(nil, t) { // created meanwhile, or ended
		cancel()
		return c.timed.Load()
	}
	return t
}

// End ends the context and releases its timer.
func (c *Context) End() {
	if c.timed.CompareAndSwap(nil, over) {
		return
	}
	c.timed.Load().cancel()
}
