package load

import (
	"fmt"
	"math"
	"time"
)

// Limits of one sleep of the pacer. The longest is how long a stop or a change may
// go unnoticed. At high rates the shortest keeps the pacer from waking for every
// single request.
const (
	longestSleep  = 20 * time.Millisecond
	shortestSleep = 50 * time.Microsecond
)

// open offers requests at the pacer's rate until the plan is complete. It returns
// the end of the interval of the last request.
func (r *Run) open() (until time.Duration) {
	sleeper := newSleeper(r.plan.TimerPacing)
	defer sleeper.close()
	c, _ := curveOf(r.plan.Pacer) // Check has accepted the pacer
	s := newSchedule(c, r.plan.Arrivals, r.plan.Seed)
	r.rate.Store(math.Float64bits(c.rate(0)))
	for n := uint64(0); ; {
		now := r.now()
		if r.interrupted(s, now) {
			return now
		}
		// A request that is overdue is offered immediately and keeps its intended
		// start: a late generator must not slow down the schedule.
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

// ending reports whether a due time is past the plan's end, and returns the time
// to wait for: the due time, or the end of the last interval.
func (r *Run) ending(due, now time.Duration) (end time.Duration, over bool) {
	switch {
	case r.plan.Duration > 0 && due >= r.plan.Duration:
		return r.plan.Duration, true
	case due >= never:
		return now, true
	}
	return due, false
}

// follow updates the displayed rate when the rate varies.
func (r *Run) follow(s *schedule) {
	r.rate.Store(math.Float64bits(s.curve.rate((s.next - s.origin).Seconds())))
}

// leastSleep returns the shortest sleep at the current rate.
func (r *Run) leastSleep() time.Duration {
	if r.Rate() > float64(time.Second/shortestSleep) {
		return shortestSleep
	}
	return 0
}

// interrupted applies a pending change of the rate and reports whether the run has
// been stopped.
func (r *Run) interrupted(s *schedule, now time.Duration) bool {
	select {
	case <-r.quit:
		return true
	case c := <-r.changes:
		if c.rate > 0 {
			r.changed.Store(true)
			s.change(steady(c.rate), now)
			r.rate.Store(math.Float64bits(c.rate))
		}
	default:
	}
	return false
}

// offer starts request n, or sheds it if too many are in flight.
func (r *Run) offer(n uint64, intended time.Duration, counted bool) {
	c := r.newCall(n, intended, counted)
	if !r.rec.offered(c, r.now(), int64(r.plan.MaxInFlight)) {
		r.shed(c)
		return
	}
	r.calls.Add(1)
	r.workers.run(c)
}

// newCall creates the next request. Only one goroutine at a time may call it.
func (r *Run) newCall(n uint64, intended time.Duration, counted bool) *call {
	m := r.pick()
	c := &call{
		Context: r.ctx, message: m, seq: n, nth: m.made, intended: intended, counted: counted,
		client: m.clients[m.made%uint64(len(m.clients))], line: m.lines[m.made%uint64(len(m.lines))],
	}
	m.made++
	c.req.Pattern, c.req.Event = m.Pattern, m.Event
	return c
}

// pick chooses the message of the next request by smooth weighted round robin:
// each message earns its weight, and the one with the highest balance pays the sum.
// The shares are exact and the requests of a message are spread evenly.
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

// Rate returns the current rate per second of an open load; 0 in a closed one.
func (r *Run) Rate() float64 { return math.Float64frombits(r.rate.Load()) }

// SetRate changes the rate of an open load from now on and adds a mark to the time
// axis. It returns an error in a closed load.
func (r *Run) SetRate(perSecond float64) error {
	if r.plan.Pacer == nil || !(perSecond > 0) || perSecond > 1e7 {
		return fmt.Errorf("cannot change the rate to %g/s", perSecond)
	}
	return r.change(change{rate: perSecond}, fmt.Sprintf("rate %g/s", perSecond))
}

// change passes a change to the goroutine that offers requests, unless it has ended.
func (r *Run) change(c change, text string) error {
	select {
	case r.changes <- c:
		r.rec.mark(r.now(), text)
	case <-r.over: // too late to have an effect
	}
	return nil
}
