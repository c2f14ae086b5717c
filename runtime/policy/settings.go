package policy

import (
	"errors"
	"math"
	"time"
)

// Settings are the settings of a policy as values that can be compared, printed, and
// stored. The zero Settings make one attempt, limited only by the request's deadline.
type Settings struct {
	// Timeout limits one attempt. 0 means no limit except for the request's deadline.
	Timeout time.Duration
	// TimeoutPerValue makes Timeout limit the time until each value of a reply, instead of
	// the complete reply.
	TimeoutPerValue bool
	// Deadline limits the request, including all attempts. 0 means no limit except for
	// the caller's deadline.
	Deadline time.Duration
	// Retries is the maximum number of attempts after the first one.
	Retries int
	// RetryAfterValue permits retries after a value of a reply has reached the caller.
	RetryAfterValue bool
	// Backoff defines the delay before each retry.
	Backoff Backoff
	// Jitter randomizes these delays.
	Jitter Jitter
	// RetryOn names the errors that are worth a retry, as ParseRetryOn reads
	// them: "" is "transient". It is Custom where WithRetryIf has set a function.
	RetryOn string
	// Budget limits the retries and hedges of all requests. Zero means no limit.
	Budget Budget
	// Breaker rejects attempts while most of them fail. Zero means disabled.
	Breaker Breaker
	// Hedge sends slow requests again. Zero means disabled.
	Hedge Hedge
}

// Custom is the value of Settings.RetryOn if a function decides which errors are
// retried.
const Custom = "custom"

// FromSettings returns a policy with the settings s, changed by opts. If s.RetryOn is
// Custom, opts must contain WithRetryIf or WithRetryOn, since a function cannot be
// stored. The error is about s.RetryOn, the only setting that can be invalid; numbers out
// of range are treated as in the options.
func FromSettings(s Settings, opts ...Option) (*Policy, error) {
	all := []Option{
		WithTimeout(s.Timeout), WithDeadline(s.Deadline), WithRetries(s.Retries), WithBackoff(s.Backoff), WithJitter(s.Jitter),
		WithBudget(s.Budget.Ratio, s.Budget.Floor), WithBreaker(s.Breaker), WithHedge(s.Hedge),
		WithTimeoutPerValue(s.TimeoutPerValue), WithRetryAfterValue(s.RetryAfterValue),
	}
	if s.RetryOn == Custom {
		all = append(all, option(func(p *Policy) { p.retryable, p.settings.RetryOn = nil, Custom }))
	} else if list, err := parseClasses(s.RetryOn); err != nil {
		return nil, err
	} else if s.RetryOn != "" {
		all = append(all, WithRetryOn(list.names()...))
	}
	p := New(append(all, opts...)...)
	if p.retryable == nil {
		return nil, errors.New("the settings contain no retry function: add WithRetryIf or WithRetryOn")
	}
	return p, nil
}

// Longest returns the maximum duration of a request under the policy: if every attempt
// times out and every delay is at its maximum, or the deadline. With a timeout per value,
// it is that of a request without any value: each value extends it. It is 0 if there is
// no limit, and the longest possible Duration if the maximum is longer than that.
func (p *Policy) Longest() time.Duration {
	s := p.settings
	if s.Timeout == 0 {
		return s.Deadline
	}
	longest := saturated((float64(s.Timeout)+s.Hedge.longest(s.Timeout))*(float64(s.Retries)+1) + s.Backoff.total(s.Retries))
	if s.Deadline > 0 {
		return min(longest, s.Deadline)
	}
	return longest
}

// saturated rounds a number of nanoseconds, which must not be negative, to a Duration.
func saturated(nanoseconds float64) time.Duration {
	if nanoseconds = math.Round(nanoseconds); nanoseconds < math.MaxInt64 {
		return time.Duration(nanoseconds)
	}
	return math.MaxInt64
}
