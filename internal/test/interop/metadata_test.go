package interop_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// playMetadata looks at what travels beside the data: headers on RabbitMQ and NATS, the packet's metadata on Redis.
func (p pair) playMetadata(t *testing.T, h house) {
	t.Helper()
	switch client, ours := p.plain.caller.(*ourCaller); {
	case ours:
		h.nestSeesOurs(t, client.client)
	case p.name == "nest-msctl":
		h.weSeeTheirs(t, p.plain)
	}
}

// withoutMetadata reports whether the version neither sends metadata in packets nor looks at them.
func (h house) withoutMetadata() bool { return h.b.name == "redis" && h.version != testenv.Nest12 }

// nestSeesOurs calls the handler that answers with all that NestJS' context object knows.
func (h house) nestSeesOurs(t *testing.T, c *micro.Client) {
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
			t.Errorf("NestJS' handler sees %v", got)
		}
		return
	}
	if got[micro.MetaTimeout] == "" {
		t.Errorf("no deadline: %v", got)
	}
	delete(got, micro.MetaTimeout)
	want := map[string]string{micro.MetaCorrelationID: "order-7", "tenant": "é", micro.MetaAttempt: "2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("NestJS' handler sees (-want +got):\n%s", diff)
	}
}

// weSeeTheirs lets a NestJS client send headers as its users do, with a record.
func (h house) weSeeTheirs(t *testing.T, with *talk) {
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
	if h.withoutMetadata() { // then the packet's id ties the messages together
		call.Metadata = nil
		got := with.call(t, call, patience)
		if len(got) != 2 || !strings.HasSuffix(got[0], `","tenant":""}}`) || strings.Contains(got[0], `"correlation":""`) {
			t.Errorf("our handler sees %s", got)
		}
		return
	}
	if diff := cmp.Diff(want, with.call(t, call, patience)); diff != "" {
		t.Errorf("our handler sees (-want +got):\n%s", diff)
	}
}
