package policy

import (
	"sync"
	"time"
)

// Budget bounds retries: see WithBudget. The zero Budget is no bound.
type Budget struct {
	// Ratio is how many retries one request earns.
	Ratio float64
	// Floor is how many retries a second come for free.
	Floor float64
}

// How much a bucket may hold: what ten seconds of the floor give, and never
// less than ten retries, so that an idle hour does not save up a storm.
const (
	bucketSeconds = 10
	bucketLeast   = 10
)

// bucket is a token bucket: a token is a retry. It starts with one second of
// the floor.
type bucket struct {
	budget Budget
	most   float64

	mu     sync.Mutex // guards what follows
	tokens float64
	filled time.Time // when the floor was last paid in
}

// newBucket returns nil for no bound.
func newBucket(b Budget) *bucket {
	if b == (Budget{}) {
		return nil
	}
	return &bucket{budget: b, most: max(bucketLeast, bucketSeconds*b.Floor), tokens: b.Floor, filled: time.Now()}
}

// earn pays in for one request.
func (b *bucket) earn() {
	if b == nil || b.budget.Ratio == 0 {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.tokens+b.budget.Ratio, b.most)
	b.mu.Unlock()
}

// rounding keeps ten times a tenth from being less than one.
const rounding = 1e-9

// spend takes one token, and reports whether there was one.
func (b *bucket) spend(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.filled); passed > 0 {
		b.tokens = min(b.tokens+passed.Seconds()*b.budget.Floor, b.most)
		b.filled = now
	}
	if b.tokens < 1-rounding {
		return false
	}
	b.tokens--
	return true
}
