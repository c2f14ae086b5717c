package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/runtime/policy"
)

const (
	// minReplies is the number of replies from a healthy service that a suggestion
	// requires.
	minReplies = 200
	// maxGivenUp is the largest share of requests without a reply from a service that
	// counts as healthy.
	maxGivenUp = 0.01
	// growing is how many times longer latencies must be at the end of a run than at
	// its start for the service's queue to count as growing.
	growing = 3
	// queueing is how many times longer than before a trigger latencies must be after
	// it for the service's queue to count as not drained yet.
	queueing = 2
	// minTimeout is the shortest suggested timeout: a garbage collection, or a packet
	// lost within a data center, is not a failure.
	minTimeout = 50 * time.Millisecond
	// budgetUnknown is the budget without a known capacity, and maxBudget the largest
	// one with it.
	budgetUnknown = 0.1
	maxBudget     = 0.2
	// maxUtilization is the share of the capacity that the load may use, including all
	// retries.
	maxUtilization = 0.9
)

// Suggest returns the policy that fits the measurements while the service was healthy:
// an attempt timeout that a healthy service meets, and as many retries as it has
// capacity for. Seconds from the start of a trigger to the recovery from it do not
// count. It returns nil if the other seconds have fewer than 200 replies, or if the
// service was not healthy in them.
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

// healthy contains the measurements while the service was healthy.
type healthy struct {
	// values are the request latencies in ascending order, with their counts.
	values [][2]int64
	count  int64
	// faulted is set if there were triggers.
	faulted bool
	offered float64 // per second, the highest of all runs
	// before is the shortest deadline of the runs.
	before time.Duration
}

// healthyOf collects the measurements of all runs. It returns nil if they do not
// suffice.
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
	if float64(givenUp) > maxGivenUp*float64(ended) {
		return nil
	}
	for v, n := range counts {
		h.values = append(h.values, [2]int64{v, n})
	}
	slices.SortFunc(h.values, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	if late == 0 {
		h.dropLongest(givenUp) // without a reply, their latency is the timeout
	}
	if h.count < minReplies {
		return nil
	}
	return h
}

// dropLongest removes the n longest latencies.
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

// wellSeconds returns the counted seconds in which the service was healthy: outside of
// triggers and the recoveries from them. Goodput can be back while requests still wait
// in the queue that a stall has left; such seconds do not count, either. If the
// generator kept up in most of them, only those are returned.
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

// troubled reports whether the second that starts at a time overlaps a trigger or the
// recovery from it.
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

// typical returns the median of the medians of some seconds.
func typical(some []Second) time.Duration {
	all := make([]time.Duration, len(some))
	for i, s := range some {
		all[i] = s.P50
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// swelling reports whether latencies kept growing: the load exceeded the service's
// capacity, and requests had not timed out yet.
func swelling(seconds []Second) bool {
	part := len(seconds) / 4
	if part == 0 {
		return false
	}
	first := typical(seconds[:part])
	return first > 0 && typical(seconds[len(seconds)-part:]) > growing*first
}

// quantile returns the latency that a share q of the requests do not exceed.
func (h *healthy) quantile(q float64) time.Duration {
	wanted, upTo := int64(math.Ceil(q*float64(h.count))), int64(0)
	for _, v := range h.values {
		if upTo += v[1]; upTo >= wanted {
			return time.Duration(v[0])
		}
	}
	return 0
}

// timeout returns a timeout that a healthy service meets even on a bad day: three times
// the p99.9, or three times the maximum of fewer than 1000 requests.
func (h *healthy) timeout() (d time.Duration, why string) {
	name, tail := "p99.9", h.quantile(0.999)
	if h.count < 1000 {
		name, tail = "the maximum", h.quantile(1)
	}
	d = nice(max(3*tail, minTimeout))
	where := ""
	if h.faulted {
		where = " outside the fault"
	}
	var beyond int64
	for _, v := range h.values {
		if time.Duration(v[0]) > d {
			beyond += v[1]
		}
	}
	given := "none of them"
	if beyond > 0 {
		given = fmt.Sprintf("%d of them", beyond)
	}
	return d, fmt.Sprintf("%s of %s%s was %s; a timeout of %s would have cut off %s",
		name, format.Counted(h.count, "request"), where, format.Duration(tail), d, given)
}

// deadline returns a deadline that leaves time for all attempts, or the runs' own one
// if it is stricter.
func (h *healthy) deadline(timeout time.Duration) time.Duration {
	deadline := nice(3 * timeout)
	if h.before > timeout && h.before < deadline {
		return h.before
	}
	return deadline
}

// budget returns a retry budget that the service has capacity for, or a zero budget.
func (h *healthy) budget(e *Experiment) (b policy.Budget, why string) {
	b = policy.Budget{Ratio: budgetUnknown, Floor: free(h.offered)}
	if e == nil || e.Capacity <= 0 || h.offered <= 0 {
		return b, fmt.Sprintf("retries are limited to %s of the requests because the service's capacity is unknown", format.Percent(b.Ratio))
	}
	room := maxUtilization*e.Capacity/h.offered - 1 - b.Floor/h.offered
	b.Ratio = min(maxBudget, math.Floor(room*100+1e-9)/100)
	load := fmt.Sprintf("%s of a capacity of %s", format.Rate(h.offered), format.Rate(e.Capacity))
	if b.Ratio < 0.01 {
		return policy.Budget{}, fmt.Sprintf("at %s, there is no room for retries", load)
	}
	return b, fmt.Sprintf("at %s, a budget of %s keeps the load below %s of the capacity, including all retries", load, format.Percent(b.Ratio), format.Percent(maxUtilization))
}

// free returns the budget's floor in retries per second, so that a client with little
// traffic can retry at all: about one per fifty requests, from 0.1 to 10.
func free(offered float64) float64 {
	return min(max(math.Round(offered*0.2)/10, 0.1), 10)
}

// nice rounds a duration up to one or two digits, as in a hand-written configuration.
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
