package otlp

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/msctl/msctl/internal/tap"
	reported "github.com/msctl/msctl/runtime/tap"
)

// The longest texts in a span, in bytes.
const (
	maxText = 1 << 10
	maxBody = 32 << 10 // more than is recorded of data and replies
)

// process is a program that reported messages.
type process struct {
	service, runtime string
	pid              int
}

// export returns the spans of messages, by the program that reported them.
func export(messages []tap.Message, version string) []*trace.ResourceSpans {
	byProcess := map[process]*trace.ScopeSpans{}
	var list []*trace.ResourceSpans
	for i := range messages {
		m := &messages[i]
		p := process{m.Service, m.Runtime, m.PID}
		spans := byProcess[p]
		if spans == nil {
			spans = &trace.ScopeSpans{Scope: &common.InstrumentationScope{Name: "msctl tap", Version: version}}
			byProcess[p] = spans
			list = append(list, &trace.ResourceSpans{Resource: p.resource(), ScopeSpans: []*trace.ScopeSpans{spans}})
		}
		spans.Spans = append(spans.Spans, spanOf(m))
	}
	return list
}

func (p process) resource() *resource.Resource {
	var a attributes
	a.text("service.name", cmp.Or(p.service, "unknown_service"))
	a.text("process.runtime.description", p.runtime)
	a.number("process.pid", p.pid)
	return &resource.Resource{Attributes: a}
}

// spanOf converts a message, by the semantic conventions of OpenTelemetry where there are any.
func spanOf(m *tap.Message) *trace.Span {
	start := max(0, m.Start)
	s := &trace.Span{
		TraceId: id(cmp.Or(m.Trace, "of "+m.Span), 16), SpanId: id(m.Span, 8), Name: clean(name(m), maxText), Kind: kind(m),
		StartTimeUnixNano: uint64(start), EndTimeUnixNano: uint64(start) + uint64(max(0, m.Took)),
	}
	if m.Record.Parent != "" {
		s.ParentSpanId = id(m.Record.Parent, 8)
	}
	var a attributes
	if m.Kind == reported.HTTP {
		a.http(m)
	} else {
		a.message(m)
	}
	a.text("msctl.outcome", string(m.Outcome))
	a.text("msctl.correlation_id", m.Correlation)
	if m.Attempt > 1 {
		a.number("msctl.attempt", m.Attempt)
	}
	fail(s, &a, m)
	a.body("msctl.data", m.Data)
	a.body("msctl.reply", m.Reply)
	s.Attributes = a
	return s
}

// id returns the bytes of an ID in hexadecimal digits. What is none has an ID that is derived from it, so that the spans
// of a tree stay joined.
func id(text string, size int) []byte {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) == size && slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		return b
	}
	sum := sha256.Sum256([]byte(text))
	return sum[:size]
}

// name returns the pattern of a message as a name: without quotes if it is a string.
func name(m *tap.Message) string {
	var plain string
	if json.Unmarshal([]byte(m.Pattern), &plain) == nil {
		return plain
	}
	return m.Pattern
}

func kind(m *tap.Message) trace.Span_SpanKind {
	switch {
	case m.Kind == reported.Send:
		return trace.Span_SPAN_KIND_CLIENT
	case m.Kind == reported.Emit:
		return trace.Span_SPAN_KIND_PRODUCER
	case m.Kind == reported.Handle && m.Event:
		return trace.Span_SPAN_KIND_CONSUMER
	}
	return trace.Span_SPAN_KIND_SERVER
}

// fail sets the status, and describes the error in the span of the program in which it arose.
func fail(s *trace.Span, a *attributes, m *tap.Message) {
	if m.Outcome == reported.OK || m.Outcome == "" || m.Kind == reported.HTTP && m.Status > 0 && m.Status < 500 {
		return // of a server, a status below 500 is not an error
	}
	text, kind := string(m.Outcome), string(m.Outcome)
	if m.Kind == reported.HTTP && m.Status > 0 {
		kind = strconv.Itoa(m.Status)
	}
	if e := m.Error; e != nil {
		text = reported.MaskText(cmp.Or(e.Message, text))
		if e.Status != 0 {
			kind = strconv.Itoa(e.Status)
		}
		if e.Own {
			a.truth("msctl.error.origin")
			var about attributes
			about.text("exception.type", kind)
			about.text("exception.message", text)
			about.long("exception.stacktrace", e.Stack)
			s.Events = []*trace.Span_Event{{TimeUnixNano: s.EndTimeUnixNano, Name: "exception", Attributes: about}}
		}
	}
	a.text("error.type", kind)
	s.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: clean(text, maxText)}
}

// attributes are those of a span, a resource, or an event.
type attributes []*common.KeyValue

// http adds the attributes of an HTTP request that a program handles.
func (a *attributes) http(m *tap.Message) {
	method, route, _ := strings.Cut(m.Pattern, " ")
	a.text("http.request.method", method)
	a.text("http.route", route)
	a.text("url.path", m.Path)
	a.number("http.response.status_code", m.Status)
}

// message adds the attributes of a message between services: those of RPC for a request, and those of messaging for an
// event and for each message of a broker.
func (a *attributes) message(m *tap.Message) {
	event := m.Event || m.Kind == reported.Emit
	a.text("msctl.transport", m.Transport)
	if !event {
		a.text("rpc.system", "nestjs") // as in runtime/telemetry
		a.text("rpc.method", name(m))
	}
	system := map[string]string{"rmq": "rabbitmq", "redis": "redis", "nats": "nats"}[m.Transport]
	if event || system != "" {
		a.text("messaging.system", cmp.Or(system, "nestjs"))
		a.text("messaging.destination.name", name(m))
		operation, what := "send", map[bool]string{true: "emit", false: "send"}[event]
		if m.Kind == reported.Handle {
			operation, what = "process", "handle"
		}
		a.text("messaging.operation.type", operation)
		a.text("messaging.operation.name", what)
		a.text("messaging.message.conversation_id", m.Correlation)
		a.number("messaging.message.body.size", m.In)
	}
	a.peer(m)
	a.number("msctl.data.size", m.In)
	a.number("msctl.reply.size", m.Out)
	a.number("msctl.reply.values", m.Values)
}

// peer adds the address of the other side, which is a server if the message was sent to it.
func (a *attributes) peer(m *tap.Message) {
	if m.Peer == "" {
		return
	}
	host, port, err := net.SplitHostPort(reported.MaskText(m.Peer))
	if err != nil {
		host = reported.MaskText(m.Peer)
	}
	number, _ := strconv.Atoi(port)
	prefix := "network.peer."
	if m.Kind != reported.Handle {
		prefix = "server."
	}
	a.text(prefix+"address", host)
	a.number(prefix+"port", number)
}

// text adds an attribute, unless it is empty.
func (a *attributes) text(key, value string) { a.cut(key, value, maxText) }

// long adds an attribute that may be long, unless it is empty.
func (a *attributes) long(key, value string) { a.cut(key, value, maxBody) }

// body adds JSON text. It was masked where it was reported; that is repeated, because a collector may be anywhere.
func (a *attributes) body(key string, value json.RawMessage) {
	a.long(key, string(reported.Mask(nil, value)))
}

func (a *attributes) cut(key, value string, limit int) {
	if value != "" {
		a.add(key, &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: clean(value, limit)}})
	}
}

// number adds an attribute, unless it is 0.
func (a *attributes) number(key string, value int) {
	if value != 0 {
		a.add(key, &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(min(value, math.MaxInt32))}})
	}
}

func (a *attributes) truth(key string) {
	a.add(key, &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}})
}

func (a *attributes) add(key string, value *common.AnyValue) {
	*a = append(*a, &common.KeyValue{Key: key, Value: value})
}

// clean returns the beginning of a text as valid UTF-8, as protobuf requires it.
func clean(text string, limit int) string {
	if len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
