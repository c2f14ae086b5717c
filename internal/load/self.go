package load

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

// A load generator that lacks CPU time, or that its own garbage collection pauses,
// measures itself rather than the service. So the run also measures the generator.

const pauses = "/sched/pauses/total/gc:seconds"

// watchSelf records the process's CPU usage and its longest pause for garbage
// collection once per second, until no more requests are offered.
func (r *Run) watchSelf() {
	sample := []metrics.Sample{{Name: pauses}}
	metrics.Read(sample)
	before := counts(sample[0])
	used, at := processTime(), time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.over:
			return
		}
		metrics.Read(sample)
		now, usedNow := time.Now(), processTime()
		all := now.Sub(at) * time.Duration(runtime.GOMAXPROCS(0))
		r.rec.self(r.now(), float64(usedNow-used)/float64(max(all, 1)), longest(sample[0], before))
		used, at, before = usedNow, now, counts(sample[0])
	}
}

// counts copies the counts of a sampled histogram.
func counts(s metrics.Sample) []uint64 {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return append([]uint64(nil), s.Value.Float64Histogram().Counts...)
}

// longest returns the lower end of the highest bucket whose count has grown since
// before: the longest pause was at least that long.
func longest(s metrics.Sample, before []uint64) time.Duration {
	if s.Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := s.Value.Float64Histogram()
	for i := len(h.Counts) - 1; i >= 0 && i < len(before); i-- {
		if h.Counts[i] > before[i] && !math.IsInf(h.Buckets[i], -1) {
			return time.Duration(h.Buckets[i] * float64(time.Second))
		}
	}
	return 0
}
