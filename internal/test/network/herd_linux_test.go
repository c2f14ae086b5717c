package network

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestHerd restarts a service with many clients, and prints how long it takes until all of them are answered again. Each calls
// once per 100 ms. MSCTL_TEST_ALL makes them 500.
func TestHerd(t *testing.T) {
	clients, outage := 50, 100*time.Millisecond
	if os.Getenv("MSCTL_TEST_ALL") != "" {
		clients, outage = 500, 3*time.Second // until the pauses between attempts are as long as they get
	}
	for _, tt := range []struct {
		name string
		opts []microtcp.DialOption
	}{
		{"each call connects", nil},
		{"calls wait for a connection", []microtcp.DialOption{microtcp.WithReconnect(-1, time.Second)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := freeAddress(t)
			p := startService(t, "tcp", address)
			h := newHerd(t, clients, address, tt.opts)
			h.awaitAll(time.Now())
			p.kill()
			<-time.After(outage)
			p = startService(t, "tcp", address)
			up := time.Now()
			back := h.awaitAll(up)
			t.Logf("%d clients; answered again after a median of %v, 99%% %v, all %v; the service used %v of processor time until then",
				clients, at(back, 0.5), at(back, 0.99), at(back, 1), p.cpu())
			if last := at(back, 1); last > longest {
				t.Errorf("the last client is back after %v, want at most %v", last, longest)
			}
		})
	}
}

func at(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Microsecond)
}

// herd is many clients of a service, each with one call at a time.
type herd struct {
	testing.TB
	mu       sync.Mutex
	answered []time.Time // when the first call of each client was answered since awaitAll has begun
}

func newHerd(tb testing.TB, n int, address string, opts []microtcp.DialOption) *herd {
	tb.Helper()
	h := &herd{TB: tb, answered: make([]time.Time, n)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { h.client(ctx, i, microtcp.Dial(address, opts...)) })
	}
	tb.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return h
}

func (h *herd) client(ctx context.Context, i int, conn micro.Conn) {
	c := micro.NewClient(conn, micro.WithTimeout(longest))
	defer func() { _ = c.Close() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		_, err := micro.Call[int](ctx, c, echo, i)
		h.mu.Lock()
		if err == nil && h.answered[i].IsZero() {
			h.answered[i] = time.Now()
		}
		h.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// awaitAll waits until a call of each client is answered, and returns how long it took from a time, in order.
func (h *herd) awaitAll(from time.Time) (after []time.Duration) {
	h.Helper()
	h.mu.Lock()
	clear(h.answered)
	h.mu.Unlock()
	testenv.Eventually(h, limit, "all clients are answered", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return !slices.ContainsFunc(h.answered, time.Time.IsZero)
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, at := range h.answered {
		after = append(after, at.Sub(from))
	}
	slices.Sort(after)
	return after
}
