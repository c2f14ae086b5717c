package load

import "time"

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
	latency *Histogram // of the current point

	sketch   *sketcher // of the current point; nil if sketches are not kept
	sketches []Sketch  // of the closed points
}

func newSeries(step time.Duration, keep int) *series {
	return &series{step: step, keep: keep, latency: NewHistogram(), points: []Point{{}}}
}

// sketched makes the series keep the distribution of each point, and returns it.
func (s *series) sketched() *series {
	s.sketch = &sketcher{}
	return s
}

// record adds a latency to the current point.
func (s *series) record(d time.Duration) {
	s.latency.Record(d)
	if s.sketch != nil {
		s.sketch.record(d)
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
	if s.latency.Count() > 0 {
		s.latency.Reset()
	}
	if s.sketch != nil {
		s.sketches = append(s.sketches, s.sketch.take())
	}
}

// measure sets the fields of a point that come from its histogram.
func (s *series) measure(p *Point, inFlight int64) {
	p.InFlight = inFlight
	if s.latency.Count() > 0 {
		p.P50, p.P90, p.P99 = s.latency.Quantile(0.5), s.latency.Quantile(0.9), s.latency.Quantile(0.99)
		p.Max = s.latency.max
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

// allSketches returns the distribution of every point.
func (s *series) allSketches() []Sketch {
	return append(append([]Sketch(nil), s.sketches...), s.sketch.peek())
}
