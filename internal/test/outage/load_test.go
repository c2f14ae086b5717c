package outage

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// call is one request of the load and its outcome.
type call struct {
	started, ended time.Time
	err            error
}

// load sends requests at a constant rate, whatever their outcome.
type load struct {
	cancel context.CancelFunc
	paced  chan struct{} // closed when no more calls begin

	mu    sync.Mutex
	calls []call // that have ended
	open  sync.WaitGroup
}

func startLoad(ctx context.Context, client *micro.Client) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, paced: make(chan struct{})}
	go func() {
		defer close(l.paced)
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				l.open.Go(func() { l.call(client, n) })
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

func (l *load) call(client *micro.Client, n int) {
	c := call{started: time.Now()}
	got, err := micro.Call[int](context.Background(), client, slow, n)
	if err == nil && got != n {
		err = errors.New("the answer to another call")
	}
	c.ended, c.err = time.Now(), err
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.mu.Unlock()
}

// await waits until n of the calls that end from now on match.
func (l *load) await(t *testing.T, what string, n int, match func(call) bool) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	next, seen := len(l.ended()), 0
	for {
		for _, c := range l.ended()[next:] {
			next++
			if match(c) {
				seen++
			}
		}
		if seen >= n {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%d calls %s after %v, want %d", seen, what, timeout, n)
		}
	}
}

func (l *load) ended() []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[:len(l.calls):len(l.calls)]
}

// runFor lets the load continue for d.
func (l *load) runFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// stop ends the load, waits for the calls in flight, and returns all calls.
func (l *load) stop() []call {
	l.cancel()
	<-l.paced
	l.open.Wait()
	return l.ended()
}
