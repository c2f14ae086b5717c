package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ObserveHTTP observes the requests of a gateway, with gateway.WithObserver(t.ObserveHTTP):
// each is counted and, with traces, gets a span. The span's context replaces the traceparent of
// the request, so it is the gateway's that travels on; see [WithTrustedTraces]. Requests for
// /health and what is below it get no span.
func (t *Telemetry) ObserveHTTP(req *http.Request) (context.Context, func(route string, status int)) {
	start := time.Now()
	t.metrics.httpInFlight.Inc()
	ctx, span := t.startHTTPSpan(req)
	return ctx, func(route string, status int) {
		t.metrics.httpInFlight.Dec()
		r := t.routes.of(route)
		r.seconds.Observe(time.Since(start).Seconds())
		r.count(strconv.Itoa(status))
		endHTTPSpan(span, route, status)
	}
}

// routes are the metrics of HTTP requests by route. Only registered routes reach it. The zero
// value requires metrics.
type routes struct {
	metrics *metrics
	known   sync.Map // of *series by route
}

func (r *routes) of(route string) *series {
	if s, ok := r.known.Load(route); ok {
		return s.(*series)
	}
	label := route
	if label == "" {
		label = other
	}
	s, _ := r.known.LoadOrStore(route, &series{
		seconds: r.metrics.httpSeconds.WithLabelValues(label),
		counters: func(status string) prometheus.Counter {
			return r.metrics.httpRequests.WithLabelValues(label, status)
		},
	})
	return s.(*series)
}
