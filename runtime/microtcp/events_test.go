package microtcp

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
	"github.com/msctl/msctl/runtime/wire"
)

func confirming(t testing.TB, address string, opts ...micro.ClientOption) *micro.Client {
	t.Helper()
	c := micro.NewClient(Dial(address), append([]micro.ClientOption{micro.WithTimeout(soon), micro.WithConfirmedEvents()}, opts...)...)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestConfirmedEvents checks that Emit returns once the server has read the event, whatever
// kind of server it is, and an error that matches what may have happened otherwise.
func TestConfirmedEvents(t *testing.T) {
	answerWith := func(members string) func(*peerConn) {
		return func(c *peerConn) {
			for events := 0; ; {
				p, ok := c.next()
				switch {
				case !ok:
					return
				case p.ID == nil:
					events++
				case events > 0 && string(p.Pattern) == wire.ConfirmPattern:
					c.reply(p.ID, members)
				}
			}
		}
	}
	silent := func(c *peerConn) {
		for {
			if _, ok := c.next(); !ok {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		script  func(*peerConn)
		timeout bool
		want    error
	}{
		"a reply":                   {answerWith(`"isDisposed":true`), false, nil},
		"NestJS's reply":            {answerWith(`"err":"There is no matching message handler defined in the remote service.","status":"error","isDisposed":true`), false, nil},
		"a server that shuts down":  {answerWith(`"err":` + refusal + `,"isDisposed":true`), false, nil},
		"nothing":                   {silent, true, micro.ErrTimeout},
		"the end of the connection": {func(c *peerConn) { _, _ = c.next(); _ = c.SetLinger(0) }, false, micro.ErrConnectionLost},
		"the end before all of it":  {func(c *peerConn) { _ = c.CloseWrite(); silent(c) }, false, micro.ErrConnectionLost},
	} {
		t.Run(name, func(t *testing.T) {
			c := confirming(t, scripted(t, tt.script).addr())
			ctx := t.Context()
			if tt.timeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			if err := c.Emit(ctx, note, 1); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestConfirmedEventsAtOnce checks that every event for which Emit returned nil is handled,
// although servers come and go, and that an event does not wait for that of another caller.
func TestConfirmedEventsAtOnce(t *testing.T) {
	var handled sync.Map
	serve := func(address string) *running {
		s := quietServer()
		micro.HandleEvent(s, note, func(_ context.Context, n int64) error { handled.Store(n, true); return nil })
		return startOn(t, s, Listen(address))
	}
	first := serve("127.0.0.1:0")
	c := confirming(t, first.addr)
	var last atomic.Int64
	var accepted sync.Map
	var stop atomic.Bool
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for !stop.Load() {
				if n := last.Add(1); c.Emit(t.Context(), note, n) == nil {
					accepted.Store(n, true)
				}
			}
		})
	}
	for r := first; ; {
		before := last.Load()
		eventually(t, "events are accepted", func() bool { return last.Load() > before+200 })
		if r != first {
			break
		}
		r.end(t)
		r = serve(first.addr)
	}
	stop.Store(true)
	callers.Wait()
	accepted.Range(func(n, _ any) bool {
		eventually(t, "an event that was accepted is handled", func() bool { _, ok := handled.Load(n); return ok })
		return true
	})
}

// TestConfirmIsNoMessage checks that the request that confirms an event reaches no handler,
// not even that of unknown patterns, and that the wire is as before without the option.
func TestConfirmIsNoMessage(t *testing.T) {
	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	var unknown atomic.Int32
	micro.HandleUnknown(s, func(context.Context, *micro.Request, micro.Reply) error { unknown.Add(1); return nil })
	handled := make(chan int, 1)
	micro.HandleEvent(s, note, func(_ context.Context, n int) error { handled <- n; return nil })
	c := confirming(t, start(t, s).addr)
	if err := c.Emit(t.Context(), note, 7); err != nil {
		t.Fatal(err)
	}
	if n := <-handled; n != 7 || unknown.Load() != 0 || strings.Contains(log.String(), "confirm") {
		t.Errorf("event %d, %d unknown messages, log %s", n, unknown.Load(), log.String())
	}
	packets := make(chan wire.Packet, 2)
	plain := client(t, scripted(t, func(c *peerConn) {
		for range 2 {
			p, _ := c.next()
			packets <- p
		}
	}).addr())
	for range 2 {
		if err := plain.Emit(t.Context(), note, 8); err != nil {
			t.Fatal(err)
		}
		if p := <-packets; p.ID != nil {
			t.Errorf("a request: %s", p.Body())
		}
	}
}
