package report

import (
	"math"
	"slices"
	"time"
)

// The generator's own lateness tells how busy the machine was, whatever the
// service does: it is the control of a comparison. Latencies are compared over
// seconds in which the generator was on time, measured by the latencies
// themselves, and what is left of a difference of its lateness widens the
// intervals.

const (
	// fewestSeconds and leastQuiet are how many seconds, and which share of them,
	// must be quiet.
	fewestSeconds = 4
	leastQuiet    = 0.2
	// aftermath is how many times too late a second must have been for the one
	// after it to be left out too: its answers come there.
	aftermath = 4
)

// quieten finds the quiet seconds of both sides: those in which the generator
// was late by less than half of what p99 usually is in a second.
func quieten(a, b *compareSide) {
	most := min(a.typicalP99(), b.typicalP99()) / 2
	for _, side := range []*compareSide{a, b} {
		left, lag := 0, time.Duration(0)
		for _, s := range side.samples {
			q := s.quietSeconds(most)
			if len(q.seconds) == 0 {
				continue
			}
			side.quiet = append(side.quiet, q)
			left += len(q.seconds)
			for _, t := range q.seconds {
				lag += t.second.Lag
			}
		}
		side.Busy = side.Seconds - left
		side.noisy = left < fewestSeconds || float64(left) < leastQuiet*float64(side.Seconds)
		side.lag = lag / time.Duration(max(left, 1))
	}
}

// typicalP99 is the lower quartile of the seconds' p99: what it is without noise.
func (s *compareSide) typicalP99() time.Duration {
	var all []time.Duration
	for _, one := range s.samples {
		for _, t := range one.seconds {
			if t.second.measured() > 0 {
				all = append(all, t.second.P99)
			}
		}
	}
	slices.Sort(all)
	return all[len(all)/4]
}

// quietSeconds is a sample of the seconds in which the generator was late by no
// more than most.
func (s *sample) quietSeconds(most time.Duration) *sample {
	q := &sample{values: s.values}
	from := 0
	for _, to := range s.strata {
		for i := from; i < to; i++ {
			late := s.seconds[i].second.Lag > most
			after := i > 0 && s.seconds[i-1].second.Lag > aftermath*most
			if !late && !after {
				q.seconds = append(q.seconds, s.seconds[i])
			}
		}
		if n := len(q.seconds); n > 0 && (len(q.strata) == 0 || q.strata[len(q.strata)-1] < n) {
			q.strata = append(q.strata, n)
		}
		from = to
	}
	return q
}

// excuse widens an interval by what of a change the machine may have made, by
// how much more the generator was late on one side. least is the logarithm of
// the lesser side.
func (m metricOf) excuse(a, b *compareSide, least, low, high float64) (float64, float64) {
	may := m.follows * float64(b.lag-a.lag) / math.Exp(least)
	return low - math.Log1p(max(may, 0)), high + math.Log1p(max(-may, 0))
}
