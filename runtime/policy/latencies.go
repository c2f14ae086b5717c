package policy

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// latencies estimates a quantile of recent durations to within about 6%, in constant
// memory. It counts durations in classes, latencyParts per power of two, and
// periodically halves all counts, so that old durations have little weight.
type latencies struct {
	quantile float64
	enough   int // number of durations required for an estimate
	value    atomic.Int64

	mu     sync.Mutex // guards what follows
	counts [latencyClasses]uint32
	sum    int // of counts
	added  int // since value was computed
}

const (
	latencyUnit    = time.Microsecond
	latencyParts   = 16                      // per power of two
	latencyClasses = (32 + 1) * latencyParts // up to 2^36 µs, nineteen hours

	leastLatencies = 100 // required for an estimate
	beyondQuantile = 5   // required above the quantile
	latencyMemory  = 4   // multiple of enough at which counts are halved
	latencyEvery   = 32  // number of durations between computations
)

// newLatencies returns nil for a quantile of 0.
func newLatencies(quantile float64) *latencies {
	if quantile == 0 {
		return nil
	}
	return &latencies{quantile: quantile, enough: max(leastLatencies, int(beyondQuantile/(1-quantile)+0.5))}
}

// wait returns the quantile, or 0 if there are too few durations.
func (l *latencies) wait() time.Duration { return time.Duration(l.value.Load()) }

// add counts a duration.
func (l *latencies) add(d time.Duration) {
	i := latencyClass(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[i]++
	l.sum++
	if l.sum >= latencyMemory*l.enough {
		l.halve()
	}
	if l.added++; l.sum >= l.enough && (l.added >= latencyEvery || l.value.Load() == 0) {
		l.added = 0
		l.value.Store(int64(l.compute()))
	}
}

func (l *latencies) halve() {
	l.sum = 0
	for i := range l.counts {
		l.counts[i] /= 2
		l.sum += int(l.counts[i])
	}
}

// compute computes the quantile: the upper bound of its class, because a slightly late
// hedge costs less than many early ones.
func (l *latencies) compute() time.Duration {
	past := int(float64(l.sum) * (1 - l.quantile))
	for i := latencyClasses - 1; i > 0; i-- {
		if past -= int(l.counts[i]); past < 0 {
			return latencyEnd(i)
		}
	}
	return latencyEnd(0)
}

// latencyClass returns the class of a duration: its value if below latencyParts units,
// otherwise determined by its highest bit and the four bits below it.
func latencyClass(d time.Duration) int {
	units := uint64(max(d, 0) / latencyUnit)
	if units < latencyParts {
		return int(units)
	}
	shift := bits.Len64(units) - bits.Len64(latencyParts)
	return min(shift*latencyParts+int(units>>shift), latencyClasses-1)
}

// latencyEnd returns the upper bound of a class.
func latencyEnd(class int) time.Duration {
	if class < latencyParts {
		return time.Duration(class+1) * latencyUnit
	}
	shift := class/latencyParts - 1
	return time.Duration(uint64(class%latencyParts+latencyParts+1)<<shift) * latencyUnit
}
