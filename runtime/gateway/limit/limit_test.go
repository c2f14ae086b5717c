package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway/memory"
)

// shared is a store that is not of type memory.Store, like one that gateways share.
type shared struct {
	*memory.Store

	down  atomic.Bool
	asked atomic.Int64
}

var errDown = errors.New("the store is down")

func newShared() *shared { return &shared{Store: memory.New(memory.Limits{})} }

func (s *shared) GetWithTime(ctx context.Context, key string) (int64, time.Time, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return 0, time.Time{}, errDown
	}
	return s.Store.GetWithTime(ctx, key)
}

func limiter(t testing.TB, l *Limiters, q Quota) *Limiter {
	t.Helper()
	limiter, err := l.New(q)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func take(t testing.TB, l *Limiter, caller string) Result {
	t.Helper()
	r, err := l.Take(t.Context(), caller)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSameInMemoryAndShared checks that a limit means the same with both kinds of stores.
func TestSameInMemoryAndShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quota := Quota{Requests: 60, Period: time.Minute, Burst: 3}
		own := limiter(t, NewLimiters(memory.New(memory.Limits{}), InMemory, 1), quota)
		common := limiter(t, NewLimiters(newShared(), InMemory, 1), quota)
		want := []Result{
			{Limit: 3, Remaining: 2, Reset: time.Second},
			{Limit: 3, Remaining: 1, Reset: 2 * time.Second},
			{Limit: 3, Reset: 3 * time.Second},
			{Limited: true, Limit: 3, Reset: 3 * time.Second, Retry: time.Second},
			{Limited: true, Limit: 3, Reset: 2500 * time.Millisecond, Retry: 500 * time.Millisecond}, // after 0.5 s
			{Limit: 3, Reset: 3 * time.Second},                                                       // after 0.5 s
			{Limited: true, Limit: 3, Reset: 3 * time.Second, Retry: time.Second},
			{Limit: 3, Remaining: 2, Reset: time.Second}, // after 10 s
		}
		pauses := []time.Duration{4: 500 * time.Millisecond, 5: 500 * time.Millisecond, 7: 10 * time.Second}
		for i, want := range want {
			<-time.After(pauses[i])
			for name, l := range map[string]*Limiter{"memory": own, "shared": common} {
				if diff := cmp.Diff(want, take(t, l, "a")); diff != "" {
					t.Errorf("%s, request %d: %s", name, i+1, diff)
				}
			}
		}
		if take(t, own, "b").Limited || take(t, common, "b").Limited {
			t.Error("another caller is limited, too")
		}
	})
}

// TestFloodDoesNotReachTheStore checks that a caller who is denied is denied without the store.
func TestFloodDoesNotReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newShared()
		l := limiter(t, NewLimiters(store, InMemory, 1), Quota{Requests: 1, Period: time.Second, Burst: 5})
		admitted := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if !take(t, l, "a").Limited {
					mu.Lock()
					admitted++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if admitted != 5 || store.asked.Load() != 6 {
			t.Errorf("%d requests were admitted; the store was asked %d times", admitted, store.asked.Load())
		}
		<-time.After(time.Second)
		if take(t, l, "a").Limited || !take(t, l, "a").Limited {
			t.Error("after a second, not exactly one more request is admitted")
		}
	})
}

// TestOutage checks what happens while the store is not available, and afterwards.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fallback Fallback
		gateways int
		admitted int // of 100
		err      error
	}{
		{"in memory", InMemory, 0, 12, nil},
		{"in memory, three gateways", InMemory, 3, 4, nil},
		{"in memory, more gateways than requests", InMemory, 100, 1, nil},
		{"admit", Admit, 1, 100, nil},
		{"reject", Reject, 1, 0, errDown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newShared()
				l := limiter(t, NewLimiters(store, tt.fallback, tt.gateways), Quota{Requests: 12, Period: time.Minute, Burst: 12})
				store.down.Store(true)
				admitted := 0
				for range 100 {
					r, err := l.Take(t.Context(), "a")
					if !errors.Is(err, tt.err) {
						t.Fatal(err)
					}
					if err == nil && !r.Limited {
						admitted++
					}
				}
				if admitted != tt.admitted {
					t.Errorf("%d requests are admitted, want %d", admitted, tt.admitted)
				}
				store.down.Store(false)
				if r := take(t, l, "a"); r.Limited || r.Remaining != 11 {
					t.Errorf("after the outage: %+v", r)
				}
			})
		})
	}
}

func TestCanceled(t *testing.T) {
	l := limiter(t, NewLimiters(newShared(), InMemory, 1), Quota{Requests: 1, Period: time.Second, Burst: 1})
	for _, turn := range l.turns {
		turn <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Take(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestInvalidQuota(t *testing.T) {
	for _, q := range []Quota{{}, {Requests: 1}, {Requests: 1, Period: time.Second}, {Requests: -1, Period: time.Second, Burst: 1}, {Requests: 10, Period: 1, Burst: 1}} {
		if _, err := NewLimiters(memory.New(memory.Limits{}), InMemory, 1).New(q); err == nil {
			t.Errorf("%+v is accepted", q)
		}
	}
}

// BenchmarkTake is a decision for one of 1,000 callers, in memory.
func BenchmarkTake(b *testing.B) {
	l := limiter(b, NewLimiters(memory.New(memory.Limits{}), InMemory, 1), Quota{Requests: 1e6, Period: time.Second, Burst: 1e6})
	callers := make([]string, 1000)
	for i := range callers {
		callers[i] = fmt.Sprintf("shop GET /items default %d", i)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := l.Take(ctx, callers[i%len(callers)]); err != nil {
			b.Fatal(err)
		}
	}
}
