package fault

import (
	"hash/fnv"
	"time"
)

// draws decides which messages one fault affects. The n-th decision depends only on
// the seed, the fault, and n. So a run can be repeated, and the decisions of one
// fault do not change when another is added or removed.
type draws struct{ key uint64 }

// newDraws returns the decisions of a fault. They do not depend on its window. twin
// distinguishes faults that are otherwise identical.
func newDraws(seed uint64, f Fault, twin int) draws {
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.identity())) // never fails
	return draws{mix(seed ^ mix(h.Sum64()+uint64(twin)*golden))}
}

// identity is the text on which the decisions of a fault depend.
func (f Fault) identity() string {
	f.Start, f.Length = 0, 0
	return f.String()
}

const golden = 0x9E3779B97F4A7C15

// mix is the finalizer of splitmix64: each bit of the result depends on every bit
// of x.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// uniform returns the n-th number of one of two sequences, in [0, 1).
func (d draws) uniform(n uint64, sequence uint64) float64 {
	return float64(mix(d.key+(2*n+sequence+1)*golden)>>11) / (1 << 53)
}

// hits reports whether the n-th message is affected.
func (d draws) hits(n uint64, share float64) bool {
	return share >= 1 || d.uniform(n, 0) < share
}

// delay returns the delay of the n-th message.
func (d draws) delay(n uint64, f *Fault) time.Duration {
	if f.Spread == 0 {
		return f.Delay
	}
	return f.Delay + time.Duration((2*d.uniform(n, 1)-1)*float64(f.Spread))
}
