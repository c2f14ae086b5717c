package load

import (
	"fmt"
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// curve is a rate over time in closed form. Times are seconds since the start of the
// curve. Hits are the integral of the rate: the number of requests up to a time.
type curve interface {
	rate(at float64) float64
	// when returns the time at which the curve reaches hits, or +Inf.
	when(hits float64) float64
}

// curveOf returns the curve of a pacer. vegeta's own Pace is not used, because it
// loses the intended time once it is late and has no closed form for ramps.
func curveOf(p vegeta.Pacer) (curve, error) {
	switch p := p.(type) {
	case vegeta.ConstantPacer:
		return steady(p.Rate(0)), nil
	case vegeta.LinearPacer:
		return straight(p.StartAt.Rate(0), p.Slope), nil
	case vegeta.SinePacer:
		return waveOf(p), nil
	case Stages:
		return p.curve(), nil
	}
	return nil, fmt.Errorf("unknown pacer %T", p)
}

// segment is a part of a curve on which the rate is linear.
type segment struct {
	from, length float64 // seconds; the length of the last one may be +Inf
	start, slope float64 // the rate at from, and its change per second
	before       float64 // hits of the preceding segments
}

func (s *segment) hits(after float64) float64 { return s.start*after + s.slope*after*after/2 }

// segments is a curve of consecutive linear parts.
type segments []segment

func steady(rate float64) segments {
	return segments{{length: math.Inf(1), start: rate}}
}

// straight returns a rate that changes by slope per second, forever or until it is
// 0.
func straight(start, slope float64) segments {
	length := math.Inf(1)
	if slope < 0 {
		length = -start / slope
	}
	return segments{{length: length, start: start, slope: slope}}
}

func (c segments) rate(at float64) float64 {
	for i := range c {
		if s := &c[i]; at < s.from+s.length {
			return s.start + s.slope*(at-s.from)
		}
	}
	return 0
}

func (c segments) when(hits float64) float64 {
	for i := range c {
		s := &c[i]
		if !math.IsInf(s.length, 1) && hits > s.before+s.hits(s.length) {
			continue
		}
		return s.from + s.after(hits-s.before)
	}
	return math.Inf(1)
}

// after returns how long the segment takes to reach hits: the root of
// start·t + slope·t²/2 = hits, in the form without cancellation.
func (s *segment) after(hits float64) float64 {
	if hits <= 0 {
		return 0
	}
	return 2 * hits / (s.start + math.Sqrt(max(s.start*s.start+2*s.slope*hits, 0)))
}

// wave is a sinusoidal rate.
type wave struct {
	mean, amp, period, phase float64
}

func waveOf(p vegeta.SinePacer) wave {
	return wave{p.Mean.Rate(0), p.Amp.Rate(0), p.Period.Seconds(), p.StartAt}
}

func (w wave) rate(at float64) float64 {
	return w.mean + w.amp*math.Sin(w.phase+2*math.Pi*at/w.period)
}

func (w wave) hits(at float64) float64 {
	k := 2 * math.Pi / w.period
	return w.mean*at + w.amp/k*(math.Cos(w.phase)-math.Cos(w.phase+k*at))
}

// when finds the time by bisection. hits never decreases, because the amplitude is
// below the mean.
func (w wave) when(hits float64) float64 {
	swing := w.amp * w.period / math.Pi / w.mean
	low, high := max(hits/w.mean-swing, 0), hits/w.mean+swing
	for range 64 {
		middle := (low + high) / 2
		if w.hits(middle) < hits {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// Stage is a part of a load: the rate changes evenly from what it was to Rate,
// a second, within Length. A Length of 0 is a step.
type Stage struct {
	Rate   float64
	Length time.Duration
}

// Stages is a pacer with consecutive stages. The rate starts at 0, and the pacer
// ends with the last stage.
type Stages []Stage

// Length returns the total duration of the stages.
func (s Stages) Length() (sum time.Duration) {
	for _, stage := range s {
		sum += stage.Length
	}
	return sum
}

func (s Stages) curve() segments {
	var c segments
	at, rate, hits := 0.0, 0.0, 0.0
	for _, stage := range s {
		if length := stage.Length.Seconds(); length > 0 {
			part := segment{from: at, length: length, start: rate, slope: (stage.Rate - rate) / length, before: hits}
			c = append(c, part)
			at, hits = at+length, hits+part.hits(length)
		}
		rate = stage.Rate
	}
	return c
}

// Rate implements vegeta.Pacer: it returns the rate per second at a time since the
// start.
func (s Stages) Rate(elapsed time.Duration) float64 { return s.curve().rate(elapsed.Seconds()) }

// Pace implements vegeta.Pacer: it returns how long to wait before the next hit.
func (s Stages) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	due := s.curve().when(float64(hits))
	if math.IsInf(due, 1) || elapsed >= s.Length() {
		return 0, true
	}
	return max(time.Duration(due*float64(time.Second))-elapsed, 0), false
}

// String describes the stages: "to 100/s in 10s, 100/s for 1m0s".
func (s Stages) String() string {
	text, before := "", 0.0
	for i, stage := range s {
		if i > 0 {
			text += ", "
		}
		switch {
		case stage.Length == 0:
			text += fmt.Sprintf("jump to %.6g/s", stage.Rate)
		case stage.Rate == before:
			text += fmt.Sprintf("%.6g/s for %s", stage.Rate, stage.Length)
		default:
			text += fmt.Sprintf("to %.6g/s in %s", stage.Rate, stage.Length)
		}
		before = stage.Rate
	}
	return text
}
