package load

import (
	"slices"
	"time"
)

// Intervals of the two time series: a coarse one, which is kept completely for
// reports, and a fine one for the live display.
const (
	coarseStep = time.Second
	fineStep   = 250 * time.Millisecond
	fineKept   = 960 // points: four minutes
)

// series is a time series. It is not safe for concurrent use.
type series struct {
	step    time.Duration
	keep    int // how many points are kept; 0 means all
	points  []Point
	latency latencies // of the current point

	lag      *Histogram // of the current point; nil if its quantiles are not kept
	sketcher *sketchers // of the current point; nil if sketches are not kept
	sketches []Sketches // of the closed points

	// Of one of several processes, what closed points consist of until it has been reported.
	shared    bool
	past      []pastPoint
	firstPast int // the number of the first one

	merged bool // the points are sums of several processes, and have their figures
}

// sketchers collect the Sketches of a point.
type sketchers struct{ ok, failed, attempt sketcher }

// take returns the sketches and empties the sketchers.
func (s *sketchers) take() Sketches { return Sketches{s.ok.take(), s.failed.take(), s.attempt.take()} }

func newSeries(step time.Duration, keep int) *series {
	return &series{step: step, keep: keep, latency: newLatencies(), points: []Point{{}}}
}

// sketched makes the series keep the distributions of each point, and the quantiles of its
// lateness, and returns it.
func (s *series) sketched() *series {
	s.sketcher, s.lag = &sketchers{}, NewHistogram()
	return s
}

// record adds the latency of a request to the current point.
func (s *series) record(d time.Duration, ok bool) {
	s.latency.record(d, ok)
	switch {
	case s.sketcher == nil:
	case ok:
		s.sketcher.ok.record(d)
	default:
		s.sketcher.failed.record(d)
	}
}

// current returns the point that contains now, and closes the points before it.
func (s *series) current(now time.Duration, inFlight int64) *Point {
	for {
		last := &s.points[len(s.points)-1]
		if now < last.At+s.step {
			return last
		}
		s.close(last, inFlight)
		s.points = append(s.points, Point{At: last.At + s.step})
		if s.keep > 0 && len(s.points) > 2*s.keep { // rarely, so that it costs little
			s.points = append(s.points[:0], s.points[len(s.points)-s.keep:]...)
		}
	}
}

func (s *series) close(p *Point, inFlight int64) {
	s.measure(p, inFlight)
	var took Sketches
	if s.sketcher != nil {
		took = s.sketcher.take()
		if s.keep == 0 {
			s.sketches = append(s.sketches, took)
		}
	}
	if s.shared {
		s.keepPast(took)
	}
	s.latency.reset()
	if s.lag != nil {
		s.lag.Reset()
	}
}

// measure sets the fields of a point that come from its histograms.
func (s *series) measure(p *Point, inFlight int64) {
	if s.merged {
		return
	}
	p.InFlight = inFlight
	ok := s.latency.ok.quantiles()
	p.P50, p.P90, p.P99, p.Max = ok.P50, ok.P90, ok.P99, ok.Max
	p.All = ok
	if s.lag != nil {
		p.LagP50, p.LagP99 = s.lag.Quantile(0.5), s.lag.Quantile(0.99)
	}
	if all := s.latency.all(); all != s.latency.ok {
		p.All = all.quantiles()
	}
}

// copy returns the last n points, or all of them if n is 0.
func (s *series) copy(n int, inFlight int64) []Point {
	from := 0
	if n > 0 {
		from = max(0, len(s.points)-n)
	}
	points := append([]Point(nil), s.points[from:]...)
	s.measure(&points[len(points)-1], inFlight)
	return points
}

// last returns the last complete point, or a zero Point if there is none.
func (s *series) last() Point {
	if len(s.points) < 2 {
		return Point{}
	}
	return s.points[len(s.points)-2]
}

// inFlight returns the requests in flight at the end of the point that contains a time.
// ok is false if the point is not kept.
func (s *series) inFlight(at time.Duration) (n int64, ok bool) {
	first := s.points[0].At
	if at < first {
		return 0, false
	}
	i := int((at - first) / s.step)
	if i >= len(s.points) {
		return 0, false
	}
	return s.points[i].InFlight, true
}

// allSketches returns the distributions of every point.
func (s *series) allSketches() []Sketches {
	if s.merged {
		return slices.Clone(s.sketches)
	}
	last := *s.sketcher
	return append(append([]Sketches(nil), s.sketches...), last.take())
}
