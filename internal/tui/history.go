package tui

import (
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// The time axis holds the whole run where it is short enough, and else the
// latest part of it.
const (
	longestWindow = 4 * time.Minute
	firstWindow   = 30 * time.Second
)

// How much of a run's time series is kept and asked for. A frame needs the few
// points that have come since the last one; the rest has been kept.
const (
	keptPoints  = 1024 // a little more than the longest window of quarter seconds
	askedPoints = 64
)

// history is what a screen keeps of a run's time series: the complete points of
// the longest window, so that an hour's run takes no more than a few minutes'.
type history struct {
	points   []load.Point
	doubtful []time.Duration // seconds in which the generator was short of something
}

// take asks a run how it stands and adds what is new. The snapshot it returns
// has no points: they are in the history.
func (h *history) take(run BenchRun) load.Snapshot {
	asked := askedPoints
	if len(h.points) == 0 {
		asked = 0
	}
	s := run.Snapshot(asked)
	if h.misses(&s) { // the screen stood still for long
		s = run.Snapshot(0)
		h.points = h.points[:0]
	}
	h.add(&s)
	s.Recent = nil
	return s
}

// misses reports whether there are points between the history and a snapshot.
func (h *history) misses(s *load.Snapshot) bool {
	return len(h.points) > 0 && len(s.Recent) > 0 && s.Recent[0].At > h.end(s.Step)
}

// end is until when there are points.
func (h *history) end(step time.Duration) time.Duration {
	if len(h.points) == 0 {
		return 0
	}
	return h.points[len(h.points)-1].At + step
}

func (h *history) add(s *load.Snapshot) {
	for _, p := range s.Recent[:max(len(s.Recent)-1, 0)] {
		if len(h.points) == 0 || p.At > h.points[len(h.points)-1].At {
			h.points = append(h.points, p)
		}
	}
	if extra := len(h.points) - keptPoints; extra > keptPoints/4 {
		h.points = slices.Delete(h.points, 0, extra)
	}
	second := s.Last.At
	if s.Last.Doubtful() && (len(h.doubtful) == 0 || h.doubtful[len(h.doubtful)-1] < second) {
		h.doubtful = append(h.doubtful, second)
	}
	if extra := len(h.doubtful) - int(longestWindow/time.Second); extra > 0 {
		h.doubtful = slices.Delete(h.doubtful, 0, extra)
	}
}

// offering are the points while requests were offered: what comes after is the
// end of the run, not the service.
func (h *history) offering(s *load.Snapshot) []load.Point {
	points := h.points
	if s.Phase >= load.Draining {
		for len(points) > 0 && points[len(points)-1].At+s.Step > s.Warmup+s.Counted {
			points = points[:len(points)-1]
		}
	}
	return points
}

// shown is the part of the time axis that is shown.
func shown(s *load.Snapshot) (from, to time.Duration) {
	end := max(s.Planned, s.Elapsed)
	switch {
	case s.Phase >= load.Draining:
		end = s.Warmup + s.Counted
	case s.Planned == 0:
		end = max(s.Elapsed, firstWindow)
	}
	if end <= longestWindow {
		return 0, max(end, time.Second)
	}
	to = max(s.Elapsed, longestWindow)
	if s.Phase >= load.Draining {
		to = end
	}
	return to - longestWindow, to
}

// smooth is a count a second: of the second that ends with each point, because
// a single point of a slow run holds few requests.
func smooth(points []load.Point, step time.Duration, of func(*load.Point) int64) []dot {
	out := make([]dot, len(points))
	wide := secondOf(step)
	sum := int64(0)
	for i := range points {
		sum += of(&points[i])
		if i >= wide {
			sum -= of(&points[i-wide])
		}
		span := time.Duration(min(i+1, wide)) * step
		out[i] = dot{(points[i].At + step).Seconds(), float64(sum) / span.Seconds()}
	}
	return out
}

// secondOf is how many points make a second.
func secondOf(step time.Duration) int { return max(int(time.Second/max(step, time.Millisecond)), 1) }

// at is a point's values as dots; where of is not ok there is none.
func at(points []load.Point, step time.Duration, of func(*load.Point) (float64, bool)) []dot {
	out := make([]dot, len(points))
	for i := range points {
		v, ok := of(&points[i])
		if !ok {
			v = math.NaN()
		}
		out[i] = dot{(points[i].At + step).Seconds(), v}
	}
	return out
}
