// Package chart computes the geometry of charts: scales with round ticks, and SVG
// paths. It is the only place for axes and ticks; the terminal and the HTML page
// both draw with it. A chart is a box whose sides are 100% long, so that it can be
// stretched to any size. Colors and fonts are the caller's.
package chart

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Tick is a labeled value on a scale.
type Tick struct {
	Value float64
	// At is the distance from the scale's low end, in percent.
	At    float64
	Label string
}

// Scale maps values to positions on an axis. Make it with Linear, Log, Time, or
// Nines; the zero Scale has no ticks and must not be asked for positions.
type Scale struct {
	// Ticks are in ascending order.
	Ticks []Tick
	place func(float64) float64 // to 0..1
}

// At returns the position of v in percent from the scale's low end. It is between
// 0 and 100, also for values outside the scale, and NaN for NaN.
func (s Scale) At(v float64) float64 { return 100 * s.Share(v) }

// Share returns the position of v as At does, but from 0 to 1.
func (s Scale) Share(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	return min(max(s.place(v), 0), 1)
}

// tick adds a tick at v.
func (s *Scale) tick(v float64, label string) {
	s.Ticks = append(s.Ticks, Tick{v, s.At(v), label})
}

// Linear returns a scale from 0 to a round number that is at least highest, with
// about the given number of steps. If highest is not positive, it is 1.
func Linear(highest float64, steps int, label func(float64) string) Scale {
	if !(highest > 0) || math.IsInf(highest, 1) {
		highest = 1
	}
	step := roundStep(highest / float64(steps))
	top := math.Ceil(highest/step-1e-9) * step
	s := Scale{place: func(v float64) float64 { return v / top }}
	for i := 0; float64(i)*step <= top+step/2; i++ {
		v := float64(i) * step
		s.tick(v, label(v))
	}
	return s
}

// roundStep returns the smallest number of at least v that is 1, 2, or 5 times a
// power of ten.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= v*(1-1e-9) {
			return n * power
		}
	}
	return 10 * power
}

// Log returns a logarithmic scale between round numbers around lowest and
// highest. It has a tick for each power of ten, and also at 2 and 5 times each if
// the scale is short. Values that are not positive are at its low end.
func Log(lowest, highest float64, label func(float64) string) Scale {
	if !(lowest > 0) {
		lowest = 1
	}
	highest = max(highest, lowest)
	low, high := roundDown(lowest), roundStep(highest)
	if high <= low {
		high = low * 10
	}
	from, length := math.Log10(low), math.Log10(high)-math.Log10(low)
	s := Scale{place: func(v float64) float64 {
		if v <= 0 {
			return 0
		}
		return (math.Log10(v) - from) / length
	}}
	between := []float64{1}
	if length <= 2.5 {
		between = []float64{1, 2, 5}
	}
	for power := math.Pow(10, math.Floor(from)); power <= high*1.001; power *= 10 {
		for _, n := range between {
			if v := n * power; v >= low*0.999 && v <= high*1.001 {
				s.tick(v, label(v))
			}
		}
	}
	return s
}

// roundDown returns the largest number of at longest v that is 1, 2, or 5 times a
// power of ten.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{5, 2} {
		if n*power <= v*(1+1e-9) {
			return n * power
		}
	}
	return power
}

// Time returns a scale of a run's time in seconds, with at longest the given number
// of steps between ticks at round times. If to is not after from, it is one second
// later.
func Time(from, to time.Duration, steps int) Scale {
	start, length := from.Seconds(), (to - from).Seconds()
	if length <= 0 {
		length = 1
	}
	step := timeStep(length / float64(max(steps, 1)))
	s := Scale{place: func(v float64) float64 { return (v - start) / length }}
	// The small tolerance keeps a tick that falls on an end despite rounding.
	for i := int(math.Ceil(start/step - 1e-9)); float64(i)*step <= start+length*1.0001; i++ {
		v := float64(i) * step
		s.tick(v, clock(v))
	}
	return s
}

// timeStep returns the smallest usual step of at least v, in seconds.
func timeStep(v float64) float64 {
	for _, step := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 6 * 3600, 12 * 3600} {
		if step >= v {
			return step
		}
	}
	return 24 * 3600 * math.Ceil(v/(24*3600))
}

// clock formats seconds since the start of a run: 0.5s, 5s, 1m30s, 2h.
func clock(v float64) string {
	if v < 60 {
		return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + "s"
	}
	n := int(math.Round(v))
	h, m, s := n/3600, n/60%60, n%60
	text := ""
	if h > 0 {
		text = fmt.Sprintf("%dh", h)
	}
	if m > 0 {
		text += fmt.Sprintf("%dm", m)
	}
	if s > 0 {
		text += fmt.Sprintf("%ds", s)
	}
	return text
}

// Nines returns a scale of quantiles from 0 to 1 on which each further nine takes
// the same length: 90%, 99%, 99.9%. It ends where a distribution of count values
// has no more to show.
func Nines(count int64) Scale {
	longest := math.Log10(float64(max(count, 100)))
	s := Scale{place: func(q float64) float64 { return nines(q) / longest }}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
		if nines(q) <= longest+1e-9 {
			s.tick(q, strconv.FormatFloat(math.Round(q*1e6)/1e4, 'f', -1, 64)+"%")
		}
	}
	return s
}

// nines returns how many nines q has: 1 for 0.9, 2 for 0.99.
func nines(q float64) float64 {
	if q >= 1 {
		return math.Inf(1)
	}
	return -math.Log10(1 - q)
}

// Quantile returns the quantile at a position, in percent, of the scale that Nines
// returns for count values. It is the inverse of the scale's At.
func Quantile(percent float64, count int64) float64 {
	return 1 - math.Pow(10, -percent/100*math.Log10(float64(max(count, 100))))
}
