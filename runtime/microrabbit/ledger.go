package microrabbit

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"
)

// ledger records the messages of a listener across its connections. When a connection has
// ended, the broker delivers again what it has no acknowledgment for: messages that are being
// handled, and those whose acknowledgment was lost. If such a copy comes back to this listener,
// it is not handled again: what is being handled settles the copy instead, and the copy of a
// settled message is settled in the same way.
type ledger struct {
	mu   sync.Mutex // guards the fields below, those of intakes, and those of Deliveries that say so
	lost map[identity][]entry
}

// entry is a message of a connection that has ended.
type entry struct {
	held  *Delivery  // set while it is being handled
	how   settlement // how it was settled, if held is nil
	until time.Time  // when the entry is dropped, if held is nil
}

// identity is what a message and its copy have in common, and other messages do not. The body is
// part of it because programs may use an ID for several messages.
type identity struct {
	exchange, key                 string
	message, correlation, replyTo string // IDs
	retries                       int
	body                          uint64 // its hash
}

// settlement is how a message is settled.
type settlement int

const (
	acked settlement = iota
	rejected
	requeued
)

const (
	// recall is how long a settled message is remembered after its connection has ended. A
	// broker needs some minutes at most to notice the end of a connection.
	recall = 5 * time.Minute
	// recallBody is the same for messages without an ID. It is short because another
	// message may have the same body.
	recallBody = 10 * time.Second
	// maxSettled limits how many settled messages are remembered for a connection.
	maxSettled = 4096
)

var identitySeed = maphash.MakeSeed()

// named reports whether a message has an ID, so that no other message has its identity. Of two
// without an ID, both may be the same text.
func (d *Delivery) named() bool {
	return d.MessageID != "" || d.CorrelationID != "" && d.ReplyTo != ""
}

func (d *Delivery) identity() identity {
	return identity{
		exchange: d.Exchange, key: d.RoutingKey, message: d.MessageID, correlation: d.CorrelationID, replyTo: d.ReplyTo,
		retries: d.retries, body: maphash.Bytes(identitySeed, d.Body),
	}
}

// begin records that a message is about to be handled or, with AckOnReceipt, acknowledged. It
// returns false if the connection has ended; then the broker delivers the message again.
func (g *ledger) begin(d *Delivery) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case d.in.over:
		return false
	case !d.noAck:
		d.in.held[d] = struct{}{}
	case d.named():
		d.in.remember(d.identity(), acked)
	}
	return true
}

// claim returns whether the caller may settle a message, because nothing else has claimed it.
func (g *ledger) claim(d *Delivery) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	claimed := d.claimed
	d.claimed = true
	return !claimed
}

// settle records how a claimed message is settled, and returns where: on its connection, or on
// the one on which it has come back.
func (g *ledger) settle(d *Delivery, how settlement) (in *intake, tag uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !d.in.over {
		delete(d.in.held, d)
		if how != requeued && d.named() {
			d.in.remember(d.identity(), how)
		}
		return d.in, d.tag
	}
	id := d.identity()
	list := g.lost[id]
	for i := range list {
		if list[i].held != d {
			continue
		}
		if how == requeued {
			g.set(id, slices.Delete(list, i, i+1))
		} else {
			list[i] = entry{how: how, until: expiry(d.named())}
		}
		break
	}
	return d.in, d.tag
}

// settleable reports whether the connection on which a message can be settled is open.
func (g *ledger) settleable(d *Delivery) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !d.in.over
}

// end records that a connection has ended, and returns the messages of it that are being
// handled.
func (g *ledger) end(in *intake) []*Delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	if in.over {
		return nil
	}
	in.over = true
	g.expire()
	held := slices.Collect(maps.Keys(in.held))
	for _, d := range held {
		g.add(d.identity(), entry{held: d})
	}
	for _, s := range in.settled {
		g.add(s.id, entry{how: s.how, until: expiry(true)})
	}
	in.held, in.settled = nil, nil
	return held
}

// recognize reports whether a redelivered message is the copy of one that needs no handling. If
// that one has been settled, settle is true, and the copy must be settled in the same way.
func (g *ledger) recognize(d *Delivery) (known, settle bool, how settlement) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lost) == 0 || d.in.over {
		return false, false, 0
	}
	id := d.identity()
	for i, e := range g.lost[id] {
		switch {
		case e.held != nil:
			e.held.in, e.held.tag = d.in, d.tag
			d.in.held[e.held] = struct{}{}
		case time.Now().After(e.until):
			continue
		}
		g.set(id, slices.Delete(g.lost[id], i, i+1))
		return true, e.held == nil, e.how
	}
	return false, false, 0
}

// expiry returns when a message that has been settled is forgotten.
func expiry(named bool) time.Time {
	if named {
		return time.Now().Add(recall)
	}
	return time.Now().Add(recallBody)
}

// The methods below are called with mu held.

func (g *ledger) add(id identity, e entry) {
	if g.lost == nil {
		g.lost = map[identity][]entry{}
	}
	g.lost[id] = append(g.lost[id], e)
}

func (g *ledger) set(id identity, list []entry) {
	if len(list) == 0 {
		delete(g.lost, id)
		return
	}
	g.lost[id] = list
}

// expire drops the entries that are no longer needed.
func (g *ledger) expire() {
	now := time.Now()
	for id, list := range g.lost {
		g.set(id, slices.DeleteFunc(list, func(e entry) bool { return e.held == nil && now.After(e.until) }))
	}
}

// settled is a message whose acknowledgment has been written and may not have arrived.
type settled struct {
	id  identity
	how settlement
}

// remember records one of the messages that were settled last. The broker may not know about
// as many as it delivers without an acknowledgment.
func (in *intake) remember(id identity, how settlement) {
	limit := min(cmp.Or(in.listener.prefetch, maxSettled), maxSettled)
	if len(in.settled) < limit {
		in.settled = append(in.settled, settled{id, how})
		return
	}
	in.settled[in.oldest] = settled{id, how}
	in.oldest = (in.oldest + 1) % limit
}
