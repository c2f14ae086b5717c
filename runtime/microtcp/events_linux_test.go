package microtcp

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
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
			forget(t, conn.addresses[0].conn.Load())
			accepted := 0
			for range 500 {
				switch err := c.Emit(t.Context(), note, 1); {
				case err == nil:
					accepted++
				case !errors.Is(err, micro.ErrConnectionLost):
					t.Fatal(err)
				}
				if confirm { // which has waited for the loss
					break
				}
			}
			if _, err := micro.Call[string](t.Context(), c, echo, "x"); (err == nil) != confirm {
				t.Errorf("a call when the loss is known to be noticed (%t): %v", confirm, err)
			}
			err := c.Close()
			var report *micro.LostEventsError
			switch got := errors.As(err, &report); {
			case confirm && (accepted > 0 || err != nil):
				t.Errorf("%d events were accepted, Close returned %v", accepted, err)
			case !confirm && (!got || report.Events[note.Route()] != accepted || accepted != 500):
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
