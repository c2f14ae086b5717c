package load

import (
	"fmt"
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
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
	sleeper := newSleeper()
	defer sleeper.close()
	s := newSchedule(r.plan.Pacer)
	r.rate.Store(math.Float64bits(r.plan.Pacer.Rate(0)))
	for n := uint64(0); ; {
		now := r.now()
		if r.interrupted(s, now) {
			return now
		}
		due := s.next
		over := r.plan.Duration > 0 && due >= r.plan.Duration
		if over {
			due = r.plan.Duration // the last interval is waited for, too
		}
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
				return s.next
			}
		}
	}
}

// follow keeps the rate that is shown up with a pacer whose rate varies.
func (r *Run) follow(s *schedule) {
	if _, constant := s.pacer.(vegeta.ConstantPacer); !constant {
		r.rate.Store(math.Float64bits(s.pacer.Rate(s.next - s.origin)))
	}
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
			s.change(pacerOf(c.rate), now)
			r.rate.Store(math.Float64bits(c.rate))
		}
	default:
	}
	return false
}

// pacerOf is a constant pacer of rate requests a second, to the thousandth.
func pacerOf(rate float64) vegeta.Pacer {
	return vegeta.ConstantPacer{Freq: max(int(math.Round(rate*1000)), 1), Per: 1000 * time.Second}
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

func (r *Run) newCall(n uint64, intended time.Duration, counted bool) *call {
	c := &call{
		Context: r.ctx, seq: n, intended: intended, counted: counted,
		client: r.clients[r.turn.Add(1)%uint64(len(r.clients))],
	}
	c.req.Pattern, c.req.Data = r.plan.Pattern, r.plan.Data
	for k, v := range r.plan.Metadata {
		c.req.Metadata.Set(k, v)
	}
	return c
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
