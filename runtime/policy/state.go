package policy

import (
	"math"
	"time"
)

// State is a snapshot of what the requests of a policy share.
type State struct {
	// Breaker is the state of the breaker, Closed without one. An open breaker whose
	// cooldown is over stays Open until the next request.
	Breaker BreakerState
	// Retries is the number of retries and hedges that the budget permits now, +Inf without
	// a budget.
	Retries float64
}

// State returns the current state of the breaker and the budget, for metrics.
func (p *Policy) State() State {
	return State{Breaker: p.breaker.current(), Retries: p.bucket.left(time.Now())}
}

// current returns the state; that of no breaker is Closed.
func (b *breaker) current() BreakerState {
	if b == nil {
		return Closed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// left returns the number of tokens.
func (b *bucket) left(now time.Time) float64 {
	if b == nil {
		return math.Inf(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slide(now)
	b.fill(now)
	return b.earned + b.available + b.remainder
}
