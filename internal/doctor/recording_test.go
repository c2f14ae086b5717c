package doctor

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	record "github.com/msctl/msctl/runtime/tap"
)

// base is the time at which recordings begin.
const base = int64(1_700_000_000_000_000_000)

// span is a message from base + start on, in milliseconds.
func span(id, parent, service, kind, pattern string, start, took int) tap.Message {
	m := tap.Message{Service: service, Runtime: "go1.26", PID: 1}
	m.Kind, m.Trace, m.Span, m.Parent, m.Pattern, m.Transport = record.Kind(kind), strings.Repeat("a", 32), id, parent, pattern, "tcp"
	m.Start, m.Took, m.Outcome = base+int64(start)*int64(time.Millisecond), int64(took)*int64(time.Millisecond), record.OK
	return m
}

func with(m tap.Message, change func(*tap.Message)) tap.Message {
	change(&m)
	return m
}

func recorded(t *testing.T, list ...tap.Message) *Recording {
	t.Helper()
	var lines strings.Builder
	for _, m := range list {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(text, '\n'))
	}
	r, err := parseRecording("messages.jsonl", strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ofRecording(t *testing.T, list ...tap.Message) Report {
	t.Helper()
	return examine(t, Subject{Flags: &target.Flags{}, Timeout: replyLimit, Recording: recorded(t, list...)})
}

// healthyMessages are those of a gateway that calls orders, which calls items.
func healthyMessages() []tap.Message {
	return []tap.Message{
		span("1", "", "gateway", "http", "POST /orders", 0, 100),
		with(span("2", "1", "gateway", "send", `"order"`, 1, 90), func(m *tap.Message) { m.Metadata = map[string]string{"timeout-ms": "5000"} }),
		span("3", "2", "orders", "handle", `"order"`, 2, 80),
		with(span("4", "3", "orders", "send", `{"cmd":"findItem"}`, 3, 70), func(m *tap.Message) { m.Metadata = map[string]string{"timeout-ms": "4900"} }),
		span("5", "4", "items", "handle", `{"cmd":"findItem"}`, 4, 60),
	}
}

func TestHealthyRecording(t *testing.T) {
	healthy(t, ofRecording(t, healthyMessages()...), "handlers and callers", "timeouts", "retries", "metadata", "clocks")
}

func TestRecordedFindings(t *testing.T) {
	retried := func(m *tap.Message, call string, attempt int) {
		m.Call, m.Attempt, m.Outcome = call, attempt, record.TimedOut
	}
	tests := []struct {
		name     string
		messages []tap.Message
		code     string
		mentions []string
	}{
		{"a client that waits longer than its caller, by its metadata", []tap.Message{
			with(healthyMessages()[1], func(m *tap.Message) { m.Metadata = map[string]string{"timeout-ms": "1000"} }),
			healthyMessages()[2],
			with(healthyMessages()[3], func(m *tap.Message) { m.Metadata = map[string]string{"timeout-ms": "3000"} }),
			healthyMessages()[4],
		}, "timeout-order", []string{"gateway waits up to 1s", "orders waits up to 3s"}},
		{"a client that waits longer than its caller, by what happened", []tap.Message{
			with(span("2", "", "gateway", "send", `"order"`, 0, 1000), func(m *tap.Message) { m.Outcome = record.TimedOut }),
			span("3", "2", "orders", "handle", `"order"`, 1, 5001),
			with(span("4", "3", "orders", "send", `"stock"`, 2, 5000), func(m *tap.Message) { m.Outcome = record.TimedOut }),
		}, "timeout-order", []string{"gateway waits up to 1s", "orders waits up to 5s"}},
		{"retries at two levels", []tap.Message{
			with(span("20", "", "gateway", "send", `"order"`, 0, 300), func(m *tap.Message) { retried(m, "a", 1) }),
			span("30", "20", "orders", "handle", `"order"`, 1, 200),
			with(span("40", "30", "orders", "send", `"stock"`, 2, 50), func(m *tap.Message) { retried(m, "b", 1) }),
			with(span("41", "30", "orders", "send", `"stock"`, 60, 50), func(m *tap.Message) { retried(m, "b", 2) }),
			with(span("21", "", "gateway", "send", `"order"`, 310, 300), func(m *tap.Message) { retried(m, "a", 2) }),
			span("31", "21", "orders", "handle", `"order"`, 311, 200),
			with(span("42", "31", "orders", "send", `"stock"`, 312, 50), func(m *tap.Message) { retried(m, "c", 1) }),
		}, "retries-multiply", []string{"gateway sent \"order\" 2 times", "orders sent \"stock\" 2 times", "was sent 3 times for one request"}},
		{"a clock that is ahead", []tap.Message{
			span("2", "", "gateway", "send", `"order"`, 0, 100),
			span("3", "2", "orders", "handle", `"order"`, 2010, 80),
		}, "clock-skew", []string{"the clock of orders is ahead of that of gateway by at least 1.99s"}},
		{"a clock that is behind", []tap.Message{
			span("2", "", "gateway", "send", `"order"`, 0, 100),
			span("3", "2", "orders", "handle", `"order"`, -1990, 80),
		}, "clock-skew", []string{"the clock of gateway is ahead of that of orders by at least 1.99s"}},
		{"a pattern without a handler", append(healthyMessages(),
			with(span("9", "", "gateway", "send", `{"cmd":"fndItem"}`, 0, 5), func(m *tap.Message) { m.Outcome = record.NoHandler }),
		), "no-handler", []string{"1 request of gateway", "did you mean cmd=findItem?"}},
		{"every other message fails", []tap.Message{
			with(span("1", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) { m.Transport = "rmq" }),
			with(span("2", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) { m.Transport, m.Outcome = "rmq", record.NoHandler }),
		}, "mixed-handlers", []string{"2 requests: 1 reached a handler"}},
		{"replicas on Redis", []tap.Message{
			with(span("1", "", "gateway", "emit", `"viewed"`, 0, 0), func(m *tap.Message) { m.Transport = "redis" }),
			span("2", "1", "items", "handle", `"viewed"`, 1, 1),
			with(span("3", "1", "items", "handle", `"viewed"`, 1, 1), func(m *tap.Message) { m.PID = 2 }),
		}, "redis-replicas", []string{"2 processes of items"}},
		{"no queue group", []tap.Message{
			with(span("1", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) { m.Transport = "nats" }),
			span("2", "1", "orders", "handle", `"order"`, 1, 1),
			with(span("3", "1", "orders", "handle", `"order"`, 1, 1), func(m *tap.Message) { m.PID = 2 }),
		}, "no-queue-group", []string{"2 processes of orders", "several replies"}},
		{"metadata for NestJS 11", []tap.Message{
			with(span("1", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) {
				m.Metadata = map[string]string{"tenant": "a", "timeout-ms": "5000", "correlation-id": "x"}
			}),
			with(span("2", "1", "orders", "handle", `"order"`, 1, 1), func(m *tap.Message) { m.Runtime = "node 22.11.0, @nestjs/microservices 11.2.6" }),
		}, "metadata-ignored", []string{"with the metadata tenant", "11.2.6"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mentions(t, one(t, ofRecording(t, tt.messages...), tt.code), append(tt.mentions, "messages.jsonl")...)
		})
	}
}

// TestRecordedHealthy has messages that resemble those of a misconfiguration.
func TestRecordedHealthy(t *testing.T) {
	tests := map[string][]tap.Message{
		"two services with one event": {
			with(span("1", "", "gateway", "emit", `"viewed"`, 0, 0), func(m *tap.Message) { m.Transport = "redis" }),
			span("2", "1", "items", "handle", `"viewed"`, 1, 1),
			with(span("3", "1", "orders", "handle", `"viewed"`, 1, 1), func(m *tap.Message) { m.PID = 2 }),
		},
		"msctl's own metadata for NestJS 10": {
			with(span("1", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) {
				m.Metadata = map[string]string{"traceparent": "00", "timeout-ms": "5000", "correlation-id": "x", record.Key: "y"}
			}),
			with(span("2", "1", "orders", "handle", `"order"`, 1, 1), func(m *tap.Message) { m.Runtime = "node 22.11.0, @nestjs/microservices 10.4.22" }),
		},
		"retries at one level": {
			with(span("1", "", "gateway", "send", `"order"`, 0, 5), func(m *tap.Message) { m.Call, m.Outcome = "a", record.Failed }),
			span("2", "1", "orders", "handle", `"order"`, 1, 1),
			span("3", "2", "orders", "send", `"stock"`, 1, 1),
			with(span("4", "", "gateway", "send", `"order"`, 9, 5), func(m *tap.Message) { m.Call, m.Attempt = "a", 2 }),
		},
		"a clock that was set": {
			span("1", "", "gateway", "send", `"order"`, 0, 5), span("2", "1", "orders", "handle", `"order"`, 1000, 1),
			span("3", "", "gateway", "send", `"order"`, 5000, 5), span("4", "3", "orders", "handle", `"order"`, 4000, 1),
		},
	}
	for name, messages := range tests {
		t.Run(name, func(t *testing.T) {
			if r := ofRecording(t, messages...); len(r.Findings) > 0 {
				t.Errorf("got %+v", r.Findings)
			}
		})
	}
}

func TestParseRecording(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "r contains no recorded messages"},
		{"{\"dropped\":3}\n", "r contains no recorded messages"},
		{"\n{\"kind\":\"send\"}\n", "r, line 2 is not a record of a message: it has no kind or no span"},
	} {
		_, err := parseRecording("r", strings.NewReader(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.text, err, tt.want)
		}
	}
	r, err := parseRecording("r", strings.NewReader(`{"kind":"send","span":"1","service":"a\u001b[2J","open":true}
{"dropped":2}
{"kind":"send","span":"1","service":"a","took":5}
`))
	if err != nil || r.Dropped != 2 || len(r.spans) != 1 || r.spans[0].Service != "a" || r.spans[0].Took != 5 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// FuzzRecording checks that no recording makes the checks fail.
func FuzzRecording(f *testing.F) {
	f.Add(`{"kind":"send","span":"1","service":"a","call":"c","pattern":"\"x\""}` + "\n" + `{"kind":"handle","span":"1","parent":"1","pattern":"{"}`)
	f.Add(`{"kind":"send","span":"1","parent":"1","took":-9223372036854775808,"start":9223372036854775807,"metadata":{"timeout-ms":"1e308"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRecording("r", strings.NewReader(text))
		if err != nil {
			return
		}
		if _, err := Examine(t.Context(), Subject{Flags: &target.Flags{}, Timeout: replyLimit, Recording: r}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzCompose(f *testing.F) {
	f.Add("services:\n  a:\n    environment: [X=b:1]\n  b: {environment: {Y: 'tcp://a:2'}}\n")
	f.Fuzz(func(_ *testing.T, text string) {
		services, err := parseCompose([]byte(text))
		if err == nil {
			callersIn(services, "a")
		}
	})
}

func TestCallersIn(t *testing.T) {
	services, err := parseCompose([]byte(`services:
  items: {}
  gateway:
    environment:
      ITEMS_HOST: items
      ITEMS_URL: tcp://user:pw@items:3002
      OTHER: items-db
      API_TOKEN: items
  orders:
    environment:
      - HOSTS=mail,items:3002
  items-db:
    environment:
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"gateway has ITEMS_HOST=items", "gateway has ITEMS_URL=tcp://user:***@items:3002", "orders has HOSTS=mail,items:3002"}
	if diff := cmp.Diff(want, callersIn(services, "items")); diff != "" {
		t.Error(diff)
	}
}
