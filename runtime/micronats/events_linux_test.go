package micronats

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/internal/calls"
	"github.com/msctl/msctl/runtime/micro"
)

// TestEventsToVanishedHost checks that the events that are accepted for a host that has vanished
// are those of a second, not those of the time until the loss is noticed.
func TestEventsToVanishedHost(t *testing.T) {
	t.Parallel() // with other processes
	testenv.InNewNetwork(t, func() {
		b := testenv.PrivateNATS(t)
		conn := Dial(b.URL, WithPeerTimeout(4*time.Second))
		c := micro.NewClient(conn, micro.WithTimeout(soon), micro.WithLogger(slog.New(slog.DiscardHandler)))
		for range 2 { // the first one is confirmed
			if err := c.Emit(t.Context(), note, 1); err != nil {
				t.Fatal(err)
			}
		}
		lost := conn.up.Load()
		eventually(t, "the broker has confirmed the events", func() bool { return !lost.confirming.Load() })
		forgetAll(t, b)
		accepted := 0
		// An event is accepted if it is sent up to a second after the first one was.
		for first := time.Duration(0); ; accepted++ {
			began := micro.Clock()
			err := c.Emit(t.Context(), note, 1)
			if lost.lost.Load() {
				break // Emit has waited, and sent the event over a new connection, or failed
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
