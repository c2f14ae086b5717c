package testenv_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestNestOverBrokers proves that the NestJS programs speak to themselves over each broker, that a server which says it
// listens does, and that it tells what its event handlers were called with.
func TestNestOverBrokers(t *testing.T) {
	redis := testenv.PrivateRedis(t, "requirepass secret")
	nats := testenv.PrivateNATS(t, "authorization { user: app, password: secret }")
	brokers := []struct {
		transport string
		url       string
		args      []string
		record    string // data with a header; "" where the transport has none
	}{
		{
			"rmq", testenv.RabbitMQ(t).URL,
			[]string{"--queue", testenv.Unique(t, "nest"), "--manual-ack", "--options", `{"queueOptions":{"autoDelete":true}}`},
			`new ms.RmqRecordBuilder(1).setOptions({headers: {via: "a header"}}).build()`,
		},
		{"redis", "redis://:secret@" + redis.Addr + "/0", nil, ""},
		{"nats", "nats://app:secret@" + nats.Addr, nil, `new ms.NatsRecordBuilder(1).setHeaders(natsHeaders({via: "a header"})).build()`},
	}
	for _, b := range brokers {
		for _, version := range testenv.LiveVersions() {
			t.Run(b.transport+" "+string(version), func(t *testing.T) {
				args := append([]string{"--transport", b.transport, "--url", b.url}, b.args...)
				server := testenv.Nest(t, version, append(args, "--verbose")...)
				client := testenv.NestClient(t, version, args...)
				checkCalls(t, client)
				checkTwoHandlers(t, server)
				if b.record != "" {
					checkRecord(t, client, b.record)
				}
			})
		}
	}
}

// checkCalls makes calls of each kind. The stream is one that comes at once: NestJS 10 loses what a handler emits while an
// earlier value is on its way to the broker.
func checkCalls(t *testing.T, client *testenv.NestProxy) {
	t.Helper()
	for pattern, want := range map[string]string{
		`"multi"`:              `[{"emitted":true}]`,
		`"echo"`:               `[{"next":{"é":"😀"}} {"complete":true}]`,
		`{"cmd":"streamSync"}`: `[{"next":0} {"next":1} {"next":2} {"complete":true}]`,
		`{"cmd":"rpcString"}`:  `[{"error":{"status":"error","message":"boom string"}}]`,
	} {
		call := testenv.Call{
			Pattern: json.RawMessage(pattern), Data: json.RawMessage(`{"é": "😀"}`), Emit: pattern == `"multi"`,
			Timeout: int(time.Minute.Milliseconds()),
		}
		events, err := client.Call(call)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fmt.Sprint(events)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
}

// checkTwoHandlers: the server tells both calls of the event with two handlers.
func checkTwoHandlers(t *testing.T, server *testenv.NestServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	handled, err := server.AwaitHandled(ctx, `"multi"`, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(handled) != 2 || handled[0].Handler == handled[1].Handler || string(handled[0].Data) != `{"é":"😀"}` {
		t.Errorf("an event with two handlers was handled as %q", handled)
	}
}

// checkRecord: the headers of a NestJS record reach the handler.
func checkRecord(t *testing.T, client *testenv.NestProxy, record string) {
	t.Helper()
	events, err := client.Call(testenv.Call{Pattern: json.RawMessage(`{"cmd":"ctx"}`), JS: record, Timeout: int(time.Minute.Milliseconds())})
	if err != nil || !strings.Contains(fmt.Sprint(events), "a header") {
		t.Errorf("a record with a header was seen as %v, %v", events, err)
	}
}
