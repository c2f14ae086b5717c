package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// stalled is a service that answers nothing until open is called.
func stalled(t *testing.T) (client *micro.Client, open func()) {
	t.Helper()
	gate := make(chan struct{})
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, echo, func(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
		select {
		case <-gate:
			return in, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	client = microtest.Serve(t, s)
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the service ends, which waits for its handlers
	return client, open
}

// inBackground sends a request that is not waited for. The result is its status, once it has one.
func inBackground(h http.Handler, path string) *atomic.Int32 {
	var status atomic.Int32
	go func() {
		status.Store(int32(from(h, "POST "+path, addr1, "").Code))
	}()
	return &status
}

// TestStalledService checks that requests to a stalled service are rejected at once when there are
// too many, while others are served: to another service, of high priority, and health checks.
func TestStalledService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, good := overEcho(t, gateway.WithConcurrency(4))
		bad, open := stalled(t)
		anyRoute(gw, "POST /low", bad, gateway.WithPriority(gateway.PriorityLow))
		anyRoute(gw, "POST /bad", bad)
		anyRoute(gw, "POST /high", bad, gateway.WithPriority(gateway.PriorityHigh))
		anyRoute(gw, "POST /good", good)
		h := gw.Handler()
		start := time.Now()

		var waiting []*atomic.Int32
		for range 4 {
			waiting = append(waiting, inBackground(h, "/bad"))
		}
		synctest.Wait()
		for range 100 {
			w := from(h, "POST /bad", addr1, "")
			const body = `{"message":"The service is overloaded","error":"Service Unavailable","statusCode":503}`
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || w.Body.String() != body {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if w := from(h, "POST /good", addr1, ""); w.Code != http.StatusCreated {
				t.Fatalf("another service: %d", w.Code)
			}
			if w := from(h, "GET /health/live", addr1, ""); w.Code != http.StatusOK {
				t.Fatalf("health: %d", w.Code)
			}
		}
		for range 4 {
			waiting = append(waiting, inBackground(h, "/high"))
		}
		synctest.Wait()
		if w := from(h, "POST /high", addr1, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("high priority has no limit: %d", w.Code)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("requests have waited for %v", took)
		}
		open()
		synctest.Wait()
		for i, status := range waiting {
			if status.Load() != http.StatusCreated {
				t.Errorf("request %d: %d", i, status.Load())
			}
		}
		for range 10 {
			if w := from(h, "POST /low", addr1, ""); w.Code != http.StatusCreated {
				t.Fatalf("after the stall: %d", w.Code)
			}
		}
	})
}

// TestLowPriority checks that half of the places are not for requests of low priority.
func TestLowPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newGateway(gateway.WithConcurrency(4))
		bad, _ := stalled(t)
		anyRoute(gw, "POST /low", bad, gateway.WithPriority(gateway.PriorityLow))
		anyRoute(gw, "POST /bad", bad)
		h := gw.Handler()
		for range 2 {
			inBackground(h, "/low")
		}
		synctest.Wait()
		if w := from(h, "POST /low", addr1, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("low priority: %d", w.Code)
		}
		status := inBackground(h, "/bad")
		synctest.Wait()
		if status.Load() != 0 {
			t.Errorf("normal priority: %d", status.Load())
		}
	})
}

// TestPlacesAreReleased checks that a request that ends early leaves its place.
func TestPlacesAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newGateway(gateway.WithConcurrency(1), gateway.WithTimeout(time.Second))
		bad, open := stalled(t)
		anyRoute(gw, "POST /bad", bad)
		h := gw.Handler()
		late := inBackground(h, "/bad")
		<-time.After(time.Second)
		synctest.Wait()
		if late.Load() != http.StatusServiceUnavailable {
			t.Errorf("timeout: %d", late.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := httptest.NewRequestWithContext(ctx, "POST", "/bad", strings.NewReader("1"))
		gone.Header.Set("Content-Type", "application/json")
		var ended sync.WaitGroup
		ended.Go(func() { h.ServeHTTP(httptest.NewRecorder(), gone) })
		synctest.Wait()
		cancel()
		ended.Wait()
		open()
		if w := from(h, "POST /bad", addr1, ""); w.Code != http.StatusCreated {
			t.Errorf("afterwards: %d", w.Code)
		}
	})
}

// tally counts how requests ended. Its places never run out.
type tally struct{ took, other atomic.Int64 }

func (c *tally) Acquire(gateway.Priority) (release func(answered bool), ok bool) {
	return func(answered bool) {
		if answered {
			c.took.Add(1)
		} else {
			c.other.Add(1)
		}
	}, true
}

// TestTimeoutsCount checks that a request at its deadline counts as one that took as long as the
// service did, and gets the response for a slow service, even if what it waited for was
// canceled at its deadline; and that a request whose client has gone does not.
func TestTimeoutsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canceled := micro.WithInterceptors(func(_ micro.Handler) micro.Handler {
			return func(ctx context.Context, _ *micro.Request, _ micro.Reply) error {
				<-ctx.Done()
				return fmt.Errorf("waited: %w", context.Canceled)
			}
		})
		counts := &tally{}
		gw := newGateway(gateway.WithConcurrencyLimiter(func() gateway.ConcurrencyLimiter { return counts }), gateway.WithTimeout(time.Second))
		anyRoute(gw, "POST /slow", microtest.Serve(t, micro.NewServer(micro.WithLogger(quiet())), canceled))
		h := gw.Handler()
		if w := from(h, "POST /slow", addr1, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("at the deadline: %d", w.Code)
		}
		if n := counts.took.Load(); n != 1 {
			t.Errorf("at the deadline: %d requests counted, want 1", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := httptest.NewRequestWithContext(ctx, "POST", "/slow", strings.NewReader("1"))
		gone.Header.Set("Content-Type", "application/json")
		var ended sync.WaitGroup
		ended.Go(func() { h.ServeHTTP(httptest.NewRecorder(), gone) })
		synctest.Wait()
		cancel()
		ended.Wait()
		if n := counts.took.Load(); n != 1 {
			t.Errorf("with the client gone: %d requests counted, want 1", n)
		}
	})
}

// TestStreamsHoldNoPlaces checks that a stream leaves its place with its first value.
func TestStreamsHoldNoPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newGateway(gateway.WithConcurrency(1))
		end := make(chan struct{})
		s := micro.NewServer(micro.WithLogger(quiet()))
		micro.HandleStream(s, echo, func(context.Context, json.RawMessage) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				yield(1, nil)
				<-end
			}
		})
		c := microtest.Serve(t, s)
		gateway.Stream(gw, "POST /watch", c, micro.NewMethod[anything, int](echo), gateway.WithTimeout(time.Hour))
		h := gw.Handler()
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		for range 5 {
			watching.Go(func() {
				req := httptest.NewRequestWithContext(ctx, "POST", "/watch", strings.NewReader("1"))
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", "application/x-ndjson")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if w.Code != http.StatusCreated && w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			})
			synctest.Wait()
		}
		cancel()
		watching.Wait()
		close(end)
	})
}

// refusing is a limiter without places.
type refusing struct{ asked *atomic.Int64 }

func (r refusing) Acquire(gateway.Priority) (func(bool), bool) {
	r.asked.Add(1)
	return nil, false
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, http.ErrBodyReadAfterClose
}

// TestOverloadedBodyIsNotRead checks that a request is rejected before its body is read.
func TestOverloadedBodyIsNotRead(t *testing.T) {
	var asked atomic.Int64
	gw, c := overEcho(t, gateway.WithConcurrencyLimiter(func() gateway.ConcurrencyLimiter { return refusing{&asked} }))
	anyRoute(gw, "POST /items", c)
	req := httptest.NewRequestWithContext(t.Context(), "POST", "/items", unread{t})
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusServiceUnavailable || asked.Load() != 1 {
		t.Errorf("%d, asked %d times", w.Code, asked.Load())
	}
}

func TestWithoutConcurrencyLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newGateway(gateway.WithConcurrency(0))
		bad, open := stalled(t)
		anyRoute(gw, "POST /bad", bad)
		var all []*atomic.Int32
		for range gateway.DefaultConcurrency + 1 {
			all = append(all, inBackground(gw.Handler(), "/bad"))
		}
		synctest.Wait()
		open()
		synctest.Wait()
		for _, status := range all {
			if status.Load() != http.StatusCreated {
				t.Fatal(status.Load())
			}
		}
	})
}
