package telemetry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// errPanic is the error of a message whose handler has panicked.
var errPanic = errors.New("panic")

const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
	// maxTracestate is the length that every implementation of W3C Trace Context passes on. Longer ones
	// are ignored.
	maxTracestate = 512
	// maxText limits the path of a request, and the text of an error, in a span.
	maxText = 256
)

// w3c reads and writes W3C Trace Context. It ignores what is not valid.
var w3c propagation.TraceContext

// metadata carries a trace in the metadata of a message.
type metadata struct{ *micro.Metadata }

// Get is a method of propagation.TextMapCarrier.
func (m metadata) Get(key string) string {
	v := m.Metadata.Get(key)
	if key == tracestate && len(v) > maxTracestate {
		return ""
	}
	return v
}

// Keys is a method of propagation.TextMapCarrier.
func (m metadata) Keys() []string { return []string{traceparent, tracestate} }

// startServerSpan starts the span of a received message, which continues the trace in its
// metadata. It is nil without traces.
func (t *Telemetry) startServerSpan(ctx context.Context, req *micro.Request, pattern string) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, nil
	}
	kind := trace.SpanKindServer
	if req.Event {
		kind = trace.SpanKindConsumer
	}
	ctx = w3c.Extract(ctx, metadata{&req.Metadata})
	attrs := messageAttributes(req, pattern)
	if req.Attempt > 1 {
		attrs = append(attrs, attribute.Int("msctl.attempt", req.Attempt))
	}
	return t.tracer.Start(ctx, pattern, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
}

// startClientSpan starts the span of a message that is sent, and adds it to the metadata. It is
// nil without traces.
func (t *Telemetry) startClientSpan(ctx context.Context, req *micro.Request, to, pattern string) (context.Context, trace.Span) {
	if t.tracer == nil {
		return ctx, nil
	}
	kind := trace.SpanKindClient
	if req.Event {
		kind = trace.SpanKindProducer
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = w3c.Extract(ctx, metadata{&req.Metadata}) // a forwarded message, or a caller that has set it
	}
	attrs := append(messageAttributes(req, pattern), attribute.String("msctl.to", to))
	ctx, span := t.tracer.Start(ctx, pattern, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	w3c.Inject(ctx, metadata{&req.Metadata})
	return ctx, span
}

func messageAttributes(req *micro.Request, pattern string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("rpc.system", "nestjs"),
		attribute.String("rpc.method", pattern),
		attribute.String("msctl.correlation_id", req.CorrelationID()),
	}
}

// endSpan ends a span, unless it is nil.
func endSpan(span trace.Span, err error, outcome string) {
	if span == nil {
		return
	}
	span.SetAttributes(attribute.String("msctl.outcome", outcome))
	if err != nil {
		text := err.Error()
		span.SetStatus(codes.Error, strings.ToValidUTF8(text[:min(len(text), maxText)], "\uFFFD"))
	}
	span.End()
}

// attemptEvent notes a failed attempt in the span of its request.
func attemptEvent(ctx context.Context, a policy.Attempt) {
	span := trace.SpanFromContext(ctx)
	if a.Err == nil && a.Number == 1 || !span.IsRecording() {
		return
	}
	attrs := []attribute.KeyValue{attribute.Int("attempt", a.Number), attribute.String("outcome", sent(a.Err)), attribute.String("next", a.Next.String())}
	if a.Hedge {
		attrs = append(attrs, attribute.Bool("hedge", true))
	}
	span.AddEvent("attempt", trace.WithAttributes(attrs...))
}

// startHTTPSpan starts the span of a request, and replaces its traceparent. It is nil without
// traces.
func (t *Telemetry) startHTTPSpan(req *http.Request) (context.Context, trace.Span) {
	ctx := req.Context()
	if t.tracer == nil || req.URL.Path == "/health" || strings.HasPrefix(req.URL.Path, "/health/") {
		return ctx, nil
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			attribute.String("http.request.method", methodOf(req)),
			attribute.String("url.path", strings.ToValidUTF8(req.URL.Path[:min(len(req.URL.Path), maxText)], "\uFFFD")),
		),
	}
	if len(req.Header.Get(tracestate)) > maxTracestate {
		req.Header.Del(tracestate)
	}
	switch theirs := w3c.Extract(ctx, propagation.HeaderCarrier(req.Header)); {
	case t.trusted != nil && t.trusted(req):
		ctx = theirs
	default:
		if link := trace.SpanContextFromContext(theirs); link.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: link}))
		}
	}
	ctx, span := t.tracer.Start(ctx, methodOf(req), options...)
	req.Header.Del(traceparent)
	req.Header.Del(tracestate)
	w3c.Inject(ctx, propagation.HeaderCarrier(req.Header))
	return ctx, span
}

func methodOf(req *http.Request) string {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return req.Method
	}
	return "_OTHER"
}

// endHTTPSpan ends the span of a request, unless it is nil.
func endHTTPSpan(span trace.Span, route string, status int) {
	if span == nil {
		return
	}
	if route != "" {
		span.SetName(route)
		_, path, _ := strings.Cut(route, " ")
		span.SetAttributes(attribute.String("http.route", path))
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError || status == 0 {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
	span.End()
}
