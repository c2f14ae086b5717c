// Package limits tests the limits of several gateways that share a real Redis.
package limits

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/microredis/redisstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longEnough is a timeout that a busy machine does not exceed.
const longEnough = time.Minute

// pair is two gateways on one Redis.
type pair [2]*httptest.Server

// start starts two gateways with a limit of rate on GET /, whose keys are in the header X-Caller.
func start(t *testing.T, redis *testenv.Broker, limit int, timeout time.Duration, opts ...gateway.Option) pair {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	prefix := testenv.Unique(t, "limits") + ":"
	var p pair
	for i := range p {
		store, err := redisstore.Open(redis.URL, redisstore.WithPrefix(prefix), redisstore.WithTimeout(timeout), redisstore.WithDialTimeout(timeout), redisstore.WithLogger(quiet))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		// Within a test, next to nothing comes back of such a period.
		rate := gateway.Rate{Limit: limit, Period: 10_000 * time.Hour, By: func(req *http.Request) string { return req.Header.Get("X-Caller") }}
		gw := gateway.New("shop", append([]gateway.Option{
			gateway.WithLogger(quiet), gateway.WithPublic(), gateway.WithStore(store), gateway.WithRateLimit(rate),
		}, opts...)...)
		gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/"}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
		p[i] = httptest.NewServer(gw.Handler())
		t.Cleanup(p[i].Close)
	}
	return p
}

// get sends a request of a caller to one of the gateways. It returns the status, 0 for none, and
// the number of requests that the caller has left.
func (p pair) get(ctx context.Context, n int, caller string) (status, remaining int) {
	server := p[n%len(p)]
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if err != nil {
		return 0, 0
	}
	req.Header.Set("X-Caller", caller)
	res, err := server.Client().Do(req)
	if err != nil {
		return 0, 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, 0
	}
	remaining, _ = strconv.Atoi(res.Header.Get("X-RateLimit-Remaining"))
	return res.StatusCode, remaining
}

// TestSharedLimit checks that two gateways on one Redis enforce the limit that they share within 1%,
// for many concurrent requests of each caller.
func TestSharedLimit(t *testing.T) {
	const limit, callers, workers, each = 500, 3, 16, 60 // 960 requests of each caller
	p := start(t, testenv.Redis(t), limit, longEnough)
	var admitted, denied [callers]atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		for c := range callers {
			wg.Go(func() {
				for range each {
					switch status, _ := p.get(t.Context(), worker, strconv.Itoa(c)); status {
					case http.StatusNoContent:
						admitted[c].Add(1)
					case http.StatusTooManyRequests:
						denied[c].Add(1)
					default:
						t.Errorf("status %d", status)
					}
				}
			})
		}
	}
	wg.Wait()
	for c := range callers {
		got := admitted[c].Load()
		if got < limit*99/100 || got > limit*101/100 || got+denied[c].Load() != workers*each {
			t.Errorf("caller %d: %d requests were admitted, %d denied, with a limit of %d", c, got, denied[c].Load(), limit)
		}
		t.Logf("caller %d: %d admitted, %d denied, limit %d", c, got, denied[c].Load(), limit)
	}
}

// TestRedisKilled kills Redis under load. The gateways must answer every request as configured, and
// share their limit again when Redis is back.
func TestRedisKilled(t *testing.T) {
	const limit = 40
	for _, tt := range []struct {
		name   string
		outage gateway.Outage
		// admitted is how many requests of a new caller both gateways together admit while
		// Redis is away, of 200; status is that of the others.
		admitted, status int
	}{
		{"limit locally", gateway.LimitLocally(2), limit, http.StatusTooManyRequests},
		{"admit all", gateway.AdmitAll(), 200, http.StatusNoContent},
		{"reject all", gateway.RejectAll(), 0, http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redis := testenv.PrivateRedis(t)
			p := start(t, redis, limit, redisstore.DefaultTimeout, gateway.WithOutage(tt.outage))
			var sent, answered atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var load sync.WaitGroup
			for worker := range 8 {
				load.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						sent.Add(1)
						// Each of these callers sends less than its limit.
						switch status, _ := p.get(t.Context(), worker, strconv.Itoa(worker)+"-"+strconv.Itoa(n/10)); {
						case status == http.StatusNoContent, status == http.StatusServiceUnavailable && tt.status == status:
							answered.Add(1)
						default:
							t.Errorf("status %d", status)
						}
					}
				})
			}
			more := func(n int64) {
				t.Helper()
				from := answered.Load()
				testenv.Eventually(t, longEnough, "responses", func() bool { return answered.Load() >= from+n })
			}
			more(200)
			redis.Kill()
			more(200)
			down := newCaller()
			admitted := 0
			for n := range 200 {
				switch status, _ := p.get(t.Context(), n, down); status {
				case http.StatusNoContent:
					admitted++
				case tt.status:
				default:
					t.Errorf("while Redis is away: status %d", status)
				}
			}
			if admitted != tt.admitted {
				t.Errorf("while Redis is away: %d of 200 requests are admitted, want %d", admitted, tt.admitted)
			}
			redis.Start()
			more(200)
			testenv.Eventually(t, longEnough, "the gateways to share their limit again", func() bool { return shares(t.Context(), p, limit) })
			stop()
			load.Wait()
			if sent.Load() != answered.Load() {
				t.Errorf("%d of %d requests were answered", answered.Load(), sent.Load())
			}
			t.Logf("%d requests answered; while Redis was away, %d of 200 were admitted", answered.Load(), admitted)
		})
	}
}

var callers atomic.Int64

func newCaller() string { return "new" + strconv.FormatInt(callers.Add(1), 10) }

// shares reports whether each gateway counts what the other has admitted.
func shares(ctx context.Context, p pair, limit int) bool {
	caller := newCaller()
	for n := range 4 {
		if status, remaining := p.get(ctx, n, caller); status != http.StatusNoContent || remaining != limit-1-n {
			return false
		}
	}
	return true
}
