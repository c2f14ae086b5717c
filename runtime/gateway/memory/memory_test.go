package memory

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// value returns a counter of a store.
func value(t testing.TB, s *Store, key string) int64 {
	t.Helper()
	v, _, err := s.GetWithTime(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(t testing.TB, s *Store, key string, v int64, ttl time.Duration) bool {
	t.Helper()
	done, err := s.SetIfNotExistsWithTTL(t.Context(), key, v, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{})
		if v := value(t, s, "a"); v != -1 {
			t.Errorf("a counter that does not exist is %d", v)
		}
		if !set(t, s, "a", 7, time.Second) || set(t, s, "a", 8, time.Second) || value(t, s, "a") != 7 {
			t.Error("a counter is not set exactly once")
		}
		for _, step := range []struct {
			old  int64
			want bool
		}{{8, false}, {7, true}, {7, false}} {
			if got, err := s.CompareAndSwapWithTTL(t.Context(), "a", step.old, 9, 2*time.Second); got != step.want || err != nil {
				t.Errorf("swap of %d: %t, %v", step.old, got, err)
			}
		}
		<-time.After(2*time.Second - 1)
		if value(t, s, "a") != 9 {
			t.Error("the counter has expired too early")
		}
		<-time.After(1)
		if got, err := s.CompareAndSwapWithTTL(t.Context(), "a", 9, 10, time.Second); value(t, s, "a") != -1 || got || err != nil {
			t.Error("the counter has not expired")
		}
		_, now, err := s.GetWithTime(t.Context(), "a")
		if !now.Equal(time.Now()) || err != nil {
			t.Errorf("%v, want %v", now, time.Now())
		}
		if !set(t, s, "b", 1, 0) || value(t, s, "b") != -1 {
			t.Error("a counter without a time to live is kept")
		}
	})
}

// TestCountersAreExact checks that no concurrent change is lost.
func TestCountersAreExact(t *testing.T) {
	s := New(Limits{})
	set(t, s, "a", 0, time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				for {
					v, _, _ := s.GetWithTime(t.Context(), "a")
					if ok, _ := s.CompareAndSwapWithTTL(t.Context(), "a", v, v+1, time.Hour); ok {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	if v := value(t, s, "a"); v != 8000 {
		t.Errorf("%d, want 8000", v)
	}
}

// TestCountersFit checks that as many counters as promised are kept, up to the few whose buckets
// overflow by chance, and that the table stays within its limit.
func TestCountersFit(t *testing.T) {
	const n = 20_000
	s := New(Limits{Counters: n})
	for i := range n {
		set(t, s, fmt.Sprint(i), int64(i), time.Hour)
	}
	lost := 0
	for i := range n {
		if value(t, s, fmt.Sprint(i)) != int64(i) {
			lost++
		}
	}
	if lost > n/100 {
		t.Errorf("%d of %d counters are lost", lost, n)
	}
	for i := range 4 * n {
		set(t, s, fmt.Sprint("more", i), 1, time.Hour)
	}
	slots := 0
	for i := range s.counters.shards {
		slots += ways * len(s.counters.shards[i].buckets)
	}
	if slots > n*5/4+shardCount*ways {
		t.Errorf("%d slots for %d counters", slots, n)
	}
}

// TestFloodKeepsBusyCallers checks that an attacker with any number of addresses cannot make the
// store forget callers that have used much of their limits.
func TestFloodKeepsBusyCallers(t *testing.T) {
	const n = 2_000
	s := New(Limits{Counters: n})
	for i := range n / 10 {
		set(t, s, fmt.Sprint("busy", i), 1, time.Minute)
	}
	for i := range 20 * n {
		set(t, s, fmt.Sprint("attacker", i), 1, time.Second)
	}
	for i := range n / 10 {
		if value(t, s, fmt.Sprint("busy", i)) != 1 {
			t.Fatalf("the counter of busy caller %d is forgotten", i)
		}
	}
}

func add(t testing.TB, s *Store, key, v string, ttl time.Duration) (string, bool) {
	t.Helper()
	existing, added, err := s.Add(t.Context(), key, []byte(v), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return string(existing), added
}

func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{})
		if _, added := add(t, s, "a", "1", time.Second); !added {
			t.Error("a new key is not added")
		}
		if existing, added := add(t, s, "a", "2", time.Second); added || existing != "1" {
			t.Errorf("added %t, %q", added, existing)
		}
		if err := s.Set(t.Context(), "a", []byte("3"), 3*time.Second); err != nil {
			t.Error(err)
		}
		<-time.After(3*time.Second - 1)
		if existing, added := add(t, s, "a", "4", time.Second); added || existing != "3" {
			t.Errorf("added %t, %q", added, existing)
		}
		<-time.After(1)
		if _, added := add(t, s, "a", "5", time.Second); !added {
			t.Error("the key has not expired")
		}
		for range 2 {
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		}
		if _, added := add(t, s, "a", "6", time.Second); !added {
			t.Error("the key is not deleted")
		}
	})
}

// TestKeysAreBounded checks the limits, and that the oldest key is forgotten, although it is not the
// one that expires first.
func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Limits{Keys: 3, Bytes: 100})
		for i, hours := range []int{3, 1, 2, 4} {
			add(t, s, fmt.Sprint("a:", i), "v", time.Duration(hours)*time.Hour)
		}
		if _, added := add(t, s, "a:1", "v", time.Hour); added {
			t.Error("another key than the oldest is forgotten")
		}
		if _, added := add(t, s, "a:0", "v", 10*time.Hour); !added {
			t.Error("more keys than the limit are kept")
		}
		if _, _, err := s.Add(t.Context(), "a:large", make([]byte, 100), time.Hour); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		add(t, s, "a:x", string(make([]byte, 97)), time.Hour)
		keys := s.kinds.of("a:")
		if keys.bytes != 100 || len(keys.byKey) != 1 || len(keys.byTime) != 1 || keys.byAge.Len() != 1 {
			t.Errorf("%d bytes of %d keys", keys.bytes, len(keys.byKey))
		}
		<-time.After(time.Hour)
		add(t, s, "a:y", "", time.Hour)
		if keys.bytes != 3 || len(keys.byKey) != 1 || keys.byAge.Len() != 1 {
			t.Errorf("what has expired is kept: %d bytes of %d keys", keys.bytes, len(keys.byKey))
		}
	})
}

// TestKinds checks that keys of one kind do not make the store forget those of another, and that keys
// without a kind have one together.
func TestKinds(t *testing.T) {
	s := New(Limits{Keys: 3})
	add(t, s, "b:key", "v", time.Hour)
	for i := range 10 {
		add(t, s, fmt.Sprint("a:", i), "v", time.Hour)
		add(t, s, fmt.Sprint(i), "v", time.Hour)
	}
	if existing, added := add(t, s, "b:key", "w", time.Hour); added || existing != "v" {
		t.Errorf("added %t, %q", added, existing)
	}
	if len(s.kinds.all) != 3 {
		t.Errorf("%d kinds", len(s.kinds.all))
	}
}

// TestKeysAreAddedOnce checks that of concurrent callers, one adds a key.
func TestKeysAreAddedOnce(t *testing.T) {
	s := New(Limits{})
	for i := range 100 {
		var added atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, ok, err := s.Add(t.Context(), fmt.Sprint(i), nil, time.Hour); ok && err == nil {
					added.Add(1)
				}
			})
		}
		wg.Wait()
		if added.Load() != 1 {
			t.Fatalf("%d callers have added the key", added.Load())
		}
	}
}

func BenchmarkCounter(b *testing.B) {
	s := New(Limits{})
	b.ReportAllocs()
	for b.Loop() {
		v, _, _ := s.GetWithTime(b.Context(), "subject:0123456789")
		if v < 0 {
			_, _ = s.SetIfNotExistsWithTTL(b.Context(), "subject:0123456789", 1, time.Hour)
			continue
		}
		_, _ = s.CompareAndSwapWithTTL(b.Context(), "subject:0123456789", v, v+1, time.Hour)
	}
}

// BenchmarkMillionCallers fills a store with a million counters, and reports its memory and how
// many of them it has forgotten.
func BenchmarkMillionCallers(b *testing.B) {
	const n = 1_000_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("caller ", i)
	}
	for b.Loop() {
		before := heapBytes()
		s := New(Limits{})
		for _, key := range keys {
			_, _ = s.SetIfNotExistsWithTTL(b.Context(), key, 1, time.Hour)
		}
		b.ReportMetric(float64(heapBytes()-before)/(1<<20), "MiB")
		lost := 0
		for _, key := range keys {
			if v, _, _ := s.GetWithTime(b.Context(), key); v < 0 {
				lost++
			}
		}
		b.ReportMetric(float64(lost), "forgotten")
	}
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
