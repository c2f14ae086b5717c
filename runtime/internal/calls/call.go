package calls

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Call is one pending call. It is owned by the goroutine that began it, until Wait or
// Cancel. The Table reuses it after that, so nothing else may refer to it then: use a
// Ref.
type Call struct {
	// Packet is memory for the packet of the request, for transports that need it
	// until the packet is written. It is empty at first, and is kept for later calls.
	Packet []byte

	table  *Table
	signal chan struct{} // something has been put, or the call has ended
	number uint64
	id     []byte // as a JSON string

	// Set when the call begins.
	req      *micro.Request
	deadline time.Time
	all      bool // several complete replies may arrive
	traced   bool // whole packets are kept
	watches  bool // strays are kept

	// Guarded by the table's mu.
	place      int    // in the table's deadlines
	unfinished string // why the last packet did not end the reply; "" before the first
	ignored    string // why the last stray that was meant for this call was ignored

	mu     sync.Mutex // guards the fields below
	text   []byte     // the JSON texts of parts, one after another
	parts  []part
	strays int   // how many of parts were strays, ever
	over   bool  // nothing more is put
	err    error // why, unless the reply is complete

	// Owned by the caller, which swaps them with text and parts.
	takenText []byte
	taken     []part
}

// part is one packet of a reply.
type part struct {
	end     int // where its text ends in text
	defined bool
	failed  bool // the text is the peer's error
	last    bool
	at      time.Time // zero unless the call is traced
	packet  []byte    // nil unless the call is traced
	stray   string    // why the packet was ignored; "" for a packet of the reply
}

// ID returns the call's ID: a text of lower-case hexadecimal digits, unique among
// all clients. It is valid until the call has ended.
func (c *Call) ID() []byte { return c.id[1 : len(c.id)-1] }

// JSONID is ID as a JSON string.
func (c *Call) JSONID() []byte { return c.id }

// Ref refers to a call. Unlike the Call it may be used after the call has ended, and
// has no effect then. It is safe for concurrent use.
type Ref struct {
	table  *Table
	number uint64
}

// Ref returns a reference to the call.
func (c *Call) Ref() Ref { return Ref{c.table, c.number} }

// Fail ends the call if it is still pending.
func (r Ref) Fail(err error) {
	r.table.mu.Lock()
	defer r.table.mu.Unlock()
	r.table.fail(r.number, err)
}

// Cancel ends a call whose request was not sent after all.
func (c *Call) Cancel() {
	c.table.mu.Lock()
	if c.table.pending[c.number] == c {
		c.table.forget(c)
		c.table.checkIdle()
	}
	c.table.mu.Unlock()
	c.recycle()
}

// Wait hands the values of the reply to reply, in the calling goroutine, until the
// reply is complete, and ends the call. It returns how many values it has handed
// over. The error is the peer's if the reply is one; micro.ErrTimeout after the
// deadline of the request; that of the table if the call was ended there; the cause
// of ctx; or that of reply, which ends the call, too.
func (c *Call) Wait(ctx context.Context, reply micro.Reply) (values int, err error) {
	ended := false // the table has forgotten the call
	defer func() { // deferred because reply may panic
		if !ended {
			_ = c.giveUp(ctx) // the error is already known
		}
		c.recycle()
	}()
	for {
		var late error
		if !c.await(ctx) {
			late = c.giveUp(ctx)
			ended = late != nil
			if ended && !errors.Is(late, micro.ErrTimeout) {
				return values, late // a caller that has canceled wants nothing more
			}
		}
		lost := c.take()
		if late != nil {
			lost = late // after what arrived in time
		}
		start := 0
		for i := range c.taken {
			p := &c.taken[i]
			text := c.takenText[start:p.end:p.end]
			start = p.end
			switch {
			case p.stray != "":
				c.req.Trace.Stray(p.at, p.packet, p.stray)
				continue
			case p.packet != nil:
				c.req.Trace.Read(p.at, p.packet)
			}
			complete := p.last && !c.all
			if p.failed && !c.all {
				ended = true
				return values, micro.RemoteError(append([]byte(nil), text...))
			}
			if !p.failed && (p.defined || !p.last) {
				ended = ended || complete // reply may panic
				if err := reply.Send(p.value(text)); err != nil {
					return values, err
				}
				values++
			}
			if complete {
				ended = true
				return values, nil
			}
		}
		if lost != nil {
			ended = true
			return values, lost
		}
	}
}

func (p *part) value(text []byte) micro.Value {
	if !p.defined {
		text = nil
	}
	return micro.Value{Raw: text, Last: p.last}
}

// await waits until something has arrived or the call has ended. It returns false if
// ctx ended first.
func (c *Call) await(ctx context.Context) bool {
	done := ctx.Done()
	if done == nil { // a plain receive is cheaper than a select
		<-c.signal
		return true
	}
	select {
	case <-c.signal:
		return true
	case <-done:
		return false
	}
}

// giveUp forgets a call whose caller stops waiting, and returns why: ctx has ended. It
// returns nil if the call has just ended: then its end is there to be taken.
func (c *Call) giveUp(ctx context.Context) error {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[c.number] != c {
		return nil
	}
	err := Ended(ctx)
	if errors.Is(err, micro.ErrTimeout) {
		err = t.overdue(c)
	}
	t.miss(c)
	t.checkIdle()
	return err
}

// put adds a packet. It returns false if too much is waiting for the caller. It is
// called with the table's mu held.
func (c *Call) put(value, remote []byte, last bool, body []byte) bool {
	c.mu.Lock()
	text := value
	if remote != nil {
		text = remote
	}
	if len(c.text) > 0 && len(c.text)+len(text) > maxUnread {
		c.mu.Unlock()
		return false
	}
	c.text = append(c.text, text...)
	p := part{end: len(c.text), defined: value != nil, failed: remote != nil, last: last}
	if c.traced {
		p.at, p.packet = time.Now(), append([]byte(nil), body...)
	}
	c.parts = append(c.parts, p)
	c.over = c.over || last && !c.all
	c.mu.Unlock()
	c.wake()
	return true
}

// end ends the call without a complete reply. It is called with the table's mu held.
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

// take swaps what has arrived with what the caller has dealt with. The error is why
// nothing more will arrive, unless the reply is complete.
func (c *Call) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken, c.parts = c.parts, c.taken[:0]
	c.takenText, c.text = c.text, c.takenText[:0]
	return c.err
}

// maxKept bounds the memory of a call that is kept for later calls.
const maxKept = 1 << 20

// recycle gives the call back to its table, which has forgotten it.
func (c *Call) recycle() {
	c.req = nil
	if cap(c.text)+cap(c.takenText)+cap(c.Packet) > maxKept {
		return
	}
	select {
	case <-c.signal:
	default:
	}
	if c.traced || c.watches {
		c.parts, c.taken = nil, nil // they refer to packets
	}
	c.text, c.parts, c.strays, c.over, c.err = c.text[:0], c.parts[:0], 0, false, nil
	c.Packet = c.Packet[:0]
	c.table.free.Put(c)
}
