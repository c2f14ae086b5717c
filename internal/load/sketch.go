package load

import (
	"math/bits"
	"time"
)

// sketcher collects a Sketch. Each power of two has 64 buckets, so a bucket is at
// most 1.6% wide. The zero sketcher is empty.
type sketcher struct {
	counts [sketchBuckets]uint32
	last   int // the last bucket in use
	any    bool
}

// A sketch covers durations up to maxLatency, which has 42 bits.
const (
	sketchBits    = 6
	sketchBuckets = (42 - sketchBits + 1) << sketchBits
)

func (s *sketcher) record(d time.Duration) {
	// The bucket is the position of the highest bit and the sketchBits below it. Small
	// values have a bucket each.
	v := uint64(min(max(d, 0), maxLatency))
	shift := max(bits.Len64(v)-sketchBits-1, 0)
	i := shift<<sketchBits + int(v>>shift)
	s.counts[i]++
	s.last, s.any = max(s.last, i), true
}

// take returns the sketch and empties the sketcher.
func (s *sketcher) take() Sketch {
	if !s.any {
		return nil
	}
	var out Sketch
	for i, n := range s.counts[:s.last+1] {
		if n > 0 {
			out = append(out, SketchBucket{sketchValue(i), int64(n)})
			s.counts[i] = 0
		}
	}
	s.last, s.any = 0, false
	return out
}

// sketchValue returns the middle of a bucket.
func sketchValue(i int) time.Duration {
	shift := max(i>>sketchBits-1, 0)
	low := uint64(i-shift<<sketchBits) << shift
	return time.Duration(low + (uint64(1)<<shift)/2)
}
