package policy

import (
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
	// Max limits the hedges of one request, each after another such wait; the
	// default is 1.
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
		h.Quantile = 0 // it may be no number
	default:
		return Hedge{}
	}
	h.Max = orElse(h.Max, 1)
	return h
}

// longest is by how much hedges may prolong a try whose attempts are bounded to
// timeout: the last one may begin just before the one before it is given up.
func (h Hedge) longest(timeout time.Duration) time.Duration {
	wait := timeout
	if h.Quantile == 0 {
		wait = min(h.Delay, timeout)
	}
	return wait * time.Duration(h.Max)
}
