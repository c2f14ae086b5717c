package policy

import "time"

// None makes one attempt of at most 5 s and never retries.
func None(opts ...Option) *Policy {
	return New(WithTimeout(5 * time.Second)).With(opts...)
}

// Nest is what guides to NestJS tell people to write, timeout(5000) and
// retry({ count: 2, delay: 1000 }): 5 s an attempt and 2 retries 1 s apart, on
// any error. A request takes up to 17 s: see Policy.Longest.
func Nest(opts ...Option) *Policy {
	return New(
		WithTimeout(5*time.Second),
		WithRetries(2),
		WithBackoff(Constant(time.Second)),
		WithRetryOn(anyClass),
	).With(opts...)
}

// Naive retries 3 times at once, after 1 s each. It is here to be measured:
// under overload it makes four requests of one.
func Naive(opts ...Option) *Policy {
	return New(WithTimeout(time.Second), WithRetries(3)).With(opts...)
}

// BackingOff retries 3 times with exponential back-off from 100 ms to 5 s and
// full jitter, without a budget: retries are spread, but as many as before.
func BackingOff(opts ...Option) *Policy {
	return Naive(
		WithBackoff(Exponential(100*time.Millisecond, 5*time.Second)),
		WithJitter(FullJitter),
	).With(opts...)
}

// Budgeted is BackingOff within a budget of 10 % of the requests and 1 a
// second.
func Budgeted(opts ...Option) *Policy {
	return BackingOff(WithBudget(0.1, 1)).With(opts...)
}

// Recommended suits most calls between services: 1 s an attempt, 2 retries of
// transient errors with exponential back-off from 50 ms to 1 s and full jitter,
// a budget of 20 % of the requests and 10 a second, and 3 s in all.
func Recommended(opts ...Option) *Policy {
	return New(
		WithTimeout(time.Second),
		WithRetries(2),
		WithBackoff(Exponential(50*time.Millisecond, time.Second)),
		WithJitter(FullJitter),
		WithBudget(0.2, 10),
		WithDeadline(3*time.Second),
	).With(opts...)
}

// PresetNames lists the names Preset knows, from the simplest to the best.
func PresetNames() []string {
	return []string{"none", "nest", "naive", "backoff", "budget", "recommended"}
}

// Preset returns the preset of that name, changed by opts.
func Preset(name string, opts ...Option) (p *Policy, ok bool) {
	switch name {
	case "none":
		return None(opts...), true
	case "nest":
		return Nest(opts...), true
	case "naive":
		return Naive(opts...), true
	case "backoff":
		return BackingOff(opts...), true
	case "budget":
		return Budgeted(opts...), true
	case "recommended":
		return Recommended(opts...), true
	}
	return nil, false
}
