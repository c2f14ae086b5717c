package policy

import (
	"sync"
	"time"
)

// Budget limits retries: see WithBudget. The zero Budget is no limit.
type Budget struct {
	// Ratio is the number of retries that one request earns.
	Ratio float64
	// Floor is the number of retries per second that are always available.
	Floor float64
}

// The capacity of a bucket is ten seconds of the floor, and at least ten retries, so
// that an idle hour does not accumulate a retry storm.
const (
	bucketSeconds = 10
	bucketLeast   = 10
)

// bucket is a token bucket in which a token is a retry. It starts with one second of the
// floor.
type bucket struct {
	budget Budget
	most   float64

	mu     sync.Mutex // guards what follows
	tokens float64
	filled time.Time // when the floor was last added
}

// newBucket returns nil if there is no limit.
func newBucket(b Budget) *bucket {
	if b == (Budget{}) {
		return nil
	}
	return &bucket{budget: b, most: max(bucketLeast, bucketSeconds*b.Floor), tokens: b.Floor, filled: time.Now()}
}

// earn adds the tokens of one request.
func (b *bucket) earn() {
	if b == nil || b.budget.Ratio == 0 {
		return
	}
	b.mu.Lock()
	b.tokens = min(b.tokens+b.budget.Ratio, b.most)
	b.mu.Unlock()
}

// rounding keeps the sum of ten tenths from being less than one.
const rounding = 1e-9

// spend takes one token, and reports whether one was available.
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
