package policy

import (
	"math"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Policy decides how often and how long a client tries. It is a
// micro.ClientOption; one policy may serve several clients, which then share
// its budget and its breaker. A Policy does not change after it was made and is safe for use
// from many goroutines. Make it with New or a preset; the zero Policy is not
// usable.
type Policy struct {
	clientOption

	settings  Settings
	retryable func(error) bool
	hooks     Hooks
	bucket    *bucket    // nil without a budget
	breaker   *breaker   // nil without one
	latencies *latencies // nil unless hedging goes by a quantile
}

// clientOption is micro.ClientOption under a name that keeps the embedded field
// out of the public API.
type clientOption = micro.ClientOption

// Option configures New and With.
type Option interface{ apply(*Policy) }

type option func(*Policy)

func (f option) apply(p *Policy) { f(p) }

// New makes a policy. Without options it is one attempt, bounded by the
// request's deadline only.
func New(opts ...Option) *Policy {
	p := &Policy{retryable: Transient}
	return p.build(opts)
}

// With returns a policy that differs from p by opts. It shares p's budget and
// what is left of it, p's breaker and its state, and the latencies that hedging
// goes by, each unless opts change it.
func (p *Policy) With(opts ...Option) *Policy {
	next := *p
	return next.build(opts)
}

func (p *Policy) build(opts []Option) *Policy {
	before := p.settings
	for _, o := range opts {
		o.apply(p)
	}
	if p.settings.Budget != before.Budget {
		p.bucket = newBucket(p.settings.Budget)
	}
	if p.settings.Breaker != before.Breaker {
		p.breaker = newBreaker(p.settings.Breaker)
	}
	if p.settings.Hedge.Quantile != before.Hedge.Quantile {
		p.latencies = newLatencies(p.settings.Hedge.Quantile)
	}
	p.clientOption = p.asClientOption()
	return p
}

// asClientOption makes a client follow the policy, and wait for as long as it
// may take where that is longer than clients wait by themselves. A tenth and a
// second are added, so that it is the policy that ends a request also where
// timers are late.
func (p *Policy) asClientOption() micro.ClientOption {
	follow := micro.WithInterceptors(p.Intercept)
	longest := p.Longest()
	if longest < micro.DefaultTimeout {
		return follow
	}
	return micro.ClientOptions(follow, micro.WithTimeout(longest+longest/10+time.Second))
}

// WithTimeout bounds each attempt; 0 or less is no bound but the request's
// deadline.
func WithTimeout(d time.Duration) Option {
	return option(func(p *Policy) { p.settings.Timeout = max(d, 0) })
}

// WithDeadline bounds the request with all its attempts and the delays between
// them; 0 or less is no bound but the caller's. It never extends the caller's.
func WithDeadline(d time.Duration) Option {
	return option(func(p *Policy) { p.settings.Deadline = max(d, 0) })
}

// WithRetries allows n attempts after the first; less than 0 is 0.
func WithRetries(n int) Option {
	return option(func(p *Policy) { p.settings.Retries = max(n, 0) })
}

// WithBackoff sets how long to wait before each retry. The default is not to
// wait.
func WithBackoff(b Backoff) Option {
	return option(func(p *Policy) { p.settings.Backoff = b })
}

// WithJitter spreads the delays, so that clients that failed together do not
// come back together. The default is NoJitter.
func WithJitter(j Jitter) Option {
	return option(func(p *Policy) { p.settings.Jitter = j })
}

// WithBudget bounds the retries of all the policy's requests together: each
// request earns ratio of a retry (0.2 is one retry for five requests), and
// floor retries a second come for free, so that a client with little traffic
// can retry at all. A retry that finds the budget spent is not made; the
// request ends with the error of its last attempt. A hedge takes as much as a
// retry. Both 0 is no bound.
func WithBudget(ratio, floor float64) Option {
	return option(func(p *Policy) { p.settings.Budget = Budget{Ratio: clamp(ratio), Floor: clamp(floor)} })
}

func clamp(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) { // NaN too
		return 0
	}
	return v
}

// WithBreaker puts a circuit breaker before all the policy's requests: see
// Breaker. Its zero fields get their defaults; the zero Breaker is none.
func WithBreaker(b Breaker) Option {
	return option(func(p *Policy) { p.settings.Breaker = b.complete() })
}

// WithHedge sends a request that is slow to be answered a second time: see
// Hedge. The zero Hedge is not to.
func WithHedge(h Hedge) Option {
	return option(func(p *Policy) { p.settings.Hedge = h.complete() })
}

// WithRetryIf sets which errors are worth another attempt. The default is
// Transient. WithRetryOn does the same by names that can be stored.
func WithRetryIf(retryable func(error) bool) Option {
	return option(func(p *Policy) { p.retryable, p.settings.RetryOn = retryable, Custom })
}

// WithRetryOn sets which errors are retried, as the names of error classes:
//
//	timeout      no reply in time
//	unreachable  no connection
//	reset        the connection was lost
//	error        any error in a reply
//	503, 5xx     an error in a reply with this status, or in this range
//	transient    see [Transient]
//	any          see [AnyError]
//	never        no error; it cannot be combined with others
//
// Without a class it is transient. It panics if there is no such class. Unlike those of
// [WithRetryIf], the classes are part of the policy's [Settings].
func WithRetryOn(classes ...string) Option {
	list, err := parseClasses(strings.Join(classes, ","))
	if err != nil {
		panic("policy: WithRetryOn: " + err.Error())
	}
	return option(func(p *Policy) { p.retryable, p.settings.RetryOn = list.match, list.String() })
}

// As makes the policy do what other does, and keeps only the hooks. A budget or
// breaker that is the same as before goes on as it is; another one starts
// afresh, and shares nothing with other's.
func As(other *Policy) Option {
	return option(func(p *Policy) { p.settings, p.retryable = other.settings, other.retryable })
}

// WithHooks tells h of every attempt. The hooks of several calls are all told,
// in the order given.
func WithHooks(h Hooks) Option {
	return option(func(p *Policy) { p.hooks = p.hooks.and(h) })
}

// Settings returns what the policy does.
func (p *Policy) Settings() Settings { return p.settings }
