// Package chart turns numbers into the geometry of charts: scales with ticks
// that read well, and SVG paths. A chart is a box whose sides are 100 % long, so
// that a page can stretch it; no colour and no font is known here.
package chart

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Tick is a labelled place on a scale.
type Tick struct {
	// At is how far from the scale's low end, in percent.
	At    float64
	Label string
}

// Scale maps values to places on an axis.
type Scale struct {
	// Ticks are in ascending order.
	Ticks []Tick
	place func(float64) float64 // to 0..1
}

// At returns where v is, in percent from the scale's low end: 0 to 100, also for
// values that are off the scale. It is NaN for NaN.
func (s Scale) At(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	return 100 * min(max(s.place(v), 0), 1)
}

// Linear is a scale from 0 to a round number that is at least most, with about
// the given number of steps. A most of 0 or less is 1.
func Linear(most float64, steps int, label func(float64) string) Scale {
	if !(most > 0) || math.IsInf(most, 1) {
		most = 1
	}
	step := roundStep(most / float64(steps))
	top := math.Ceil(most/step-1e-9) * step
	s := Scale{place: func(v float64) float64 { return v / top }}
	for i := 0; float64(i)*step <= top+step/2; i++ {
		v := float64(i) * step
		s.Ticks = append(s.Ticks, Tick{s.At(v), label(v)})
	}
	return s
}

// roundStep is the least of 1, 2 and 5 times a power of ten that is not below v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= v*(1-1e-9) {
			return n * power
		}
	}
	return 10 * power
}

// Log is a logarithmic scale between round numbers about least and most, with a
// tick for each power of ten, and at 2 and 5 times of each where the scale is
// short. Values of 0 or less are at its low end.
func Log(least, most float64, label func(float64) string) Scale {
	if !(least > 0) {
		least = 1
	}
	most = max(most, least)
	low, high := roundDown(least), roundStep(most)
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
				s.Ticks = append(s.Ticks, Tick{s.At(v), label(v)})
			}
		}
	}
	return s
}

// roundDown is the greatest of 1, 2 and 5 times a power of ten that is not above
// v.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{5, 2} {
		if n*power <= v*(1+1e-9) {
			return n * power
		}
	}
	return power
}

// Time is a scale of a run's time in seconds, with ticks at times people say. A
// length of 0 or less is a second.
func Time(length time.Duration) Scale {
	total := length.Seconds()
	if total <= 0 {
		total = 1
	}
	step := timeStep(total / 8)
	s := Scale{place: func(v float64) float64 { return v / total }}
	for i := 0; float64(i)*step <= total*1.0001; i++ {
		v := float64(i) * step
		s.Ticks = append(s.Ticks, Tick{s.At(v), clock(v)})
	}
	return s
}

// timeStep is the least usual step, in seconds, that is not below v.
func timeStep(v float64) float64 {
	for _, step := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 6 * 3600, 12 * 3600} {
		if step >= v {
			return step
		}
	}
	return 24 * 3600 * math.Ceil(v/(24*3600))
}

// clock writes seconds of a run: 5s, 1m30s, 2h.
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

// Nines is a scale of quantiles, from 0, on which each further nine is as long as
// the one before: 90 %, 99 %, 99.9 %, as far as a distribution of count values
// tells. Its values are quantiles from 0 to 1.
func Nines(count int64) Scale {
	most := math.Log10(float64(max(count, 100)))
	s := Scale{place: func(q float64) float64 { return nines(q) / most }}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
		if nines(q) <= most+1e-9 {
			s.Ticks = append(s.Ticks, Tick{s.At(q), strconv.FormatFloat(math.Round(q*1e6)/1e4, 'f', -1, 64) + "%"})
		}
	}
	return s
}

func nines(q float64) float64 {
	if q >= 1 {
		return math.Inf(1)
	}
	return -math.Log10(1 - q)
}

// Quantile is the quantile at a place of a scale made by Nines for as many
// values: the other way round, for drawing.
func Quantile(percent float64, count int64) float64 {
	return 1 - math.Pow(10, -percent/100*math.Log10(float64(max(count, 100))))
}
