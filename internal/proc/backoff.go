package proc

import (
	"math/rand/v2"
	"time"
)

const (
	maxBackoff = 30 * time.Second
	// healthyAfter is how long a process must have been ready for its crash to count as
	// the first one again.
	healthyAfter = 10 * time.Second
	// startAttempts limits the consecutive crashes of a service that has never been
	// ready. The start then fails.
	startAttempts = 5
)

// backoff counts consecutive crashes.
type backoff struct {
	first   time.Duration // the delay after the first crash
	crashes int
}

// next counts a crash and returns the delay before the next start. The delay doubles
// with each crash, up to maxBackoff. Up to half of it is subtracted at random, so that
// services that crash together do not restart together.
func (b *backoff) next() time.Duration {
	d := maxBackoff
	if b.crashes < 16 { // a larger shift could overflow
		d = min(b.first<<b.crashes, maxBackoff)
	}
	b.crashes++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.crashes = 0 }
