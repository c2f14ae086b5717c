package microtcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestServerThatDoesNotRead: calls and events are bounded by their deadlines,
// although the connection takes nothing any more.
func TestServerThatDoesNotRead(t *testing.T) {
	p := scripted(t, func(c *peerConn) { <-t.Context().Done() })
	c := client(t, p.addr())
	if err := c.Emit(t.Context(), note, "connect"); err != nil {
		t.Fatal(err)
	}
	big := json.RawMessage(`"` + strings.Repeat("x", 4<<20) + `"`)
	var calls sync.WaitGroup
	errs := make(chan error, 24)
	for range 12 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := micro.Call[json.RawMessage](ctx, c, echo, big)
			errs <- err
			errs <- c.Emit(ctx, note, big)
		})
	}
	within(t, "calls with a deadline of 300 ms", calls.Wait)
	close(errs)
	for err := range errs {
		if !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("got %v, want a timeout", err)
		}
	}
}

// TestConnectionReset checks that callers get a lost connection, whether the reader or a
// writer notices it first.
func TestConnectionReset(t *testing.T) {
	p := scripted(t, func(c *peerConn) {
		_, _ = c.next()
		_ = c.SetLinger(0)
		_ = c.Close()
	})
	c := client(t, p.addr())
	big := json.RawMessage(`"` + strings.Repeat("x", 200_000) + `"`)
	for range 6 {
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				_, err := micro.Call[string](t.Context(), c, echo, big)
				if !errors.Is(err, micro.ErrConnectionLost) {
					t.Errorf("got %v, want a lost connection", err)
				}
			})
		}
		calls.Wait()
	}
}

// TestCloseEndsEveryConnection: also one that its server has asked to be left,
// on which a call still waits.
func TestCloseEndsEveryConnection(t *testing.T) {
	waits := make(chan struct{}, 2)
	p := scripted(t, func(c *peerConn) {
		_, _ = c.next()
		_, _ = c.Write(AppendFrame(nil, []byte(`{"isDisposed":true,"id":`+goAwayID+`}`)))
		waits <- struct{}{}
		_, _ = c.next()
	})
	conn := Dial(p.addr())
	c := micro.NewClient(conn)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := micro.Call[string](context.Background(), c, echo, "x")
			errs <- err
		}()
		<-waits
		eventually(t, "the client has been asked to leave", func() bool {
			a := conn.addresses[0]
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.conn.Load().leaving.Load()
		})
	}
	within(t, "Close", func() { _ = c.Close() })
	for range 2 {
		if err := <-errs; !errors.Is(err, micro.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestFailover: an address that cannot be reached costs no call while another
// can be.
func TestFailover(t *testing.T) {
	s := start(t, quietServer())
	c := client(t, unusedAddress(t)+","+s.addr, WithReconnect(5, time.Second))
	for i := range 200 {
		got, err := micro.Call[string](t.Context(), c, echo, fmt.Sprint(i))
		if err != nil || got != fmt.Sprint(i) {
			t.Fatalf("call %d: %q, %v", i, got, err)
		}
	}
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Error(err)
	}
	alone := client(t, unusedAddress(t)+","+unusedAddress(t))
	if _, err := micro.Call[string](t.Context(), alone, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("got %v, want unreachable", err)
	}
}

// unusedAddress returns an address that refuses connections.
func unusedAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestReplyPanics: a caller's panic leaves nothing behind.
func TestReplyPanics(t *testing.T) {
	s := start(t, quietServer())
	conn := Dial(s.addr)
	c := micro.NewClient(conn)
	defer func() { _ = c.Close() }()
	func() {
		defer func() { _ = recover() }()
		_ = c.Do(t.Context(), &micro.Request{Pattern: echo, Data: []byte(`"x"`)}, micro.ReplyFunc(func(micro.Value) error { panic("caller") }))
	}()
	if n := conn.addresses[0].inFlight.Load(); n != 0 {
		t.Errorf("%d calls count as in flight after a panic", n)
	}
	if waiting := conn.addresses[0].conn.Load().calls.Len(); waiting != 0 {
		t.Errorf("%d calls wait on the connection", waiting)
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "y"); err != nil || got != "y" {
		t.Errorf("the call after a panic: %q, %v", got, err)
	}
}

// TestDeadlineOfItsOwn: a message without a deadline gets one, the transport's
// own users included.
func TestDeadlineOfItsOwn(t *testing.T) {
	s := start(t, quietServer())
	conn := Dial(s.addr)
	defer func() { _ = conn.Close() }()
	var got []string
	take := micro.ReplyFunc(func(v micro.Value) error { got = append(got, string(v.Raw)); return nil })
	req := &micro.Request{Pattern: echo, Data: []byte(`"x"`)}
	if err := conn.Exchange(t.Context(), req, take); err != nil || len(got) != 1 || got[0] != `"x"` {
		t.Errorf("exchange: %v, %q", err, got)
	}
	if left := time.Until(req.Deadline); left > micro.DefaultTimeout || left < 0 {
		t.Errorf("the message was given %v", left)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	req = &micro.Request{Pattern: note, Data: []byte(`1`), Event: true}
	if err := conn.Publish(ctx, req); err != nil {
		t.Error(err)
	}
	if want, _ := ctx.Deadline(); !req.Deadline.Equal(want) {
		t.Errorf("deadline %v, want the context's %v", req.Deadline, want)
	}
}

// TestEventOfOneWhoHasLeft: an event whose caller has left is not sent.
func TestEventOfOneWhoHasLeft(t *testing.T) {
	s := quietServer()
	got := make(chan int, 2)
	micro.HandleEvent(s, note, func(_ context.Context, n int) error {
		got <- n
		return nil
	})
	c := client(t, start(t, s).addr)
	left, leave := context.WithCancelCause(t.Context())
	mine := errors.New("mine")
	leave(mine)
	if err := c.Emit(left, note, 1); !errors.Is(err, mine) {
		t.Errorf("the event was sent: %v", err)
	}
	if err := c.Emit(t.Context(), note, 2); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 2 {
		t.Errorf("event %d arrived", n)
	}
}

// TestEventsSurviveGoAway: an event that Emit has taken is delivered, also when
// the server goes away at that moment and another takes over.
func TestEventsSurviveGoAway(t *testing.T) {
	var got atomic.Int64
	p := scripted(t, func(c *peerConn) {
		for n := 1; ; n++ {
			pkt, ok := c.next()
			if !ok {
				return
			}
			if pkt.Pattern != nil && string(pkt.Pattern) == note.RouteJSON() {
				got.Add(1)
			}
			if n == 200 {
				_, _ = c.Write(AppendFrame(nil, []byte(`{"isDisposed":true,"id":`+goAwayID+`}`)))
			}
		}
	})
	c := client(t, p.addr())
	const emitters, each = 8, 500
	var done sync.WaitGroup
	for range emitters {
		done.Go(func() {
			for range each {
				if err := c.Emit(t.Context(), note, 1); err != nil {
					t.Errorf("emit: %v", err)
					return
				}
			}
		})
	}
	done.Wait()
	eventually(t, "all events delivered", func() bool { return got.Load() == emitters*each })
}
