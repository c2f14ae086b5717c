package microredis

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// traffic is what the calls of a test came to. Its methods may be used from several
// goroutines.
type traffic struct {
	mu       sync.Mutex
	answered int
	failed   map[string]int
	ended    []span // of calls that did not end with an answer
}

type span struct{ from, to time.Time }

// call makes one call that is answered after a while, with its own text.
func (tr *traffic) call(t *testing.T, c *micro.Client, n int) {
	t.Helper()
	from := time.Now()
	got, err := micro.Call[int](t.Context(), c, hold, n%50)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, kind := range []error{micro.ErrNotServed, micro.ErrUnreachable, micro.ErrConnectionLost} {
		if errors.Is(err, kind) {
			tr.failed[kind.Error()]++
			tr.ended = append(tr.ended, span{from, time.Now()})
			return
		}
	}
	if tr.answered++; err != nil || got != n%50 {
		t.Errorf("call %d: %d, %v", n, got, err)
	}
}

func (tr *traffic) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.answered
}

// TestOutages kills the broker again and again under 200 calls a second. Calls that
// waited fail soon after the loss, with an error that says so, and all goes on by
// itself soon after the broker's return. With MSCTL_TEST_LONG it takes a minute.
func TestOutages(t *testing.T) {
	kills, between := 2, 500*time.Millisecond
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		kills, between = 15, 2*time.Second
	}
	broker := testenv.PrivateRedis(t)
	start(t, quietServer(), Listen(broker.URL))
	c := client(t, broker.URL, WithHeartbeat(DefaultHeartbeat))
	tr := &traffic{failed: map[string]int{}}
	tr.call(t, c, 0)
	before := runtime.NumGoroutine()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var all sync.WaitGroup
		defer all.Wait()
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-every.C:
				all.Go(func() { tr.call(t, c, n) })
			case <-stop:
				return
			}
		}
	}()
	var killed []time.Time
	var longest time.Duration
	for range kills {
		<-time.After(between)
		killed = append(killed, time.Now())
		broker.Kill()
		<-time.After(between)
		broker.Start()
		back, n := time.Now(), tr.count()
		eventually(t, "calls are answered again", func() bool { return tr.count() > n })
		longest = max(longest, time.Since(back))
	}
	close(stop)
	<-stopped
	slowest := tr.slowest(killed)
	// A server keeps goroutines for the next burst, 512 at the most; the calls were more.
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+520 })
	t.Logf("%d kills: %d answered, failed: %v; calls that waited at a kill ended within %v; answered again %v after the return at the latest", kills, tr.count(), tr.failed, slowest, longest)
	if slowest > withinASecond || longest > 5*time.Second {
		t.Error("that is too long")
	}
}

// slowest returns how long after a kill the last call failed that waited then.
func (tr *traffic) slowest(killed []time.Time) (longest time.Duration) {
	for _, s := range tr.ended {
		for _, k := range killed {
			if s.from.Before(k) && s.to.After(k) {
				longest = max(longest, s.to.Sub(k))
			}
		}
	}
	return longest
}
