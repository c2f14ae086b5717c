package fault

import (
	"time"

	"github.com/msctl/msctl/runtime/wire"
)

// message is a request or event from a client; with Raw, a chunk.
type message struct {
	pipe   *pipe
	packet wire.Packet
	size   int
	route  string // once routed
	asked  bool
	known  bool
}

// routed finds the message's route. It returns false if no handler can have it.
func (m *message) routed() bool {
	if !m.asked {
		m.asked = true
		m.route, m.known = m.pipe.routeOf(m.packet.Pattern)
	}
	return m.known
}

// maxRoutes is the number of patterns whose routes a connection caches.
const maxRoutes = 256

// routeOf returns the route of a pattern as it was sent.
func (p *pipe) routeOf(pattern []byte) (route string, ok bool) {
	if pattern == nil {
		return "", false
	}
	if route, ok = p.routes[string(pattern)]; ok {
		return route, ok
	}
	route, ok = wire.Route(pattern)
	if ok && len(p.routes) < maxRoutes && len(pattern) < 1024 {
		p.routes[string(pattern)] = route
	}
	return route, ok
}

// verdict is what happens to a message. The zero value passes it on.
type verdict struct {
	swallow, reset bool
	answer         *Fault  // the proxy replies with this error
	swallower      *active // the fault that loses its reply
	cut            bool    // its reply is cut
	copy, hold     bool
	due            time.Time // zero means now
	by             *active   // see parcel
}

// over reports whether no further fault can affect the message.
func (v *verdict) over() bool { return v.swallow || v.reset || v.answer != nil }

// judge applies every fault to a message.
func (p *Proxy) judge(set *faultSet, m *message) (v verdict) {
	now := time.Now()
	for _, a := range set.list {
		if !a.matches(m) {
			continue
		}
		open, end := a.window(now, set.begin)
		n, hit := a.hits(open)
		if !hit || v.over() {
			continue
		}
		a.hit.Add(1)
		e := Event{Fault: a.id, Kind: a.fault.Kind, Number: n, Delay: v.add(a, n, now, end, m.size)}
		if a.fault.Kind == Bandwidth {
			continue // it affects every message
		}
		if m.routed() {
			e.Pattern = m.route
		}
		p.journal.add(e)
	}
	return v
}

// add adds the effect of a fault on message n, and returns the delay if it is drawn
// at random.
func (v *verdict) add(a *active, n uint64, now, end time.Time, size int) (delay time.Duration) {
	switch a.fault.Kind {
	case Latency:
		delay = a.draws.delay(n, &a.fault)
		v.due = later(v.due, now).Add(delay)
	case Error:
		v.answer = &a.fault
	case Drop, Blackhole:
		v.swallow = true
	case DropReply:
		v.swallower = a
	case Duplicate:
		v.copy = true
	case Reorder:
		v.hold = true
	case Reset:
		v.reset = true
	case Cut:
		v.cut = true
	case Stall:
		v.due, v.by = later(v.due, end), a
	case Bandwidth:
		v.due, v.by = later(v.due, a.through(toService, now, end, size)), a
	}
	return delay
}

// judgeReply applies the faults of both directions to a reply. route is that of its
// request, if known.
func (p *Proxy) judgeReply(set *faultSet, route string, size int) (swallow bool, one parcel) {
	now := time.Now()
	for _, a := range set.list {
		if a.traits&bothWays == 0 || a.fault.Pattern != "" && a.fault.Pattern != route {
			continue
		}
		open, end := a.window(now, set.begin)
		if !open {
			continue
		}
		a.replies.Add(1)
		switch a.fault.Kind {
		case Blackhole:
			return true, one
		case Stall:
			one.due, one.by = later(one.due, end), a
		case Bandwidth:
			one.due, one.by = later(one.due, a.through(toClient, now, end, size)), a
		}
	}
	return false, one
}
