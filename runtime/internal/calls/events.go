package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Unconfirmed holds the events that have been sent over one connection and that its peer has
// not confirmed yet. Each has a position, and a confirmation covers all positions up to one.
// The zero value is empty. It is safe for concurrent use.
type Unconfirmed struct {
	mu        sync.Mutex // guards what follows
	events    []emitted  // mostly in the order of their positions
	many      int        // the length from which on Add asks for a confirmation
	confirmed int64
	ended     bool
}

// emitted is one event.
type emitted struct {
	position int64
	pattern  string
	at       time.Duration // micro.Clock
}

// fewEvents is the number of events up to which nothing is confirmed.
const fewEvents = 64

// Add adds an event. It returns many if enough have been added for Confirm to be worth its
// cost, and ok = false if the connection has ended without a confirmation of the event.
func (u *Unconfirmed) Add(position int64, pattern string) (many, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if position <= u.confirmed || u.ended {
		return false, position <= u.confirmed
	}
	u.events = append(u.events, emitted{position, pattern, micro.Clock()})
	return len(u.events) >= max(u.many, fewEvents), true
}

// Confirm removes the events up to a position.
func (u *Unconfirmed) Confirm(position int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.confirm(position)
}

func (u *Unconfirmed) confirm(position int64) {
	u.confirmed = max(u.confirmed, position)
	u.events = slices.DeleteFunc(u.events, func(e emitted) bool { return e.position <= u.confirmed })
	u.many = 2 * len(u.events) // so that each event is looked at a few times only
	if cap(u.events) > 4*max(u.many, fewEvents) {
		u.events = slices.Clone(u.events) // after a burst
	}
}

// MaxUnconfirmed is how long the peer may leave an event unconfirmed until no more are sent.
const MaxUnconfirmed = time.Second

// look is the pause between looks at what the peer has confirmed.
const look = 50 * time.Millisecond

// errStale is the error of an event that is not sent, because others may be lost.
var errStale = fmt.Errorf("%w: the event was not sent, because the peer has not acknowledged previous ones for %v", micro.ErrTimeout, MaxUnconfirmed)

// Await returns nil when no event has been unconfirmed for longer than MaxUnconfirmed, or when
// the connection has ended. confirm is called to learn what the peer has confirmed. So a host
// that has vanished costs the events of that time, and not those of the time until its loss is
// noticed. The error is that of ctx, or matches micro.ErrTimeout after the deadline.
func (u *Unconfirmed) Await(ctx context.Context, deadline time.Time, confirm func()) error {
	if !u.stale() {
		return nil
	}
	if confirm(); !u.stale() {
		return nil
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	for {
		select {
		case <-tick.C:
			if confirm(); !u.stale() {
				return nil
			}
		case <-late.C:
			return errStale
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errStale
			}
			return context.Cause(ctx)
		}
	}
}

func (u *Unconfirmed) stale() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.events) > 0 && micro.Clock()-u.events[0].at > MaxUnconfirmed
}

// End confirms the events up to a position, and returns the number of the others for each
// pattern: they may have been lost. Later calls return nil.
func (u *Unconfirmed) End(position int64) (lost map[string]int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return nil
	}
	u.confirm(position)
	for _, e := range u.events {
		if lost == nil {
			lost = map[string]int{}
		}
		lost[e.pattern]++
	}
	u.events, u.ended = nil, true
	return lost
}

// Lost counts the events of one client that may have been lost. The zero value is ready to
// use. It is safe for concurrent use.
type Lost struct {
	mu     sync.Mutex // guards events
	events map[string]int
}

// maxLostPatterns limits the patterns that are counted, and otherPatterns stands for the rest.
const (
	maxLostPatterns = 1024
	otherPatterns   = "other patterns"
)

// Add counts events and logs them. transport and peer are where they were sent.
func (l *Lost) Add(log *slog.Logger, transport, peer string, events map[string]int) {
	if len(events) == 0 {
		return
	}
	l.mu.Lock()
	if l.events == nil {
		l.events = map[string]int{}
	}
	for pattern, n := range events {
		if _, known := l.events[pattern]; !known && len(l.events) >= maxLostPatterns {
			pattern = otherPatterns
		}
		l.events[pattern] += n
	}
	l.mu.Unlock()
	log.Error("a connection ended before its peer had acknowledged all events", "transport", transport, "peer", peer, "error", &micro.LostEventsError{Events: events})
}

// Err returns a *micro.LostEventsError, or nil if none was lost. It returns each event once.
func (l *Lost) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return nil
	}
	err := &micro.LostEventsError{Events: l.events}
	l.events = nil
	return err
}
