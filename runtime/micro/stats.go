package micro

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// stats counts one handler's runs. The zero value is ready.
type stats struct {
	calls, errors, expired atomic.Uint64
	// buckets counts durations, four buckets to each power of two of
	// microseconds: quantiles are within 19% of the truth.
	buckets [bucketCount]atomic.Uint64
}

const bucketCount = 4 * 32

func (s *stats) add(d time.Duration, failed bool) {
	s.calls.Add(1)
	if failed {
		s.errors.Add(1)
	}
	s.buckets[bucketOf(d)].Add(1)
}

// bucketOf returns the bucket of d: its octave and the two bits after the first.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0)) / 250 // quarter microseconds
	if n < 4 {
		return int(n)
	}
	octave := bits.Len64(n) - 3
	return min(octave*4+int(n>>octave), bucketCount-1)
}

// upperBound returns the longest duration of a bucket.
func upperBound(bucket int) time.Duration {
	if bucket < 4 {
		return time.Duration(bucket+1) * 250
	}
	octave := bucket/4 - 1
	return time.Duration(bucket%4+4+1) << octave * 250
}

// quantile returns the duration that a share q of the runs did not exceed; 0
// when there were none.
func (s *stats) quantile(q float64) time.Duration {
	var total, seen uint64
	var counts [bucketCount]uint64
	for i := range counts {
		counts[i] = s.buckets[i].Load()
		total += counts[i]
	}
	for i, n := range counts {
		if seen += n; n > 0 && float64(seen) >= q*float64(total) {
			return upperBound(i)
		}
	}
	return 0
}
