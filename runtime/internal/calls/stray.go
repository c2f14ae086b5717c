package calls

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// Limits of what is kept of strays. An ID is what tells whose reply a packet is, so
// a packet without one is shown to the pending calls only while they are few.
const (
	maxStray   = 16 << 10 // bytes of one
	maxStrays  = 16       // of one call
	maxWatched = 16       // pending calls
)

// stray is the last packet that was ignored.
type stray struct {
	why   string // "" for none
	calls uint64 // the number of the last call that had begun
}

// LacksID returns why a packet whose ID is not a string is ignored.
func LacksID(p *wire.Packet) string {
	if p.ID == nil {
		return "has no id"
	}
	return "does not have the id of the request"
}

// otherID returns why a packet with an ID that was not generated here is ignored.
func (t *Table) otherID() string {
	if t.Shared {
		return "does not have the id of the request, so it may be for another caller"
	}
	return "does not have the id of the request"
}

// Ignore records what arrived in the place of a reply and was not delivered, and why,
// which completes "it was ignored: it …". The pending calls report it when they time
// out, and show it to their traces. It keeps a copy.
func (t *Table) Ignore(data []byte, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ignore(data, why)
}

// ignore is Ignore with mu held.
func (t *Table) ignore(data []byte, why string) {
	t.stray = stray{why, t.ids.last}
	if t.watching == 0 || len(t.pending) > maxWatched {
		return
	}
	for _, c := range t.pending {
		c.show(data, why)
	}
}

// IgnoreFor is Ignore for data that was meant for the call with that ID, without quotes.
func (t *Table) IgnoreFor(id, data []byte, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, _ := t.ids.number(id)
	if c := t.pending[n]; c != nil {
		c.ignored = why
		c.show(data, why)
	}
}

// show adds a stray for the call's trace. It is called with the table's mu held.
func (c *Call) show(data []byte, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.watches || c.over || c.strays >= maxStrays {
		return
	}
	c.strays++
	kept := append([]byte(nil), data[:min(len(data), maxStray)]...)
	c.parts = append(c.parts, part{end: len(c.text), at: time.Now(), packet: kept, stray: why})
	c.wake()
}

// overdue returns the error of a call that has waited until its deadline, with what is
// known about its reply. It is called with mu held.
func (t *Table) overdue(c *Call) error {
	switch {
	case c.ignored != "":
		return fmt.Errorf("%w: %w: it %s", micro.ErrTimeout, micro.ErrBadReply, c.ignored)
	case c.unfinished != "":
		return fmt.Errorf("%w: the last packet of the reply %s", micro.ErrTimeout, c.unfinished)
	case t.stray.why != "" && c.number <= t.stray.calls:
		return fmt.Errorf("%w: %w: it %s", micro.ErrTimeout, micro.ErrBadReply, t.stray.why)
	}
	return micro.ErrTimeout
}
