package policy

import (
	"fmt"
	"strings"
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

// String is the form of msctl's --breaker, which ParseBreaker reads: share,
// window and cool-down, 50%/10s+5s, and what else differs from the defaults:
// 50%/10s+5s,min=5,probes=3.
func (b Breaker) String() string {
	if b = b.complete(); b == (Breaker{}) {
		return "none"
	}
	text := fmt.Sprintf("%s%%/%s+%s", formatPercent(b.Ratio), b.Window, b.Cooldown)
	if b.Minimum != defaultMinimum {
		text += fmt.Sprintf(",min=%d", b.Minimum)
	}
	if b.Probes != defaultProbes {
		text += fmt.Sprintf(",probes=%d", b.Probes)
	}
	return text
}

const breakerUsage = "a breaker is a share of failures, and if need be a window, a cool-down, a minimum and probes: 50%/10s+5s,min=20,probes=1, or none"

// ParseBreaker reads what Breaker.String writes. All but the share may be left
// out: 50%, 50%/10s, 50%+5s, 50%,min=5. "none" is the zero Breaker. The error is
// a *SyntaxError.
func ParseBreaker(text string) (Breaker, error) {
	s := source{"breaker", text}
	if text == "none" {
		return Breaker{}, nil
	}
	times, settings, more := strings.Cut(text, ",")
	number, rest, ok := strings.Cut(times, "%")
	if !ok {
		return Breaker{}, s.wrong(0, "%s", breakerUsage)
	}
	var b Breaker
	if b.Ratio, ok = parsePercent(number); !ok || b.Ratio <= 0 || b.Ratio > 1 {
		return Breaker{}, s.wrong(0, "the share must be more than 0%% and at most 100%%")
	}
	if err := b.parseTimes(s, rest, len(number)+1); err != nil {
		return Breaker{}, err
	}
	if more {
		names := map[string]*int{"min": &b.Minimum, "probes": &b.Probes}
		if err := s.settings(settings, len(times)+1, names, "after a comma comes min=20 or probes=1"); err != nil {
			return Breaker{}, err
		}
	}
	return b.complete(), nil
}

// parseTimes reads /window, +cool-down, both or nothing.
func (b *Breaker) parseTimes(s source, text string, offset int) (err error) {
	if strings.HasPrefix(text, "/") {
		window, _, _ := strings.Cut(text[1:], "+")
		if b.Window, err = s.duration(window, offset+1); err != nil {
			return err
		}
		offset, text = offset+1+len(window), text[1+len(window):]
	}
	if text == "" {
		return nil
	}
	if text[0] != '+' {
		return s.wrong(offset, "%s", breakerUsage)
	}
	b.Cooldown, err = s.duration(text[1:], offset+1)
	return err
}
