package micronats

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestSlowAmongQuick: a handler that was always quick and turns out slow holds up no
// other message, not even of its own subject, and not when many do.
func TestSlowAmongQuick(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()))
	release := make(chan struct{})
	var stuck atomic.Int32
	micro.Handle(s, hold, func(ctx context.Context, n int) (int, error) {
		if n < 0 {
			stuck.Add(1)
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return n, nil
	})
	start(t, s, b.URL)
	c := client(t, b.URL)
	call := func(n int) {
		if got, err := micro.Call[int](t.Context(), c, hold, n); err != nil || got != n {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
	done := make(chan struct{})
	defer func() {
		close(release)
		for range 3 {
			<-done
		}
	}()
	for i := range 3 {
		for n := range 500 {
			call(n)
		}
		go func() {
			call(-1)
			done <- struct{}{}
		}()
		eventually(t, "a handler to be stuck", func() bool { return stuck.Load() == int32(i+1) })
		testenv.Within(t, soon, "calls behind a stuck one", func() {
			for n := range 20 {
				call(n)
			}
		})
	}
}

// TestBurst: a burst that comes faster than it can be handled stays with the broker
// for a while, and nothing of it is lost.
func TestBurst(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()), micro.WithMaxInFlight(4))
	var handled atomic.Int64
	micro.HandleEvent(s, note, func(ctx context.Context, _ string) error {
		if handled.Add(1)%1000 == 0 {
			return sleep(ctx, 10*time.Millisecond)
		}
		return nil
	})
	release := make(chan struct{})
	micro.HandleEvent(s, micro.Name("stop"), func(context.Context, int) error { <-release; return nil })
	l := Listen(b.URL)
	l.holdUp = time.Minute // much else may run here
	serve(t, s, l)
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.URL)
	for range 4 { // the server is full
		if err := c.Emit(t.Context(), micro.Name("stop"), 1); err != nil {
			t.Fatal(err)
		}
	}
	const burst = 3 * queueLength
	filler := strings.Repeat("x", 100)
	for range burst {
		if err := c.Emit(t.Context(), note, filler); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	eventually(t, "all events", func() bool { return handled.Load() == burst })
}

// TestOverflow checks that a server that is overloaded for long drops messages, reports
// it, and continues afterwards.
func TestOverflow(t *testing.T) {
	b := testenv.NATS(t)
	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()), micro.WithMaxInFlight(1))
	release := make(chan struct{})
	var handled atomic.Int64
	micro.HandleEvent(s, note, func(context.Context, int) error { <-release; handled.Add(1); return nil })
	l := Listen(b.URL)
	l.holdUp = 10 * time.Millisecond
	serve(t, s, l)
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.URL)
	emit := func(n int) {
		for range n {
			if err := c.Emit(t.Context(), note, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	const burst = 20_000
	emit(burst)
	eventually(t, "the drop is reported", func() bool { return strings.Contains(log.String(), "some were dropped") })
	close(release)
	eventually(t, "the rest", func() bool { return handled.Load() > fullQueue && s.Wait(t.Context()) == nil })
	if handled.Load() >= burst {
		t.Errorf("%d of %d were handled", handled.Load(), burst)
	}
	eventually(t, "to be well again", func() bool {
		before := handled.Load()
		emit(1)
		return s.Wait(t.Context()) == nil && handled.Load() > before
	})
}

// TestLeaders checks that leaders join up to the limit, and that the last one stays.
func TestLeaders(t *testing.T) {
	l := Listener{holdUp: time.Second}
	in := newIntake(&l)
	for range 5 {
		in.join(3)
	}
	eventually(t, "two of three leaders to leave an empty queue", func() bool { return in.leaders.Load() == 1 })
	if in.leave() {
		t.Error("the last leader left")
	}
	in.close()
	in.wg.Wait()
}
