package compare

import (
	"math"
	"math/rand/v2"
	"slices"
)

// interval is that of the difference of the two sides: the draws of both, a
// difference of whole runs drawn beside them, and widened for what is known from
// few differences only.
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

// runVariance is how much whole runs differ beyond what their seconds explain.
type runVariance struct {
	variance
	// assumed is more of it, which nothing was measured of.
	assumed float64
	// whole tells that freedom is that of the whole variance of a run, with what
	// its seconds explain.
	whole bool
}

const (
	// assumed is by how much whole runs differ for reasons that no second of them
	// shows (where memory lies, how warm a processor is), as a standard deviation
	// of their logarithm. It counts while too few runs are there to see it.
	assumed = 0.02
	// fewDegrees is from how many differences between runs on it is seen.
	fewDegrees = 3
)

// betweenRuns is what runs differ by: what their drift explains and what has to
// be assumed, or what several were seen to differ by when that is more.
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
