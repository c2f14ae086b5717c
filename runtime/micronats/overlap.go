package micronats

import (
	"cmp"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// subscription is what a server is subscribed to.
type subscription struct {
	subject, queue string
	number         int // among those of the listener
	route          micro.Route

	// overlaps lists the subscriptions of the queue group that match some of the same
	// subjects, including this one, with the most specific first. It is nil if there are no
	// others. The broker delivers a message once to a group, to any of them, so the server
	// itself has to find the others.
	overlaps []*subscription
}

// findOverlaps sets overlaps of all.
func findOverlaps(all []*subscription) {
	for _, s := range all {
		if s.queue == "" {
			continue // the broker delivers the message to each subscription
		}
		for _, other := range all {
			if other.queue == s.queue && overlap(s.subject, other.subject) {
				s.overlaps = append(s.overlaps, other)
			}
		}
		if len(s.overlaps) == 1 {
			s.overlaps = nil
		}
		slices.SortStableFunc(s.overlaps, func(a, b *subscription) int { return compareGenerality(a.subject, b.subject) })
	}
}

// routes returns the routes that a message to a subject has to reach. An event is for every
// handler, as without a group. A request is for the most specific message handler, because
// its caller expects one reply; without one, all event handlers get it.
func (s *subscription) routes(subject string, p *wire.Packet) []micro.Route {
	request := isRequest(p)
	var found []micro.Route
	for _, other := range s.overlaps {
		if !overlap(other.subject, subject) {
			continue
		}
		if request && other.route.Message() {
			return []micro.Route{other.route}
		}
		found = append(found, other.route)
	}
	return found
}

// isRequest reports whether a message expects a reply (docs/wire.md 1.6).
func isRequest(p *wire.Packet) bool { return p.ID != nil && (p.Pattern != nil || p.Data != nil) }

// overlap reports whether a message can match both subjects, which may have wildcards.
func overlap(a, b string) bool {
	for {
		var tokenA, tokenB string
		var moreA, moreB bool
		tokenA, a, moreA = strings.Cut(a, ".")
		tokenB, b, moreB = strings.Cut(b, ".")
		switch {
		case tokenA == ">" && !moreA, tokenB == ">" && !moreB:
			return true
		case tokenA != tokenB && tokenA != "*" && tokenB != "*", moreA != moreB:
			return false
		case !moreA:
			return true
		}
	}
}

// compareGenerality orders overlapping subjects: at the first token in which they differ, a
// literal precedes *, and * precedes >.
func compareGenerality(a, b string) int {
	generality := func(token string) int { return slices.Index([]string{"*", ">"}, token) }
	tokensA, tokensB := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(tokensA), len(tokensB)) {
		if c := cmp.Compare(generality(tokensA[i]), generality(tokensB[i])); c != 0 {
			return c
		}
	}
	return 0
}

// deliver passes a message on to the server, once for each of its routes. It returns the last
// one, for the leader; the others run on goroutines of their own.
func (t *intake) deliver(next arrival, packet *wire.Packet) *micro.Inbound {
	s := t.subscriptions[next.msg.Sub]
	if s.overlaps == nil {
		return t.deliverTo(s.route, next, packet)
	}
	var last *micro.Inbound
	for _, route := range s.routes(next.msg.Subject, packet) {
		if last != nil {
			last.Go()
		}
		last = t.deliverTo(route, next, packet)
	}
	return last
}

func (t *intake) deliverTo(route micro.Route, next arrival, packet *wire.Packet) *micro.Inbound {
	msg := next.msg
	m := &inbound{Delivery: Delivery{msg.Subject, msg.Reply, msg.Header}, intake: t}
	m.ctx.Context = t.listener.ctx
	ctx := t.listener.ctx
	if isRequest(packet) {
		ctx = &m.ctx // the end of the reply releases it
		m.open = t.requests.begin()
	}
	in := t.listener.server.Deliver(ctx, micro.Delivery{
		Packet: packet, To: m, Route: route, Headers: received(msg.Header), Received: next.at, Details: &m.Delivery,
	})
	if in == nil {
		m.end() // there may have been no reply
	}
	return in
}
