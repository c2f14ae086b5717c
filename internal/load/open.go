package load

import (
	"fmt"
	"math"
	"time"
)

// longestSleep is how long the pacer sleeps at most: a stop or a change goes unnoticed for no
// longer.
const longestSleep = 20 * time.Millisecond

// open offers requests at the pacer's rate until the plan is complete. Requests that are
// due within the window of each other are offered together, when the last of them is due.
// It returns the end of the interval of the last request.
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
		// Requests that are overdue are offered immediately and keep their intended
		// starts: a late generator must not slow down the schedule.
		if n = r.pass(s, n, now); r.plan.Requests > 0 && n == r.plan.Requests {
			until, _ = r.ending(s.first(), now)
			return until
		}
		due, over := r.ending(s.first(), now)
		if !over {
			due = r.gather(s, n, now)
		}
		if wait := due - now; wait > 0 {
			sleeper.sleep(min(wait, longestSleep, r.untilChange()-now))
			continue
		}
		if over {
			return due
		}
		r.follow(s)
		if n = r.offer(s, n); n > 0 && n == r.plan.Requests {
			until, _ = r.ending(s.first(), now)
			return until
		}
	}
}

// The window that follows the rate per second: below the lowest of these rates, each
// request is sent for itself. Each is short compared with the latencies at such a rate.
const (
	highRate, highWindow       = 20_000, 50 * time.Microsecond
	highestRate, highestWindow = 50_000, 100 * time.Microsecond
)

// window returns the time within which requests are sent together.
func (r *Run) window() time.Duration {
	switch rate := r.Rate(); {
	case r.plan.Coalesce > 0:
		return r.plan.Coalesce
	case rate > highestRate:
		return highestWindow
	case rate > highRate:
		return highWindow
	}
	return 0
}

// maxBatch limits the requests that are offered without looking for a stop or a change.
const maxBatch = 4096

// gather takes the requests to offer together from the schedule, and returns when the last
// of them is due. n is the number of the next counted request.
func (r *Run) gather(s *schedule, n uint64, now time.Duration) time.Duration {
	until, most := min(max(s.first()+r.window(), now), r.untilChange()), uint64(maxBatch)
	if r.plan.Duration > 0 {
		until = min(until, r.plan.Duration-1)
	}
	if r.plan.Requests > 0 && s.first() >= r.plan.Warmup {
		most = min(most, r.plan.Requests-n)
	}
	return s.gather(until, int(most))
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
	r.rate.Store(math.Float64bits(s.curve.rate(max(s.first()-s.origin, 0).Seconds())))
}

// interrupted applies the changes of the rate that are due and reports whether the run has
// been stopped.
func (r *Run) interrupted(s *schedule, now time.Duration) bool {
	select {
	case <-r.quit:
		return true
	case c := <-r.changes:
		if c.at == 0 {
			c.at = now
		}
		r.pending = append(r.pending, c)
	default:
	}
	for now >= r.untilChange() {
		c := r.pending[0]
		r.pending = r.pending[1:]
		if c.rate > 0 {
			r.changed.Store(true)
			at := max(c.at, s.taken) // a change that comes too late does not offer a time again
			if r.plan.Duration > 0 { // later requests are not offered
				at = min(at, r.plan.Duration-1)
			}
			s.change(steady(c.rate), at)
			r.rate.Store(math.Float64bits(c.rate))
		}
	}
	return false
}

// untilChange returns the time of the next change of the rate that is known.
func (r *Run) untilChange() time.Duration {
	if len(r.pending) == 0 {
		return never
	}
	return r.pending[0].at
}

// offer starts the requests of this process that were gathered, and sheds those that are
// beyond the limit in flight or were due during a stall. It returns the number of the next
// counted request, from that of the first.
func (r *Run) offer(s *schedule, n uint64) uint64 {
	r.batch = r.batch[:0]
	now, stalled, taken := r.now(), 0, 0
	for _, due := range s.batch {
		if r.plan.Requests > 0 && n == r.plan.Requests {
			break
		}
		taken++
		counted := due >= r.plan.Warmup
		if r.plan.Part.owns(r.made) {
			r.batch = append(r.batch, r.newCall(n, due, counted))
			if r.stalled(due, now) { // the earliest ones
				stalled++
			}
		} else {
			r.skip()
		}
		if counted {
			n++
		}
	}
	s.take(taken)
	r.launch(r.batch[:stalled], now, 0, stalledText)
	r.launch(r.batch[stalled:], now, int64(r.plan.MaxInFlight), fullText)
	clear(r.batch) // so that it does not keep the calls that have ended
	return n
}

// launch starts calls, and sheds those beyond a limit in flight; why is the text of that.
func (r *Run) launch(calls []*call, now time.Duration, limit int64, why string) {
	if len(calls) == 0 {
		return
	}
	sent := r.rec.offered(calls, now, limit, why)
	r.calls.Add(sent)
	if sent > 0 {
		r.workers.run(calls[:sent])
	}
	for _, c := range calls[sent:] {
		r.shed(c, why)
	}
}

// newCall creates the next request of this process. Only one goroutine at a time may call
// it.
func (r *Run) newCall(n uint64, intended time.Duration, counted bool) *call {
	for !r.plan.Part.owns(r.made) {
		r.skip()
	}
	m := r.pick()
	r.made++
	c := &call{
		Context: r.ctx, message: m, seq: n, nth: m.made, intended: intended, counted: counted,
		client: m.clients[m.own%uint64(len(m.clients))], line: m.lines[m.own%uint64(len(m.lines))],
	}
	m.made++
	m.own++
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
	return r.SetRateAt(perSecond, 0)
}

// SetRateAt is SetRate for a time of the run, which must be more than 50 ms away where
// several processes have to apply it at the same request. 0 is now.
func (r *Run) SetRateAt(perSecond float64, at time.Duration) error {
	if r.plan.Pacer == nil || !(perSecond > 0) || perSecond > 1e7 {
		return fmt.Errorf("cannot change the rate to %g/s", perSecond)
	}
	return r.change(change{rate: perSecond, at: at}, fmt.Sprintf("rate %g/s", perSecond))
}

// change passes a change to the goroutine that offers requests, unless it has ended.
func (r *Run) change(c change, text string) error {
	select {
	case r.changes <- c:
		r.markChange(r.now(), text)
	case <-r.over: // too late to have an effect
	}
	return nil
}
