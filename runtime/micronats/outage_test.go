package micronats

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// outage is what a load of 200 calls a second saw of a broker that died.
type outage struct {
	sent, answered, lost, unreachable atomic.Int64
	killedAt                          atomic.Int64 // Unix nanoseconds; 0: alive
	slowest                           atomic.Int64 // nanoseconds from the death to the end of a call that waited
}

func (o *outage) call(t *testing.T, c *micro.Client) {
	t.Helper()
	began := time.Now()
	o.sent.Add(1)
	_, err := micro.Call[string](t.Context(), c, echo, "x")
	if killed := o.killedAt.Load(); killed > began.UnixNano() {
		if took := time.Now().UnixNano() - killed; took > o.slowest.Load() {
			o.slowest.Store(took)
		}
	}
	switch {
	case err == nil:
		o.answered.Add(1)
	case errors.Is(err, micro.ErrConnectionLost):
		o.lost.Add(1)
	case errors.Is(err, micro.ErrUnreachable):
		o.unreachable.Add(1)
	default:
		t.Errorf("a call: %v", err)
	}
}

// TestOutages: a broker that dies and comes back under load costs the calls that
// waited for it, at once, and nothing else. With MSCTL_TEST_LONG it takes a minute.
func TestOutages(t *testing.T) {
	kills, between := 2, time.Second
	if os.Getenv("MSCTL_TEST_LONG") != "" {
		kills, between = 15, 2*time.Second
	}
	b := testenv.PrivateNATS(t)
	start(t, quietServer(), b.URL)
	c := client(t, b.URL)
	var o outage
	o.call(t, c)
	before := runtime.NumGoroutine()
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				load.Go(func() { o.call(t, c) })
			case <-ctx.Done():
				return
			}
		}
	})
	var longest time.Duration
	for range kills {
		_ = sleep(ctx, between)
		o.killedAt.Store(time.Now().UnixNano())
		b.Kill()
		_ = sleep(ctx, between)
		b.Start()
		back, answered := time.Now(), o.answered.Load()
		eventually(t, "to be served again", func() bool { return o.answered.Load() > answered })
		longest = max(longest, time.Since(back))
	}
	_ = sleep(ctx, between)
	stop()
	load.Wait()
	// A server keeps goroutines for the next burst, 512 at the most; calls and kills were more.
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+520 })
	t.Logf("%d goroutines, before %d; %d calls, %d kills: %d answered, %d lost their connection, %d unreachable; calls that waited ended within %s, served again within %s",
		runtime.NumGoroutine(), before, o.sent.Load(), kills, o.answered.Load(), o.lost.Load(), o.unreachable.Load(), time.Duration(o.slowest.Load()), longest)
	if slowest := time.Duration(o.slowest.Load()); slowest > 3*time.Second || longest > 5*time.Second {
		t.Error("that is too long")
	}
}
