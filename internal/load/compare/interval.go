package compare

import (
	"math"
	"math/rand/v2"
	"slices"
)

// interval returns the confidence interval of the difference of the two sides. It
// combines the draws of both with a random difference between whole runs, and is widened
// by Student's distribution for the degrees of freedom.
func interval(a, b estimate, run runVariance, tail float64, random *rand.Rand) (low, high float64) {
	share := 1/float64(a.runs) + 1/float64(b.runs)
	known := run.freedom
	if !run.whole {
		known = freedom(append(slices.Concat(a.within, b.within), variance{run.value * share, run.freedom}, variance{run.assumed * share, math.Inf(1)}))
	}
	wider := studentQuantile(1-tail, max(known, leastFreedom)) / normalQuantile(1-tail)
	spread := math.Sqrt((run.value + run.assumed) * share)
	center := b.value - a.value
	draws := make([]float64, resamples)
	for i := range draws {
		draws[i] = center + wider*(b.draws[i]-a.draws[i]-center+spread*random.NormFloat64())
	}
	slices.Sort(draws)
	return percentile(draws, tail), percentile(draws, 1-tail)
}

// runVariance is the variance between whole runs beyond what their seconds explain.
type runVariance struct {
	variance
	// assumed is an additional part that was not measured.
	assumed float64
	// whole is set if freedom is that of the entire variance of a run, including what
	// its seconds explain.
	whole bool
}

const (
	// assumed is how much whole runs differ for reasons that their seconds do not show
	// (memory layout, temperature of the processor), as a standard deviation of the
	// logarithm. It applies while there are too few runs to measure it.
	assumed = 0.02
	// fewDegrees is the number of degrees of freedom that suffices to measure it.
	fewDegrees = 3
)

// betweenRuns returns the variance between runs: that of the drift and the assumed part,
// or the measured variance between several runs if that is larger.
func betweenRuns(drift variance, m metric, a, b estimate) runVariance {
	var sum, degrees, within float64
	for _, e := range []estimate{a, b} {
		var one float64 // what the seconds of one run explain
		for _, w := range e.within {
			one += w.value * float64(e.runs)
		}
		within = max(within, one)
		if e.runs > 1 {
			spread := spreadOf(e.values)
			sum += float64(e.runs-1) * spread * spread
			degrees += float64(e.runs - 1)
		}
	}
	run := runVariance{variance: drift}
	if degrees < fewDegrees && m.scale == ScaleDuration {
		run.assumed = assumed * assumed
	}
	switch {
	case degrees == 0:
		return run
	case sum/degrees < drift.value+run.assumed+within:
		run.freedom, run.whole = degrees+leastFreedom, true
		return run
	}
	return runVariance{variance: variance{sum/degrees - within, degrees}, whole: true}
}
