package compare_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/msctl/msctl/internal/load/compare"
)

// shared is a service on a shared virtual machine: neighboring seconds are alike, and how fast
// the machine is drifts by a tenth.
var shared = world{wander: 0.1, perSecond: 100}

// TestCompareFewSeconds checks that runs of 3 to 10 complete seconds of the same service on a
// shared machine raise practically no alarm, and that one that is twice as slow is detected in 10
// seconds. MSCTL_TEST_LONG=1 compares 10,000 pairs, which takes a minute or two.
func TestCompareFewSeconds(t *testing.T) {
	pairs := 160
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		pairs = 10_000
	}
	alarms := count(pairs, func(i int) bool {
		w := shared
		w.seconds = 4 + i%8 // the first one does not count
		return compared(t, simulate(uint64(2*i), w, 1), simulate(uint64(2*i+1), w, 1)).Verdict == compare.Regressed
	})
	t.Logf("%d alarms of %d", alarms, pairs)
	if 1000*alarms >= pairs && alarms > 0 {
		t.Errorf("%d of %d equal pairs raise an alarm", alarms, pairs)
	}
	const slower = 100
	for _, c := range []struct {
		wander float64
		least  int
	}{{0.1, 80}, {0.05, 99}} {
		a := shared
		a.wander, a.seconds = c.wander, 11
		b := a
		b.scale = 2
		caught := count(slower, func(i int) bool {
			return compared(t, simulate(uint64(2*i), a, 1), simulate(uint64(2*i+1), b, 1)).Verdict == compare.Regressed
		})
		t.Logf("drift of %g: caught %d of %d", c.wander, caught, slower)
		if caught < c.least {
			t.Errorf("drift of %g: caught %d of %d, want %d", c.wander, caught, slower, c.least)
		}
	}
}

// TestCompareFewSecondsUnclear checks the words for a change that few seconds cannot show.
func TestCompareFewSecondsUnclear(t *testing.T) {
	a, b := shared, shared
	a.seconds, b.seconds, b.scale = 5, 5, 1.31
	got := compared(t, simulate(1, a, 1), simulate(2, b, 1))
	if p90 := got.Metrics[1]; p90.Metric != "p90" || p90.Judgment != compare.Unclear || got.Verdict != compare.Unclear {
		t.Errorf("%+v, and %s in all", p90, got.Verdict)
	}
}

// count returns how many of n cases, two at a time, satisfy a condition.
func count(n int, holds func(i int) bool) int {
	var found atomic.Int64
	var wg sync.WaitGroup
	for k := range 2 {
		wg.Go(func() {
			for i := k; i < n; i += 2 {
				if holds(i) {
					found.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(found.Load())
}
