package policy

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// latencies knows a quantile of the last durations it was told of, to about
// 6 %, in constant memory: it counts in classes, of which each doubling has
// latencyParts, and halves all counts now and then, so that what is long ago
// weighs little.
type latencies struct {
	quantile float64
	enough   int // how many make a quantile worth knowing
	value    atomic.Int64

	mu     sync.Mutex // guards what follows
	counts [latencyClasses]uint32
	sum    int // of counts
	told   int // since value was worked out
}

const (
	latencyUnit    = time.Microsecond
	latencyParts   = 16                      // of a doubling
	latencyClasses = (32 + 1) * latencyParts // up to 2^36 µs, nineteen hours

	leastLatencies = 100 // before a quantile is worth knowing
	beyondQuantile = 5   // of which as many must lie past it
	latencyMemory  = 4   // halved when as many times as enough are there
	latencyEvery   = 32  // how often the quantile is worked out
)

// newLatencies returns nil for a quantile of 0.
func newLatencies(quantile float64) *latencies {
	if quantile == 0 {
		return nil
	}
	return &latencies{quantile: quantile, enough: max(leastLatencies, int(beyondQuantile/(1-quantile)+0.5))}
}

// wait returns the quantile; 0 is that too little is known.
func (l *latencies) wait() time.Duration { return time.Duration(l.value.Load()) }

// add takes a duration in.
func (l *latencies) add(d time.Duration) {
	i := latencyClass(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[i]++
	l.sum++
	if l.sum >= latencyMemory*l.enough {
		l.halve()
	}
	if l.told++; l.sum >= l.enough && (l.told >= latencyEvery || l.value.Load() == 0) {
		l.told = 0
		l.value.Store(int64(l.workOut()))
	}
}

func (l *latencies) halve() {
	l.sum = 0
	for i := range l.counts {
		l.counts[i] /= 2
		l.sum += int(l.counts[i])
	}
}

// workOut finds the quantile: the upper end of the class it lies in, because a
// hedge that comes a little late costs less than many that come early.
func (l *latencies) workOut() time.Duration {
	past := int(float64(l.sum) * (1 - l.quantile))
	for i := latencyClasses - 1; i > 0; i-- {
		if past -= int(l.counts[i]); past < 0 {
			return latencyEnd(i)
		}
	}
	return latencyEnd(0)
}

// latencyClass is the class of a duration: as they are below latencyParts units,
// and above by the highest bit and the four below it.
func latencyClass(d time.Duration) int {
	units := uint64(max(d, 0) / latencyUnit)
	if units < latencyParts {
		return int(units)
	}
	shift := bits.Len64(units) - bits.Len64(latencyParts)
	return min(shift*latencyParts+int(units>>shift), latencyClasses-1)
}

// latencyEnd is where a class ends.
func latencyEnd(class int) time.Duration {
	if class < latencyParts {
		return time.Duration(class+1) * latencyUnit
	}
	shift := class/latencyParts - 1
	return time.Duration(uint64(class%latencyParts+latencyParts+1)<<shift) * latencyUnit
}
