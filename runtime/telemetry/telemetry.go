package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/msctl/msctl/runtime/probe"
)

// Telemetry counts and traces what one process does. Create it with [New]; one is enough for
// a program. It is safe for concurrent use.
type Telemetry struct {
	name, version string
	log           *slog.Logger
	trusted       func(*http.Request) bool // nil trusts no caller

	registry *prometheus.Registry
	metrics  *metrics
	handlers handlers
	clients  clients
	routes   routes

	tracer   trace.Tracer // nil without traces
	provider trace.TracerProvider
	spans    *spanQueue // nil without traces

	mu      sync.Mutex // guards the following
	private []*probe.Port
	closed  bool
}

// Option configures [New].
type Option interface{ apply(*Telemetry) }

type option func(*Telemetry)

func (f option) apply(t *Telemetry) { f(t) }

// WithVersion sets the version of the program in msctl_build_info and in traces.
func WithVersion(version string) Option {
	return option(func(t *Telemetry) { t.version = version })
}

// WithLogger sets the logger for problems of the telemetry itself. The default is
// slog.Default().
func WithLogger(log *slog.Logger) Option {
	return option(func(t *Telemetry) { t.log = log })
}

// WithTrustedTraces sets the requests whose traceparent [Telemetry.ObserveHTTP] continues,
// with its decision to sample, such as those of a proxy that sets the header itself. By
// default, no caller is trusted: a request starts a trace of its own, whose first span has a
// link to the caller's. Otherwise, strangers could have every request recorded.
func WithTrustedTraces(trusted func(*http.Request) bool) Option {
	return option(func(t *Telemetry) { t.trusted = trusted })
}

// closeTimeout limits how long Close waits for the spans that are not exported.
const closeTimeout = 5 * time.Second

// New returns the telemetry of a program with the name of a service, unless OTEL_SERVICE_NAME
// sets another one for its traces. If the environment asks for traces, it starts a goroutine,
// which Close ends. An invalid setting is logged, and there are no traces.
func New(name string, opts ...Option) *Telemetry {
	t := &Telemetry{name: name, log: slog.Default(), registry: prometheus.NewRegistry(), provider: noop.NewTracerProvider()}
	for _, o := range opts {
		o.apply(t)
	}
	t.metrics = newMetrics(t)
	t.handlers.metrics, t.clients.metrics, t.routes.metrics = t.metrics, t.metrics, t.metrics
	t.startTraces()
	return t
}

// Registry returns the registry of the metrics that Listen serves, for metrics of your own.
func (t *Telemetry) Registry() *prometheus.Registry { return t.registry }

// TracerProvider returns the provider of the spans, for spans of your own. Without traces,
// it creates spans that record nothing.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.provider }

// Close exports the spans that are waiting, for up to 5 s, and closes the private ports. Call
// it when everything else has stopped.
func (t *Telemetry) Close() {
	t.mu.Lock()
	ports := t.private
	t.private, t.closed = nil, true
	t.mu.Unlock()
	if t.spans != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = t.spans.Shutdown(ctx) // what it could not export has been counted and logged
	}
	for _, p := range ports {
		p.Close()
	}
}
