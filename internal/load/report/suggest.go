package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/runtime/policy"
)

// The evidence that a suggestion requires, and the rules by which it is made.
const (
	// minReplies is the number of ok replies, and minLength the time in which they arrived.
	// If the client and the service share a machine, it is minLoopback: the slow moments of
	// a network are missing, and those of the machine are rare.
	minReplies  = 1000
	minLength   = 10 * time.Second
	minLoopback = time.Minute
	// maxGivenUp is the largest share of requests without a reply from a service that
	// counts as healthy, and maxFailing that of replies that are errors.
	maxGivenUp = 0.01
	maxFailing = 0.05
	// growing is how many times longer latencies must be at the end of a run than at
	// its start for the service's queue to count as growing.
	growing = 3
	// queueing is how many times longer than before a trigger latencies must be after
	// it for the service's queue to count as not drained yet.
	queueing = 2
	// The timeout is timeoutFactor times the tail of the attempt latencies, and at least
	// minTimeout: a garbage collection, or a packet lost within a data center, is not a
	// failure.
	tailQuantile  = 0.999
	timeoutFactor = 3
	minTimeout    = 50 * time.Millisecond
	// budgetUnknown is the budget without a known capacity, and maxBudget the largest
	// one with it.
	budgetUnknown = 0.1
	maxBudget     = 0.2
	// maxUtilization is the share of the capacity that the load may use, including all
	// retries.
	maxUtilization = 0.9
)

// Suggest returns what a document suggests. In an experiment, nothing better is known than
// what was measured, unless the Candidate has been tried in it, too.
func Suggest(d *Document) *Suggestion {
	if d == nil || len(d.Runs) == 0 {
		return nil
	}
	if e := d.Experiment; e != nil {
		if e.Best < 0 {
			return &Suggestion{Why: "this experiment has no best policy"}
		}
		return &Suggestion{Why: "the best policy is the one that was measured, ★ " + e.name(e.Best)}
	}
	if len(d.distinct(func(r *Run) string { return r.Pattern + r.Target + r.Policy.Text })) > 1 {
		return &Suggestion{Why: "the runs differ"}
	}
	return Candidate(d)
}

// Candidate returns the policy that fits the measurements while the service was healthy:
// an attempt timeout that a healthy service meets, and as many retries as it has capacity
// for; or the reason why there is none. Seconds from the start of a trigger to the recovery
// from it do not count.
func Candidate(d *Document) *Suggestion {
	h := healthyOf(d)
	if why := h.doubt(d.Experiment != nil); why != "" {
		return &Suggestion{Why: why}
	}
	basis := h.basis()
	if basis.Tail == 0 {
		return &Suggestion{Why: "more than one in a thousand replies arrived after its timeout, so how slow the service may be was not measured: use a longer --timeout"}
	}
	timeout := nice(max(timeoutFactor*basis.Tail, minTimeout))
	s := policy.Settings{Timeout: timeout, Deadline: h.deadline(timeout)}
	budget, why := h.budget(d.Experiment)
	if budget != (policy.Budget{}) {
		s.Retries, s.Budget = 2, budget
		s.Backoff, s.Jitter = policy.Exponential(nice(timeout/10), timeout), policy.FullJitter
	} else {
		s.Deadline = 0
	}
	fits := NewPolicy(s)
	return &Suggestion{Policy: &fits, Basis: &basis, Why: h.reason(&basis) + "; " + why}
}

// healthy contains the measurements while the service was healthy.
type healthy struct {
	// values are the attempt latencies of ok replies in ascending order, with their
	// counts; replies is their sum, and length the time in which they arrived.
	values  [][2]int64
	replies int64
	length  time.Duration
	// The requests that ended, those without a reply, those with an error, the late answers,
	// and the attempts that the generator's machine did not make.
	ended, givenUp, errors, late, starved int64
	// swelled is set if the latencies of a run kept growing, faulted if there were
	// triggers, and loopback if the service shared the machine.
	swelled, faulted, loopback bool
	offered                    float64 // per second, the highest of all runs
	// before is the shortest deadline of the runs.
	before time.Duration
}

// healthyOf collects the measurements of all runs.
func healthyOf(d *Document) *healthy {
	h := &healthy{}
	counts := map[int64]int64{}
	for i := range d.Runs {
		r := &d.Runs[i]
		h.faulted = h.faulted || len(r.Triggers) > 0
		h.loopback = h.loopback || r.Loopback
		for j := range r.Seconds {
			h.starved += r.Seconds[j].Starved
		}
		well := r.wellSeconds()
		for j := range well {
			h.count(&well[j])
		}
		if swelling(well) || r.Backlog.Left && len(r.Triggers) == 0 {
			h.swelled = true
			continue
		}
		h.offered = max(h.offered, r.OfferedRate)
		if p := r.Policy.Deadline; p > 0 && (h.before == 0 || p < h.before) {
			h.before = p
		}
		h.length += time.Duration(len(well)) * time.Second
		for _, s := range well {
			for _, b := range s.AttemptLatencies {
				counts[b[0]] += b[1]
				h.replies += b[1]
			}
			h.late += s.Late
		}
	}
	for v, n := range counts {
		h.values = append(h.values, [2]int64{v, n})
	}
	slices.SortFunc(h.values, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return h
}

// count counts the outcomes of a second.
func (h *healthy) count(s *Second) {
	h.ended += s.OK + s.failed() + s.Shed
	h.givenUp += s.Timeout + s.Lost + s.Shed
	h.errors += s.Error
}

// doubt returns the reason why the evidence does not suffice, or "". A policy that will be
// tried in an experiment needs less of it.
func (h *healthy) doubt(tried bool) string {
	share := func(n int64) float64 { return float64(n) / float64(max(h.ended, 1)) }
	switch {
	case h.starved > 0:
		return "the generator's machine had no file descriptors or ports left"
	case share(h.errors) > maxFailing:
		return fmt.Sprintf("%s of the requests failed with an error, so the service was not healthy", format.Percent(share(h.errors)))
	case share(h.givenUp) > maxGivenUp:
		return fmt.Sprintf("%s of the requests got no reply, so the service was not healthy", format.Percent(share(h.givenUp)))
	case h.swelled && h.replies == 0:
		return "the service was overloaded: its latencies kept growing"
	case h.replies < minReplies:
		return fmt.Sprintf("%s from a healthy service do not show how slow it may be: at least %s are needed",
			format.CountedAs(h.replies, "ok reply", "ok replies"), format.Count(minReplies))
	case tried:
		return ""
	case h.loopback && h.length < minLoopback:
		return fmt.Sprintf("the client and the service share this machine, and %s of a healthy service are too short to see its slow moments: run for a minute, or where the service runs", h.length)
	case h.length < minLength:
		return fmt.Sprintf("%s of a healthy service are too short to see its slow moments: at least %s are needed", h.length, minLength)
	}
	return ""
}

// basis returns the evidence. Late answers count as slower than all replies: if the tail is
// among them, it is 0.
func (h *healthy) basis() Basis {
	b := Basis{Replies: h.replies, Length: h.length, Quantile: tailQuantile, Loopback: h.loopback}
	wanted, upTo := int64(math.Ceil(tailQuantile*float64(h.replies+h.late))), int64(0)
	for _, v := range h.values {
		if upTo += v[1]; upTo >= wanted {
			b.Tail = time.Duration(v[0])
			break
		}
	}
	return b
}

// reason states what the timeout is based on.
func (h *healthy) reason(b *Basis) string {
	where := ""
	if h.faulted {
		where = " outside the fault"
	}
	why := fmt.Sprintf("p99.9 of the attempts of %s from a healthy service%s in %s was %s, and the timeout is three times that, at least %s, rounded up",
		format.CountedAs(b.Replies, "ok reply", "ok replies"), where, b.Length, format.Duration(b.Tail), minTimeout)
	if b.Loopback {
		why += "; the client and the service shared this machine, so a network is not included"
	}
	return why
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
		if queued && len(well) > 0 && s.OKLatency.P50 > queueing*typical(well) {
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
		all[i] = s.OKLatency.P50
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
