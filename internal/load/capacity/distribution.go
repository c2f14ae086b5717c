package capacity

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Distribution says how long one piece of work takes. It is a value: it can be
// compared with == and shared. The zero Distribution is Constant(0): work that
// takes no time.
type Distribution struct {
	shape shape
	a, b  time.Duration
	x     float64 // lognormal: sigma; bimodal: the share of a in percent
}

type shape uint8

const (
	constant shape = iota
	exponential
	uniform
	lognormal
	bimodal
)

// String is the shape's name, as [ParseDistribution] reads it.
func (s shape) String() string {
	return [...]string{"constant", "exponential", "uniform", "lognormal", "bimodal"}[s]
}

// longest bounds what is drawn, so that no sum of times overflows.
const longest = 1000 * time.Hour

// Constant always takes d.
func Constant(d time.Duration) Distribution { return Distribution{shape: constant, a: d} }

// Exponential takes mean on average, and forgets how long it has taken already:
// the M of M/M/1.
func Exponential(mean time.Duration) Distribution {
	return Distribution{shape: exponential, a: mean}
}

// Uniform takes between lo and hi, each duration as likely as any other.
func Uniform(lo, hi time.Duration) Distribution { return Distribution{shape: uniform, a: lo, b: hi} }

// LogNormal takes mean on average, with the long tail that real services have;
// sigma is the standard deviation of the logarithm, 0.5 a moderate and 1.5 a
// heavy tail.
func LogNormal(mean time.Duration, sigma float64) Distribution {
	return Distribution{shape: lognormal, a: mean, x: sigma}
}

// Bimodal takes fast for percent of the work, chosen at random, and slow for the
// rest: a cache and what lies behind it.
func Bimodal(fast time.Duration, percent float64, slow time.Duration) Distribution {
	return Distribution{shape: bimodal, a: fast, b: slow, x: percent}
}

// Mean is how long work takes on average.
func (d Distribution) Mean() time.Duration {
	switch d.shape {
	case uniform:
		return d.a + (d.b-d.a)/2
	case bimodal:
		share := d.x / 100
		return time.Duration(math.Round(share*float64(d.a) + (1-share)*float64(d.b)))
	}
	return d.a
}

// WithMean is a distribution of the same shape whose mean is another. One whose
// mean is 0 has no shape to keep: it becomes Constant(mean).
func (d Distribution) WithMean(mean time.Duration) Distribution {
	old := d.Mean()
	if old <= 0 {
		return Constant(mean)
	}
	factor := float64(mean) / float64(old)
	scale := func(t time.Duration) time.Duration { return time.Duration(math.Round(float64(t) * factor)) }
	switch d.shape {
	case uniform:
		d.a = scale(d.a)
		d.b = 2*mean - d.a // so that no rounding moves the mean
	case bimodal:
		d.a, d.b = scale(d.a), scale(d.b)
	default:
		d.a = mean
	}
	return d
}

// String is what [ParseDistribution] reads: 10ms, exponential:10ms,
// uniform:5ms-15ms, lognormal:10ms,0.5, bimodal:5ms,95%,100ms.
func (d Distribution) String() string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	name := d.shape.String() + ":"
	switch d.shape {
	case exponential:
		return name + d.a.String()
	case uniform:
		return name + d.a.String() + "-" + d.b.String()
	case lognormal:
		return name + d.a.String() + "," + number(d.x)
	case bimodal:
		return name + d.a.String() + "," + number(d.x) + "%," + d.b.String()
	}
	return d.a.String()
}

// draw draws one duration.
func (d Distribution) draw(r *rand.Rand) time.Duration {
	t := float64(d.a)
	switch d.shape {
	case exponential:
		t *= r.ExpFloat64()
	case uniform:
		t += r.Float64() * float64(d.b-d.a)
	case lognormal:
		t *= math.Exp(d.x*r.NormFloat64() - d.x*d.x/2) // the mean of exp(sN) is exp(s²/2)
	case bimodal:
		if r.Float64()*100 >= d.x {
			t = float64(d.b)
		}
	}
	return time.Duration(min(max(t, 0), float64(longest)))
}
