package policy

import (
	"math"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Policy defines the timeouts and retries of a client. It is a micro.ClientOption.
// Clients that use the same policy share its budget and its breaker. A Policy is
// immutable and safe for concurrent use. Create it with New or a preset; the zero Policy
// is not usable.
type Policy struct {
	clientOption

	settings  Settings
	retryable func(error) bool
	hooks     Hooks
	bucket    *bucket    // nil without a budget
	breaker   *breaker   // nil without a breaker
	latencies *latencies // nil unless Hedge has a quantile
}

// clientOption renames micro.ClientOption to keep the embedded field out of the public
// API.
type clientOption = micro.ClientOption

// Option configures New and With.
type Option interface{ apply(*Policy) }

type option func(*Policy)

func (f option) apply(p *Policy) { f(p) }

// New returns a policy. Without options, it makes one attempt, limited only by the
// request's deadline.
func New(opts ...Option) *Policy {
	p := &Policy{retryable: Transient}
	return p.build(opts)
}

// With returns a policy that differs from p by opts. It shares p's budget, breaker, and
// measured latencies, including their state, except for those that opts change.
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

// asClientOption makes a client follow the policy and wait for as long as the policy may
// take. It adds a tenth and a second, so that the policy ends a request even if timers
// are late.
func (p *Policy) asClientOption() micro.ClientOption {
	follow := micro.WithInterceptors(p.Intercept)
	longest := p.Longest()
	if s := p.settings; s.TimeoutPerValue && s.Timeout > 0 && s.Deadline == 0 {
		longest = math.MaxInt64 // a reply may take as long as its values keep coming
	}
	if longest < micro.DefaultTimeout {
		return follow
	}
	return micro.ClientOptions(follow, micro.WithTimeoutAtLeast(saturated(1.1*float64(longest)+float64(time.Second))))
}

// WithTimeout limits each attempt. 0 or less means no limit except for the request's
// deadline.
func WithTimeout(d time.Duration) Option {
	return option(func(p *Policy) { p.settings.Timeout = max(d, 0) })
}

// WithTimeoutPerValue makes the timeout limit the time until the first value of a reply,
// and then from each value to the next one or to the end, as RxJS's timeout does. By
// default, it limits the complete reply. With it, the timeout does not travel to the
// service, and a call is only limited by the policy's deadline, by its context, or by
// the client's micro.WithTimeout.
func WithTimeoutPerValue(on bool) Option {
	return option(func(p *Policy) { p.settings.TimeoutPerValue = on })
}

// WithDeadline limits the request, including all attempts and the delays between them. 0
// or less means no limit except for the caller's deadline, which it never extends.
func WithDeadline(d time.Duration) Option {
	return option(func(p *Policy) { p.settings.Deadline = max(d, 0) })
}

// WithRetries allows n attempts after the first one. Less than 0 means 0.
func WithRetries(n int) Option {
	return option(func(p *Policy) { p.settings.Retries = max(n, 0) })
}

// WithRetryAfterValue permits retries after a value of a reply has reached the caller, as
// RxJS's retry does. The reply then starts again, and the caller gets the values of all
// attempts. By default, such a request ends with the error.
func WithRetryAfterValue(on bool) Option {
	return option(func(p *Policy) { p.settings.RetryAfterValue = on })
}

// WithBackoff sets the delay before each retry. The default is no delay.
func WithBackoff(b Backoff) Option {
	return option(func(p *Policy) { p.settings.Backoff = b })
}

// WithJitter randomizes the delays, so that clients that failed at the same time do not
// retry at the same time. The default is NoJitter.
func WithJitter(j Jitter) Option {
	return option(func(p *Policy) { p.settings.Jitter = j })
}

// WithBudget limits the retries of all requests of the policy. Each request earns ratio
// retries (0.2 means one retry per five requests), which are available for 10 s, however
// many requests there are at once. In addition, floor retries per second are available,
// so that a client with little traffic can retry at all; those of 10 s can be saved up. If
// the budget is spent, a retry is not made, and the request ends with the error of its
// last attempt. A hedge costs as much as a retry. A retry or hedge that is not made after
// all costs nothing. If both are 0, there is no limit.
//
// The load that this adds is bounded: in any period of d seconds, there are at most
//
//	ratio × requests + floor × (d + 10) + 1
//
// retries and hedges, where requests are those of the period and of the 10.5 s before it.
func WithBudget(ratio, floor float64) Option {
	return option(func(p *Policy) { p.settings.Budget = Budget{Ratio: clamp(ratio), Floor: clamp(floor)} })
}

func clamp(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) { // also true for NaN
		return 0
	}
	return v
}

// WithBreaker adds a circuit breaker to all requests of the policy: see Breaker. Its zero
// fields get their default values; the zero Breaker is disabled.
func WithBreaker(b Breaker) Option {
	return option(func(p *Policy) { p.settings.Breaker = b.complete() })
}

// WithHedge sends slow requests again: see Hedge. The zero Hedge is disabled.
func WithHedge(h Hedge) Option {
	return option(func(p *Policy) { p.settings.Hedge = h.complete() })
}

// WithRetryIf sets the function that decides which errors are retried. The default is
// Transient, which nil selects. WithRetryOn does the same with names, which can be stored.
func WithRetryIf(retryable func(error) bool) Option {
	if retryable == nil {
		return WithRetryOn()
	}
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
// Without a class, it means transient. It panics if a class is unknown. Unlike those of
// [WithRetryIf], the classes are part of the policy's [Settings].
func WithRetryOn(classes ...string) Option {
	list, err := parseClasses(strings.Join(classes, ","))
	if err != nil {
		panic("policy: WithRetryOn: " + err.Error())
	}
	return option(func(p *Policy) { p.retryable, p.settings.RetryOn = list.match, list.String() })
}

// As replaces all settings by those of other, and keeps only the hooks. A budget or
// breaker with unchanged settings keeps its state; any other one starts with a new state,
// and does not share other's.
func As(other *Policy) Option {
	return option(func(p *Policy) { p.settings, p.retryable = other.settings, other.retryable })
}

// WithHooks calls h for every attempt. Hooks of several options are all called, in
// order.
func WithHooks(h Hooks) Option {
	return option(func(p *Policy) { p.hooks = p.hooks.and(h) })
}

// Settings returns the settings of the policy.
func (p *Policy) Settings() Settings { return p.settings }
