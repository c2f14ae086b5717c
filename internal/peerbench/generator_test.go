package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startEcho serves an echo that answers with what reply makes of the data.
func startEcho(t *testing.T, reply func(json.RawMessage) json.RawMessage) string {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, micro.Cmd("echo"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return reply(in), nil })
	listener := microtcp.Listen("127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	addr, err := listener.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func TestGeneratorMeasuresWhatIsAnswered(t *testing.T) {
	addr := startEcho(t, func(in json.RawMessage) json.RawMessage { return in })
	g := &generator{addr: addr, conns: 2, inFlight: 16, exchange: exchangeOf("echo")}
	marks := 0
	took, err := g.run(t.Context(), 20*time.Millisecond, 100*time.Millisecond, func() { marks++ })
	if err != nil {
		t.Fatal(err)
	}
	if marks != 2 || len(took) == 0 || took[0] <= 0 {
		t.Errorf("%d marks, %d requests", marks, len(took))
	}
}

func TestGeneratorRefusesWrongReplies(t *testing.T) {
	addr := startEcho(t, func(in json.RawMessage) json.RawMessage {
		return json.RawMessage(strings.Replace(string(in), "item-0000", "item-0001", 1))
	})
	g := &generator{addr: addr, conns: 1, inFlight: 4, exchange: exchangeOf("echo")}
	if _, err := g.run(t.Context(), time.Second, time.Second, func() {}); err == nil || !strings.Contains(err.Error(), "wrong reply") {
		t.Errorf("a wrong reply gave the error %v", err)
	}
}

// TestItemsAreTheSame compares our items with those of the NestJS peers, member for member.
func TestItemsAreTheSame(t *testing.T) {
	testenv.NeedNest(t, testenv.Nest12)
	s, err := startService(t.Context(), nest)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c := micro.NewClient(microtcp.Dial(s.addr))
	defer c.Close()
	got, err := micro.Call[json.RawMessage](t.Context(), c, micro.Cmd("list"), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(mustJSON(items(listLength))), string(got)); diff != "" {
		t.Errorf("items (-msctl +nest):\n%s", diff)
	}
}
