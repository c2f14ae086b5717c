package policy

import (
	"time"
)

// Breaker is a circuit breaker, shared by all requests of a policy: it watches
// how the attempts of a sliding window end, and once too many have failed it
// holds all of them back for a while. Then it lets a few through to see whether
// the service is back.
//
// A failure is what Transient says, whatever the policy retries; every other
// answer tells that the service is there. An attempt that ended for a reason of
// the caller's counts as neither. Events pass by the breaker: they say nothing
// about the service, and a broker may keep them for it.
//
// The zero Breaker is none. In a Breaker with a Ratio, fields of 0 or less are
// their defaults.
type Breaker struct {
	// Ratio is the share of failed attempts at which the breaker opens: 0.5 is
	// half of them. More than 1 is 1.
	Ratio float64
	// Window is how far back attempts are counted, to a tenth of it; 10 s by
	// default.
	Window time.Duration
	// Cooldown is how long the breaker stays open before it lets attempts
	// through again to see; 5 s by default.
	Cooldown time.Duration
	// Minimum is how many attempts the window must hold before the breaker may
	// open; 20 by default.
	Minimum int
	// Probes is how many attempts are let through after the cool-down, and must
	// all go well for the breaker to close; 1 by default. One failure opens it
	// again.
	Probes int
}

// What a Breaker has where nothing was said.
const (
	defaultWindow   = 10 * time.Second
	defaultCooldown = 5 * time.Second
	defaultMinimum  = 20
	defaultProbes   = 1
)

// complete fills in the defaults.
func (b Breaker) complete() Breaker {
	if !(b.Ratio > 0) { // NaN too
		return Breaker{}
	}
	b.Ratio = min(b.Ratio, 1)
	b.Window = orElse(b.Window, defaultWindow)
	b.Cooldown = orElse(b.Cooldown, defaultCooldown)
	b.Minimum = orElse(b.Minimum, defaultMinimum)
	b.Probes = orElse(b.Probes, defaultProbes)
	return b
}

func orElse[N int | time.Duration](v, otherwise N) N {
	if v <= 0 {
		return otherwise
	}
	return v
}
