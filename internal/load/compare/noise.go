package compare

import (
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/report"
)

// The lag of the generator shows how busy the machine was, independent of the service.
// So latencies are compared only over seconds in which the generator was on time,
// relative to the latencies, and a remaining difference in lag widens the intervals. By
// --coalesce, requests are late on purpose, which is not counted as lag.

const (
	// fewestSeconds and leastQuiet are the number and the share of seconds that must be
	// quiet.
	fewestSeconds = 4
	leastQuiet    = 0.2
	// aftermath is how many times above the limit the lag of a second must be for the
	// next second to be excluded, too: its replies arrive there.
	aftermath = 4
	// harmless is the lag that a second may have per share of the requests above a
	// percentile: a pause of 50 ms affects a twentieth of a second's requests, which does
	// not change the median.
	harmless = 100 * time.Millisecond
	// wakeUps is the number of times that a request waits for a sleeping thread: in the
	// service, and for the reply. How long that takes depends on what the processors were
	// doing before, so it differs from run to run of the same service.
	wakeUps = 2
	// longestWakeUp limits what counts as a wake-up: anything longer is a generator that
	// fell behind.
	longestWakeUp = 250 * time.Microsecond
)

// wakingUp returns how much of a latency may be due to waking up. The generator's own
// wake-ups, its median lag, show how long one takes on this machine.
func wakingUp(a, b *side) time.Duration {
	var longest time.Duration
	for _, s := range []*side{a, b} {
		for i := range s.runs {
			longest = max(longest, s.runs[i].Latency[report.LatencyLag].P50)
		}
	}
	return wakeUps * min(longest, longestWakeUp)
}

// quiet is a side without the seconds in which the machine was busy.
type quiet struct {
	samples []*sample
	// noisy is set if too few seconds are left; then samples contains all seconds.
	noisy bool
	// lag is the mean of the longest lags of the quiet seconds.
	lag time.Duration
}

// quieten finds the quiet seconds of both sides for a percentile: those in which the lag
// was less than half of what the percentile typically is, or too small to affect it. It
// records on the sides what it has excluded.
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
			q.lag += t.lag
		}
	}
	q.lag /= time.Duration(max(left, 1))
	side.Busy = max(side.Busy, side.Seconds-left)
	if left < fewestSeconds || float64(left) < leastQuiet*float64(side.Seconds) {
		q.noisy, q.samples = true, side.samples
		if !m.all { // p99 covers it
			side.noisy = append(side.noisy, m.name)
		}
	}
	return q
}

// typical returns the lower quartile of the percentile in the seconds of a side, which is
// its value without noise.
func (m metric) typical(side *side) time.Duration {
	var all []time.Duration
	for _, s := range side.samples {
		for i := range s.seconds {
			if log, ok := m.statistic(s, []int{i}); ok {
				all = append(all, time.Duration(math.Exp(log)))
			}
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/4]
}

// quietSeconds returns a sample of the seconds with a lag of at most limit.
func (s *sample) quietSeconds(limit time.Duration) *sample {
	q := &sample{values: s.values}
	from := 0
	for _, to := range s.strata {
		for i := from; i < to; i++ {
			late := s.seconds[i].lag > limit
			after := i > 0 && s.seconds[i-1].lag > aftermath*limit
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

// excuse widens an interval by the part of a change that the difference in lag may have
// caused. least is the logarithm of the lower side.
func (m metric) excuse(a, b quiet, least, low, high float64) (float64, float64) {
	may := m.follows * float64(b.lag-a.lag) / math.Exp(least)
	return low - math.Log1p(max(may, 0)), high + math.Log1p(max(-may, 0))
}
