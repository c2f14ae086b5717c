package testenv_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/testenv"
)

// TestNestOverBrokers proves that the NestJS programs speak to themselves over each broker, that a server which says it
// listens does, and that it tells what its event handlers were called with.
func TestNestOverBrokers(t *testing.T) {
	brokers := []struct {
		transport string
		broker    *testenv.Broker
		args      []string
	}{
		{"rmq", testenv.RabbitMQ(t), []string{"--queue", testenv.Unique(t, "nest"), "--manual-ack", "--options", `{"queueOptions":{"autoDelete":true}}`}},
		{"redis", testenv.PrivateRedis(t), nil},
		{"nats", testenv.PrivateNATS(t), nil},
	}
	for _, b := range brokers {
		for _, version := range testenv.Versions() {
			t.Run(b.transport+" "+string(version), func(t *testing.T) {
				args := append([]string{"--transport", b.transport, "--url", b.broker.URL}, b.args...)
				server := testenv.Nest(t, version, append(args, "--verbose")...)
				client := testenv.NestClient(t, version, args...)
				want := map[string]string{
					`"multi"`:             `[{"emitted":true}]`,
					`"echo"`:              `[{"next":{"é":"😀"}} {"complete":true}]`,
					`{"cmd":"stream"}`:    `[{"next":0} {"next":1} {"next":2} {"complete":true}]`,
					`{"cmd":"rpcString"}`: `[{"error":{"status":"error","message":"boom string"}}]`,
				}
				got := map[string]string{}
				for pattern := range want {
					call := testenv.Call{Pattern: json.RawMessage(pattern), Data: json.RawMessage(`{"é": "😀"}`), Emit: pattern == `"multi"`}
					events, err := client.Call(call)
					if err != nil {
						t.Fatal(err)
					}
					got[pattern] = fmt.Sprint(events)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("observed (-want +got):\n%s", diff)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				handled, err := server.AwaitHandled(ctx, `"multi"`, 2)
				if err != nil {
					t.Fatal(err)
				}
				if len(handled) != 2 || handled[0].Handler == handled[1].Handler || string(handled[0].Data) != `{"é":"😀"}` {
					t.Errorf("an event with two handlers was handled as %q", handled)
				}
			})
		}
	}
}
