package capacity

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Distribution is the distribution of the service time. It is a value: it can be
// compared with == and shared. The zero Distribution is Constant(0).
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

// String returns the shape's name, which [ParseDistribution] parses.
func (s shape) String() string {
	return [...]string{"constant", "exponential", "uniform", "lognormal", "bimodal"}[s]
}

// maxDrawn bounds the durations that are drawn, so that no sum overflows.
const maxDrawn = 1000 * time.Hour

// Constant returns the distribution that is always d.
func Constant(d time.Duration) Distribution { return Distribution{shape: constant, a: d} }

// Exponential returns the exponential distribution with the mean: the service times of
// an M/M/1 queue.
func Exponential(mean time.Duration) Distribution {
	return Distribution{shape: exponential, a: mean}
}

// Uniform returns the uniform distribution between lo and hi.
func Uniform(lo, hi time.Duration) Distribution { return Distribution{shape: uniform, a: lo, b: hi} }

// LogNormal returns the log-normal distribution with the mean, which has the long tail
// of real services. sigma is the standard deviation of the logarithm: 0.5 is a
// moderate tail, and 1.5 a heavy one.
func LogNormal(mean time.Duration, sigma float64) Distribution {
	return Distribution{shape: lognormal, a: mean, x: sigma}
}

// Bimodal returns the distribution that is fast for a random percent of the jobs and
// slow for the others, like a cache with hits and misses.
func Bimodal(fast time.Duration, percent float64, slow time.Duration) Distribution {
	return Distribution{shape: bimodal, a: fast, b: slow, x: percent}
}

// Mean returns the mean service time.
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

// WithMean returns a distribution of the same shape with another mean. If the old mean
// is 0, it returns Constant(mean).
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
		d.b = 2*mean - d.a // so that rounding does not change the mean
	case bimodal:
		d.a, d.b = scale(d.a), scale(d.b)
	default:
		d.a = mean
	}
	return d
}

// String returns the text that [ParseDistribution] parses: 10ms, exponential:10ms,
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

// draw draws a service time.
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
	return time.Duration(min(max(t, 0), float64(maxDrawn)))
}
