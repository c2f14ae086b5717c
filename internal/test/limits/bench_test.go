package limits

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway/limit"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/microredis/redisstore"
)

// BenchmarkDecision is the decision about one request: in memory, and in Redis for one caller after
// the other, for 16 at once, and for a caller that is denied.
func BenchmarkDecision(b *testing.B) {
	store, err := redisstore.Open(testenv.Redis(b).URL, redisstore.WithTimeout(longEnough), redisstore.WithDialTimeout(longEnough),
		redisstore.WithPrefix(testenv.Unique(b, "bench")+":"), redisstore.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	plenty := limit.Quota{Requests: 1e6, Period: time.Second, Burst: 1e6}
	inMemory := newLimiter(b, limit.NewLimiters(memory.New(memory.Limits{}), limit.InMemory, 1), plenty)
	inRedis := newLimiter(b, limit.NewLimiters(store, limit.InMemory, 1), plenty)
	none := newLimiter(b, limit.NewLimiters(store, limit.InMemory, 1), limit.Quota{Requests: 1, Period: time.Hour, Burst: 1})
	callers := make([]string, 1000)
	for i := range callers {
		callers[i] = fmt.Sprintf("shop GET /items default caller %d", i)
	}
	for _, bench := range []struct {
		name     string
		limiter  *limit.Limiter
		callers  []string
		parallel int
	}{
		{"memory", inMemory, callers, 1},
		{"memory-parallel", inMemory, callers, 16},
		{"redis", inRedis, callers, 1},
		{"redis-parallel", inRedis, callers, 16},
		{"redis-denied", none, callers[:1], 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(bench.parallel)
			var next atomic.Int64
			if bench.parallel == 1 {
				for i := 0; b.Loop(); i++ {
					take(b.Context(), bench.limiter, bench.callers[i%len(bench.callers)])
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := int(next.Add(61)); pb.Next(); i++ {
					take(b.Context(), bench.limiter, bench.callers[i%len(bench.callers)])
				}
			})
		})
	}
}

func newLimiter(b *testing.B, all *limit.Limiters, q limit.Quota) *limit.Limiter {
	b.Helper()
	l, err := all.New(q)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func take(ctx context.Context, l *limit.Limiter, caller string) {
	if _, err := l.Take(ctx, caller); err != nil {
		panic(err)
	}
}
