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
	// Max limits the delay. 0 means no limit.
	Max time.Duration
}

// Constant returns a Backoff with the same delay before every retry.
func Constant(delay time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 1}
}

// Exponential returns a Backoff that starts at delay and doubles it before each further
// retry, up to most. A most of 0 means no limit.
func Exponential(delay, most time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 2, Max: max(most, 0)}
}

// Before returns the delay before retry n, counted from 1, without jitter.
func (b Backoff) Before(n int) time.Duration {
	if b.Delay <= 0 || n < 1 {
		return 0
	}
	d := float64(b.Delay) * math.Pow(max(b.Factor, 1), float64(n-1))
	if limit := b.limit(); d > float64(limit) {
		return limit
	}
	return time.Duration(d)
}

// limit returns the maximum delay: one year by default, so that sums of a few delays do
// not overflow.
func (b Backoff) limit() time.Duration {
	if b.Max > 0 {
		return b.Max
	}
	return 365 * 24 * time.Hour
}

// settled reports whether all retries from n on have the same delay.
func (b Backoff) settled(n int) bool {
	return b.Factor <= 1 || b.Before(n) == b.Before(n+1)
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
