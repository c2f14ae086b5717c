package microredis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestDrain checks that a stopping server answers the requests it has received, finishes
// its events, and accepts no more messages.
func TestDrain(t *testing.T) {
	for _, opts := range [][]ListenOption{nil, {WithWildcards()}} {
		broker := testenv.PrivateRedis(t)
		s := quietServer()
		entered, release := make(chan struct{}, 20), make(chan struct{})
		slow := micro.Name("slow")
		micro.Handle(s, slow, func(context.Context, int) (int, error) { entered <- struct{}{}; <-release; return 1, nil })
		var events atomic.Int64
		micro.HandleEvent(s, note, func(context.Context, int) error {
			entered <- struct{}{}
			<-release
			events.Add(1)
			return nil
		})
		r := start(t, s, Listen(broker.URL, opts...))
		c := client(t, broker.URL)
		answers := make(chan error, 10)
		for i := range 10 {
			go func() {
				_, err := micro.Call[int](t.Context(), c, slow, 1)
				answers <- err
			}()
			if err := c.Emit(t.Context(), note, i); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			<-entered
		}
		r.stop()
		eventually(t, "the server accepts no more messages", func() bool {
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			return errors.Is(err, micro.ErrNotServed)
		})
		close(release)
		for range 10 {
			if err := <-answers; err != nil {
				t.Errorf("a request in flight: %v", err)
			}
		}
		r.end(t)
		if n := events.Load(); n != 10 {
			t.Errorf("%d of 10 events were finished", n)
		}
	}
}

// TestDrainUnderLoad checks that no call is lost while one instance replaces another:
// each is answered, or fails at once because there is no subscriber.
func TestDrainUnderLoad(t *testing.T) {
	broker := testenv.Redis(t)
	r := start(t, quietServer(), Listen(broker.URL))
	c := client(t, broker.URL)
	stop := make(chan struct{})
	var answered atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := micro.Call[string](t.Context(), c, echo, "x")
				if err == nil {
					answered.Add(1)
				} else if !errors.Is(err, micro.ErrNotServed) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 5 {
		n := answered.Load()
		eventually(t, "calls are answered", func() bool { return answered.Load() > n+100 })
		r.end(t)
		r = start(t, quietServer(), Listen(broker.URL))
	}
	close(stop)
	all.Wait()
}

// TestDrainTimeout checks that a server stops after the drain timeout even if handlers do
// not return, on the reading goroutine or on others, and the server is at its limit.
func TestDrainTimeout(t *testing.T) {
	broker := testenv.Redis(t)
	release := make(chan struct{})
	defer close(release)
	s := quietServer(micro.WithDrainTimeout(200*time.Millisecond), micro.WithMaxInFlight(3))
	moody := micro.Name("moody")
	var stuck atomic.Int64
	micro.Handle(s, moody, func(_ context.Context, slow bool) (bool, error) {
		if slow {
			stuck.Add(1)
			<-release
		}
		return slow, nil
	})
	r := start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	for range 100 {
		if _, err := micro.Call[bool](t.Context(), c, moody, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if err := c.Emit(t.Context(), moody, true); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the server is at its limit", func() bool { return stuck.Load() == 3 })
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took > soon/2 {
		t.Errorf("the drain took %v", took)
	}
}

// TestDrainWithoutBroker checks that a server can stop while its broker is down.
func TestDrainWithoutBroker(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	r := start(t, quietServer(), Listen(broker.URL))
	broker.Kill()
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took > soon/2 {
		t.Errorf("the drain took %v", took)
	}
}
