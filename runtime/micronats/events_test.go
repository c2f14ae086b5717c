package micronats

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestUnconfirmedEvents checks that no event for which Emit returned nil is lost without a word
// when the broker dies: with WithConfirmedEvents, none is accepted; without it, they are counted,
// logged, and returned by Close.
func TestUnconfirmedEvents(t *testing.T) {
	b := testenv.PrivateNATS(t)
	for _, confirm := range []bool{true, false} {
		b.Start()
		var log testenv.Log
		conn := Dial(b.URL)
		opts := []micro.ClientOption{micro.WithTimeout(soon), micro.WithLogger(log.Logger())}
		if confirm {
			opts = append(opts, micro.WithConfirmedEvents())
		}
		c := micro.NewClient(conn, opts...)
		for range 100 {
			if err := c.Emit(t.Context(), note, 1); err != nil {
				t.Fatal(err)
			}
		}
		s := conn.up.Load()
		eventually(t, "the broker has confirmed the events", func() bool { return !s.confirming.Load() })
		b.Pause()
		const events = 10
		var emits sync.WaitGroup
		var accepted atomic.Int64
		for range events {
			emits.Go(func() {
				switch err := c.Emit(t.Context(), note, 1); {
				case err == nil:
					accepted.Add(1)
				case !errors.Is(err, micro.ErrConnectionLost):
					t.Error(err)
				}
			})
		}
		if confirm {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := c.Emit(ctx, note, 1); !errors.Is(err, micro.ErrTimeout) || !strings.Contains(err.Error(), "may have accepted it") {
				t.Errorf("at the deadline: %v", err)
			}
			cancel()
		} else {
			emits.Wait()
		}
		b.Kill()
		emits.Wait()
		eventually(t, "the loss is noticed", s.lost.Load)
		err := c.Close()
		var report *micro.LostEventsError
		switch got := errors.As(err, &report); {
		case confirm && (accepted.Load() > 0 || err != nil):
			t.Errorf("%d events were accepted, Close returned %v", accepted.Load(), err)
		case !confirm && (!got || report.Events[note.Route()] != events || accepted.Load() != events):
			t.Errorf("%d events were accepted, Close returned %v", accepted.Load(), err)
		case !confirm && !strings.Contains(log.String(), report.Error()):
			t.Errorf("%v is not in the log: %s", report, log.String())
		}
		if err := c.Close(); err != nil {
			t.Errorf("the second time: %v", err)
		}
	}
}

// TestUnconfirmedAtClose checks that Close returns the events that a broker that does not answer
// has not confirmed.
func TestUnconfirmedAtClose(t *testing.T) {
	b := testenv.PrivateNATS(t)
	c := client(t, b.URL)
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Fatal(err)
	}
	b.Pause()
	defer b.Resume()
	for range 3 {
		if err := c.Emit(t.Context(), note, 1); err != nil {
			t.Fatal(err)
		}
	}
	var report *micro.LostEventsError
	if err := c.Close(); !errors.As(err, &report) || report.Events[note.Route()] != 3 {
		t.Errorf("Close: %v", err)
	}
}

// TestConfirmedEvents checks that confirmations of many events at once do not disturb each other.
func TestConfirmedEvents(t *testing.T) {
	b := testenv.NATS(t)
	var handled sync.Map
	s := quietServer()
	micro.HandleEvent(s, note, func(_ context.Context, n int) error { handled.Store(n, true); return nil })
	start(t, s, b.URL)
	c := micro.NewClient(Dial(b.URL), micro.WithTimeout(soon), micro.WithConfirmedEvents())
	var emits sync.WaitGroup
	for n := range 500 {
		emits.Go(func() {
			if err := c.Emit(t.Context(), note, n); err != nil {
				t.Error(err)
			}
		})
	}
	emits.Wait()
	for n := range 500 {
		eventually(t, "the event is handled", func() bool { _, ok := handled.Load(n); return ok })
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
