//go:build linux || darwin

package stores

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestReplicas runs two replicas of each service on one PostgreSQL database, and kills one of
// orders again and again while both write. Each event is handled once, whichever replica sends
// and handles it, and the last replica sends those of the one that never comes back.
func TestReplicas(t *testing.T) {
	const second = "-2"
	s := newShop(t, scaffold.Postgres)
	itemsURL := s.addReplicas(second)
	programs := map[string]*program{}
	run := func(name, replica string) {
		programs[name+replica] = s.start(name, fmt.Sprint("MS_PORT=", s.ports[name+replica]), itemsURL)
	}
	for _, name := range []string{"items", "orders"} {
		for _, replica := range []string{"", second} {
			run(name, replica)
			s.awaitReady(name+replica, programs[name+replica])
		}
	}
	item, err := createItem(t.Context(), s.client("items"), "Sold")
	if err != nil {
		t.Fatal(err)
	}
	w := startWriters(t, s, item.ID, "", second)
	const rounds, writes = 4, 200
	for i := range rounds {
		w.await(int64((i + 1) * writes))
		replica := []string{"", second}[i%2]
		programs["orders"+replica].kill()
		if i < rounds-1 {
			run("orders", replica)
			s.awaitReady("orders"+replica, programs["orders"+replica])
		}
	}
	w.stop() // the second replica of orders is not started again
	s.check(w, item.ID)
	for name, p := range programs {
		if name != "orders"+second {
			p.stop(t)
		}
	}
}

// TestReplicaTakesOver: while one replica sends an event, the other one sends none. When the first
// dies, the second sends its event again, with the same ID, and then all others, once and one at a
// time.
func TestReplicaTakesOver(t *testing.T) {
	const second = "-2"
	s := newShop(t, scaffold.Postgres)
	s.addReplicas(second)
	c := serveCatalog(t, s.ports["items"])
	first := s.start("orders")
	s.awaitReady("orders", first)
	order(t, s, "orders")
	testenv.Within(t, limit, "the event of the first replica", func() { <-c.blocked })
	first.suspend(t) // so that it waits for the reply for as long as the rest of the test takes

	other := s.start("orders", fmt.Sprint("MS_PORT=", s.ports["orders"+second]))
	s.awaitReady("orders"+second, other)
	const orders = 20
	for range orders - 1 {
		order(t, s, "orders"+second)
	}
	if got := c.log(); len(got) != 1 {
		t.Errorf("%d events were sent while one was being sent", len(got))
	}
	first.kill()
	testenv.Eventually(t, limit, "all events are sent", func() bool { return s.one("orders", "SELECT count(*) FROM outbox") == "0" })
	other.stop(t)

	got := c.log()
	if len(got) != orders+1 || got[0] != got[1] {
		t.Errorf("%d events, the first two %q, want %d, of which the first is sent twice", len(got), got[:min(2, len(got))], orders+1)
	}
	unique := slices.Compact(slices.Sorted(slices.Values(got)))
	if diff := cmp.Diff(orders, len(unique)); diff != "" || slices.Contains(unique, "") {
		t.Errorf("IDs %q, want %d", unique, orders)
	}
	if c.together > 1 {
		t.Errorf("%d events were sent at the same time", c.together)
	}
}

func order(t *testing.T, s *shop, replica string) {
	t.Helper()
	if _, err := micro.Call[stored](t.Context(), s.client(replica), micro.Cmd("createOrder"), map[string]any{"itemId": "7", "quantity": 1}); err != nil {
		t.Fatal(err)
	}
}

// catalog is the service items of a test, which receives the events.
type catalog struct {
	blocked chan struct{} // closed when it handles the first event, which never ends

	mu                sync.Mutex // guards what follows
	ids               []string
	current, together int
}

func (c *catalog) log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ids)
}

// serveCatalog serves a catalog at a port until the test ends.
func serveCatalog(t *testing.T, port int) *catalog {
	t.Helper()
	c := &catalog{blocked: make(chan struct{})}
	server := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(server, micro.Cmd("findOneItem"), func(context.Context, json.RawMessage) (map[string]any, error) {
		return map[string]any{"id": "7", "name": "Cup", "price": 9.99}, nil
	})
	micro.HandleEvent(server, micro.Name("order.v1.created"), func(ctx context.Context, _ json.RawMessage) error {
		if c.begin(micro.RequestFromContext(ctx).Metadata.Get(micro.MetaIdempotencyKey)) {
			close(c.blocked)
			<-ctx.Done()
			return ctx.Err()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.current--
		return nil
	})
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(ctx, microtcp.Listen(fmt.Sprint("127.0.0.1:", port))); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); serving.Wait() })
	return c
}

// begin records an event, and reports whether it is the first one.
func (c *catalog) begin(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids = append(c.ids, id)
	if len(c.ids) > 1 { // the first one ends with its replica
		c.current++
		c.together = max(c.together, c.current)
	}
	return len(c.ids) == 1
}
