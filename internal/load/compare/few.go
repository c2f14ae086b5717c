package compare

import "math"

const (
	// enoughSeconds is the number of seconds of a side from which the bootstrap can be
	// relied on: fewer seconds contain too few blocks to show how noisy the machine is.
	enoughSeconds = 12
	// alike is the variance of the mean of a few seconds, relative to that of as many
	// independent ones with the same spread, if the correlation of neighbors is 0.7, as on
	// a virtual machine that shares its processors. It hardly depends on their number, and
	// so few seconds cannot show the correlation themselves.
	alike = 6.3
	// fewTail limits the probability of a false alarm in each metric and direction when
	// there are few seconds.
	fewTail = 0.00002
)

// countSeconds returns the number of seconds in the samples.
func countSeconds(samples []*sample) (n int) {
	for _, s := range samples {
		n += len(s.seconds)
	}
	return n
}

// margin returns how far the difference of two sides with few seconds may be from the
// true one, by Student's distribution for the spread of the seconds. What the number of
// requests explains of it is independent; for the rest, neighbors are taken to be alike.
func (m metric) margin(a, b []*sample, tail float64) float64 {
	squaresA, freedomA := m.squares(a)
	squaresB, freedomB := m.squares(b)
	// Seconds that are alike say less about the spread than independent ones.
	known := (freedomA + freedomB) / 2
	if known < 1 {
		return math.Inf(1)
	}
	spread := (squaresA + squaresB) / (freedomA + freedomB)
	share := 1/float64(countSeconds(a)) + 1/float64(countSeconds(b))
	explained := (m.explained(a) + m.explained(b)) / 2
	return studentQuantile(1-min(tail, fewTail), known) * math.Sqrt((explained+alike*max(spread-explained, 0))*share)
}

// explained returns the variance of a second that the number of its requests explains.
func (m metric) explained(samples []*sample) float64 {
	var sum float64
	for _, s := range samples {
		least := m.sampling(s, s.all())
		sum += least * least * float64(len(s.seconds))
	}
	return sum / float64(len(samples))
}

// squares returns the sum of the squared deviations of the seconds from the means of their
// strata, with its degrees of freedom.
func (m metric) squares(samples []*sample) (sum, freedom float64) {
	for _, s := range samples {
		from := 0
		for _, to := range s.strata {
			var values []float64
			for i := from; i < to; i++ {
				if v, ok := m.statistic(s, []int{i}); ok {
					values = append(values, v)
				}
			}
			from = to
			if len(values) < 2 {
				continue
			}
			deviation, more := spreadOf(values), float64(len(values)-1)
			sum += more * deviation * deviation
			freedom += more
		}
	}
	return sum, freedom
}
