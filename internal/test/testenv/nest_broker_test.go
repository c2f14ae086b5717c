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

// TestNestOverBrokers calls each NestJS server with the client of its own version over each broker. The server must be
// subscribed when it reports that it is listening, and report what its event handlers are called with.
func TestNestOverBrokers(t *testing.T) {
	redis := testenv.PrivateRedis(t, "requirepass secret")
	nats := testenv.PrivateNATS(t, "authorization { user: app, password: secret }")
	brokers := []struct {
		transport string
		url       string
		args      []string
		record    string // JavaScript for data with a header; "" if the transport has no headers
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

// checkCalls makes calls of each kind. The stream sends all values at once, because NestJS 10 loses a value that a handler
// emits while an earlier one is being sent to the broker.
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

// checkTwoHandlers checks that the server reports both calls for an event with two handlers.
func checkTwoHandlers(t *testing.T, server *testenv.NestServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	handled, err := server.AwaitHandled(ctx, `"multi"`, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(handled) != 2 || handled[0].Handler == handled[1].Handler || string(handled[0].Data) != `{"é":"😀"}` {
		t.Errorf("calls for an event with two handlers: %q", handled)
	}
}

// checkRecord checks that the headers of a NestJS record reach the handler.
func checkRecord(t *testing.T, client *testenv.NestProxy, record string) {
	t.Helper()
	events, err := client.Call(testenv.Call{Pattern: json.RawMessage(`{"cmd":"ctx"}`), JS: record, Timeout: int(time.Minute.Milliseconds())})
	if err != nil || !strings.Contains(fmt.Sprint(events), "a header") {
		t.Errorf("the handler received the record as %v, %v, want its header", events, err)
	}
}
