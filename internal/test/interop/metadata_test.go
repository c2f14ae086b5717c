package interop_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// playMetadata checks headers on RabbitMQ and NATS, and the packet's metadata on Redis.
func (p pair) playMetadata(t *testing.T, h setup) {
	t.Helper()
	switch client, ours := p.plain.caller.(*ourCaller); {
	case ours:
		h.nestSeesOurs(t, client.client)
	case p.name == "nest-msctl":
		h.weSeeTheirs(t, p.plain)
	}
}

// withoutMetadata reports whether the version neither sends nor reads metadata in packets.
func (h setup) withoutMetadata() bool { return h.b.name == "redis" && h.version != testenv.Nest12 }

// nestSeesOurs calls a handler that returns the content of NestJS's context object.
func (h setup) nestSeesOurs(t *testing.T, c *micro.Client) {
	t.Helper()
	req := &micro.Request{Pattern: micro.Cmd("ctx"), Data: []byte("1"), Attempt: 2}
	req.Metadata.Set(micro.MetaCorrelationID, "order-7")
	req.Metadata.Set("tenant", "é")
	var seen struct {
		Metadata   map[string]string
		Headers    map[string][]string
		Properties struct{ Headers map[string]string }
	}
	err := c.Do(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error { return json.Unmarshal(v.Raw, &seen) }))
	if err != nil {
		t.Fatal(err)
	}
	got := seen.Metadata
	switch h.b.name {
	case "rmq":
		got = seen.Properties.Headers
	case "nats":
		got = map[string]string{}
		for key, list := range seen.Headers {
			got[key] = list[0]
		}
	}
	if h.withoutMetadata() {
		if len(got) > 0 {
			t.Errorf("NestJS's handler sees %v, want nothing", got)
		}
		return
	}
	if got[micro.MetaTimeout] == "" {
		t.Errorf("no deadline: %v", got)
	}
	delete(got, micro.MetaTimeout)
	want := map[string]string{micro.MetaCorrelationID: "order-7", "tenant": "é", micro.MetaAttempt: "2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("NestJS's handler sees (-want +got):\n%s", diff)
	}
}

// weSeeTheirs sends headers with a NestJS client, in a record, as its users do.
func (h setup) weSeeTheirs(t *testing.T, with *link) {
	t.Helper()
	call := send(`{"cmd":"ctx"}`, `{"a":1}`)
	switch headers := `{"correlation-id":"order-7","tenant":"seven"}`; h.b.name {
	case "rmq":
		call.JS = `new ms.RmqRecordBuilder({a: 1}).setOptions({headers: ` + headers + `}).build()`
	case "nats":
		call.JS = `new ms.NatsRecordBuilder({a: 1}).setHeaders(natsHeaders(` + headers + `)).build()`
	default:
		call.Metadata = json.RawMessage(headers)
	}
	want := values(`{"data":{"a":1},"correlation":"order-7","tenant":"seven"}`)
	if h.withoutMetadata() { // the packet's ID is the correlation ID
		call.Metadata = nil
		got := with.call(t, call, answerTimeout)
		if len(got) != 2 || !strings.HasSuffix(got[0], `","tenant":""}}`) || strings.Contains(got[0], `"correlation":""`) {
			t.Errorf("our handler sees %s", got)
		}
		return
	}
	if diff := cmp.Diff(want, with.call(t, call, answerTimeout)); diff != "" {
		t.Errorf("our handler sees (-want +got):\n%s", diff)
	}
}
