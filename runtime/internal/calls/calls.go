// Package calls keeps the calls of a broker's client that wait for their
// answers. The transport parses what it reads and hands it to the Table; the
// goroutine that made a call takes the values from there.
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

// MaxWaiting bounds the bytes that wait for one caller to take them.
const MaxWaiting = 32 << 20

// errSlowCaller ends a call whose caller does not keep up with its answer.
var errSlowCaller = errors.New("the answer comes faster than the caller takes it: more than 32 MiB are waiting")

// ErrTooLate is the error of a message whose deadline had passed before it was
// sent.
var ErrTooLate = fmt.Errorf("%w: the deadline had passed before the message was sent", micro.ErrTimeout)

// Table holds the calls of one client, by id. The zero value is empty. It is
// safe for use from many goroutines.
type Table struct {
	mu      sync.Mutex
	waiting map[string]*Call
	late    missed
	closed  bool
}

// Call is one request that waits for its answer.
type Call struct {
	// ID is unique among all clients: a text of lower-case hex digits.
	ID string

	table  *Table
	req    *micro.Request
	signal chan struct{}

	mu    sync.Mutex // guards what follows
	parts []part
	size  int // bytes in parts
	over  bool
	err   error // why no more comes, other than that the answer is complete
}

// part is one packet of an answer.
type part struct {
	text    []byte
	defined bool
	failed  bool // the text is the peer's error
	last    bool
	at      time.Time
	packet  []byte // nil unless traced
}

// Begin adds a call for req, which must have a deadline. The error is
// micro.ErrClosed after Close, and ErrTooLate when the deadline has passed. Every
// call that has begun must be waited for or given up.
func (t *Table) Begin(req *micro.Request) (*Call, error) {
	if !time.Now().Before(req.Deadline) {
		return nil, ErrTooLate
	}
	c := &Call{ID: micro.NewCorrelationID(), table: t, req: req, signal: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, micro.ErrClosed
	}
	if t.waiting == nil {
		t.waiting = map[string]*Call{}
	}
	t.waiting[c.ID] = c
	return c, nil
}

// Len returns how many calls wait.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// Deliver hands a packet of an answer to the call of that id. It copies what it
// keeps of the packet; body is its bytes as they came, for those who trace. It
// returns false when no call waits for it.
func (t *Table) Deliver(id []byte, p *wire.Packet, body []byte) bool {
	value, remote, last := p.Reply()
	t.mu.Lock()
	c := t.waiting[string(id)]
	if c == nil {
		m, known := t.late.find(id, last)
		t.mu.Unlock()
		if known && last {
			m.tell(remote)
		}
		return false
	}
	if last && !c.req.All {
		delete(t.waiting, c.ID)
	}
	t.mu.Unlock()
	if !c.put(value, remote, last, body) {
		t.take(c)
		c.end(errSlowCaller)
	}
	return true
}

// Fail ends the call of that id with err, if it still waits.
func (t *Table) Fail(id []byte, err error) {
	t.mu.Lock()
	c := t.waiting[string(id)]
	delete(t.waiting, string(id))
	t.mu.Unlock()
	if c != nil {
		c.end(err)
	}
}

// FailIf ends every call that waits and whose request matches with err.
func (t *Table) FailIf(match func(*micro.Request) bool, err error) {
	var found []*Call
	t.mu.Lock()
	for id, c := range t.waiting {
		if match(c.req) {
			found = append(found, c)
			delete(t.waiting, id)
		}
	}
	t.mu.Unlock()
	for _, c := range found {
		c.end(err)
	}
}

// FailAll ends every call that waits with err: their answers cannot come any
// more.
func (t *Table) FailAll(err error) {
	t.mu.Lock()
	all := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	for _, c := range all {
		c.end(err)
	}
}

// Close ends every call with micro.ErrClosed, and those that would begin later.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.FailAll(micro.ErrClosed)
}

// take forgets a call; false tells that nothing was known of it any more, because
// its answer is complete or it was ended.
func (t *Table) take(c *Call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.waiting[c.ID] == c
	if known {
		delete(t.waiting, c.ID)
	}
	return known
}

// GiveUp forgets the call, which was not sent after all or whose caller wants no
// more of it.
func (c *Call) GiveUp() { c.table.take(c) }

// Wait hands the values of the answer to reply, in the calling goroutine, until
// the answer is complete, and returns the peer's error if it is one. It gives up
// at the deadline of the request (micro.ErrTimeout), at the end of ctx, or when
// reply returns an error.
func (c *Call) Wait(ctx context.Context, reply micro.Reply) error {
	timer := time.NewTimer(time.Until(c.req.Deadline))
	defer timer.Stop()
	complete := false
	defer func() { // deferred because reply may panic
		if !complete {
			c.GiveUp()
		}
	}()
	for {
		var reason error
		select {
		case <-c.signal:
		case <-timer.C:
			reason = micro.ErrTimeout
		case <-ctx.Done():
			reason = Ended(ctx)
		}
		if reason != nil && c.abandon() {
			complete = true
			return reason
		}
		parts, lost := c.taken()
		done, err := c.hand(parts, reply)
		if complete = done; done || err != nil {
			return err
		}
		if lost != nil {
			return lost
		}
	}
}

// hand gives parts to reply; done tells that the answer is complete, which it never
// is where those of all are asked for.
func (c *Call) hand(parts []part, reply micro.Reply) (done bool, err error) {
	for i := range parts {
		p := &parts[i]
		if p.packet != nil {
			c.req.Trace.Read(p.at, p.packet)
		}
		if p.failed && c.req.All {
			continue
		}
		if p.failed {
			return true, micro.RemoteError(p.text)
		}
		if p.defined || !p.last {
			v := micro.Value{Last: p.last}
			if p.defined {
				v.Raw = p.text
			}
			if err := reply.Send(v); err != nil {
				return p.last && !c.req.All, err
			}
		}
		if p.last && !c.req.All {
			return true, nil
		}
	}
	return false, nil
}

// abandon forgets a call whose caller has stopped waiting, and remembers it for a
// while if somebody wants to know of its late answer. It returns false when the
// answer is there after all.
func (c *Call) abandon() bool {
	if !c.table.take(c) {
		return false
	}
	if trace := c.req.Trace; trace != nil && trace.Late != nil {
		c.table.mu.Lock()
		c.table.late.add(c.ID, trace)
		c.table.mu.Unlock()
	}
	return true
}

// put adds a packet; false tells that far too much waits.
func (c *Call) put(value, remote []byte, last bool, body []byte) bool {
	p := part{defined: value != nil, failed: remote != nil, last: last}
	text := value
	if remote != nil {
		text = remote
	}
	if text != nil {
		p.text = append(make([]byte, 0, len(text)), text...)
	}
	if trace := c.req.Trace; trace != nil && trace.Read != nil {
		p.at, p.packet = time.Now(), append([]byte(nil), body...)
	}
	c.mu.Lock()
	if c.size > 0 && c.size+len(text) > MaxWaiting {
		c.mu.Unlock()
		return false
	}
	c.size += len(text)
	c.parts = append(c.parts, p)
	c.over = c.over || last && !c.req.All
	c.mu.Unlock()
	c.wake()
	return true
}

// end ends the call without an answer.
func (c *Call) end(err error) {
	c.mu.Lock()
	if !c.over {
		c.over, c.err = true, err
	}
	c.mu.Unlock()
	c.wake()
}

func (c *Call) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

func (c *Call) taken() (parts []part, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	parts, c.parts, c.size = c.parts, nil, 0
	return parts, c.err
}

// Ended is the error of a caller whose ctx has ended: micro.ErrTimeout at its
// deadline, its cause otherwise.
func Ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return micro.ErrTimeout
	}
	return context.Cause(ctx)
}
