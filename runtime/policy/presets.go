package policy

import "time"

// None makes one attempt with a timeout of 5 s and never retries.
func None(opts ...Option) *Policy {
	return New(WithTimeout(5 * time.Second)).With(opts...)
}

// Recommended suits most calls between services: a timeout of 1 s per attempt, 2
// retries of transient errors with exponential backoff from 50 ms to 1 s and full
// jitter, a budget of 20% of the requests plus 10 retries per second, and a deadline
// of 3 s.
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

// Preset returns the preset with a name, changed by opts; ok is false if there is no
// such preset. [None] and [Recommended] are the presets for services; the others are
// for comparison in load tests:
//
//	none         see None
//	nest         timeout(5000) and retry({ count: 2, delay: 1000 }), the usual advice
//	             for NestJS, with RxJS's semantics: retries on any error, also after a
//	             value, and the timeout restarts with each value; a request for one value
//	             can take 17 s
//	naive        a timeout of 1 s and 3 immediate retries; under overload, each request
//	             becomes four
//	backoff      naive with exponential backoff from 100 ms to 5 s and full jitter
//	budget       backoff with a budget of 10% of the requests plus 1 retry per second
//	recommended  see Recommended
func Preset(name string, opts ...Option) (p *Policy, ok bool) {
	switch name {
	case "none":
		return None(opts...), true
	case "nest":
		p = New(WithTimeout(5*time.Second), WithTimeoutPerValue(true), WithRetries(2), WithRetryAfterValue(true),
			WithBackoff(Constant(time.Second)), WithRetryOn(anyClass))
	case "naive":
		p = naive()
	case "backoff":
		p = backingOff()
	case "budget":
		p = backingOff().With(WithBudget(0.1, 1))
	case "recommended":
		return Recommended(opts...), true
	default:
		return nil, false
	}
	return p.With(opts...), true
}

// PresetNames returns the names that [Preset] accepts, from the simplest to the best.
func PresetNames() []string {
	return []string{"none", "nest", "naive", "backoff", "budget", "recommended"}
}

func naive() *Policy { return New(WithTimeout(time.Second), WithRetries(3)) }

func backingOff() *Policy {
	return naive().With(WithBackoff(Exponential(100*time.Millisecond, 5*time.Second)), WithJitter(FullJitter))
}
