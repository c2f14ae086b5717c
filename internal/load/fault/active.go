package fault

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// active is a fault of a running proxy. Only its counters change after it is added;
// connections share it.
type active struct {
	id     int
	fault  Fault // with explicit defaults
	traits trait
	draws  draws
	links  [directions]link // of Bandwidth
	gone   atomic.Bool      // removed

	matched atomic.Uint64 // messages from clients, inside and outside of its window
	taken   atomic.Uint64 // those that count toward First
	hit     atomic.Uint64
	replies atomic.Uint64
}

// matches reports whether the fault applies to the message.
func (a *active) matches(m *message) bool {
	if a.traits&needsAnswer != 0 && m.packet.ID == nil {
		return false
	}
	return a.fault.Pattern == "" || m.routed() && m.route == a.fault.Pattern
}

// hits counts a message that the fault matches and decides whether to affect it.
// n is its number, and open means that the window is open.
func (a *active) hits(open bool) (n uint64, hit bool) {
	n = a.matched.Add(1) - 1
	if !open || a.fault.First > 0 && a.taken.Add(1) > uint64(a.fault.First) {
		return n, false
	}
	return n, a.draws.hits(n, a.fault.Share)
}

// window reports whether the fault is active at now, and when it ends; the zero time
// means never.
func (a *active) window(now, begin time.Time) (open bool, end time.Time) {
	f := &a.fault
	if !f.Trigger() {
		return true, end
	}
	if begin.IsZero() {
		return false, end
	}
	start := begin.Add(f.Start)
	if f.Length == 0 {
		return !now.Before(start), end
	}
	end = start.Add(f.Length)
	return !now.Before(start) && now.Before(end), end
}

// link is a link with limited bandwidth. The zero value is an idle link.
type link struct {
	mu   sync.Mutex
	free time.Time // when everything sent so far has passed
}

// send returns when size bytes sent now will have passed.
func (l *link) send(now time.Time, size int, bytesPerSecond int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Duration(float64(size) / float64(bytesPerSecond) * float64(time.Second))
	l.free = later(l.free, now).Add(min(took, maxDuration))
	return l.free
}

// through returns when size bytes sent now will have passed the link of a Bandwidth. The
// end of its window lifts the limit.
func (a *active) through(to direction, now, end time.Time, size int) time.Time {
	due := a.links[to].send(now, size, a.fault.BytesPerSecond)
	if !end.IsZero() && end.Before(due) {
		return end
	}
	return due
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// faultSet is the faults at a moment. It is immutable: changes replace it.
type faultSet struct {
	list  []*active
	begin time.Time // time 0 of the windows; zero before the run
	// answers means that a fault applies to the replies of one pattern, so the
	// request of each reply must be known.
	answers bool
}

// with returns a set with these faults.
func (s *faultSet) with(list []*active) *faultSet {
	return &faultSet{list: list, begin: s.begin, answers: slices.ContainsFunc(list, func(a *active) bool {
		return a.traits&bothWays != 0 && a.fault.Pattern != ""
	})}
}

// Active is a fault of a proxy and its counts.
type Active struct {
	ID    int
	Fault Fault
	// Matched counts the messages from clients that the fault matches, inside and
	// outside of its window, and Hit those it affected. Replies counts the replies of
	// the service that it held back or lost.
	Matched, Hit, Replies uint64
	// Acting means that its window is open, and Removed that it was removed.
	Acting, Removed bool
}

func (a *active) snapshot(now, begin time.Time) Active {
	removed := a.gone.Load()
	open, _ := a.window(now, begin)
	return Active{
		ID: a.id, Fault: a.fault, Matched: a.matched.Load(), Hit: a.hit.Load(), Replies: a.replies.Load(),
		Acting: open && !removed, Removed: removed,
	}
}

// Event records that a fault affected a message.
type Event struct {
	// Fault is the fault's ID, and Kind its kind.
	Fault int
	Kind  Kind
	// Number is the message's number among those that the fault matches, from 0.
	Number uint64
	// Pattern is the route of the message's pattern; "" in a stream of bytes.
	Pattern string
	// Delay is the delay added by Latency.
	Delay time.Duration
}

// journal keeps the most recent events. It is safe for concurrent use.
type journal struct {
	mu     sync.Mutex
	events []Event
	next   int // index of the oldest, once the journal is full
}

// maxEvents is the capacity of the journal.
const maxEvents = 1 << 14

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.events) < maxEvents {
		j.events = append(j.events, e)
		return
	}
	j.events[j.next] = e
	j.next = (j.next + 1) % maxEvents
}

func (j *journal) all() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Concat(j.events[j.next:], j.events[:j.next])
}
