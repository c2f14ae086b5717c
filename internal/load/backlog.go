package load

import (
	"math"
	"time"
)

// backlog records when the requests of a run ended. The recorder guards it.
type backlog struct {
	peak, atEnd int64 // requests in flight; atEnd is when the load ended
	// The latest ends of counted requests: of ok ones, of those with a reply, and of all
	// that were sent.
	ok, reply, last time.Duration
}

// ended records the end of a counted request.
func (b *backlog) ended(o Outcome, now time.Duration) {
	switch o {
	case OK:
		b.ok, b.reply = now, now
	case Error:
		b.reply = now
	case Shed:
		return
	}
	b.last = now
}

// The requests in flight grew if there were more of them when the load ended than at half
// of its time: by a share of the requests that were due in the meantime, and by more than
// chance explains, in standard deviations.
const (
	growthOfOffered = 0.05
	growthByChance  = 2
)

// A service that keeps up leaves less than 1/20 of the load when it ends, and answers it
// within a twentieth of the load's length. Less than leastLeft requests, and shorter
// times, are that of any service.
const (
	keptUp     = 20
	leastLeft  = 10
	leastDrain = 100 * time.Millisecond
	longDrain  = time.Second
)

// backlogOf returns the figures of a run from a snapshot that has all others. mu must be
// held.
func (r *recorder) backlogOf(s *Snapshot) Backlog {
	b := &r.backlog
	out := Backlog{Peak: b.peak, AtEnd: b.atEnd, Drain: max(b.last-s.Warmup-s.Counted, 0)}
	replies := s.Totals.Outcomes[OK] + s.Totals.Outcomes[Error]
	out.Answered = perSecond(replies, max(s.Counted, b.reply-s.Warmup))
	half, ok := r.fine.inFlight(s.Warmup + s.Counted/2)
	if !ok {
		half, _ = r.coarse.inFlight(s.Warmup + s.Counted/2)
	}
	grown := float64(b.atEnd - half)
	out.Grew = grown > growthOfOffered*float64(s.Totals.Offered)/2 && grown > growthByChance*math.Sqrt(float64(b.atEnd))
	many := b.atEnd >= leastLeft && b.atEnd*keptUp >= s.Totals.Offered && out.Drain >= leastDrain
	out.Left = many || b.atEnd > 0 && s.Served >= s.Counted+max(s.Counted/keptUp, longDrain)
	return out
}
