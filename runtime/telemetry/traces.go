package telemetry

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// startTraces creates the provider of spans if the environment asks for one.
func (t *Telemetry) startTraces() {
	if !tracesWanted() {
		return
	}
	ctx := context.Background()
	// A failing collector must not hold the queue for long: what it does not take in 10 s is
	// counted as lost, and the next spans are tried.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout,
	}))
	if err != nil {
		t.log.Error("there are no traces: the settings of the exporter are invalid", "error", err)
		return
	}
	t.traceTo(exporter)
}

// tracesWanted reports whether the environment names a collector.
func tracesWanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if list := os.Getenv("OTEL_TRACES_EXPORTER"); list != "" && !slices.Contains(strings.Split(list, ","), "otlp") {
		return false
	}
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != ""
}

// traceTo creates the provider of spans for an exporter.
func (t *Telemetry) traceTo(exporter sdktrace.SpanExporter) {
	attrs := []attribute.KeyValue{attribute.String("service.name", t.name)}
	if t.version != "" {
		attrs = append(attrs, attribute.String("service.version", t.version))
	}
	// The environment comes last, because its attributes take precedence. An error means that
	// some of them are invalid; the others are in the result.
	about, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithAttributes(attrs...), resource.WithFromEnv())
	if err != nil {
		t.log.Warn("attributes of the traces are missing", "error", err)
	}
	t.spans = newSpanQueue(exporter, t.metrics, t.log, spanLimits{
		queue: fromEnvironment("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
		batch: fromEnvironment("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
		delay: time.Duration(fromEnvironment("OTEL_BSP_SCHEDULE_DELAY", 5000)) * time.Millisecond,
	})
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSpanProcessor(t.spans))
	t.provider, t.tracer = provider, provider.Tracer("github.com/msctl/msctl/runtime/telemetry")
}

// fromEnvironment returns a variable that is a positive number, or the default.
func fromEnvironment(name string, standard int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return standard
}
