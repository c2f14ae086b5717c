package load

import (
	"math/bits"
	"time"
)

// sketcher gathers a Sketch. Each power of two has 64 buckets, so a bucket is at
// most 1.6 % wide. The zero sketcher is empty.
type sketcher struct {
	counts [sketchBuckets]uint32
	most   int // the last bucket in use
	any    bool
}

// A sketch tells apart what is at most mostLatency, which has 42 bits.
const (
	sketchBits    = 6
	sketchBuckets = (42 - sketchBits + 1) << sketchBits
)

func (s *sketcher) record(d time.Duration) {
	v := uint64(min(max(d, 0), mostLatency))
	shift := max(bits.Len64(v)-sketchBits-1, 0)
	i := shift<<sketchBits + int(v>>shift)
	s.counts[i]++
	s.most, s.any = max(s.most, i), true
}

// take returns what was gathered, and forgets it.
func (s *sketcher) take() Sketch {
	if !s.any {
		return nil
	}
	var out Sketch
	for i, n := range s.counts[:s.most+1] {
		if n > 0 {
			out = append(out, SketchBucket{sketchValue(i), int64(n)})
			s.counts[i] = 0
		}
	}
	s.most, s.any = 0, false
	return out
}

// peek returns what was gathered so far.
func (s *sketcher) peek() Sketch {
	copied := *s
	return copied.take()
}

// sketchValue is the middle of a bucket.
func sketchValue(i int) time.Duration {
	shift := max(i>>sketchBits-1, 0)
	low := uint64(i-shift<<sketchBits) << shift
	return time.Duration(low + (uint64(1)<<shift)/2)
}
