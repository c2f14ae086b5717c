//go:build linux || darwin

package stores

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/runtime/micro"
)

// BenchmarkItems measures the items service with 100,000 items in SQLite at 200 requests per
// second, whose latency counts from the time at which they are due.
func BenchmarkItems(b *testing.B) {
	s := newShop(b, scaffold.SQLite)
	p := s.start("items")
	s.awaitReady("items", p)
	s.fill(100_000)
	c := s.client("items")
	for name, call := range map[string]func(ctx context.Context, i int) error{
		"get": func(ctx context.Context, i int) error {
			_, err := micro.Call[stored](ctx, c, micro.Cmd("findOneItem"), stored{fmt.Sprintf("item-%06d", 1+i*7919%100_000)})
			return err
		},
		"list": func(ctx context.Context, _ int) error {
			_, err := micro.Call[[]stored](ctx, c, micro.Cmd("findAllItems"), map[string]any{"limit": 50})
			return err
		},
		"create": func(ctx context.Context, _ int) error { _, err := createItem(ctx, c, "Cup"); return err },
	} {
		b.Run(name, func(b *testing.B) { atRate(b, 200, call) })
	}
}

// fill stores items with the IDs item-000001 and so on.
func (s *shop) fill(count int) {
	s.t.Helper()
	text := fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO items (id, name, search, price, tags, created_at, updated_at)
		SELECT printf('item-%%06d', i), 'Item ' || i, 'item ' || i, i, '["garden"]', 1760000000000 + i, 1760000000000 + i FROM n`, count)
	if out, err := exec.CommandContext(s.t.Context(), filepath.Join(s.dir, "bin", "check"), "lock", s.address("items"), text).CombinedOutput(); err != nil && string(out) != "locked\nEOF\n" {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

// atRate makes b.N calls at a rate per second, and reports their latency.
func atRate(b *testing.B, rate int, call func(context.Context, int) error) {
	b.Helper()
	took := make([]time.Duration, b.N)
	var running sync.WaitGroup
	began := time.Now()
	for i := range b.N {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		<-time.After(time.Until(due))
		running.Go(func() {
			if err := call(b.Context(), i); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	running.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkOrders measures how many orders one core stores with their events, while a relay
// sends them to items. The CPU time does not depend on what else the machine does.
func BenchmarkOrders(b *testing.B) {
	s := newShop(b, scaffold.SQLite)
	s.awaitReady("items", s.start("items"))
	program := s.start("orders", "GOMAXPROCS=1")
	s.awaitReady("orders", program)
	item, err := createItem(b.Context(), s.client("items"), "Cup")
	if err != nil {
		b.Fatal(err)
	}
	c := s.client("orders")
	b.ResetTimer()
	var running sync.WaitGroup
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	for range 128 {
		running.Go(func() {
			for range work {
				if _, err := micro.Call[stored](b.Context(), c, micro.Cmd("createOrder"), map[string]any{"itemId": item.ID, "quantity": 1}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
	b.StopTimer()
	program.stop(b)
	used := program.cmd.ProcessState.UserTime() + program.cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/order")
}
