package microtcp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// TestUnconfirmedEvents checks that no event for which Emit returned nil is lost without a word
// when the host of the server vanishes: with WithConfirmedEvents, none is accepted; without it,
// they are counted, logged, and returned by Close.
func TestUnconfirmedEvents(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		var handled atomic.Int64
		s := quietServer()
		micro.HandleEvent(s, note, func(context.Context, int) error { handled.Add(1); return nil })
		r := start(t, s)
		for _, confirm := range []bool{true, false} {
			handled.Store(0)
			var log testenv.Log
			conn := Dial(r.addr, WithPeerTimeout(2*time.Second))
			opts := []micro.ClientOption{micro.WithTimeout(soon), micro.WithLogger(log.Logger())}
			if confirm {
				opts = append(opts, micro.WithConfirmedEvents())
			}
			c := micro.NewClient(conn, opts...)
			const before = 300
			for range before {
				if err := c.Emit(t.Context(), note, 1); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the events are handled", func() bool { return handled.Load() == before })
			lost := conn.addresses[0].conn.Load()
			forget(t, lost)
			accepted := 0
			for range 500 {
				err := c.Emit(t.Context(), note, 1)
				if confirm || conn.addresses[0].conn.Load() != lost { // Emit has waited until the loss was noticed
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				accepted++
			}
			eventually(t, "the loss is noticed", lost.dead.Load)
			err := c.Close()
			var report *micro.LostEventsError
			switch got := errors.As(err, &report); {
			case confirm && (accepted > 0 || err != nil):
				t.Errorf("%d events were accepted, Close returned %v", accepted, err)
			case !confirm && (!got || report.Events[note.Route()] != accepted || accepted == 0):
				t.Errorf("%d events were accepted, Close returned %v", accepted, err)
			case !confirm && (!strings.Contains(log.String(), report.Error()) || !errors.Is(err, micro.ErrConnectionLost)):
				t.Errorf("%v is not in the log: %s", report, log.String())
			}
			if err := c.Close(); err != nil {
				t.Errorf("the second time: %v", err)
			}
		}
	})
}

// TestEventsToVanishedHost checks that the events that are accepted for a host that has vanished
// are those of a second, not those of the time until the loss is noticed.
func TestEventsToVanishedHost(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		r := start(t, quietServer())
		conn := Dial(r.addr, WithPeerTimeout(4*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon), micro.WithLogger(slog.New(slog.DiscardHandler)))
		if err := c.Emit(t.Context(), note, 1); err != nil {
			t.Fatal(err)
		}
		lost := conn.addresses[0].conn.Load()
		eventually(t, "the server's host has acknowledged the event", func() bool { n, _ := lost.pending.bytes(); return n == 0 })
		forget(t, lost)
		accepted := 0
		// An event is accepted if it is sent up to a second after the first one was.
		for first := time.Duration(0); ; accepted++ {
			began := micro.Clock()
			err := c.Emit(t.Context(), note, 1)
			if conn.addresses[0].conn.Load() != lost {
				break // Emit has waited, and sent the event over a new connection
			}
			switch {
			case err != nil:
				t.Fatal(err)
			case first == 0:
				first = micro.Clock()
			case began > first+calls.MaxUnconfirmed:
				t.Fatalf("an event was accepted %v after the first one", began-first)
			}
			<-time.After(time.Millisecond) // so that there are not too many
		}
		var report *micro.LostEventsError
		if err := c.Close(); !errors.As(err, &report) || report.Events[note.Route()] != accepted {
			t.Errorf("%d events were accepted, Close returned %v", accepted, err)
		}
	})
}
