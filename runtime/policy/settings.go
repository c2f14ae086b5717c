package policy

import (
	"errors"
	"math"
	"time"
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
	// RetryOn names the errors that are worth a retry, as ParseRetryOn reads
	// them: "" is "transient". It is Custom where WithRetryIf has set a function.
	RetryOn string
	// Budget bounds the retries and hedges of all requests together; zero is no
	// bound.
	Budget Budget
	// Breaker holds attempts back while most of them fail; zero is none.
	Breaker Breaker
	// Hedge sends a slow request a second time; zero is not to.
	Hedge Hedge
}

// Custom is the Settings.RetryOn of a policy whose retryable errors a function
// decides.
const Custom = "custom"

// FromSettings makes the policy that does what s says, changed by opts: what was
// stored of a policy is one again. Where s.RetryOn is Custom the function cannot
// be known, and opts must have a WithRetryIf or WithRetryOn. The error is about
// s.RetryOn, which is the only setting that can be wrong; numbers out of range
// are taken as the options take them.
func FromSettings(s Settings, opts ...Option) (*Policy, error) {
	all := []Option{
		WithTimeout(s.Timeout), WithDeadline(s.Deadline), WithRetries(s.Retries), WithBackoff(s.Backoff), WithJitter(s.Jitter),
		WithBudget(s.Budget.Ratio, s.Budget.Floor), WithBreaker(s.Breaker), WithHedge(s.Hedge),
	}
	if s.RetryOn == Custom {
		all = append(all, WithRetryIf(nil))
	} else if list, err := parseClasses(s.RetryOn); err != nil {
		return nil, err
	} else if s.RetryOn != "" {
		all = append(all, WithRetryOn(list.names()...))
	}
	p := New(append(all, opts...)...)
	if p.retryable == nil {
		return nil, errors.New("the retryable errors were decided by a function, which is not stored: give WithRetryIf or WithRetryOn")
	}
	return p, nil
}

// Longest returns how long a request can take at most under the policy alone:
// every attempt timing out and every delay at its longest, or the deadline. It
// is 0 when nothing bounds it.
func (p *Policy) Longest() time.Duration {
	s := p.settings
	if s.Timeout == 0 {
		return s.Deadline
	}
	sum := (float64(s.Timeout) + float64(s.Hedge.longest(s.Timeout))) * float64(s.Retries+1)
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
