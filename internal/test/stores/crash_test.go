//go:build linux || darwin

package stores

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestKill kills items and orders while they write, again and again. Afterwards, no write
// that was acknowledged is lost, no event is lost or without its order, and each is handled
// once. MSCTL_TEST_ALL makes it 20 times, each after 2,000 writes.
func TestKill(t *testing.T) {
	kills, writes := 4, 100
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		kills, writes = 20, 2000
	}
	for _, store := range []scaffold.Store{scaffold.SQLite, scaffold.Postgres} {
		t.Run(string(store), func(t *testing.T) {
			s := newShop(t, store)
			programs := map[string]*program{}
			for _, name := range []string{"items", "orders"} {
				programs[name] = s.start(name)
				s.awaitReady(name, programs[name])
			}
			item, err := createItem(t.Context(), s.client("items"), "Sold")
			if err != nil {
				t.Fatal(err)
			}
			w := startWriters(t, s, item.ID, "")
			for i := range kills {
				w.await(int64((i + 1) * writes))
				for j, name := range []string{"items", "orders"} {
					if i%3 == j { // every third time, both
						continue
					}
					programs[name].kill()
					programs[name] = s.start(name)
				}
			}
			for name, p := range programs {
				s.awaitReady(name, p)
			}
			w.stop()
			s.check(w, item.ID)
			for _, p := range programs {
				p.stop(t)
			}
		})
	}
}

// writers create items and orders until they are stopped, and record what was acknowledged.
type writers struct {
	t        *testing.T
	stop     func()
	count    atomic.Int64
	mu       sync.Mutex // guards what follows
	items    []string
	orders   []string
	failure  error // the last one
	failures int
}

// startWriters writes to the services, whose replicas have the suffixes.
func startWriters(t *testing.T, s *shop, itemID string, replicas ...string) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w := &writers{t: t, stop: func() { cancel(); running.Wait() }}
	t.Cleanup(w.stop)
	for i := range 4 {
		replica := replicas[i%len(replicas)]
		items, orders := s.client("items"+replica), s.client("orders"+replica)
		running.Go(func() {
			for ctx.Err() == nil {
				made, err := createItem(ctx, items, "Cup")
				w.record(&w.items, made, err)
			}
		})
		running.Go(func() {
			for ctx.Err() == nil {
				made, err := micro.Call[stored](ctx, orders, micro.Cmd("createOrder"), map[string]any{"itemId": itemID, "quantity": 1})
				w.record(&w.orders, made, err)
			}
		})
	}
	return w
}

func (w *writers) record(list *[]string, made stored, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failure = err
		w.failures++
		return
	}
	*list = append(*list, made.ID)
	w.count.Add(1)
}

// await waits until so many writes were acknowledged.
func (w *writers) await(count int64) {
	w.t.Helper()
	testenv.Eventually(w.t, 2*limit, fmt.Sprint(count, " writes"), func() bool { return w.count.Load() >= count })
}

// check compares the databases with what was acknowledged.
func (s *shop) check(w *writers, itemID string) {
	s.t.Helper()
	testenv.Eventually(s.t, 2*limit, "all events are sent", func() bool { return s.one("orders", "SELECT count(*) FROM outbox") == "0" })
	missing := func(service string, acknowledged []string) {
		have := s.query(service, "SELECT id FROM "+service+" ORDER BY id")
		for _, id := range acknowledged {
			if _, found := slices.BinarySearch(have, id); !found {
				s.t.Errorf("%s %s was acknowledged, and is lost", service, id)
			}
		}
	}
	missing("items", w.items)
	missing("orders", w.orders)
	orders := s.one("orders", "SELECT count(*) FROM orders")
	sold := s.one("items", "SELECT sold FROM items WHERE id = '"+itemID+"'")
	handled := s.one("items", "SELECT count(*) FROM inbox")
	if sold != orders || handled != orders {
		s.t.Errorf("%s orders, %s events handled, %s units sold", orders, handled, sold)
	}
	if s.store == scaffold.SQLite {
		for _, service := range []string{"items", "orders"} {
			if got := s.one(service, "PRAGMA integrity_check"); got != "ok" {
				s.t.Errorf("%s: %s", service, got)
			}
		}
	}
	total, _ := strconv.Atoi(orders)
	s.t.Logf("acknowledged: %d items and %d orders; stored: %d orders, each handled once; last failure: %v", len(w.items), len(w.orders), total, w.failure)
}
