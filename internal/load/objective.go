package load

import "time"

// How an objective is derived: from the latency of the ok requests before the first
// trigger, twice p95 but at least 100 ms, rounded up to one or two digits. Less than that
// is noise on a busy machine. The same share of the requests is on time after the trigger
// as before it if nothing has changed, so the tail beyond p95 does not matter.
const (
	leastObjective = 100 * time.Millisecond
	usualQuantile  = 0.95
	usualFactor    = 2
	leastForUsual  = 20 // ok requests
)

// rungs is the number of round durations that an objective can be rounded up to: from
// leastObjective to 80 s, and one for the rest.
const rungs = 31

// ladder counts ok requests by the first round duration that they do not exceed.
type ladder [rungs]uint32

// rungOf returns the index of the first round duration that is at least d, and that
// duration.
func rungOf(d time.Duration) (i int, upTo time.Duration) {
	for decade := leastObjective / 10; ; decade *= 10 {
		for _, n := range [...]int64{10, 12, 15, 20, 25, 30, 40, 50, 60, 80} {
			upTo = time.Duration(n * int64(decade))
			switch {
			case i == rungs-1:
				return i, maxLatency
			case d <= upTo:
				return i, upTo
			}
			i++
		}
	}
}

func (l *ladder) add(d time.Duration) {
	i, _ := rungOf(d)
	l[i]++
}

// upTo returns how many requests took at most as long as rung i.
func (l *ladder) upTo(i int) (n int64) {
	for _, count := range l[:i+1] {
		n += int64(count)
	}
	return n
}

// objective decides which ok requests were answered on time. As long as it is not known,
// it keeps ladders, on whose rungs it will be. The recorder guards it.
type objective struct {
	Objective
	settled bool
	cohorts []ladder // nil once the objective is settled
	counted ladder   // of the requests after the warm-up
}

// give sets the objective of the plan.
func (o *objective) give(limit time.Duration) {
	o.Objective, o.settled = Objective{Limit: limit, Given: true}, true
}

// met reports whether an ok request of a cohort with a latency was answered on time. It
// is false as long as the objective is not known.
func (o *objective) met(cohort int, latency time.Duration, counted bool) bool {
	if o.settled {
		return o.Limit == 0 || latency <= o.Limit
	}
	for len(o.cohorts) <= cohort {
		o.cohorts = append(o.cohorts, ladder{})
	}
	o.cohorts[cohort].add(latency)
	if counted {
		o.counted.add(latency)
	}
	return false
}

// derive settles the objective from the ok requests so far, counts those of the cohorts
// that were on time, and returns how many were. If there are too few, every ok request is
// on time.
func (o *objective) derive(before *Histogram, cohorts []Cohort) (onTime int64) {
	o.settled = true
	last := rungs - 1
	if before.count >= leastForUsual {
		o.P95 = before.Quantile(usualQuantile)
		last, o.Limit = rungOf(usualFactor * o.P95)
	}
	for i := range o.cohorts {
		cohorts[i].OnTime += o.cohorts[i].upTo(last)
	}
	o.cohorts = nil
	return o.counted.upTo(last)
}
