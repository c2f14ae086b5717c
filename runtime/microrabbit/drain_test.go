package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// eventCounts counts how often each event has been handled.
type eventCounts struct {
	mu   sync.Mutex
	runs map[string]int
	n    int
}

func (c *eventCounts) handle(_ context.Context, in string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs == nil {
		c.runs = map[string]int{}
	}
	c.runs[in]++
	c.n++
	return nil
}

func (c *eventCounts) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// emitAll emits numbered events from several goroutines until all are confirmed. It emits
// unconfirmed events again, so the broker may receive duplicates, and returns how often
// it did so.
func emitAll(t *testing.T, c *micro.Client, n int) (again int) {
	t.Helper()
	var next, repeated atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				for {
					err := c.Emit(t.Context(), noted, fmt.Sprint(i))
					if err == nil {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					repeated.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(repeated.Load())
}

// TestDrain checks that when servers start and stop under load, every event is handled
// once, and every request is answered.
func TestDrain(t *testing.T) {
	b := broker(t)
	for _, noAck := range []bool{true, false} {
		t.Run(fmt.Sprint("noAck ", noAck), func(t *testing.T) {
			q := unique(t, "drain")
			var events eventCounts
			serve := func() func() error {
				s := quietServer()
				micro.HandleEvent(s, noted, events.handle)
				micro.HandleEvent(s, micro.Name("slow"), func(ctx context.Context, in string) error {
					<-time.After(5 * time.Millisecond)
					return events.handle(ctx, "slow"+in)
				})
				return start(t, s, Listen(b.URL, q, WithAck(ackMode(noAck)), WithPrefetch(50, false)))
			}
			stop := serve()
			c := dial(t, b.URL, q)
			const n = 2000
			var load sync.WaitGroup
			load.Go(func() { emitAll(t, c, n) })
			load.Go(func() {
				for i := range 200 {
					if err := c.Emit(t.Context(), micro.Name("slow"), fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				}
			})
			load.Go(func() {
				for i := range 300 {
					want := fmt.Sprint(i)
					if got, err := micro.Call[string](t.Context(), c, echo, want); err != nil || got != want {
						t.Errorf("call: %q, %v", got, err)
					}
				}
			})
			done := make(chan struct{})
			go func() { load.Wait(); close(done) }()
			for running := true; running; {
				next := serve()
				if err := stop(); err != nil {
					t.Error(err)
				}
				stop = next
				select {
				case <-done:
					running = false
				case <-time.After(20 * time.Millisecond):
				}
			}
			eventually(t, "all events are handled", func() bool { return events.total() >= n+200 })
			if err := stop(); err != nil {
				t.Error(err)
			}
			events.mu.Lock()
			defer events.mu.Unlock()
			for i := range n {
				if got := events.runs[fmt.Sprint(i)]; got != 1 {
					t.Errorf("event %d was handled %d times, want once", i, got)
				}
			}
			if len(events.runs) != n+200 {
				t.Errorf("%d events of %d", len(events.runs), n+200)
			}
			if left := dialPeer(t, b.URL).depth(q); left != 0 {
				t.Errorf("%d messages are left", left)
			}
		})
	}
}

// TestDrainTimeout checks that a server does not wait for a handler beyond the drain
// timeout, and that the handler's message returns to the queue.
func TestDrainTimeout(t *testing.T) {
	b := broker(t)
	q := unique(t, "stuck")
	s := quietServer(micro.WithDrainTimeout(100 * time.Millisecond))
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	defer close(leave)
	micro.HandleEvent(s, noted, func(context.Context, string) error {
		entered <- struct{}{}
		<-leave
		return nil
	})
	stop := start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling)))
	if err := dial(t, b.URL, q).Emit(t.Context(), noted, "x"); err != nil {
		t.Fatal(err)
	}
	<-entered
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took %v", took)
	}
	p := dialPeer(t, b.URL)
	eventually(t, "the event is back", func() bool { return p.depth(q) == 1 })
}

// TestDrainWhileFull checks that a server at its limit can stop, and that the messages
// that waited for capacity return to the queue.
func TestDrainWhileFull(t *testing.T) {
	b := broker(t)
	for _, noAck := range []bool{true, false} {
		q := unique(t, "full")
		s := quietServer(micro.WithMaxInFlight(2), micro.WithDrainTimeout(10*time.Second))
		entered, leave := make(chan struct{}, 100), make(chan struct{})
		var handled atomic.Int64
		micro.HandleEvent(s, noted, func(context.Context, string) error {
			entered <- struct{}{}
			<-leave
			handled.Add(1)
			return nil
		})
		stop := start(t, s, Listen(b.URL, q, WithAck(ackMode(noAck))))
		c := dial(t, b.URL, q)
		for range 20 {
			if err := c.Emit(t.Context(), noted, "x"); err != nil {
				t.Fatal(err)
			}
		}
		<-entered
		<-entered
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		close(leave)
		if err := take(t, "the end of the server", stopped); err != nil {
			t.Error(err)
		}
		p := dialPeer(t, b.URL)
		eventually(t, "all events are handled or in the queue", func() bool { return p.depth(q)+int(handled.Load()) == 20 })
	}
}

// TestSharedQueue checks that two servers on a queue share the work almost equally.
func TestSharedQueue(t *testing.T) {
	b := broker(t)
	for _, noAck := range []bool{true, false} {
		q := unique(t, "share")
		servers := [2]eventCounts{}
		for i := range servers {
			s := quietServer()
			micro.HandleEvent(s, noted, servers[i].handle)
			start(t, s, Listen(b.URL, q, WithAck(ackMode(noAck))))
		}
		const n = 5000
		emitAll(t, dial(t, b.URL, q), n)
		eventually(t, "all events are handled", func() bool { return servers[0].total()+servers[1].total() == n })
		if one := servers[0].total(); one < n*45/100 || one > n*55/100 {
			t.Errorf("noAck %v: %d and %d", noAck, one, n-one)
		}
	}
}

// TestPrefetch checks that a server receives no more messages than WithPrefetch allows.
func TestPrefetch(t *testing.T) {
	b := broker(t)
	q := unique(t, "prefetch")
	s := quietServer()
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	micro.HandleEvent(s, noted, func(context.Context, string) error {
		entered <- struct{}{}
		<-leave
		return nil
	})
	start(t, s, Listen(b.URL, q, WithAck(AckAfterHandling), WithPrefetch(3, true)))
	c := dial(t, b.URL, q)
	for range 10 {
		if err := c.Emit(t.Context(), noted, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		take(t, "an event", entered)
	}
	p := dialPeer(t, b.URL)
	if n := p.depth(q); n != 7 || len(entered) != 0 {
		t.Errorf("%d are in the queue, %d more are being handled", n, len(entered))
	}
	close(leave)
	for range 7 {
		take(t, "an event", entered)
	}
}

// TestSlowHandler checks that a handler that was quick and becomes slow does not delay
// other messages.
func TestSlowHandler(t *testing.T) {
	b := broker(t)
	q := unique(t, "slow")
	s := quietServer()
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	micro.Handle(s, micro.Name("maybe"), func(_ context.Context, slow bool) (bool, error) {
		if slow {
			entered <- struct{}{}
			<-leave
		}
		return slow, nil
	})
	start(t, s, Listen(b.URL, q))
	c := dial(t, b.URL, q)
	for range 500 {
		if _, err := micro.Call[bool](t.Context(), c, micro.Name("maybe"), false); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	for range 3 {
		go func() {
			_, err := micro.Call[bool](t.Context(), c, micro.Name("maybe"), true)
			done <- err
		}()
	}
	for range 3 {
		take(t, "a slow event", entered)
	}
	for range 100 {
		if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
			t.Fatal(err)
		}
	}
	close(leave)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestServesOnce checks that a listener cannot be served twice, and that the consumer tag
// can be set.
func TestServesOnce(t *testing.T) {
	b := broker(t)
	q := unique(t, "once")
	l := Listen(b.URL, q, WithConsumerTag("mine"))
	start(t, quietServer(), l)
	if err := quietServer().Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), "serves once") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Listen(b.URL, q).Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ready: %v", err)
	}
	if d := DeliveryFromContext(t.Context()); d != nil {
		t.Errorf("a delivery without a message: %v", d)
	}
}
