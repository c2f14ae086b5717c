package policy

import (
	"math"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before each retry: Delay before the first, and
// Factor times as long before each further one, up to Max. The zero Backoff
// does not wait.
type Backoff struct {
	// Delay is the wait before the first retry.
	Delay time.Duration
	// Factor multiplies the wait from one retry to the next; less than 1 is 1.
	Factor float64
	// Max bounds the wait; 0 is no bound.
	Max time.Duration
}

// Constant waits the same time before every retry.
func Constant(delay time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 1}
}

// Exponential waits delay before the first retry and twice as long before each
// further one, at most most. A most of 0 is no bound.
func Exponential(delay, most time.Duration) Backoff {
	return Backoff{Delay: max(delay, 0), Factor: 2, Max: max(most, 0)}
}

// Before returns the wait before retry n, counted from 1, without jitter.
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

// limit is the longest wait: a year where nothing else was said, so that sums
// of a few stay in range.
func (b Backoff) limit() time.Duration {
	if b.Max > 0 {
		return b.Max
	}
	return 365 * 24 * time.Hour
}

// settled reports whether every retry from n on waits equally long.
func (b Backoff) settled(n int) bool {
	return b.Factor <= 1 || b.Before(n) == b.Before(n+1)
}

// Jitter spreads delays at random.
type Jitter int

// The jitters. The zero Jitter is NoJitter.
const (
	NoJitter    Jitter = iota // the delay as it is
	FullJitter                // anything from nothing to the delay
	EqualJitter               // half the delay and anything up to the other half
)

// String is "none", "full" or "equal".
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
