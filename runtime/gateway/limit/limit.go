// Package limit decides whether a caller may send another request: by the rate of its requests
// ([Limiter]). It also finds the address of a caller behind proxies ([Proxies]).
package limit

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"github.com/throttled/throttled/v2"

	"github.com/msctl/msctl/runtime/gateway/memory"
)

// Quota is a rate: requests per Period, of which Burst may come at once. All are greater than 0.
type Quota struct {
	Requests int
	Period   time.Duration
	Burst    int
}

// share returns the part of one of several gateways.
func (q Quota) share(gateways int) Quota {
	return Quota{Requests: q.Requests, Period: q.Period * time.Duration(gateways), Burst: max(1, q.Burst/gateways)}
}

// Result is the state of a caller's limit after a request.
type Result struct {
	Limited          bool
	Limit, Remaining int           // requests that may come at once: in total, and now
	Reset            time.Duration // until Remaining is Limit again
	Retry            time.Duration // until another request is admitted; only if Limited
}

// Fallback is what limiters do while the store that gateways share is not available.
type Fallback uint8

const (
	InMemory Fallback = iota // each gateway applies its part of the limit
	Admit                    // requests are not limited
	Reject                   // requests fail
)

// Limiters makes the limiters of a gateway. Create it with [NewLimiters].
type Limiters struct {
	counters throttled.GCRAStoreCtx
	fallback Fallback
	gateways int

	// The following are for a store that gateways share. They are nil for one in memory.

	start time.Time
	own   *memory.Store   // counters while the store is not available, and until when callers are denied
	turns []chan struct{} // one for each group of callers, whose decisions wait for each other
	seed  maphash.Seed
}

// NewLimiters returns the limiters of one of several gateways that share a store.
func NewLimiters(counters throttled.GCRAStoreCtx, f Fallback, gateways int) *Limiters {
	l := &Limiters{counters: counters, fallback: f, gateways: max(1, gateways)}
	if _, ok := counters.(*memory.Store); ok {
		return l
	}
	l.start, l.own, l.seed = time.Now(), memory.New(memory.Limits{}), maphash.MakeSeed()
	l.turns = make([]chan struct{}, turns)
	for i := range l.turns {
		l.turns[i] = make(chan struct{}, 1)
	}
	return l
}

const (
	// turns is the number of groups of callers.
	turns = 1024
	// attempts is how often a decision is repeated because another one for the same caller came
	// first. In memory, that takes nanoseconds; with a shared store, only other gateways compete.
	attempts = 1000
)

// Limiter limits the rate of each caller with the generic cell rate algorithm. It is safe for
// concurrent use.
type Limiter struct {
	*Limiters

	quota Quota
	gcra  *throttled.GCRARateLimiterCtx
	local *throttled.GCRARateLimiterCtx // nil unless needed
}

// New returns a limiter. The keys of its callers must differ from those of the other limiters. The
// error reports a rate that is not valid.
func (l *Limiters) New(q Quota) (*Limiter, error) {
	gcra, err := newGCRA(q, l.counters)
	if err != nil {
		return nil, err
	}
	limiter := &Limiter{Limiters: l, quota: q, gcra: gcra}
	if l.own != nil && l.fallback == InMemory {
		limiter.local, err = newGCRA(q.share(l.gateways), l.own)
	}
	return limiter, err
}

func newGCRA(q Quota, counters throttled.GCRAStoreCtx) (*throttled.GCRARateLimiterCtx, error) {
	if q.Requests <= 0 {
		return nil, errors.New("a rate limit must be greater than 0")
	}
	gcra, err := throttled.NewGCRARateLimiterCtx(counters, throttled.RateQuota{
		MaxRate: throttled.PerDuration(q.Requests, q.Period), MaxBurst: q.Burst - 1,
	})
	if err == nil {
		gcra.SetMaxCASAttemptsLimit(attempts)
	}
	return gcra, err
}

// Take counts a request of a caller, and decides whether it is admitted. The error is that of the
// context or, with Reject, of the store.
func (l *Limiter) Take(ctx context.Context, caller string) (Result, error) {
	if l.own == nil {
		return ask(ctx, l.gcra, caller)
	}
	if r, ok := l.denied(ctx, caller); ok {
		return r, nil
	}
	r, err := l.inTurn(ctx, caller)
	switch {
	case err == nil || ctx.Err() != nil || l.fallback == Reject:
		return r, err
	case l.fallback == Admit:
		return Result{Limit: l.quota.Burst, Remaining: l.quota.Burst}, nil
	}
	return ask(ctx, l.local, caller)
}

// inTurn asks the store. Concurrent decisions for one caller would only make each other repeat
// their work, and when the first request is denied, those that wait are, too.
func (l *Limiter) inTurn(ctx context.Context, caller string) (Result, error) {
	turn := l.turns[maphash.String(l.seed, caller)%turns]
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	defer func() { <-turn }()
	if r, ok := l.denied(ctx, caller); ok {
		return r, nil
	}
	r, err := ask(ctx, l.gcra, caller)
	if err == nil && r.Limited {
		_, err = l.own.SetIfNotExistsWithTTL(ctx, deniedPrefix+caller, int64(time.Since(l.start)+r.Reset), r.Retry)
	}
	return r, err
}

const deniedPrefix = "denied "

// denied returns the result for a caller that the store has denied, without asking it again: the
// store could not decide otherwise before, so that a flood does not reach it.
func (l *Limiter) denied(ctx context.Context, caller string) (Result, bool) {
	until, _, err := l.own.GetWithTime(ctx, deniedPrefix+caller)
	if err != nil || until < 0 {
		return Result{}, false
	}
	reset := time.Duration(until) - time.Since(l.start)
	// As many requests as may come at once, but one, take that long.
	full := l.quota.Period / time.Duration(l.quota.Requests) * time.Duration(l.quota.Burst-1)
	return Result{Limited: true, Limit: l.quota.Burst, Reset: reset, Retry: max(reset-full, time.Nanosecond)}, true
}

func ask(ctx context.Context, gcra *throttled.GCRARateLimiterCtx, caller string) (Result, error) {
	limited, r, err := gcra.RateLimitCtx(ctx, caller, 1)
	return Result{Limited: limited, Limit: r.Limit, Remaining: r.Remaining, Reset: r.ResetAfter, Retry: max(r.RetryAfter, 0)}, err
}
