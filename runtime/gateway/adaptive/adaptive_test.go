package adaptive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/adaptive"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a service that works on one request at a time, each for a time that can be set.
type service struct {
	work atomic.Int64 // in ns
	turn chan struct{}
}

func (s *service) handle(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	select {
	case <-time.After(time.Duration(s.work.Load())):
	case <-ctx.Done():
	}
	return in, ctx.Err()
}

// start starts a gateway in front of the service.
func (s *service) start(t *testing.T, l adaptive.Limits) http.Handler {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s.turn = make(chan struct{}, 1)
	echo := micro.Cmd("echo")
	server := micro.NewServer(micro.WithLogger(quiet))
	micro.Handle(server, echo, s.handle)
	c := microtest.Serve(t, server)
	gw := gateway.New("test", gateway.WithLogger(quiet), gateway.WithPublic(), gateway.WithTimeout(2*time.Second), adaptive.WithConcurrency(l))
	for path, p := range map[string]gateway.Priority{"/low": gateway.PriorityLow, "/normal": gateway.PriorityNormal, "/high": gateway.PriorityHigh} {
		gateway.Route(gw, "POST "+path, c, micro.NewMethod[json.RawMessage, json.RawMessage](echo), gateway.WithPriority(p))
	}
	return gw.Handler()
}

func send(h http.Handler, path string) int {
	req := httptest.NewRequest("POST", path, strings.NewReader("1"))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code
}

// TestOverload sends twice as many requests as a service can answer. Without a limit, all would
// soon be late; with it, most of what the service can do is answered in time.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.work.Store(int64(5 * time.Millisecond)) // 200 per second
		h := s.start(t, adaptive.Limits{})
		var mu sync.Mutex
		statuses := map[int]int{}
		var wg sync.WaitGroup
		for range 400 * 20 { // 400 per second, for 20 s
			wg.Go(func() {
				status := send(h, "/normal")
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			})
			<-time.After(2500 * time.Microsecond)
		}
		wg.Wait()
		if statuses[http.StatusCreated] < 200*20*8/10 || statuses[http.StatusServiceUnavailable] == 0 {
			t.Errorf("%v", statuses)
		}
	})
}

// TestPriorities checks which requests are admitted to a service that has stalled.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.work.Store(int64(time.Hour))
		h := s.start(t, adaptive.Limits{Min: 4, Max: 4})
		var wg sync.WaitGroup
		for _, step := range []struct {
			path           string
			sent, admitted int
		}{{"/low", 10, 2}, {"/normal", 10, 2}, {"/high", 10, 4}, {"/low", 10, 0}} {
			var rejected atomic.Int64
			for range step.sent {
				wg.Go(func() {
					if send(h, step.path) == http.StatusServiceUnavailable {
						rejected.Add(1)
					}
				})
				synctest.Wait()
			}
			if got := step.sent - int(rejected.Load()); got != step.admitted {
				t.Errorf("%s: %d requests are admitted, want %d", step.path, got, step.admitted)
			}
		}
		wg.Wait()
	})
}

func TestInvalidLimits(t *testing.T) {
	for _, l := range []adaptive.Limits{{Min: -1}, {Min: 2, Max: 1}, {Initial: 1}, {Initial: 2000}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is accepted", l)
				}
			}()
			adaptive.WithConcurrency(l)
		}()
	}
}

func ExampleWithConcurrency() {
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), adaptive.WithConcurrency(adaptive.Limits{Max: 200}))
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/health/live", nil))
	fmt.Println(w.Body)
	// Output: {"status":"ok"}
}
