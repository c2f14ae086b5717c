package micronats

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestDrain: a server that stops answers what it has begun, and takes no more.
func TestDrain(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	begun, finish := make(chan struct{}), make(chan struct{})
	micro.Handle(s, hold, func(context.Context, int) (string, error) {
		begun <- struct{}{}
		<-finish
		return "answered", nil
	})
	var event atomic.Bool
	micro.HandleEvent(s, note, func(ctx context.Context, _ int) error {
		begun <- struct{}{}
		<-finish
		event.Store(ctx.Err() == nil)
		return nil
	})
	r := start(t, s, b.URL, WithQueue("q"))
	c := client(t, b.URL)
	answer := make(chan error, 1)
	go func() {
		got, err := micro.Call[string](t.Context(), c, hold, 1)
		if err == nil && got != "answered" {
			err = errors.New(got)
		}
		answer <- err
	}()
	<-begun
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Fatal(err)
	}
	<-begun
	r.stop()
	eventually(t, "no more to be taken", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := micro.Call[string](ctx, c, micro.HealthPattern, 1)
		return errors.Is(err, micro.ErrNotServed)
	})
	close(finish)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	r.end(t)
	if !event.Load() {
		t.Error("the event's handler was not let finish")
	}
}

// TestDrainTimeout: a handler that does not end is not waited for.
func TestDrainTimeout(t *testing.T) {
	b := testenv.NATS(t)
	for _, quick := range []bool{false, true} {
		var log testenv.Log
		s := micro.NewServer(micro.WithLogger(log.Logger()), micro.WithDrainTimeout(100*time.Millisecond))
		stuck := make(chan struct{})
		micro.HandleEvent(s, note, func(ctx context.Context, n int) error {
			if n < 0 {
				close(stuck)
				<-ctx.Done() // of the whole server
			}
			return nil
		})
		r := start(t, s, b.URL)
		c := client(t, b.URL)
		for i := 0; quick && i < 500; i++ { // until it counts as quick, and runs where messages are taken
			if err := c.Emit(t.Context(), note, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Emit(t.Context(), note, -1); err != nil {
			t.Fatal(err)
		}
		<-stuck
		testenv.Within(t, soon, "to stop", func() { r.end(t) })
		if !strings.Contains(log.String(), "handlers still run after the drain timeout") {
			t.Error(log.String())
		}
	}
}

// TestReplicasUnderLoad: two servers of a queue group share the load, and while one
// after another is replaced no request and no event is lost, and none handled twice.
func TestReplicasUnderLoad(t *testing.T) {
	b := testenv.NATS(t)
	var events, handled atomic.Int64
	replica := func() *running {
		s := quietServer()
		micro.HandleEvent(s, note, func(context.Context, int) error { events.Add(1); return nil })
		micro.Handle(s, micro.Cmd("count"), func(ctx context.Context, n int) (int, error) {
			handled.Add(1)
			if n%10 == 0 {
				return n, sleep(ctx, time.Millisecond)
			}
			return n, nil
		})
		return start(t, s, b.URL, WithQueue("items"))
	}
	old := []*running{replica(), replica()}
	c := client(t, b.URL)
	stop := make(chan struct{})
	var sent, emitted atomic.Int64
	var load sync.WaitGroup
	for range 16 {
		load.Go(func() {
			for n := int(sent.Add(1)); ; n = int(sent.Add(1)) {
				got, err := micro.Call[int](t.Context(), c, micro.Cmd("count"), n)
				if err != nil || got != n {
					t.Errorf("call %d: %d, %v", n, got, err)
				}
				if err := c.Emit(t.Context(), note, n); err != nil {
					t.Error(err)
				}
				emitted.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 6 {
		fresh := replica()
		until := sent.Load() + 500
		eventually(t, "some load", func() bool { return sent.Load() > until })
		old[0].end(t)
		old = append(old[1:], fresh)
	}
	close(stop)
	load.Wait()
	eventually(t, "all events", func() bool { return events.Load() >= emitted.Load() })
	if handled.Load() != sent.Load() || events.Load() != emitted.Load() {
		t.Errorf("%d requests, handled %d; %d events, handled %d", sent.Load(), handled.Load(), emitted.Load(), events.Load())
	}
	t.Logf("%d requests and as many events while 6 replicas were replaced", sent.Load())
}

// TestShare: two servers of a queue group share the work within 10 %.
func TestShare(t *testing.T) {
	b := testenv.NATS(t)
	var counts [2]atomic.Int64
	for i := range counts {
		s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
		micro.Handle(s, echo, func(context.Context, int) (int, error) { return int(counts[i].Add(1)), nil })
		start(t, s, b.URL, WithQueue("items"))
	}
	c := client(t, b.URL)
	const calls = 10_000
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range calls / 20 {
				if _, err := micro.Call[int](t.Context(), c, echo, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	one, two := counts[0].Load(), counts[1].Load()
	if one+two != calls || math.Abs(float64(one-two)) > calls/10 {
		t.Errorf("%d and %d", one, two)
	}
}
