package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/msctl/msctl/runtime/probe"
)

// Listen serves the private port at address, "host:port", in the background until Close:
//
//	/metrics       metrics, for Prometheus
//	/live          200 while the process serves HTTP
//	/ready         200 if every part is ready, such as a *micro.Server or a *gateway.Gateway,
//	               and otherwise 503; 503 from the moment that ctx ends, while they drain
//	/debug/pprof/  profiles, for go tool pprof
//
// It is [probe.Listen] with metrics and profiles. Use another port than the public one: what it
// serves is not for strangers. Without a host, ":9464", it listens on the loopback interface
// only; "0.0.0.0:9464" is for all of them, as Prometheus and Kubernetes need it. With the empty
// address, it does nothing.
//
// An address that cannot be used is an error. A port that is in use is logged and tried again,
// because the previous process of the service may be draining.
func (t *Telemetry) Listen(ctx context.Context, address string, parts ...probe.Readiness) error {
	if address == "" {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errors.New("telemetry: Listen was called after Close")
	}
	options := []probe.Option{probe.WithLogger(t.log), probe.WithReady(parts...), probe.WithHandler("GET /metrics", t.metricsHandler())}
	for pattern, handler := range profiles() {
		options = append(options, probe.WithHandler(pattern, handler))
	}
	p, err := probe.Listen(ctx, address, options...)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	t.private = append(t.private, p)
	return nil
}

func (t *Telemetry) metricsHandler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}
