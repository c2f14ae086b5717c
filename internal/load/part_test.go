package load

import (
	"testing"
	"time"
)

// TestStall checks that requests that were due during a stall are shed by one of several
// processes, and sent late by a single one.
func TestStall(t *testing.T) {
	for _, part := range []Part{{}, {0, 2}} {
		r := &Run{plan: Plan{Part: part}, rec: newRecorder()}
		shed := 0
		for due := time.Second; due < 4*time.Second; due += 100 * time.Millisecond {
			if r.stalled(due, max(due, 3500*time.Millisecond)) { // stopped from 1 s to 3.5 s
				shed++
			}
		}
		if want := map[bool]int{true: 0, false: 25}[part.alone()]; shed != want {
			t.Errorf("%d requests were shed, not %d", shed, want)
		}
		doubtful := 0
		for i := range r.rec.coarse.points {
			if r.rec.coarse.points[i].Doubtful() {
				doubtful++
			}
		}
		if want := map[bool]int{true: 0, false: 3}[part.alone()]; doubtful != want {
			t.Errorf("%d seconds are doubtful, not %d", doubtful, want)
		}
	}
}
