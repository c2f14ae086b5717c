package compare

import (
	"math"
	"math/rand/v2"
)

const (
	resamples = 2000
	// fewestBlocks limits the length of a block.
	fewestBlocks = 4
	// segments is the number of parts of a run between which drift is measured.
	segments = 4
	// leastFreedom limits how much a small number of blocks or segments widens an
	// interval.
	leastFreedom = 3
)

// statistic returns the value of a metric in some seconds of a sample, on the scale on
// which it is compared: the logarithm of durations and ratios. ok is false if it has no
// value there.
type statistic func(s *sample, seconds []int) (value float64, ok bool)

// estimate is the value of a metric for one side, with its uncertainty.
type estimate struct {
	value float64
	ok    bool
	// draws are resampled values, from blocks of seconds within the runs.
	draws []float64
	// within are the parts of the value's variance that the draws contain.
	within []variance
	// values are the values of the runs, and runs is their number.
	values []float64
	runs   int
}

// variance is an estimate of a variance, with its degrees of freedom.
type variance struct{ value, freedom float64 }

// measure estimates a metric over a side's runs.
func measure(samples []*sample, of metric, random *rand.Rand) estimate {
	e := estimate{draws: make([]float64, resamples)}
	for _, s := range samples {
		value, ok := of.statistic(s, s.all())
		if !ok {
			continue
		}
		e.values = append(e.values, value)
		draws, within := s.bootstrap(of, value, random)
		for i, d := range draws {
			e.draws[i] += d
		}
		e.within = append(e.within, within...)
	}
	e.runs = len(e.values)
	if e.runs == 0 {
		return e
	}
	runs := float64(e.runs)
	e.ok, e.value = true, mean(e.values)
	for i := range e.draws {
		e.draws[i] = e.value + e.draws[i]/runs
	}
	for i := range e.within {
		e.within[i].value /= runs * runs
	}
	return e
}

// all returns the indexes of all seconds.
func (s *sample) all() []int {
	list := make([]int, len(s.seconds))
	for i := range list {
		list[i] = i
	}
	return list
}

// bootstrap draws deviations of the statistic from its value. It resamples blocks of
// neighboring seconds, because noise comes in bursts, within each stratum. The spread of
// the deviations is at least that of independent requests.
func (s *sample) bootstrap(of metric, value float64, random *rand.Rand) ([]float64, []variance) {
	draws := make([]float64, resamples)
	seconds := make([]int, 0, len(s.seconds))
	block := s.block(of)
	for i := range draws {
		seconds = seconds[:0]
		from := 0
		for _, to := range s.strata {
			seconds = drawBlocks(seconds, from, to, block, random)
			from = to
		}
		if v, ok := of.statistic(s, seconds); ok {
			draws[i] = v - value
		}
	}
	least := of.sampling(s, s.all())
	spread := spreadOf(draws)
	blocks := float64(len(s.seconds)) / float64(block)
	if spread < least {
		if spread == 0 {
			for i := range draws {
				draws[i] = random.NormFloat64()
			}
			spread = 1
		}
		for i := range draws {
			draws[i] *= least / spread
		}
		spread = least
	}
	return draws, []variance{
		{least * least, math.Inf(1)},
		{spread*spread - least*least, max(blocks-1, 1)},
	}
}

// drawBlocks appends to-from seconds in blocks, the last one truncated. Blocks wrap
// around at the end, so that every second is equally likely.
func drawBlocks(seconds []int, from, to, block int, random *rand.Rand) []int {
	n := to - from
	for left := n; left > 0; left -= block {
		start := random.IntN(n)
		for k := range min(block, left) {
			seconds = append(seconds, from+(start+k)%n)
		}
	}
	return seconds
}

// block returns the length of a block: longer if neighboring seconds are correlated.
func (s *sample) block(of metric) int {
	n := float64(len(s.seconds))
	length := math.Cbrt(n)
	if r := s.correlation(of); r > 0 {
		r = min(r, 0.95)
		length *= max(1, math.Pow(math.Sqrt(6)*r/(1-r*r), 2.0/3))
	}
	return int(max(1, math.Round(min(length, n/fewestBlocks))))
}

// correlation returns the correlation of the statistic in neighboring seconds.
func (s *sample) correlation(of metric) float64 {
	var values []float64
	for i := range s.seconds {
		v, ok := of.statistic(s, []int{i})
		if !ok {
			return 0
		}
		values = append(values, v)
	}
	m := mean(values)
	var square, product float64
	for i, v := range values {
		square += (v - m) * (v - m)
		if i > 0 {
			product += (v - m) * (values[i-1] - m)
		}
	}
	if square == 0 {
		return 0
	}
	return product / square
}

// drift returns the variance of the statistic between long segments of the runs, beyond
// what the number of requests explains. It is an estimate of how much whole runs differ.
// It is not divided by the number of segments, because the noise of a machine is about
// as strong at one time scale as at the next.
func drift(samples []*sample, of metric) variance {
	var sum, freedom float64
	for _, s := range samples {
		from := 0
		for _, to := range s.strata {
			parts := min(segments, (to-from)/2)
			var values []float64
			var expected float64
			for k := range parts {
				part := s.all()[from+(to-from)*k/parts : from+(to-from)*(k+1)/parts]
				if v, ok := of.statistic(s, part); ok {
					values = append(values, v)
					least := of.sampling(s, part)
					expected += least * least
				}
			}
			from = to
			if len(values) < 2 {
				continue
			}
			more := float64(len(values) - 1)
			spread := spreadOf(values)
			sum += more * (spread*spread - expected/float64(len(values)))
			freedom += more
		}
	}
	if freedom == 0 {
		return variance{}
	}
	return variance{max(sum/freedom, 0), freedom}
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// spreadOf returns the standard deviation of a sample.
func spreadOf(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	m := mean(values)
	var sum float64
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

// percentile returns the value below which a share q of the sorted values lies.
func percentile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(max(int(at), 0), len(sorted)-2)
	return sorted[i] + (sorted[i+1]-sorted[i])*(at-float64(i))
}

// normalQuantile returns a quantile of the normal distribution.
func normalQuantile(q float64) float64 { return math.Sqrt2 * math.Erfinv(2*q-1) }

// studentQuantile returns a quantile of Student's distribution by the Cornish-Fisher
// expansion, which is accurate to about 0.01 for three degrees of freedom and better for
// more.
func studentQuantile(q, freedom float64) float64 {
	z := normalQuantile(q)
	if math.IsInf(freedom, 1) {
		return z
	}
	z2, v := z*z, freedom
	return z + z*(z2+1)/(4*v) + z*((5*z2+16)*z2+3)/(96*v*v) + z*(((3*z2+19)*z2+17)*z2-15)/(384*v*v*v)
}

// freedom returns the degrees of freedom of a sum of variances (Satterthwaite).
func freedom(parts []variance) float64 {
	var sum, terms float64
	for _, p := range parts {
		sum += p.value
		if p.freedom > 0 {
			terms += p.value * p.value / p.freedom
		}
	}
	if terms == 0 {
		return math.Inf(1)
	}
	return max(sum*sum/terms, leastFreedom)
}
