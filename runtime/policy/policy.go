package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Settings is what a policy does, as values that can be compared, printed and
// stored. The zero Settings is one attempt, bounded by the request's deadline
// only.
type Settings struct {
	// Timeout bounds one attempt. 0 is no bound but the request's deadline.
	Timeout time.Duration
	// Deadline bounds the request with all its attempts, from the moment it is
	// made. 0 is no bound but the caller's.
	Deadline time.Duration
	// Retries is how many attempts may follow the first.
	Retries int
	// Backoff says how long to wait before each retry.
	Backoff Backoff
	// Jitter spreads these delays.
	Jitter Jitter
	// Budget bounds the retries of all requests together; zero is no bound.
	Budget Budget
}

// Policy decides how often and how long a client tries. It is a
// micro.ClientOption; one policy may serve several clients, which then share
// its budget. A Policy does not change after it was made and is safe for use
// from many goroutines. Make it with New or a preset; the zero Policy is not
// usable.
type Policy struct {
	clientOption

	settings  Settings
	retryable func(error) bool
	hooks     Hooks
	bucket    *bucket // nil without a budget
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
// what is left of it, unless opts change the budget.
func (p *Policy) With(opts ...Option) *Policy {
	next := *p
	return next.build(opts)
}

func (p *Policy) build(opts []Option) *Policy {
	before := p.settings.Budget
	for _, o := range opts {
		o.apply(p)
	}
	if p.settings.Budget != before {
		p.bucket = newBucket(p.settings.Budget)
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
// request ends with the error of its last attempt. Both 0 is no bound.
func WithBudget(ratio, floor float64) Option {
	return option(func(p *Policy) { p.settings.Budget = Budget{Ratio: clamp(ratio), Floor: clamp(floor)} })
}

func clamp(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) { // NaN too
		return 0
	}
	return v
}

// WithRetryIf sets which errors are worth another attempt. The default is
// Transient.
func WithRetryIf(retryable func(error) bool) Option {
	return option(func(p *Policy) { p.retryable = retryable })
}

// WithHooks tells h of every attempt. The hooks of several calls are all told,
// in the order given.
func WithHooks(h Hooks) Option {
	return option(func(p *Policy) { p.hooks = p.hooks.and(h) })
}

// Settings returns what the policy does.
func (p *Policy) Settings() Settings { return p.settings }

// Longest returns how long a request can take at most under the policy alone:
// every attempt timing out and every delay at its longest, or the deadline. It
// is 0 when nothing bounds it.
func (p *Policy) Longest() time.Duration {
	s := p.settings
	if s.Timeout == 0 {
		return s.Deadline
	}
	sum := float64(s.Timeout) * float64(s.Retries+1)
	for n := 1; n <= s.Retries; n++ {
		delay := float64(s.Backoff.Before(n))
		if s.Backoff.settled(n) {
			sum += delay * float64(s.Retries-n+1)
			break
		}
		sum += delay
	}
	longest := time.Duration(min(sum, math.MaxInt64/2))
	if s.Deadline > 0 {
		return min(longest, s.Deadline)
	}
	return longest
}

// String describes the policy in one line, as msctl bench shows it.
func (p *Policy) String() string { return p.settings.String() }

// String describes the settings in one line.
func (s Settings) String() string {
	parts := []string{"no timeout"}
	if s.Timeout > 0 {
		parts[0] = "timeout " + s.Timeout.String()
	}
	switch s.Retries {
	case 0:
		parts = append(parts, "no retries")
	case 1:
		parts = append(parts, "1 retry "+s.pauses())
	default:
		parts = append(parts, strconv.Itoa(s.Retries)+" retries "+s.pauses())
	}
	if s.Retries > 0 && s.Budget != (Budget{}) {
		parts = append(parts, "budget "+s.Budget.String())
	}
	if s.Deadline > 0 {
		parts = append(parts, "deadline "+s.Deadline.String())
	}
	return strings.Join(parts, ", ")
}

func (s Settings) pauses() string {
	text := s.Backoff.String()
	if s.Jitter != NoJitter && s.Backoff.Delay > 0 {
		text += fmt.Sprintf(" with %s jitter", s.Jitter)
	}
	return text
}
