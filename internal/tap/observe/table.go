package observe

import (
	"container/list"
	"sync"
	"time"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/runtime/micro"
	reported "github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// The limits of a table.
const (
	maxOpen   = 16 << 10 // requests without a complete reply
	maxWeight = 32 << 20 // bytes that these take
	maxEnded  = 4 << 10  // requests that further replies are joined with

	sweepEvery    = 50 * time.Millisecond
	announceAfter = 20 * time.Millisecond // a request without a reply is shown as open
)

// key identifies a request, and its replies: where the replies are sent to, and the ID that they have.
type key struct{ place, id string }

// exchange is a request and its replies.
type exchange struct {
	message  tap.Message
	start    time.Time
	deadline time.Time
	keys     []key
	sender   bool // the deadline is that of the sender
	hidden   bool // it is not shown: only its replies have to be recognized
	open     bool
	told     bool         // it was reported as open
	further  *tap.Message // the replies after the end, of which more may follow
	at       *list.Element
	weight   int

	tracked   bool // it is known whether a consumer receives it
	delivered int  // to a consumer
}

// table matches requests with their replies. It is safe for concurrent use.
type table struct {
	hub  *tap.Hub
	wait time.Duration

	mu      sync.Mutex // guards what follows
	open    list.List  // of exchanges, by their start
	ended   list.List  // of the latest ones, by their end
	byKey   map[key]*exchange
	weight  int // of open
	dropped int // since the last sweep
	full    time.Time
}

func newTable(hub *tap.Hub, wait time.Duration) *table {
	return &table{hub: hub, wait: wait, byKey: map[key]*exchange{}}
}

// request adds a request whose replies have one of the keys.
func (t *table) request(s *sent, now time.Time, keys ...key) {
	e := &exchange{start: now, deadline: now.Add(t.wait), keys: keys, hidden: s.hidden, open: true, tracked: s.tracked}
	e.message = s.message(now)
	if wait, ok := timeout(e.message.Metadata); ok {
		e.deadline, e.sender = now.Add(wait), true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		t.byKey[k] = e
	}
	e.at = t.open.PushBack(e)
	t.weigh(e, now)
}

// weigh takes note of how much memory a request takes now, and forgets the oldest ones if it is too much.
func (t *table) weigh(e *exchange, now time.Time) {
	t.weight -= e.weight
	e.weight = e.message.Weight()
	t.weight += e.weight
	for t.open.Len() > 1 && (t.open.Len() > maxOpen || t.weight > maxWeight) {
		t.forget(t.open.Front().Value.(*exchange), now)
	}
}

// forget makes room.
func (t *table) forget(e *exchange, now time.Time) {
	e.open = false
	t.open.Remove(e.at)
	t.weight -= e.weight
	t.remove(e)
	if !e.hidden {
		t.dropped++
		t.full = now
	}
}

func (t *table) remove(e *exchange) {
	for _, k := range e.keys {
		if t.byKey[k] == e {
			delete(t.byKey, k)
		}
	}
}

// event adds a message that has no reply.
func (t *table) event(s *sent, now time.Time) {
	if s.hidden {
		return
	}
	m := s.message(now)
	m.Event, m.Outcome = true, reported.OK
	if s.failure != "" {
		m.Outcome, m.Error = reported.Unreachable, &reported.Error{Message: s.failure, Own: true}
	}
	t.hub.Add(m)
}

// reply adds one packet of a reply. If no request has one of the keys, it is shown as what stray returns.
func (t *table) reply(p *wire.Packet, now time.Time, stray func() *sent, keys ...key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e *exchange
	for _, k := range keys {
		if e = t.byKey[k]; e != nil {
			break
		}
	}
	switch {
	case e != nil && e.open:
		if t.take(&e.message, e.start, p, now) {
			t.end(e)
			break
		}
		if !e.sender {
			e.deadline = now.Add(t.wait)
		}
		t.weigh(e, now)
	case e != nil:
		t.again(e, p, now)
	case now.Sub(t.full) < t.wait: // its request may have been forgotten
		t.dropped++
	default:
		t.unmatched(p, now, stray)
	}
}

// expects reports whether a request waits for a reply with this key, or has had one.
func (t *table) expects(k key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[k] != nil
}

// take adds a packet to the record of its request, and reports whether the reply has ended.
func (t *table) take(m *tap.Message, start time.Time, p *wire.Packet, now time.Time) (ended bool) {
	value, failure, ended := p.Reply()
	if value != nil {
		m.Values++
		m.Out += len(value)
		var cut bool
		m.Reply, cut = recorded(value)
		m.Cut = m.Cut || cut
	}
	switch {
	case failure != nil:
		m.Outcome, m.Error = outcomeOf(failure)
		ended = true
	case ended:
		m.Outcome = reported.OK
	}
	m.Took = int64(now.Sub(start))
	return ended
}

// end reports the end of a request.
func (t *table) end(e *exchange) {
	e.open = false
	t.open.Remove(e.at)
	t.weight -= e.weight
	if !e.hidden {
		t.hub.Add(e.message)
	}
	e.message.Data, e.message.Reply, e.message.Metadata = nil, nil, nil // only what identifies it is needed from now on
	e.at = t.ended.PushBack(e)
	for t.ended.Len() > maxEnded {
		oldest := t.ended.Remove(t.ended.Front()).(*exchange)
		t.remove(oldest)
	}
}

// again adds a packet of another reply: that of another instance, or one that came too late.
func (t *table) again(e *exchange, p *wire.Packet, now time.Time) {
	if e.hidden {
		return
	}
	if e.further == nil {
		first := &e.message
		m := *first
		m.Record.Parent = first.Span
		m.Span = newRef(first).Span()
		m.Values, m.Out, m.Cut, m.Error, m.Outcome = 0, 0, false, nil, ""
		e.further = &m
	}
	if t.take(e.further, e.start, p, now) {
		t.hub.Add(*e.further)
		e.further = nil
		return
	}
	e.further.Reply = nil
}

// unmatched reports a reply without a request.
func (t *table) unmatched(p *wire.Packet, now time.Time, stray func() *sent) {
	s := stray()
	if s == nil || s.hidden {
		return
	}
	m := s.message(now)
	t.take(&m, now, p, now)
	if m.Outcome = reported.NoRequest; m.Error == nil {
		m.Error = &reported.Error{Message: "a reply to a request that was not seen", Own: true}
	}
	t.hub.Add(m)
}

// deliver notes that a request was passed to a consumer.
func (t *table) deliver(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byKey[k]; e != nil {
		e.delivered++
	}
}

// lose ends the requests of a connection that has ended, those whose keys have this place.
func (t *table) lose(place string, outcome reported.Outcome, text string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at := t.open.Front(); at != nil; {
		e := at.Value.(*exchange)
		at = at.Next()
		if len(e.keys) > 0 && e.keys[0].place == place {
			t.finish(e, outcome, text, now)
			t.remove(e) // the next connection has other keys
		}
	}
}

// drop counts messages that were not read.
func (t *table) drop(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped += n
	if n > 0 {
		t.full = time.Now()
	}
}

func (t *table) finish(e *exchange, outcome reported.Outcome, text string, now time.Time) {
	e.message.Took = int64(now.Sub(e.start))
	e.message.Outcome, e.message.Error = outcome, &reported.Error{Message: text, Own: true}
	t.end(e)
}

// sweep reports requests that are open, ends those whose time is over, and reports how many messages are missing.
func (t *table) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at := t.open.Front(); at != nil; {
		e := at.Value.(*exchange)
		at = at.Next()
		switch {
		case !now.Before(e.deadline):
			outcome, text := e.unanswered()
			t.finish(e, outcome, text, now)
		case !e.told && !e.hidden && now.Sub(e.start) >= announceAfter:
			e.told = true
			t.hub.Add(e.opened(now))
		}
	}
	if t.dropped > 0 {
		t.hub.Add(tap.Message{Dropped: t.dropped})
		t.dropped = 0
	}
}

// opened returns the record of a request that has no reply yet.
func (e *exchange) opened(now time.Time) tap.Message {
	m := e.message
	m.Open, m.Took, m.Outcome, m.Error = true, int64(now.Sub(e.start)), "", nil
	m.Data, m.Reply = nil, nil
	return m
}

// unanswered returns how a request has ended whose time is over.
func (e *exchange) unanswered() (reported.Outcome, string) {
	text := "no reply was seen"
	switch {
	case e.message.Values > 0:
		text = "the end of the reply was not seen"
	case e.tracked && e.delivered == 0:
		text = "no reply was seen, and no consumer has received the request"
	case e.tracked:
		text = "no reply was seen, although a consumer has received the request"
	}
	if e.sender {
		return reported.TimedOut, text + " while the sender waited"
	}
	return reported.NoReply, text
}

// outcomeOf returns how a message ended whose reply has this error, which is JSON text.
func outcomeOf(failure []byte) (reported.Outcome, *reported.Error) {
	e := micro.RemoteError(failure)
	outcome := reported.Failed
	if e.Message == wire.NoHandlerMessage {
		outcome = reported.NoHandler
	}
	return outcome, &reported.Error{Message: reported.MaskPair("", cut(e.Message, maxText)), Status: e.Status, Own: true}
}
