package proc

import (
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 250 * time.Millisecond
	backoffMost  = 30 * time.Second
	// healthyAfter is how long a process must have been ready for its crash to
	// count as a first one.
	healthyAfter = 10 * time.Second
	// startAttempts bounds the crashes in a row of a service that has never
	// been ready: then the start fails.
	startAttempts = 5
)

// backoff counts the crashes in a row. The zero value has seen none.
type backoff struct{ crashes int }

// next counts a crash and returns how long to wait before the next start: the
// doubled time of the last one up to half a minute, of which a random half is
// taken, so that services that crash together do not start together.
func (b *backoff) next() time.Duration {
	d := backoffMost
	if b.crashes < 16 {
		d = min(backoffFirst<<b.crashes, backoffMost)
	}
	b.crashes++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.crashes = 0 }
