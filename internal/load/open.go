package load

import (
	"fmt"
	"math"
	"time"
)

// How the pacer sleeps: never longer than it may take to notice that the run
// was stopped or changed, and, where requests are due closer together than
// that, long enough not to wake for each.
const (
	longestSleep  = 20 * time.Millisecond
	shortestSleep = 50 * time.Microsecond
)

// open offers requests at the pacer's rate until the plan is done, and returns
// until when that was: the last request's interval belongs to it.
func (r *Run) open() (until time.Duration) {
	sleeper := newSleeper(r.plan.TimerPacing)
	defer sleeper.close()
	c, _ := curveOf(r.plan.Pacer) // checked
	s := newSchedule(c, r.plan.Arrivals, r.plan.Seed)
	r.rate.Store(math.Float64bits(c.rate(0)))
	for n := uint64(0); ; {
		now := r.now()
		if r.interrupted(s, now) {
			return now
		}
		due, over := r.ending(s.next, now)
		if wait := due - now; wait > 0 {
			sleeper.sleep(min(max(wait, r.leastSleep()), longestSleep))
			continue
		}
		if over {
			return due
		}
		r.follow(s)
		counted := due >= r.plan.Warmup
		r.offer(n, due, counted)
		if s.advance(); counted {
			if n++; n == r.plan.Requests {
				until, _ = r.ending(s.next, now)
				return until
			}
		}
	}
}

// ending tells whether a due time is past the plan's end, and then that end: the
// last interval is waited for, too.
func (r *Run) ending(due, now time.Duration) (end time.Duration, over bool) {
	switch {
	case r.plan.Duration > 0 && due >= r.plan.Duration:
		return r.plan.Duration, true
	case due >= never:
		return now, true
	}
	return due, false
}

// follow keeps the rate that is shown up with one that varies.
func (r *Run) follow(s *schedule) {
	r.rate.Store(math.Float64bits(s.curve.rate((s.next - s.origin).Seconds())))
}

// leastSleep keeps the pacer from waking for every request of a high rate.
func (r *Run) leastSleep() time.Duration {
	if r.Rate() > float64(time.Second/shortestSleep) {
		return shortestSleep
	}
	return 0
}

// interrupted takes a change of the rate, and reports whether the run was
// stopped.
func (r *Run) interrupted(s *schedule, now time.Duration) bool {
	select {
	case <-r.quit:
		return true
	case c := <-r.changes:
		if c.rate > 0 {
			s.change(steady(c.rate), now)
			r.rate.Store(math.Float64bits(c.rate))
		}
	default:
	}
	return false
}

// offer starts request n, due at intended, or sheds it.
func (r *Run) offer(n uint64, intended time.Duration, counted bool) {
	c := r.newCall(n, intended, counted)
	if !r.rec.offered(c, r.now(), int64(r.plan.MaxInFlight)) {
		r.shed(c)
		return
	}
	r.calls.Add(1)
	r.workers.run(c)
}

// newCall makes the next request. It is called by one goroutine at a time.
func (r *Run) newCall(n uint64, intended time.Duration, counted bool) *call {
	m := r.pick()
	c := &call{
		Context: r.ctx, message: m, seq: n, nth: m.made, intended: intended, counted: counted,
		client: m.clients[m.made%uint64(len(m.clients))],
	}
	m.made++
	c.req.Pattern = m.Pattern
	return c
}

// pick chooses the message of the next request: the one that is owed most, so
// that weights are kept exactly and each message comes evenly.
func (r *Run) pick() *message {
	if len(r.messages) == 1 {
		return r.messages[0]
	}
	best, all := r.messages[0], 0
	for _, m := range r.messages {
		m.owed += m.Weight
		all += m.Weight
		if m.owed > best.owed {
			best = m
		}
	}
	best.owed -= all
	return best
}

// Rate is what an open model offers now, a second; 0 in a closed one.
func (r *Run) Rate() float64 { return math.Float64frombits(r.rate.Load()) }

// SetRate changes the rate of an open model from now on and marks it on the
// time axis.
func (r *Run) SetRate(perSecond float64) error {
	if r.plan.Pacer == nil || !(perSecond > 0) || perSecond > 1e7 {
		return fmt.Errorf("the rate cannot be changed to %g/s", perSecond)
	}
	return r.change(change{rate: perSecond}, fmt.Sprintf("rate %g/s", perSecond))
}

// change hands a change to the goroutine that offers, unless it has ended.
func (r *Run) change(c change, text string) error {
	select {
	case r.changes <- c:
		r.rec.mark(r.now(), text)
	case <-r.over: // too late to matter
	}
	return nil
}
