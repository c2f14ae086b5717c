package fault

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// active is a fault at work. Everything but its counters is set when it is
// added; connections share it.
type active struct {
	id     int
	fault  Fault // with its defaults
	traits trait
	draws  draws
	links  [directions]link // of Bandwidth
	gone   atomic.Bool      // it has been removed

	matched atomic.Uint64 // messages from clients, in and outside of its window
	taken   atomic.Uint64 // those of them that count against First
	hit     atomic.Uint64
	replies atomic.Uint64
}

// matches reports whether the fault is for the message at all.
func (a *active) matches(m *message) bool {
	if a.traits&needsAnswer != 0 && m.packet.ID == nil {
		return false
	}
	return a.fault.Pattern == "" || m.routed() && m.route == a.fault.Pattern
}

// hits counts a message that the fault matches and decides whether it is hit; n
// is its number. open tells whether the window is open.
func (a *active) hits(open bool) (n uint64, hit bool) {
	n = a.matched.Add(1) - 1
	if !open || a.fault.First > 0 && a.taken.Add(1) > uint64(a.fault.First) {
		return n, false
	}
	return n, a.draws.hits(n, a.fault.Share)
}

// window reports whether the fault acts at now, and when it ends; the zero time
// is never.
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

// link is a wire of limited bandwidth. The zero value is an idle one.
type link struct {
	mu   sync.Mutex
	free time.Time // when what was sent so far is through
}

// send returns when size bytes that are sent now are through.
func (l *link) send(now time.Time, size int, bytesPerSecond int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Duration(float64(size) / float64(bytesPerSecond) * float64(time.Second))
	l.free = later(l.free, now).Add(min(took, longest))
	return l.free
}

// through returns when size bytes that Bandwidth sends now are through: at the
// end of its window at the latest, when the link is as fast again as it was.
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

// faultSet is what acts at a moment. It is never changed, only replaced.
type faultSet struct {
	list  []*active
	begin time.Time // time 0 of the windows; zero before the run
	// answers tells that a fault is for the replies to one pattern, so that it
	// must be known which request a reply belongs to.
	answers bool
}

// with returns a set of these faults.
func (s *faultSet) with(list []*active) *faultSet {
	return &faultSet{list: list, begin: s.begin, answers: slices.ContainsFunc(list, func(a *active) bool {
		return a.traits&bothWays != 0 && a.fault.Pattern != ""
	})}
}

// Active is a fault of a proxy and what it has done.
type Active struct {
	ID    int
	Fault Fault
	// Matched counts the messages from clients that the fault was for, in its
	// window and outside of it, and Hit those it was done to. Replies counts what
	// was held back or swallowed of the service's.
	Matched, Hit, Replies uint64
	// Acting tells that its window is open; Removed that it acts no more.
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

// Event is a fault that was done to a message.
type Event struct {
	// Fault is the fault's id, Kind its kind.
	Fault int
	Kind  Kind
	// Number is the message's among those the fault matches, from 0.
	Number uint64
	// Pattern is the route of the message's pattern; "" for a stream of bytes.
	Pattern string
	// Delay is by how much Latency delays it.
	Delay time.Duration
}

// journal keeps the latest events. It is safe for concurrent use.
type journal struct {
	mu     sync.Mutex
	events []Event
	next   int // where the oldest is, once it is full
}

// maxEvents bounds the journal.
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
