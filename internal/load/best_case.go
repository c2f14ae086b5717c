package load

import (
	"math"
	"time"
)

// BestCase returns the result that the run would have if everything that is yet to come
// succeeded at once: the requests that are not offered yet, and those in flight. A
// threshold that it does not meet can no longer be met. How many requests are yet to come
// is estimated generously where it is not known: under a random schedule, for users, and
// after a change of the rate.
func (r *Run) BestCase() *Result { return r.bestCase(r.now()) }

func (r *Run) bestCase(now time.Duration) *Result {
	s := r.complete(r.rec.snapshot(now, 1))
	toOffer := r.toOffer(&s, now)
	left := toOffer + s.Totals.Offered - s.Totals.Finished()
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	res := &Result{Snapshot: s, Distributions: r.rec.distributions()}
	t := &res.Totals
	t.Offered += toOffer
	t.Attempts += toOffer
	t.Outcomes[OK] += left
	t.Used += left
	t.OnTime += left
	res.Counted = max(s.Counted, s.Planned-s.Warmup)
	res.Served = res.Counted
	res.Distributions.succeed(left)
	var weights int64
	for _, m := range r.messages {
		weights += int64(m.Weight)
	}
	for i := range res.Messages {
		m := &res.Messages[i]
		more := toOffer*int64(r.messages[i].Weight)/weights + 1
		pending := more + m.Offered - m.Finished()
		m.Offered, m.Attempts, m.Outcomes[OK] = m.Offered+more, m.Attempts+more, m.Outcomes[OK]+pending
		latency := &r.rec.messages[i].latency
		m.OK, m.All = atOnce(latency.ok, pending), atOnce(latency.all(), pending)
	}
	res.recover()
	return res
}

// succeed adds n requests that succeed at once.
func (d *Distributions) succeed(n int64) {
	d.OK, d.All, d.Attempt, d.AttemptAll = atOnce(d.OK, n), atOnce(d.All, n), atOnce(d.Attempt, n), atOnce(d.AttemptAll, n)
	d.Lateness, d.Lag = Merged(d.Lateness), Merged(d.Lag)
}

// atOnce returns a copy of a histogram with n more durations of 0.
func atOnce(h *Histogram, n int64) *Histogram {
	out := Merged(h)
	out.recordZeros(n)
	return out
}

// recover assumes that the system recovers now from each trigger that it has not been
// judged for.
func (res *Result) recover() {
	res.Verdict = Unjudged
	for i := range res.Recoveries {
		if c := &res.Recoveries[i]; c.Verdict == Pending {
			c.Verdict = Recovered
		}
		res.Verdict = max(res.Verdict, res.Recoveries[i].Verdict)
	}
}

// chance is how many standard deviations more requests a random schedule may have.
const chance = 4

// toOffer returns how many requests are yet to be offered and counted, at most.
func (r *Run) toOffer(s *Snapshot, now time.Duration) int64 {
	if s.Phase >= Draining {
		return 0
	}
	more := int64(math.MaxInt64)
	if r.plan.Requests > 0 {
		more = int64(r.plan.Requests) - s.Totals.Offered
	}
	if r.plan.Duration > 0 {
		expected := r.expected(max(now, s.Warmup), r.plan.Duration)
		more = min(more, int64(math.Ceil(expected+chance*math.Sqrt(expected)))+1)
	}
	return max(more, 0)
}

// expected returns how many requests are expected to be offered in a time to come.
func (r *Run) expected(from, to time.Duration) float64 {
	length := max(to-from, 0).Seconds()
	switch {
	case r.plan.Pacer == nil:
		return length * r.fastest()
	case r.changed.Load():
		return length * r.Rate()
	}
	c, _ := curveOf(r.plan.Pacer) // Check has accepted the pacer
	const steps = 1000
	sum := 0.0
	for i := range steps {
		sum += max(c.rate(from.Seconds()+length*(float64(i)+0.5)/steps), 0)
	}
	return sum / steps * length
}

// fastest returns the highest rate per second that users have reached.
func (r *Run) fastest() (most float64) {
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	for _, p := range r.rec.coarse.points {
		most = max(most, float64(p.Offered))
	}
	return most
}
