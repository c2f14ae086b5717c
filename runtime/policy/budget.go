package policy

import (
	"math"
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

const (
	// What requests earn is available for budgetMemory, and for up to a part of it longer,
	// because it expires in parts. So an idle hour does not accumulate a retry storm.
	budgetMemory = 10 * time.Second
	budgetParts  = 20
	budgetPart   = budgetMemory / budgetParts

	// maxBudget keeps sums exact.
	maxBudget = 1e9
)

// bucket is a token bucket in which a token is a retry. Requests earn whole tokens, which
// expire. Their remainder, of less than a token, does not. What the floor provides is kept
// apart: at first one second of it, and budgetMemory of it at most.
type bucket struct {
	ratio, floor float64
	most         float64 // of available

	mu        sync.Mutex // guards what follows
	filled    time.Time  // when the floor was last added
	available float64    // of the floor
	remainder float64
	parts     [budgetParts + 1]float64 // whole tokens, by when they were earned
	earned    float64                  // sum of parts
	origin    time.Time
	at        int64 // number of the current part, since origin
}

// token is a receipt for a token, for returning it.
type token struct {
	// part is the number of the part that it was taken from, or one of the following.
	part int64
	// rest is what the remainder contributed to a token of the floor.
	rest float64
}

const (
	noPart    = -1 // nothing was taken
	floorPart = -2
)

var noToken = token{part: noPart}

// newBucket returns nil if there is no limit.
func newBucket(b Budget) *bucket {
	if b == (Budget{}) {
		return nil
	}
	now := time.Now()
	floor := min(b.Floor, maxBudget)
	most := budgetMemory.Seconds() * floor
	if b.Ratio == 0 {
		most = max(most, 1) // with nothing else, less could never fill up to a token
	}
	return &bucket{ratio: min(b.Ratio, maxBudget), floor: floor, most: most, available: floor, filled: now, origin: now}
}

// rounding keeps the sum of ten tenths from being less than one.
const rounding = 1e-9

// earn adds the tokens of one request.
func (b *bucket) earn(now time.Time) {
	if b == nil || b.ratio == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(b.ratio, now)
}

// add adds to the remainder, and turns it into whole tokens; mu is held.
func (b *bucket) add(earned float64, now time.Time) {
	if b.remainder += earned; b.remainder < 1-rounding {
		return
	}
	b.slide(now)
	whole := math.Floor(b.remainder + rounding)
	b.remainder -= whole
	b.parts[b.at%int64(len(b.parts))] += whole
	b.earned += whole
}

// spend takes one token, and reports whether one was available: the oldest, which would
// expire first, or else one of the floor.
func (b *bucket) spend(now time.Time) (token, bool) {
	if b == nil {
		return noToken, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slide(now)
	if b.earned >= 1 {
		for n := max(b.at-budgetParts, 0); n <= b.at; n++ {
			if part := &b.parts[n%int64(len(b.parts))]; *part >= 1 {
				*part--
				b.earned--
				return token{part: n}, true
			}
		}
	}
	b.fill(now)
	if b.available+b.remainder < 1-rounding {
		return noToken, false
	}
	rest := max(1-b.available, 0)
	b.available = max(b.available-1, 0)
	b.remainder -= rest
	return token{floorPart, rest}, true
}

// refund returns a token for a retry that was not made, unless it has expired meanwhile.
func (b *bucket) refund(t token, now time.Time) {
	if b == nil || t.part == noPart {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.part == floorPart {
		b.fill(now)
		b.available = min(b.available+1-t.rest, b.most)
		b.add(t.rest, now)
		return
	}
	b.slide(now)
	if t.part >= b.at-budgetParts {
		b.parts[t.part%int64(len(b.parts))]++
		b.earned++
	}
}

// fill adds the floor; mu is held.
func (b *bucket) fill(now time.Time) {
	if passed := now.Sub(b.filled); passed > 0 {
		b.available = min(b.available+passed.Seconds()*b.floor, b.most)
		b.filled = now
	}
}

// slide removes the parts that have expired; mu is held.
func (b *bucket) slide(now time.Time) {
	to := int64(now.Sub(b.origin) / budgetPart)
	if to-b.at > budgetParts {
		clear(b.parts[:])
		b.earned, b.at = 0, to
	}
	for b.at < to {
		b.at++
		part := &b.parts[b.at%int64(len(b.parts))]
		b.earned -= *part
		*part = 0
	}
}
