package tui

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
)

// BenchmarkView measures the cost of a frame of 120×40 in color with a full window of
// points. Ten frames per second should take less than 5% of a core, so a frame less than
// 5 ms, of which bubbletea itself takes about half.
func BenchmarkView(b *testing.B) {
	m := screen(story(naive(), storyLength, 0), 120, 40)
	m.palette = NewPalette(true)
	for len(m.history.points) < int(longestWindow/storyStep) {
		p := m.history.points[len(m.history.points)-1]
		p.At += storyStep
		m.history.points = append(m.history.points, p)
	}
	m.snap.Planned, m.snap.Elapsed = longestWindow, longestWindow
	b.ReportAllocs()
	for b.Loop() {
		if m.View() == "" {
			b.Fatal("nothing was drawn")
		}
	}
}

// TestHistoryIsBounded checks that a run of an hour takes no more memory than one of a few
// minutes.
func TestHistoryIsBounded(t *testing.T) {
	run := &still{snap: story(naive(), storyLength, 0)}
	template := run.snap.Recent[0]
	var h history
	for elapsed := time.Duration(0); elapsed < time.Hour; elapsed += 5 * time.Second {
		run.snap.Recent = run.snap.Recent[:0]
		for at := max(elapsed-15*time.Second, 0); at <= elapsed; at += storyStep {
			template.At = at
			run.snap.Recent = append(run.snap.Recent, template)
		}
		run.snap.Last.At, run.snap.Last.Lag = elapsed, time.Second
		if s := h.take(run); s.Recent != nil {
			t.Fatal("the snapshot keeps its points")
		}
	}
	if n := len(h.points); n < int(longestWindow/storyStep) || n > keptPoints*5/4 {
		t.Errorf("%d points are kept", n)
	}
	if n := len(h.doubtful); n > int(longestWindow/time.Second) {
		t.Errorf("%d doubtful seconds are kept", n)
	}
	for i := 1; i < len(h.points); i++ {
		if h.points[i].At != h.points[i-1].At+storyStep {
			t.Fatalf("after %s comes %s", h.points[i-1].At, h.points[i].At)
		}
	}
}

// asking is a run that returns as many points as requested, and records how many.
type asking struct {
	still
	elapsed time.Duration
	asked   []int
}

func (a *asking) Snapshot(recent int) load.Snapshot {
	a.asked = append(a.asked, recent)
	s := load.Snapshot{Elapsed: a.elapsed, Step: storyStep}
	for at := time.Duration(0); at <= a.elapsed; at += storyStep {
		s.Recent = append(s.Recent, load.Point{At: at})
	}
	if recent > 0 {
		s.Recent = s.Recent[max(len(s.Recent)-recent, 0):]
	}
	return s
}

// TestHistoryAsksForLittle checks that all points are requested at the start and after a
// gap, and few otherwise.
func TestHistoryAsksForLittle(t *testing.T) {
	run := &asking{}
	var h history
	for _, elapsed := range []time.Duration{time.Second, 2 * time.Second, time.Minute, 61 * time.Second} {
		run.elapsed = elapsed
		h.take(run)
	}
	want := []int{0, askedPoints, askedPoints, 0, askedPoints}
	if diff := cmp.Diff(want, run.asked); diff != "" {
		t.Errorf("points asked for: -want +got\n%s", diff)
	}
	if got := h.end(storyStep); got != 61*time.Second {
		t.Errorf("the history ends at %s", got)
	}
}
