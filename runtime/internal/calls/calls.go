// Package calls keeps the pending calls of a client: those that have been sent and
// whose replies have not arrived in full. A transport parses what it reads and hands
// each packet to the Table, which finds the call that it belongs to. The goroutine
// that made the call takes the packets from there, until the last one, until the
// deadline, or until the connection is lost.
package calls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// maxUnread bounds the bytes that wait for one caller to take them.
const maxUnread = 32 << 20

// ErrSlowCaller ends a call whose caller takes the packets too slowly.
var ErrSlowCaller = errors.New("replies arrive faster than the caller reads them: more than 32 MiB are waiting")

// ErrTooLate is the error of a message whose deadline had passed before it was
// sent.
var ErrTooLate = fmt.Errorf("%w: the deadline had passed before the message was sent", micro.ErrTimeout)

// Table holds the pending calls of one client, or of one of its connections. The
// zero value is an empty table. It is safe for concurrent use.
type Table struct {
	// SingleReplier means that at most one server replies to a request, so that
	// Request.All has no effect. It must be set before the first call.
	SingleReplier bool
	// Shared means that replies to other clients arrive as well. It must be set before the
	// first call.
	Shared bool

	free sync.Pool // of *Call

	mu        sync.Mutex // guards the fields below, and those of Call that say so
	ids       ids
	pending   map[uint64]*Call
	deadlines deadlines
	late      lateCalls
	stray     stray
	watching  int    // pending calls whose traces ask for strays
	refused   error  // why no call may begin any more; nil while calls may
	closed    bool   // by Close
	idle      func() // see Drain; nil once it has been called
}

// Begin adds a call for req, which must have a deadline; now is the current time.
// The error is that of Close or Drain, or ErrTooLate if the deadline has passed.
// Every call must be ended with Wait or Cancel.
func (t *Table) Begin(req *micro.Request, now time.Time) (*Call, error) {
	if !now.Before(req.Deadline) {
		return nil, ErrTooLate
	}
	c, ok := t.free.Get().(*Call)
	if !ok {
		c = &Call{table: t, signal: make(chan struct{}, 1)}
	}
	c.req, c.deadline, c.all = req, req.Deadline, req.All && !t.SingleReplier
	c.traced = req.Trace != nil && req.Trace.Read != nil
	c.watches = req.Trace != nil && req.Trace.Stray != nil
	c.unfinished, c.ignored = "", ""
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused != nil {
		return nil, t.refused
	}
	if t.pending == nil {
		t.pending = map[uint64]*Call{}
		t.deadlines.init(t.expire)
	}
	c.number = t.ids.next()
	c.id = t.ids.appendJSON(c.id[:0], c.number)
	t.pending[c.number] = c
	t.deadlines.add(c)
	if c.watches {
		t.watching++
	}
	return c, nil
}

// Len returns the number of pending calls.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pending)
}

// Deliver hands a packet of a reply to the call with that ID, without quotes. It
// copies what it keeps. body is the packet as it was received, for traces. It returns
// false if no call is waiting for it; a packet with an ID of no call at all is a stray.
func (t *Table) Deliver(id []byte, p *wire.Packet, body []byte) bool {
	value, remote, last := p.Reply()
	t.mu.Lock()
	n, ok := t.ids.number(id)
	c := t.pending[n]
	if !ok || c == nil {
		if !ok {
			t.ignore(body, t.otherID())
		}
		late, known := t.late.find(n, last)
		t.mu.Unlock()
		if ok && known && last {
			late.report(remote)
		}
		return false
	}
	// Subtle: the packet is put while mu is held. Once a call is forgotten, its
	// caller may reuse it for another request.
	switch {
	case c.all:
	case last:
		t.forget(c)
	default:
		c.unfinished = p.Unfinished()
	}
	if !c.put(value, remote, last, body) {
		t.forget(c)
		c.end(ErrSlowCaller)
	}
	t.checkIdle()
	t.mu.Unlock()
	return true
}

// Pending reports whether the call with that ID, without quotes, is pending.
func (t *Table) Pending(id []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.ids.number(id)
	return ok && t.pending[n] != nil
}

// Fail ends the call with that ID, without quotes, if it is still pending.
func (t *Table) Fail(id []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.ids.number(id); ok {
		t.fail(n, err)
	}
}

func (t *Table) fail(n uint64, err error) {
	if c := t.pending[n]; c != nil {
		t.forget(c)
		c.end(err)
		t.checkIdle()
	}
}

// FailIf ends every pending call whose request matches. match must be quick, and
// must not use the table.
func (t *Table) FailIf(match func(*micro.Request) bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.pending { // deleting while ranging is safe
		if match(c.req) {
			t.forget(c)
			c.end(err)
		}
	}
	t.checkIdle()
}

// FailAll ends every pending call: its reply cannot arrive any more.
func (t *Table) FailAll(err error) {
	t.FailIf(func(*micro.Request) bool { return true }, err)
}

// Drain makes Begin return err from now on. It calls idle once, as soon as no call is
// pending, unless the table is closed before that. idle must be quick, and must not
// use the table. A table that is closed or draining stays as it is.
func (t *Table) Drain(err error, idle func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused == nil {
		t.refused, t.idle = err, idle
		t.checkIdle()
	}
}

// checkIdle is called with mu held when a call may have been the last one.
func (t *Table) checkIdle() {
	if t.idle != nil && len(t.pending) == 0 {
		idle := t.idle
		t.idle = nil
		idle()
	}
}

// Close ends every pending call with err, and makes Begin return err from now on. It
// returns false if the table was closed before, and then changes nothing.
func (t *Table) Close(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.closed, t.refused, t.idle = true, err, nil
	for _, c := range t.pending {
		t.forget(c)
		c.end(err)
	}
	t.deadlines.stop()
	return true
}

// Refused returns the error that Begin returns since Close or Drain, or nil.
func (t *Table) Refused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// expire ends the calls whose deadline has come. The timer of deadlines runs it.
func (t *Table) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadlines.fired(func(c *Call) {
		t.miss(c)
		c.end(t.overdue(c))
	})
	t.checkIdle()
}

// miss forgets a call whose caller has stopped waiting, but remembers who wants to
// know about a late reply.
func (t *Table) miss(c *Call) {
	t.forget(c)
	if trace := c.req.Trace; trace != nil && trace.Late != nil {
		t.late.add(c.number, trace)
	}
}

// forget removes a call from the table. The code that does so, with mu held, is the
// caller or ends the call: nothing else refers to it afterwards.
func (t *Table) forget(c *Call) {
	delete(t.pending, c.number)
	t.deadlines.remove(c)
	if c.watches {
		t.watching--
	}
}

// Ended returns the error of a caller whose ctx has ended: micro.ErrTimeout at its
// deadline, and its cause otherwise.
func Ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return micro.ErrTimeout
	}
	return context.Cause(ctx)
}

// Bound sets the deadline of a message that has none, as a micro.Client would.
func Bound(ctx context.Context, req *micro.Request) {
	if !req.Deadline.IsZero() {
		return
	}
	var ok bool
	if req.Deadline, ok = ctx.Deadline(); !ok {
		req.Deadline = time.Now().Add(micro.DefaultTimeout)
	}
}
