package policy

import (
	"time"
)

// Breaker is a circuit breaker shared by all requests of a policy. It counts failed
// attempts in a sliding window. Once too many have failed, it opens: it rejects all
// attempts for a while, and then lets a few probes through to find out whether the
// service has recovered.
//
// A failure is an error for which Transient returns true, whatever the policy retries.
// Any other reply shows that the service is available. An attempt that ended because
// of its caller counts as neither: it was canceled, or the caller's deadline left it less
// time than the policy's timeout and deadline grant (5 s without either). A timeout of the
// policy or of the client is a failure. Events bypass the breaker: they do not show whether
// the service is available, and a broker may store them for it.
//
// The zero Breaker is disabled. In a Breaker with a Ratio, fields of 0 or less have
// their default values.
type Breaker struct {
	// Ratio is the ratio of failed attempts at which the breaker opens, up to 1. 0.5
	// means half of them.
	Ratio float64
	// Window is the length of the sliding window, which advances by tenths. The
	// default is 10 s.
	Window time.Duration
	// Cooldown is the time that the breaker stays open before it sends probes. The
	// default is 5 s.
	Cooldown time.Duration
	// Minimum is the number of attempts in the window below which the breaker does
	// not open. The default is 20.
	Minimum int
	// Probes is the number of attempts sent after the cooldown. All of them must
	// succeed for the breaker to close; one failure opens it again. A probe has succeeded
	// when the first value of its reply arrives. The default is 1.
	Probes int
}

// Defaults of a Breaker.
const (
	defaultWindow   = 10 * time.Second
	defaultCooldown = 5 * time.Second
	defaultMinimum  = 20
	defaultProbes   = 1
)

// complete fills in the defaults.
func (b Breaker) complete() Breaker {
	if !(b.Ratio > 0) { // also true for NaN
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
