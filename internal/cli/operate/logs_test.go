package operate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTail checks which lines are printed before and after a log has been read.
func TestTail(t *testing.T) {
	for n, want := range map[int][]int{-1: {0, 1, 2, 9}, 0: {9}, 2: {1, 2, 9}, 5: {0, 1, 2, 9}} {
		var got []int
		show := tail{n: n}
		for i := range 3 {
			show.print(func() { got = append(got, i) })
		}
		show.flush()
		show.print(func() { got = append(got, 9) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the last %d lines (-want +got):\n%s", n, diff)
		}
	}
	printed := 0
	show := tail{n: 10}
	for range 5000 {
		show.print(func() { printed++ })
		if len(show.lines) > 2000 {
			t.Fatalf("%d lines are kept", len(show.lines))
		}
	}
	if show.flush(); printed != 10 {
		t.Errorf("%d lines, want 10", printed)
	}
}
