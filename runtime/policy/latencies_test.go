package policy

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestLatencyClasses: a class ends behind what is in it, and not far behind; a
// longer duration is never in a lower class.
func TestLatencyClasses(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		d := time.Duration(math.Exp(random.Float64() * math.Log(float64(19*time.Hour))))
		class := latencyClass(d)
		end := latencyEnd(class)
		if end <= d || float64(end) > float64(d)*(1+1.0/latencyParts)+float64(latencyUnit) {
			t.Fatalf("%s is in the class that ends at %s", d, end)
		}
		if latencyClass(end) != min(class+1, latencyClasses-1) {
			t.Fatalf("%s is the end of class %d and in %d", end, class, latencyClass(end))
		}
	}
	for _, d := range []time.Duration{-1, 0, math.MaxInt64} {
		if class := latencyClass(d); class < 0 || class >= latencyClasses {
			t.Errorf("%d is in class %d", d, class)
		}
	}
}

// TestLatencyQuantile compares with sorting the latencies.
func TestLatencyQuantile(t *testing.T) {
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.999} {
		random := rand.New(rand.NewPCG(3, 4))
		l := newLatencies(q)
		var all []time.Duration
		for range latencyMemory*l.enough - latencyEvery {
			if len(all) < l.enough && l.wait() != 0 {
				t.Fatalf("%g: a quantile after %d", q, len(all))
			}
			d := time.Duration(random.ExpFloat64() * float64(20*time.Millisecond))
			all = append(all, d)
			l.add(d)
		}
		slices.Sort(all)
		want := all[int(q*float64(len(all)))]
		if off := float64(l.wait())/float64(want) - 1; math.Abs(off) > 0.12 {
			t.Errorf("%g: %s, by sorting %s", q, l.wait(), want)
		}
		for range 2 * latencyMemory * l.enough { // all is different now
			l.add(time.Second)
		}
		if got := l.wait(); got < time.Second || got > 1100*time.Millisecond {
			t.Errorf("%g: %s after many of a second", q, got)
		}
		for range 6 * latencyMemory * l.enough {
			l.add(time.Millisecond)
		}
		if got := l.wait(); got < time.Millisecond || got > 1100*time.Microsecond {
			t.Errorf("%g: %s after many of a millisecond: the old ones are not forgotten", q, got)
		}
	}
}
