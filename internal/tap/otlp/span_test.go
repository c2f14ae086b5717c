package otlp

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/msctl/msctl/internal/tap"
)

// TestSpans checks what of each kind of message arrives at a collector.
func TestSpans(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a request that failed elsewhere", sent, `CLIENT {"cmd":"find"} 00f067aa0ba902b7 1000+500 STATUS_CODE_ERROR "none" msctl.transport=tcp rpc.system=nestjs rpc.method={"cmd":"find"} server.address=127.0.0.1 server.port=3002 msctl.data.size=9 msctl.reply.size=4 msctl.reply.values=1 msctl.outcome=error msctl.correlation_id=c1 msctl.attempt=2 error.type=404`},
		{
			"where it arose", `{"kind":"handle","trace":"` + traceID + `","span":"b7ad6b7169203331","pattern":"\"find\"","transport":"nats","start":1,"took":2,"outcome":"error","error":{"message":"boom","stack":"at x","own":true},"service":"items"}`,
			`SERVER find  1+2 STATUS_CODE_ERROR "boom" msctl.transport=nats rpc.system=nestjs rpc.method=find messaging.system=nats messaging.destination.name=find messaging.operation.type=process messaging.operation.name=handle msctl.outcome=error msctl.error.origin=true error.type=error exception(exception.type=error exception.message=boom exception.stacktrace=at x)`,
		},
		{
			"an event", `{"kind":"emit","trace":"` + traceID + `","span":"b7ad6b7169203331","pattern":"\"seen\"","transport":"rmq","start":1,"took":2,"outcome":"ok","in":3,"correlation":"c","service":"items"}`,
			`PRODUCER seen  1+2 STATUS_CODE_UNSET "" msctl.transport=rmq messaging.system=rabbitmq messaging.destination.name=seen messaging.operation.type=send messaging.operation.name=emit messaging.message.conversation_id=c messaging.message.body.size=3 msctl.data.size=3 msctl.outcome=ok msctl.correlation_id=c`,
		},
		{
			"an event that is handled", `{"kind":"handle","event":true,"trace":"` + traceID + `","span":"b7ad6b7169203331","pattern":"\"seen\"","transport":"tcp","peer":"a socket","start":1,"took":2,"outcome":"timeout","service":"items"}`,
			`CONSUMER seen  1+2 STATUS_CODE_ERROR "timeout" msctl.transport=tcp messaging.system=nestjs messaging.destination.name=seen messaging.operation.type=process messaging.operation.name=handle network.peer.address=a socket msctl.outcome=timeout error.type=timeout`,
		},
		{
			"a rejected request", `{"kind":"http","trace":"` + traceID + `","span":"b7ad6b7169203331","pattern":"GET /items/{id}","path":"/items/7","transport":"http","start":1,"took":2,"outcome":"error","status":404,"service":"gateway"}`,
			`SERVER GET /items/{id}  1+2 STATUS_CODE_UNSET "" http.request.method=GET http.route=/items/{id} url.path=/items/7 http.response.status_code=404 msctl.outcome=error`,
		},
		{
			"a request that failed", `{"kind":"http","trace":"` + traceID + `","span":"b7ad6b7169203331","pattern":"GET /","start":1,"took":2,"outcome":"error","status":502,"service":"gateway"}`,
			`SERVER GET /  1+2 STATUS_CODE_ERROR "error" http.request.method=GET http.route=/ http.response.status_code=502 msctl.outcome=error error.type=502`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r receiver
			server := httptest.NewServer(&r)
			defer server.Close()
			x := endpoint(t, server.URL).start("1.2.3", false, quick())
			x.Add(message(t, tt.text))
			if stats := x.Close(); stats != (Stats{Sent: 1}) {
				t.Errorf("%+v", stats)
			}
			spans := r.spans()
			if len(spans) != 1 || fmt.Sprintf("%x %x", spans[0].TraceId, spans[0].SpanId) != traceID+" b7ad6b7169203331" || r.paths[0] != "/v1/traces" {
				t.Fatalf("%v to %v", spans, r.paths)
			}
			if diff := cmp.Diff(tt.want, describe(spans[0])); diff != "" {
				t.Error(diff)
			}
			resource := r.requests[0].ResourceSpans[0]
			if got := list(resource.Resource.Attributes); !strings.HasPrefix(got, " service.name="+message(t, tt.text).Service) || resource.ScopeSpans[0].Scope.Version != "1.2.3" {
				t.Errorf("resource%s, scope %v", got, resource.ScopeSpans[0].Scope)
			}
		})
	}
}

func describe(s *trace.Span) string {
	text := fmt.Sprintf("%s %s %x %d+%d %s %q%s", strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), s.Name, s.ParentSpanId, s.StartTimeUnixNano, s.EndTimeUnixNano-s.StartTimeUnixNano,
		s.Status.GetCode(), s.Status.GetMessage(), list(s.Attributes))
	for _, e := range s.Events {
		text += fmt.Sprintf(" %s(%s)", e.Name, strings.TrimSpace(list(e.Attributes)))
	}
	return text
}

func list(attrs attributes) (text string) {
	for _, a := range attrs {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			text += " " + a.Key + "=" + v.StringValue
		case *common.AnyValue_IntValue:
			text += fmt.Sprintf(" %s=%d", a.Key, v.IntValue)
		case *common.AnyValue_BoolValue:
			text += fmt.Sprintf(" %s=%t", a.Key, v.BoolValue)
		}
	}
	return text
}

// TestBodies checks that data and replies are only sent if that was asked for, and that secrets never arrive: neither
// those that a program has masked, nor those of one that does not.
func TestBodies(t *testing.T) {
	const leak = "cAnArY7731"
	m := message(t, sent)
	m.Data = json.RawMessage(`{"user":"ada","password":"` + leak + `","nested":[{"access_token":"` + leak + `"}],"header":"Bearer ` + leak + `","url":"amqp://ada:` + leak + `@host"}`)
	m.Metadata = map[string]string{"authorization": "Bearer " + leak}
	m.Error.Message, m.Peer = "cannot reach redis://ada:"+leak+"@host", "tcp://ada:"+leak+"@host:1"
	for _, bodies := range []bool{false, true} {
		var r receiver
		server := httptest.NewServer(&r)
		x := endpoint(t, server.URL).start("", bodies, quick())
		x.Add(m)
		x.Close()
		server.Close()
		text := strings.Join(r.bodies, "")
		if strings.Contains(text, leak) || strings.Contains(text, "secret-meta") {
			t.Errorf("bodies %t: a secret has arrived: %q", bodies, text)
		}
		got, want := list(r.spans()[0].Attributes), ` msctl.data={"user":"ada","password":"***","nested":[{"access_token":"***"}],"header":"***","url":"amqp://ada:***@host"} msctl.reply=[1]`
		if strings.Contains(got, want) != bodies || strings.Contains(got, "msctl.data=") != bodies || !strings.Contains(text, "cannot reach redis://ada:***@host") {
			t.Errorf("bodies %t: %s", bodies, got)
		}
	}
}

// TestHostile sends records that no program on our runtime reports. All of them arrive, within bounds, and joined.
func TestHostile(t *testing.T) {
	var r receiver
	server := httptest.NewServer(&r)
	defer server.Close()
	x := endpoint(t, server.URL).start("", true, quick())
	for _, m := range []tap.Message{
		{Service: "\xff\x00"},
		message(t, `{"kind":"send","trace":"`+strings.Repeat("0", 32)+`","span":"parent","start":-5,"took":-9223372036854775808,"pattern":"`+strings.Repeat("é", 1<<18)+`"}`),
		message(t, `{"kind":"handle","span":"child","parent":"parent","start":9223372036854775807,"took":9223372036854775807,"in":-1,"data":"`+strings.Repeat("<", 1<<18)+`"}`),
		message(t, `{"kind":"other","span":"x","open":true}`),
	} {
		if m.Span == "" && m.Service != "" {
			m.Span, m.Pattern, m.Outcome = "\xff", "\xfe", "\xfd"
		}
		x.Add(m)
	}
	if stats := x.Close(); stats != (Stats{Sent: 3}) {
		t.Errorf("%+v", stats)
	}
	ids := map[string]*trace.Span{}
	for _, s := range r.spans() {
		ids[string(s.SpanId)] = s
		if len(s.TraceId) != 16 || len(s.SpanId) != 8 || proto.Size(s) > 40<<10 || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("span %x %x of %d bytes", s.TraceId, s.SpanId, proto.Size(s))
		}
	}
	if child := ids[string(id("child", 8))]; child == nil || ids[string(child.ParentSpanId)] == nil {
		t.Errorf("the child is not joined: %v", child)
	}
}

// FuzzSpan checks that every record can be sent.
func FuzzSpan(f *testing.F) {
	f.Add([]byte(sent))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := tap.ParseMessage(text)
		if err != nil {
			return
		}
		if _, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: export([]tap.Message{m}, "")}); err != nil {
			t.Error(err)
		}
	})
}
