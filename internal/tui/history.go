package tui

import (
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// The time axis shows the entire run if it is short enough, or else its latest part.
const (
	longestWindow = 4 * time.Minute
	firstWindow   = 30 * time.Second
)

// How many points of a run's time series are kept and requested. A frame requests only a
// few points, because the earlier ones have been kept.
const (
	keptPoints  = 1024 // a little more than the longest window of quarter seconds
	askedPoints = 64
)

// history keeps the complete points of the longest window of a run's time series, so that
// a run of an hour needs no more memory than one of a few minutes.
type history struct {
	points   []load.Point
	doubtful []time.Duration // seconds in which the generator fell behind
}

// take takes a snapshot of a run and adds its new points. The returned snapshot has no
// points: they are in the history.
func (h *history) take(run BenchRun) load.Snapshot {
	asked := askedPoints
	if len(h.points) == 0 {
		asked = 0
	}
	s := run.Snapshot(asked)
	if h.misses(&s) { // the screen was not updated for a long time
		s = run.Snapshot(0)
		h.points = h.points[:0]
	}
	h.add(&s)
	s.Recent = nil
	return s
}

// misses reports whether points are missing between the history and a snapshot.
func (h *history) misses(s *load.Snapshot) bool {
	return len(h.points) > 0 && len(s.Recent) > 0 && s.Recent[0].At > h.end(s.Step)
}

// end returns the end of the last point.
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

// offering returns the points while requests were offered. Later points show the end of the
// run rather than the service.
func (h *history) offering(s *load.Snapshot) []load.Point {
	points := h.points
	if s.Phase >= load.Draining {
		for len(points) > 0 && points[len(points)-1].At+s.Step > s.Warmup+s.Counted {
			points = points[:len(points)-1]
		}
	}
	return points
}

// shown returns the visible part of the time axis.
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

// smooth returns a rate per second, over the second that ends with each point, because a
// single point of a slow run contains few requests.
func smooth(points []load.Point, step time.Duration, of func(*load.Point) int64) []dot {
	out := make([]dot, len(points))
	wide := secondOf(step)
	sum := int64(0)
	for i := range points {
		sum += of(&points[i])
		if i >= wide {
			sum -= of(&points[i-wide])
		}
		Span := time.Duration(min(i+1, wide)) * step
		out[i] = dot{(points[i].At + step).Seconds(), float64(sum) / Span.Seconds()}
	}
	return out
}

// secondOf returns the number of points per second.
func secondOf(step time.Duration) int { return max(int(time.Second/max(step, time.Millisecond)), 1) }

// at returns the values of points as dots. A value that is not ok is a gap.
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
