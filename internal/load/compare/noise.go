package compare

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
	// harmless is how late the generator may be in a second for each share of the
	// requests that a percentile leaves out: one stop of 50 ms touches a twentieth
	// of a second's requests, which the median does not feel.
	harmless = 100 * time.Millisecond
)

// quiet is a side without the seconds in which the machine was busy.
type quiet struct {
	samples []*sample
	// noisy tells that too few seconds are left; then samples are all of them.
	noisy bool
	// lag is by how much the generator was late at most in a quiet second: the
	// mean of these.
	lag time.Duration
}

// quieten finds the quiet seconds of both sides for a percentile: those in which
// the generator was late by less than half of what the percentile usually is in
// a second, or by so little that it does not feel it. It notes on the sides what
// it has left out.
func (m metric) quieten(a, b *side) (quietA, quietB quiet) {
	most := max(min(m.typical(a), m.typical(b))/2, time.Duration((1-m.quantile)*float64(harmless)))
	return m.quietPart(a, most), m.quietPart(b, most)
}

func (m metric) quietPart(side *side, most time.Duration) (q quiet) {
	left := 0
	for _, s := range side.samples {
		part := s.quietSeconds(most)
		if len(part.seconds) == 0 {
			continue
		}
		q.samples = append(q.samples, part)
		left += len(part.seconds)
		for _, t := range part.seconds {
			q.lag += t.second.Lag
		}
	}
	q.lag /= time.Duration(max(left, 1))
	side.Busy = max(side.Busy, side.Seconds-left)
	if left < fewestSeconds || float64(left) < leastQuiet*float64(side.Seconds) {
		q.noisy, q.samples = true, side.samples
		side.noisy = append(side.noisy, m.name)
	}
	return q
}

// typical is the lower quartile of the percentile in the seconds of a side: what
// it is without noise.
func (m metric) typical(side *side) time.Duration {
	var all []time.Duration
	for _, s := range side.samples {
		for i := range s.seconds {
			if log, ok := m.statistic(s, []int{i}); ok {
				all = append(all, time.Duration(math.Exp(log)))
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
func (m metric) excuse(a, b quiet, least, low, high float64) (float64, float64) {
	may := m.follows * float64(b.lag-a.lag) / math.Exp(least)
	return low - math.Log1p(max(may, 0)), high + math.Log1p(max(-may, 0))
}
