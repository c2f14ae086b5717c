// Package adaptive limits how many requests to a service are in progress by how long they take: a
// limit that is found by itself, instead of the fixed one of gateway.WithConcurrency.
//
//	gw := gateway.New("shop", adaptive.WithConcurrency(adaptive.Limits{}))
//
// It is a package of its own, because its algorithm comes from a module that a gateway with a
// fixed limit does not need.
package adaptive

import (
	"cmp"
	"fmt"
	"sync/atomic"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/msctl/msctl/runtime/gateway"
)

// Limits are the bounds of the limit of each service. Zero values are the defaults.
type Limits struct {
	// Min and Max are the lowest and the highest limit. The defaults are 20 and 1000.
	Min, Max int
	// Initial is the limit of a gateway that has just started. The default is 100, or Max if that
	// is lower, or Min if that is higher.
	Initial int
}

// WithConcurrency is gateway.WithConcurrency with a limit that follows the service: while requests
// take as long as usual, it rises, up to five times as many requests as there are; while they
// take longer and longer, it falls. It changes once per second at most. A fixed limit is
// easier to explain; this one is for services whose capacity is not known or changes. It panics
// if the limits contradict each other.
func WithConcurrency(l Limits) gateway.Option {
	l.Min, l.Max = cmp.Or(l.Min, 20), cmp.Or(l.Max, 1000)
	l.Initial = cmp.Or(l.Initial, max(l.Min, min(100, l.Max)))
	if l.Min < 1 || l.Min > l.Initial || l.Initial > l.Max {
		panic(fmt.Sprintf("adaptive: invalid limits %+v: must be 1 <= Min <= Initial <= Max", l))
	}
	return gateway.WithConcurrencyLimiter(func() gateway.ConcurrencyLimiter {
		return &limiter{permits: adaptivelimiter.NewBuilder[any]().WithLimits(uint(l.Min), uint(l.Max), uint(l.Initial)).Build()} //nolint:gosec // checked above
	})
}

// limiter is the limiter of one service.
type limiter struct {
	permits adaptivelimiter.AdaptiveLimiter[any]
	extra   atomic.Int64 // requests of high priority without a permit
}

// Acquire takes a place for a request.
func (l *limiter) Acquire(p gateway.Priority) (release func(answered bool), ok bool) {
	if p == gateway.PriorityLow && 2*l.permits.Inflight() >= l.permits.Limit() {
		return nil, false
	}
	permit, ok := l.permits.TryAcquirePermit()
	switch {
	case ok:
		return func(answered bool) {
			if answered {
				permit.Record()
			} else {
				permit.Drop()
			}
		}, true
	case p != gateway.PriorityHigh:
		return nil, false
	}
	// The limit is what the service can do, so these requests have as many places again, and
	// their durations do not change it.
	if l.extra.Add(1) > int64(l.permits.Limit()) {
		l.extra.Add(-1)
		return nil, false
	}
	return func(bool) { l.extra.Add(-1) }, true
}
