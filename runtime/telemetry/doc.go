// Package telemetry adds metrics, traces, and probes to services and gateways. It is
// optional: a program that does not import it depends on none of it, and pays for none of it.
//
//	t := telemetry.New("orders", telemetry.WithVersion("1.2.0"))
//	defer t.Close()
//	s := micro.NewServer(t.Server())
//	items := micro.NewClient(microtcp.Dial("items:3002"), t.Client("items", policy.Recommended()))
//	if err := t.Listen(ctx, os.Getenv("PRIVATE_ADDRESS"), s); err != nil { … }
//	err := s.Serve(ctx, microtcp.Listen(":3003"))
//
// In a gateway, use gateway.WithObserver(t.ObserveHTTP) instead of Server.
//
// Metrics are always counted. [Telemetry.Listen] serves them to Prometheus on a private port,
// with the probes /live and /ready and with Go's profiles. docs/telemetry.md lists them. The
// number of series is bounded: routes and patterns are those that the program has registered,
// and everything else is counted as "other".
//
// Traces are exported as OTLP over HTTP if the environment has OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. The other variables of OpenTelemetry apply as well, such
// as OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER, and OTEL_SDK_DISABLED. Spans of different processes are linked by the
// metadata traceparent and tracestate (W3C Trace Context), on every transport.
package telemetry
