package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

const theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// attribute returns the text of a span's attribute, or "".
func attributeOf(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// TestChain checks that the spans of a call within a handler are one chain.
func TestChain(t *testing.T) {
	tel, exporter := traced(t)
	inner, stopInner := serving(t, newServer(tel), tel.Client("inner", policy.New(policy.WithRetries(1))))
	s := newServer(tel)
	micro.Handle(s, micro.Cmd("outer"), func(ctx context.Context, in string) (string, error) {
		if err := inner.Emit(ctx, seen, nil); err != nil {
			return "", err
		}
		return micro.Call[string](ctx, inner, get, in)
	})
	outer, stop := serving(t, s, tel.Client("outer", nil))
	if _, err := micro.Call[string](t.Context(), outer, micro.Cmd("outer"), "x"); err != nil {
		t.Fatal(err)
	}
	_, err := micro.Call[string](t.Context(), outer, micro.Cmd("outer"), "409")
	if err == nil {
		t.Error("no error")
	}
	stop()
	stopInner()
	spans := flushed(t, tel, exporter)
	byID := map[trace.SpanID]tracetest.SpanStub{}
	for _, s := range spans {
		byID[s.SpanContext.SpanID()] = s
	}
	var paths []string
	for _, s := range spans {
		path := ""
		for at, ok := s, true; ok; at, ok = byID[at.Parent.SpanID()] {
			if at.SpanContext.TraceID() != s.SpanContext.TraceID() {
				t.Errorf("%s belongs to another trace", at.Name)
			}
			path = at.SpanKind.String() + " " + at.Name + " > " + path
		}
		if s.SpanKind == trace.SpanKindServer && s.Name == get.String() || s.SpanKind == trace.SpanKindConsumer {
			paths = append(paths, path)
		}
	}
	const chain = `client {"cmd":"outer"} > server {"cmd":"outer"} > `
	want := []string{chain + "producer seen > consumer seen > ", chain + `client {"cmd":"get"} > server {"cmd":"get"} > `}
	less := func(a, b string) bool { return a < b }
	if diff := cmp.Diff(append(want, want...), paths, sorted(less)); diff != "" {
		t.Error(diff)
	}
	if len(spans) != 12 {
		t.Errorf("%d spans", len(spans))
	}
	failed := 0
	for _, s := range spans {
		if s.Status.Code == codes.Error {
			failed++
			if attributeOf(s, "msctl.outcome") != "error" || !strings.Contains(s.Status.Description, "conflict") {
				t.Errorf("%s: %v, %s", s.Name, s.Status, attributeOf(s, "msctl.outcome"))
			}
		}
		if attributeOf(s, "msctl.correlation_id") == "" {
			t.Errorf("%s has no correlation ID", s.Name)
		}
	}
	if failed != 4 {
		t.Errorf("%d failed spans", failed)
	}
}

func sorted(less func(a, b string) bool) cmp.Option {
	return cmp.Transformer("sort", func(in []string) map[string]int {
		counts := map[string]int{}
		for _, s := range in {
			counts[s]++
		}
		return counts
	})
}

// TestAttempts checks that the span of a request tells about its attempts, and that each
// attempt carries it.
func TestAttempts(t *testing.T) {
	tel, exporter := traced(t)
	var sent []string
	conn := connFunc(func(_ context.Context, req *micro.Request) error {
		sent = append(sent, req.Metadata.Get(traceparent))
		if len(sent) == 1 {
			return micro.ErrUnreachable
		}
		return nil
	})
	c := micro.NewClient(conn, tel.Client("items", policy.New(policy.WithRetries(1))))
	if err := c.Emit(t.Context(), seen, nil); err != nil {
		t.Fatal(err)
	}
	spans := flushed(t, tel, exporter)
	if len(spans) != 1 || len(spans[0].Events) != 2 || len(sent) != 2 || sent[0] != sent[1] || !strings.Contains(sent[0], spans[0].SpanContext.SpanID().String()) {
		t.Errorf("spans %v, sent %q", spans, sent)
	}
}

// TestParents checks which traceparents a service continues.
func TestParents(t *testing.T) {
	tel, exporter := traced(t)
	for parent, want := range map[string]bool{
		theirs:                                true,
		strings.TrimSuffix(theirs, "1") + "0": true, // not sampled: no span
		"":                                    false,
		strings.ToUpper(theirs):               false,
		"ff" + theirs[2:]:                     false,
		"00-" + strings.Repeat("0", 32) + theirs[35:]: false,
		theirs + "-more":                    false,
		theirs + strings.Repeat("x", 1<<16): false,
		"00-x\r\nSet-Cookie: a-b-01":        false,
	} {
		exporter.Reset()
		req := &micro.Request{Pattern: get, Data: []byte(`"x"`)}
		if parent != "" {
			req.Metadata.Set(traceparent, parent)
		}
		c, stop := serving(t, newServer(tel))
		if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })); err != nil {
			t.Fatal(err)
		}
		stop() // the span ends after the reply
		spans := flushed(t, tel, exporter)
		if strings.HasSuffix(parent, "-00") {
			if len(spans) != 0 {
				t.Errorf("%s: recorded", parent)
			}
			continue
		}
		if len(spans) != 1 {
			t.Fatalf("%q: %d spans", parent, len(spans))
		}
		if got := spans[0].Parent.IsValid(); got != want || got && spans[0].Parent.TraceID().String() != theirs[3:35] {
			t.Errorf("%.80q: parent %v", parent, spans[0].Parent)
		}
	}
}

// TestTracestate checks that valid vendor data travels on, and that other data does not.
func TestTracestate(t *testing.T) {
	tel, _ := traced(t)
	var got []string
	down := micro.NewClient(connFunc(func(_ context.Context, req *micro.Request) error {
		got = append(got, req.Metadata.Get(tracestate))
		return nil
	}), tel.Client("down", nil))
	states := []string{"vendor=1,other=x", "not valid", "a=" + strings.Repeat("x", maxTracestate), "a=\r\nb"}
	for _, state := range states {
		s := micro.NewServer(micro.WithLogger(discard), tel.Server())
		micro.HandleEvent(s, seen, func(ctx context.Context, _ micro.None) error { return down.Emit(ctx, seen, nil) })
		c, stop := serving(t, s)
		req := &micro.Request{Pattern: seen, Event: true}
		req.Metadata.Set(traceparent, theirs)
		req.Metadata.Set(tracestate, state)
		if err := c.Do(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
		stop() // the event has been handled
	}
	if diff := cmp.Diff([]string{states[0], "", "", ""}, got); diff != "" {
		t.Error(diff)
	}
}

// TestStrangers checks that a caller of the gateway can neither choose a trace nor have it
// recorded, unless it is trusted.
func TestStrangers(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	for _, tt := range []struct {
		name    string
		ratio   string
		trusted bool
		spans   int
		link    bool
	}{
		{"stranger, nothing is sampled", "0", false, 0, false},
		{"stranger, everything is sampled", "1", false, 1, true},
		{"trusted", "0", true, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", tt.ratio)
			tel, exporter := traced(t, WithTrustedTraces(func(*http.Request) bool { return tt.trusted }))
			req := httptest.NewRequest("GET", "/items/7", nil)
			req.Header.Set("Traceparent", theirs)
			req.Header.Set("Tracestate", "vendor=1")
			ctx, end := tel.ObserveHTTP(req)
			own := trace.SpanContextFromContext(ctx)
			end("GET /items/{id}", 200)
			sent := req.Header.Get("Traceparent")
			if !own.IsValid() || !strings.Contains(sent, own.SpanID().String()) || (own.TraceID().String() == theirs[3:35]) != tt.trusted {
				t.Errorf("span %v, sent %q", own, sent)
			}
			if got := req.Header.Get("Tracestate"); (got != "") != tt.trusted {
				t.Errorf("tracestate %q", got)
			}
			spans := flushed(t, tel, exporter)
			if len(spans) != tt.spans {
				t.Fatalf("%d spans", len(spans))
			}
			if tt.spans == 0 {
				return
			}
			s := spans[0]
			if linked := len(s.Links) == 1 && s.Links[0].SpanContext.TraceID().String() == theirs[3:35]; linked != tt.link {
				t.Errorf("links %v", s.Links)
			}
			if s.Name != "GET /items/{id}" || attributeOf(s, "http.route") != "/items/{id}" || attributeOf(s, "url.path") != "/items/7" || attributeOf(s, "http.response.status_code") != "200" {
				t.Errorf("%s: %v", s.Name, s.Attributes)
			}
		})
	}
}

// TestHTTPSpans checks spans of requests of all kinds.
func TestHTTPSpans(t *testing.T) {
	tel, exporter := traced(t)
	for _, r := range []struct {
		method, path, route string
		status              int
		want                string // the name and the status of the span; "" for none
	}{
		{"GET", "/nothing", "", 404, "GET Unset"},
		{"BREW", "/" + strings.Repeat("x", 1000), "", 405, "_OTHER Unset"},
		{"POST", "/items", "POST /items", 503, "POST /items Error"},
		{"GET", "/items", "GET /items", 0, "GET /items Error"},
		{"GET", "/health", "GET /health", 200, ""},
		{"GET", "/health/ready", "GET /health/ready", 503, ""},
	} {
		exporter.Reset()
		_, end := tel.ObserveHTTP(httptest.NewRequest(r.method, r.path, nil))
		end(r.route, r.status)
		got := ""
		for _, s := range flushed(t, tel, exporter) {
			got += s.Name + " " + s.Status.Code.String()
			if n := len(attributeOf(s, "url.path")); n > maxText {
				t.Errorf("a path of %d bytes", n)
			}
		}
		if got != r.want {
			t.Errorf("%s %.20s: span %q, want %q", r.method, r.path, got, r.want)
		}
	}
}

// TestLogs checks that what a handler and its server log has the IDs of the span.
func TestLogs(t *testing.T) {
	tel, exporter := traced(t)
	var text strings.Builder
	log := slog.New(LogHandler(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))).With("service", "shop")
	s := newServer(tel, micro.WithLogger(log))
	micro.Handle(s, micro.Cmd("log"), func(ctx context.Context, _ micro.None) (micro.None, error) {
		log.InfoContext(ctx, "hello")
		log.WithGroup("g").InfoContext(ctx, "group")
		return micro.None{}, nil
	})
	c, stop := serving(t, s)
	if _, err := micro.Call[micro.None](t.Context(), c, micro.Cmd("log"), nil); err != nil {
		t.Fatal(err)
	}
	stop()
	log.Info("no span")
	span := flushed(t, tel, exporter)[0].SpanContext
	ids := `"trace_id":"` + span.TraceID().String() + `","span_id":"` + span.SpanID().String() + `"`
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), text.String())
	}
	for _, line := range lines {
		if strings.Contains(line, ids) == strings.Contains(line, "no span") {
			t.Errorf("log line %s", line)
		}
	}
}
