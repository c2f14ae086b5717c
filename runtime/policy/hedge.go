package policy

import (
	"time"
)

// Hedge sends a request again if the first attempt is slow. The first reply wins, and
// the other attempt is abandoned. Hedging trades additional load for a shorter tail of
// the latencies. It suits handlers that are safe to run twice and services with spare
// capacity. A budget limits it; each hedge costs as much as a retry. Events are never
// hedged, and neither is a request after the first value of its reply.
//
// The time to wait is a Delay, or a Quantile of recent durations of first attempts. The
// zero Hedge is disabled.
type Hedge struct {
	// Delay is the time to wait for a reply. It is ignored if Quantile is set. There are no
	// hedges if it is not shorter than the policy's timeout.
	Delay time.Duration
	// Quantile waits for this quantile of the durations of first attempts: 0.95 hedges
	// about 5% of the requests. It is limited to the range from 0.5 to 0.999. Hedging
	// starts after enough measurements: at least 100 attempts, 1000 for 0.995, or 5000
	// for 0.999.
	Quantile float64
	// Max limits the hedges of one request, each after another such wait. The default
	// is 1.
	Max int
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
		h.Quantile = 0 // it may be NaN
	default:
		return Hedge{}
	}
	h.Max = orElse(h.Max, 1)
	return h
}

// longest returns how much longer hedges can make a try whose attempts are limited by
// timeout, in nanoseconds: the last hedge may begin just before the previous one times
// out.
func (h Hedge) longest(timeout time.Duration) float64 {
	wait := timeout
	if h.Quantile == 0 {
		if wait = h.Delay; wait >= timeout {
			return 0 // never sent
		}
	}
	return float64(wait) * float64(h.Max)
}
