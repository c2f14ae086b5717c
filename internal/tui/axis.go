package tui

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// axis is the value axis of a chart.
type axis struct {
	least, most float64
	labels      []label // at values, going up
	log         bool
}

type label struct {
	at   float64
	text string
}

// scaled is where a value is on the axis, 0 to 1.
func (a axis) scaled(v float64) float64 {
	if a.log {
		v, least, most := math.Log10(max(v, a.least)), math.Log10(a.least), math.Log10(a.most)
		return (min(v, most) - least) / (most - least)
	}
	return (min(max(v, a.least), a.most) - a.least) / (a.most - a.least)
}

// linear is an axis from 0 to a round number at or above most.
func linear(most float64) axis {
	step := niceStep(most / 4)
	a := axis{most: step}
	for a.most < most {
		a.most += step
	}
	for v := 0.0; v <= a.most*1.001; v += step {
		a.labels = append(a.labels, label{v, short(v)})
	}
	return a
}

// niceStep is the round number at or above v: 1, 2 or 5 and zeros.
func niceStep(v float64) float64 {
	if !(v > 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*power*1.0001 {
			return n * power
		}
	}
	return 10 * power
}

// short writes a number in at most five characters.
func short(v float64) string {
	switch {
	case v >= 9_999_500:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + "M"
	case v >= 999_950:
		return strings.TrimSuffix(strconv.FormatFloat(v/1e6, 'f', 1, 64), ".0") + "M"
	case v >= 10_000:
		return strings.TrimSuffix(strconv.FormatFloat(v/1e3, 'f', 1, 64), ".0") + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// rounded is a number as precise as a legend needs it.
func rounded(v float64) string {
	if v >= 100 {
		return short(math.Round(v))
	}
	return short(math.Round(v*10) / 10)
}

// decades is a logarithmic axis over durations in seconds that holds least and
// most, between round numbers, and names the powers of ten.
func decades(least, most float64) axis {
	least = max(least, 1e-6)
	a := axis{least: niceStep(least), most: niceStep(max(most, least)), log: true}
	if a.least > least {
		a.least = niceStep(a.least / 2.2)
	}
	if a.most < 10*a.least {
		a.most = 10 * a.least
	}
	for e := math.Ceil(math.Log10(a.least) - 1e-9); e <= math.Log10(a.most)+1e-9; e++ {
		v := math.Pow(10, e)
		a.labels = append(a.labels, label{v, decade(v)})
	}
	return a
}

func decade(seconds float64) string {
	switch {
	case seconds < 0.99e-3:
		return strconv.FormatFloat(seconds*1e6, 'f', 0, 64) + "µs"
	case seconds < 0.99:
		return strconv.FormatFloat(seconds*1e3, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(seconds, 'f', 0, 64) + "s"
}

// timeStep is the round number of seconds at or above v.
func timeStep(v float64) float64 {
	for _, n := range []float64{0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		if v <= n {
			return n
		}
	}
	return 7200
}

// clock writes seconds as 2s, 90s, 2m, 1m30s.
func clock(seconds float64) string {
	d := time.Duration(seconds*10) * (time.Second / 10)
	if d < 2*time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'g', 4, 64) + "s"
	}
	return strings.TrimSuffix(d.String(), "0s")
}
