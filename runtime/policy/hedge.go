package policy

import (
	"fmt"
	"strings"
	"time"
)

// Hedge sends a request a second time when the first attempt has not been
// answered for a while: the first answer is the request's, and the other attempt
// is given up. It trades work of the service for a shorter tail of latencies, so
// it is for handlers that may do the work twice, and for services with work to
// spare; a budget bounds how much (each hedge takes what a retry does). Events
// are never hedged, and nothing is once a value of an answer has come.
//
// How long to wait is a Delay, or a Quantile of what first attempts took lately.
// The zero Hedge is not to hedge.
type Hedge struct {
	// Delay is how long to wait for an answer. It does not count with a Quantile.
	Delay time.Duration
	// Quantile waits as long as this share of first attempts take: 0.95 hedges
	// about 5 % of the requests. It is kept from 0.5 to 0.999. There are no
	// hedges until enough has been measured: 100 attempts at the least, and 1000
	// for 0.995 or 5000 for 0.999.
	Quantile float64
	// Most is how many hedges there may be beside a first attempt, each after the
	// same wait again; 1 by default.
	Most int
}

const (
	leastQuantile = 0.5
	mostQuantile  = 0.999
)

// complete fills in the defaults.
func (h Hedge) complete() Hedge {
	switch {
	case h.Quantile > 0:
		h.Delay, h.Quantile = 0, min(max(h.Quantile, leastQuantile), mostQuantile)
	case h.Delay > 0:
		h.Quantile = 0 // it may be no number
	default:
		return Hedge{}
	}
	h.Most = orElse(h.Most, 1)
	return h
}

// longest is by how much hedges may prolong a try whose attempts are bounded to
// timeout: the last one may begin just before the one before it is given up.
func (h Hedge) longest(timeout time.Duration) time.Duration {
	wait := timeout
	if h.Quantile == 0 {
		wait = min(h.Delay, timeout)
	}
	return wait * time.Duration(h.Most)
}

// String is the form of msctl's --hedge, which ParseHedge reads: 50ms or p95,
// and for more than one hedge p95,max=2.
func (h Hedge) String() string {
	if h = h.complete(); h == (Hedge{}) {
		return "none"
	}
	text := h.Delay.String()
	if h.Quantile > 0 {
		text = "p" + formatPercent(h.Quantile)
	}
	if h.Most > 1 {
		text += fmt.Sprintf(",max=%d", h.Most)
	}
	return text
}

// ParseHedge reads what Hedge.String writes; "none" is the zero Hedge. The error
// is a *SyntaxError.
func ParseHedge(text string) (Hedge, error) {
	s := source{"hedge", text}
	if text == "none" {
		return Hedge{}, nil
	}
	wait, settings, more := strings.Cut(text, ",")
	var h Hedge
	if number, ok := strings.CutPrefix(wait, "p"); ok {
		if h.Quantile, ok = parsePercent(number); !ok || h.Quantile < leastQuantile || h.Quantile > mostQuantile {
			return Hedge{}, s.wrong(0, "a quantile is from p50 to p99.9")
		}
	} else {
		d, err := time.ParseDuration(wait)
		if err != nil || d <= 0 {
			return Hedge{}, s.wrong(0, "hedge after a duration or a quantile of the latencies: 50ms, p95, or none")
		}
		h.Delay = d
	}
	if more {
		if err := s.settings(settings, len(wait)+1, map[string]*int{"max": &h.Most}, "after a comma comes max=2"); err != nil {
			return Hedge{}, err
		}
	}
	return h.complete(), nil
}
