package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/runtime/policy"
)

// What a suggestion needs, and what it is made of.
const (
	// leastAnswers is how many answers of a healthy service there must be.
	leastAnswers = 200
	// mostGivenUp is the share of requests that may have had no answer in a
	// service that is called healthy.
	mostGivenUp = 0.01
	// growing is how many times longer latencies may be at the end of a run than
	// at its beginning before its queue is said to grow.
	growing = 3
	// queueing is how many times longer than before a trigger latencies may be
	// after it, when its queue is said to be gone.
	queueing = 2
	// leastTimeout is the shortest timeout that is suggested: a collection of
	// garbage, or a lost packet within a data centre, is no failure.
	leastTimeout = 50 * time.Millisecond
	// The budget without and with a known capacity, and how much of that may be
	// used with all retries.
	budgetUnknown = 0.1
	budgetMost    = 0.2
	fullest       = 0.9
)

// Suggest returns the policy that fits what was measured while the service was
// well: an attempt timeout that a healthy service keeps, and as many retries as
// it has room for. Seconds under a trigger and until the recovery from it do not
// count. It returns nil when there were fewer than 200 answers in the others, or
// when the service was not well in them either.
func Suggest(d *Document) *Suggestion {
	if d == nil {
		return nil
	}
	h := healthyOf(d)
	if h == nil {
		return nil
	}
	timeout, why := h.timeout()
	s := policy.Settings{Timeout: timeout, Deadline: h.deadline(timeout)}
	budget, whyBudget := h.budget(d.Experiment)
	if budget != (policy.Budget{}) {
		s.Retries, s.Budget = 2, budget
		s.Backoff, s.Jitter = policy.Exponential(nice(timeout/10), timeout), policy.FullJitter
	} else {
		s.Deadline = 0
	}
	return &Suggestion{Policy: NewPolicy(s), Why: why + "; " + whyBudget}
}

// healthy is what was measured while the service was well.
type healthy struct {
	// values are the request latencies, the shortest first, and how many.
	values [][2]int64
	count  int64
	// faulted tells that there were seconds under a trigger.
	faulted bool
	offered float64 // a second, the most of all runs
	// before is the least deadline that the runs had.
	before time.Duration
}

// healthyOf gathers it from all runs; nil where there is not enough.
func healthyOf(d *Document) *healthy {
	h := &healthy{}
	counts := map[int64]int64{}
	var ended, givenUp, late int64
	for i := range d.Runs {
		r := &d.Runs[i]
		well := r.wellSeconds()
		if swelling(well) {
			continue
		}
		h.faulted = h.faulted || len(r.Triggers) > 0
		h.offered = max(h.offered, r.OfferedRate)
		if p := r.Policy.Deadline; p > 0 && (h.before == 0 || p < h.before) {
			h.before = p
		}
		for _, s := range well {
			for _, b := range s.Latencies {
				counts[b[0]] += b[1]
				h.count += b[1]
			}
			ended += s.OK + s.failed() + s.Shed
			givenUp += s.Timeout + s.Lost + s.Shed
			late += s.Late
		}
	}
	if float64(givenUp) > mostGivenUp*float64(ended) {
		return nil
	}
	for v, n := range counts {
		h.values = append(h.values, [2]int64{v, n})
	}
	slices.SortFunc(h.values, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	if late == 0 {
		h.dropLongest(givenUp) // they were never answered, so they tell of no service
	}
	if h.count < leastAnswers {
		return nil
	}
	return h
}

// dropLongest takes the n longest latencies away.
func (h *healthy) dropLongest(n int64) {
	for n > 0 && len(h.values) > 0 {
		last := &h.values[len(h.values)-1]
		part := min(n, last[1])
		last[1], n, h.count = last[1]-part, n-part, h.count-part
		if last[1] == 0 {
			h.values = h.values[:len(h.values)-1]
		}
	}
}

// wellSeconds are the counted seconds outside of triggers and of what came of
// them, and those in which the generator kept up when they are the most. Goodput
// can be back while requests still wait behind the queue that a stall has left:
// such seconds are not well either.
func (r *Run) wellSeconds() []Second {
	var well, sure []Second
	queued := false
	for _, s := range r.Seconds {
		if s.At < r.Warmup {
			continue
		}
		if r.troubled(s.At) {
			queued = true
			continue
		}
		if queued && len(well) > 0 && s.P50 > queueing*typical(well) {
			continue
		}
		queued = false
		well = append(well, s)
		if !s.Doubtful {
			sure = append(sure, s)
		}
	}
	if 2*len(sure) >= len(well) {
		return sure
	}
	return well
}

// troubled reports whether the second that begins at is touched by a trigger or
// by what came of it.
func (r *Run) troubled(at time.Duration) bool {
	for i := range r.Triggers {
		t := &r.Triggers[i]
		if at+time.Second <= t.At {
			continue
		}
		if t.Verdict != recovered || at < t.end(r)+t.Took {
			return true
		}
	}
	return false
}

// typical is the median of some seconds' medians.
func typical(some []Second) time.Duration {
	all := make([]time.Duration, len(some))
	for i, s := range some {
		all[i] = s.P50
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// swelling reports whether latencies grew all the time: the service was offered
// more than it can do, and nobody had given up yet.
func swelling(seconds []Second) bool {
	part := len(seconds) / 4
	if part == 0 {
		return false
	}
	first := typical(seconds[:part])
	return first > 0 && typical(seconds[len(seconds)-part:]) > growing*first
}

// quantile is the latency that a share q of all do not exceed.
func (h *healthy) quantile(q float64) time.Duration {
	wanted, upTo := int64(math.Ceil(q*float64(h.count))), int64(0)
	for _, v := range h.values {
		if upTo += v[1]; upTo >= wanted {
			return time.Duration(v[0])
		}
	}
	return 0
}

// timeout is one that a healthy service keeps also on a worse day: three times
// what it takes for all but one request of a thousand, or the longest of fewer.
func (h *healthy) timeout() (d time.Duration, why string) {
	name, tail := "p99.9", h.quantile(0.999)
	if h.count < 1000 {
		name, tail = "the longest", h.quantile(1)
	}
	d = nice(max(3*tail, leastTimeout))
	where := ""
	if h.faulted {
		where = " outside of the fault"
	}
	var beyond int64
	for _, v := range h.values {
		if time.Duration(v[0]) > d {
			beyond += v[1]
		}
	}
	given := "on none of them"
	if beyond > 0 {
		given = fmt.Sprintf("on %d of them", beyond)
	}
	return d, fmt.Sprintf("%s of %s%s was %s, so that a timeout of %s would have given up %s",
		name, format.Counted(h.count, "request"), where, format.Duration(tail), d, given)
}

// deadline leaves time for all attempts, and keeps one that was there and is
// stricter.
func (h *healthy) deadline(timeout time.Duration) time.Duration {
	deadline := nice(3 * timeout)
	if h.before > timeout && h.before < deadline {
		return h.before
	}
	return deadline
}

// budget is how many retries the service has room for; zero where it has none.
func (h *healthy) budget(e *Experiment) (b policy.Budget, why string) {
	b = policy.Budget{Ratio: budgetUnknown, Floor: free(h.offered)}
	if e == nil || e.Capacity <= 0 || h.offered <= 0 {
		return b, fmt.Sprintf("retries are bounded to %s of the requests, because its capacity is not known", format.Percent(b.Ratio))
	}
	room := fullest*e.Capacity/h.offered - 1 - b.Floor/h.offered
	b.Ratio = min(budgetMost, math.Floor(room*100+1e-9)/100)
	load := fmt.Sprintf("%s of %s", format.Rate(h.offered), format.Rate(e.Capacity))
	if b.Ratio < 0.01 {
		return policy.Budget{}, fmt.Sprintf("at %s there is no room for retries", load)
	}
	return b, fmt.Sprintf("at %s a budget of %s keeps it under %s of its capacity with all retries", load, format.Percent(b.Ratio), format.Percent(fullest))
}

// free is how many retries a second come for free, so that a client with little
// traffic can retry at all: about one of fifty requests, from 0.1 to 10.
func free(offered float64) float64 {
	return min(max(math.Round(offered*0.2)/10, 0.1), 10)
}

// nice is the next duration of one or two digits that people would write.
func nice(d time.Duration) time.Duration {
	if d <= time.Millisecond {
		return time.Millisecond
	}
	for unit := time.Millisecond; ; unit *= 10 {
		for _, tenths := range []float64{10, 12, 15, 20, 25, 30, 40, 50, 60, 80} {
			if v := time.Duration(tenths * float64(unit/10)); v >= d {
				return v
			}
		}
	}
}
