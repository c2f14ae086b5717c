package policy

import (
	"math"
	"math/rand/v2"
	"time"
)

// Backoff defines the delay before each retry: Delay before the first one, and Factor
// times the previous delay before each further one, up to Max. The zero Backoff does
// not wait.
type Backoff struct {
	// Delay is the delay before the first retry.
	Delay time.Duration
	// Factor multiplies the delay from one retry to the next. Less than 1 means 1.
	Factor float64
	// Max limits the delay. 0 means one year.
	Max time.Duration
}

// Constant returns a Backoff with the same delay before every retry.
func Constant(delay time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 1}
}

// Exponential returns a Backoff that starts at delay and doubles it before each further
// retry, up to most. A most of 0 means one year.
func Exponential(delay, most time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 2, Max: max(most, 0)}
}

// Before returns the delay before retry n, counted from 1, without jitter.
func (b Backoff) Before(n int) time.Duration {
	if b.Delay <= 0 || n < 1 {
		return 0
	}
	d, limit := float64(b.Delay)*math.Pow(b.factor(), float64(n-1)), b.limit()
	if d >= float64(limit) {
		return limit
	}
	return time.Duration(d)
}

// factor returns Factor, or 1 if it does not increase the delay.
func (b Backoff) factor() float64 {
	if !(b.Factor > 1) { // also true for NaN
		return 1
	}
	return b.Factor
}

// limit returns the maximum delay: one year by default.
func (b Backoff) limit() time.Duration {
	if b.Max > 0 {
		return b.Max
	}
	return 365 * 24 * time.Hour
}

// total returns the sum of the first n delays, in nanoseconds: those of a geometric
// series while they grow, and then the limit.
func (b Backoff) total(n int) float64 {
	first, limit, factor := float64(b.Before(1)), float64(b.limit()), b.factor()
	if first == 0 || factor == 1 || first >= limit {
		return first * float64(max(n, 0))
	}
	factor = min(factor, limit/first) // it may be infinite
	growth := math.Log1p(factor - 1)
	growing := min(math.Ceil(math.Log(limit/first)/growth), float64(n))
	return first*math.Expm1(growing*growth)/(factor-1) + limit*(float64(n)-growing)
}

// Jitter randomizes delays.
type Jitter int

// The kinds of jitter. The zero Jitter is NoJitter.
const (
	NoJitter    Jitter = iota // the exact delay
	FullJitter                // between 0 and the delay
	EqualJitter               // between half the delay and the delay
)

// String returns "none", "full", or "equal".
func (j Jitter) String() string {
	switch j {
	case FullJitter:
		return "full"
	case EqualJitter:
		return "equal"
	}
	return "none"
}

// apply returns d with jitter.
func (j Jitter) apply(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	switch j {
	case FullJitter:
		return rand.N(d)
	case EqualJitter:
		half := d / 2
		return half + rand.N(d-half)
	}
	return d
}
