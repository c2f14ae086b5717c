package micronats

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestBrokerKilled checks that waiting calls fail at once, that calls made during the
// outage wait for the broker, and that the client continues when the broker is back.
func TestBrokerKilled(t *testing.T) {
	b := testenv.PrivateNATS(t)
	var log testenv.Log
	start(t, quietServer(micro.WithLogger(log.Logger()), micro.WithDrainTimeout(time.Second)), b.URL)
	c := client(t, b.URL)
	for range 3 {
		var waiting sync.WaitGroup
		begun := make(chan struct{}, 16)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		for range cap(begun) {
			waiting.Go(func() {
				req := &micro.Request{Pattern: hold, Data: []byte("-1")}
				req.Trace = &micro.Trace{Wrote: func(time.Time, []byte) { begun <- struct{}{} }}
				err := c.Do(ctx, req, micro.ReplyFunc(func(micro.Value) error { return nil }))
				if !errors.Is(err, micro.ErrConnectionLost) {
					t.Errorf("a call that waits: %v", err)
				}
			})
		}
		for range cap(begun) {
			<-begun
		}
		b.Kill()
		testenv.Within(t, DefaultPeerTimeout, "to fail the calls that wait", waiting.Wait) // which only a host that has vanished takes
		cancel()
		later := make(chan error, 1)
		go func() {
			_, err := micro.Call[string](t.Context(), c, echo, "later")
			later <- err
		}()
		b.Start()
		if err := <-later; err != nil && !errors.Is(err, micro.ErrNotServed) { // the server may come back after us
			t.Errorf("a call made meanwhile: %v", err)
		}
		testenv.Within(t, soon, "to be served again", func() {
			for ok := false; !ok; {
				_, err := micro.Call[string](t.Context(), c, echo, "again")
				ok = err == nil
			}
		})
	}
	for _, line := range []string{"connection to the broker lost", "connection to the broker restored"} {
		if strings.Count(log.String(), line) < 3 {
			t.Errorf("not logged three times: %s", line)
		}
	}
}

// TestCallsWhileGone: while the broker is gone calls wait for it until their own
// deadline, and when it has been gone for long they do not wait at all.
func TestCallsWhileGone(t *testing.T) {
	b := testenv.PrivateNATS(t)
	start(t, quietServer(), b.URL)
	c := client(t, b.URL, WithDialTimeout(2*time.Second))
	call := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		_, err := micro.Call[string](ctx, c, echo, "x")
		return err
	}
	if err := call(soon); err != nil {
		t.Fatal(err)
	}
	b.Kill()
	if err := call(50 * time.Millisecond); !errors.Is(err, micro.ErrUnreachable) && !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("within its deadline: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("the user has left")
	time.AfterFunc(50*time.Millisecond, func() { cancel(left) })
	if err := c.Emit(ctx, note, 1); !errors.Is(err, left) && !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("canceled: %v", err)
	}
	testenv.Within(t, soon, "to give up waiting", func() {
		for call(time.Minute) == nil {
			continue
		}
	})
	began := time.Now()
	if err := call(time.Minute); !errors.Is(err, micro.ErrUnreachable) || time.Since(began) > soon/2 { // the call's own deadline is later
		t.Errorf("when it has long been gone: %v after %s", err, time.Since(began))
	}
	b.Start()
	testenv.Within(t, soon, "to be served again", func() {
		for call(soon) != nil {
			continue
		}
	})
}

// TestNobodyListens: an address that refuses connections fails at once, and the next
// call tries again.
func TestNobodyListens(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	c := client(t, "nats://someone:sesame@"+socket.Addr().String())
	for range 2 {
		_, err = micro.Call[string](t.Context(), c, echo, "x")
		if !errors.Is(err, micro.ErrUnreachable) || errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "sesame") {
			t.Error(err)
		}
	}
}

// TestNoBroker checks addresses where another kind of server listens, or a silent one.
func TestNoBroker(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // when the test ends
		}
	}()
	r := serve(t, quietServer(), Listen("nats://"+socket.Addr().String(), WithDialTimeout(time.Minute)))
	c := client(t, "nats://"+socket.Addr().String(), WithDialTimeout(100*time.Millisecond))
	if _, err = micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Error(err)
	}
	testenv.Within(t, soon, "to stop while it connects", func() { r.end(t) })
}

// TestServerWaitsForBroker checks that a server that is started before its broker serves
// once the broker is ready, and that a server can be stopped while it waits.
func TestServerWaitsForBroker(t *testing.T) {
	b := testenv.PrivateNATS(t)
	b.Stop()
	never := serve(t, quietServer(), Listen(b.URL))
	l := Listen(b.URL)
	serve(t, quietServer(), l)
	never.end(t)
	b.Start()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := l.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := micro.Call[string](t.Context(), client(t, b.URL), echo, "x"); err != nil {
		t.Error(err)
	}
}

// TestReconnectAttempts: a server whose attempts are bounded gives up, a client begins
// again with the next call.
func TestReconnectAttempts(t *testing.T) {
	b := testenv.PrivateNATS(t)
	s := quietServer()
	l := Listen(b.URL, WithReconnect(2, time.Millisecond))
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), l) }()
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := client(t, b.URL, WithReconnect(1, time.Millisecond))
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	b.Kill()
	if err := <-served; err == nil || !strings.Contains(err.Error(), "lost for good") {
		t.Errorf("serve: %v", err)
	}
	if err := quietServer().Serve(t.Context(), Listen(b.URL, WithReconnect(0, 0))); err == nil {
		t.Error("serve without a broker: no error")
	}
	b.Start()
	start(t, quietServer(), b.URL)
	testenv.Within(t, soon, "to connect again", func() {
		for ok := false; !ok; {
			_, err := micro.Call[string](t.Context(), c, echo, "x")
			ok = err == nil
		}
	})
}

// TestBrokerPaused checks that no call waits past its deadline for a broker that does not
// read, however much there is to send, and that closing does not wait for it.
func TestBrokerPaused(t *testing.T) {
	b := testenv.PrivateNATS(t)
	start(t, quietServer(), b.URL)
	c := micro.NewClient(Dial(b.URL))
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	big := json.RawMessage(`"` + strings.Repeat("x", 250_000) + `"`)
	b.Pause()
	var calls sync.WaitGroup
	var late atomic.Int32
	for range 64 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := micro.Call[string](ctx, c, echo, big)
			if !errors.Is(err, micro.ErrTimeout) {
				t.Errorf("a call: %v", err)
			}
			if time.Since(began) > stallTimeout-time.Second { // a call that waits for the broker ends with the connection, after stallTimeout
				late.Add(1)
			}
		})
	}
	testenv.Within(t, soon, "to give up", calls.Wait)
	if late.Load() > 0 {
		t.Errorf("%d calls outlasted their deadline", late.Load())
	}
	testenv.Within(t, soon, "to close", func() { _ = c.Close() })
	b.Resume()
}

// TestPauseIsSurvived checks that messages held up by a paused broker continue when it
// reads again.
func TestPauseIsSurvived(t *testing.T) {
	b := testenv.PrivateNATS(t)
	start(t, quietServer(), b.URL)
	c, conn := dial(t, b.URL)
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 400_000)
	b.Pause()
	var calls sync.WaitGroup
	for range 28 {
		calls.Go(func() {
			got, err := micro.Call[string](t.Context(), c, echo, big)
			if err != nil || got != big {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	eventually(t, "the wire to be full", func() bool { return conn.up.Load().link.dialer.current.Load().socket.waiting.Load() > 0 })
	b.Resume()
	testenv.Within(t, soon, "to be answered", calls.Wait)
}

// TestClose: calls in flight fail with ErrClosed, later ones too, and what was
// emitted before has been sent.
func TestClose(t *testing.T) {
	b := testenv.NATS(t)
	s := quietServer(micro.WithDrainTimeout(time.Second))
	var events atomic.Int32
	micro.HandleEvent(s, note, func(context.Context, int) error { events.Add(1); return nil })
	start(t, s, b.URL)
	c := client(t, b.URL)
	failed := make(chan error, 1)
	wrote := make(chan struct{})
	go func() {
		req := &micro.Request{Pattern: hold, Data: []byte("-1"), Trace: &micro.Trace{Wrote: func(time.Time, []byte) { close(wrote) }}}
		failed <- c.Do(context.Background(), req, micro.ReplyFunc(func(micro.Value) error { return nil }))
	}()
	<-wrote
	for i := range 1000 {
		if err := c.Emit(t.Context(), note, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, micro.ErrClosed) {
		t.Errorf("a call in flight: %v", err)
	}
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("a call after it: %v", err)
	}
	eventually(t, "all events", func() bool { return events.Load() == 1000 })
	if err := c.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

// TestStopIsNoLoss checks that a server that stops reports no lost connection.
func TestStopIsNoLoss(t *testing.T) {
	b := testenv.NATS(t)
	var log testenv.Log
	start(t, quietServer(micro.WithLogger(log.Logger())), b.URL).end(t)
	if !strings.Contains(log.String(), "listening") || strings.Contains(log.String(), "lost") || strings.Contains(log.String(), "level=WARN") {
		t.Error(log.String())
	}
}

// TestStopWhileGone: a server that stops while its broker is gone waits for nothing.
func TestStopWhileGone(t *testing.T) {
	b := testenv.PrivateNATS(t)
	var log testenv.Log
	r := start(t, quietServer(micro.WithLogger(log.Logger()), micro.WithDrainTimeout(time.Minute)), b.URL)
	b.Kill()
	eventually(t, "the loss to be noticed", func() bool { return strings.Contains(log.String(), "connection to the broker lost") })
	testenv.Within(t, soon, "to stop", func() { r.end(t) })
}

// TestListenOnce checks that a listener serves once, and that an invalid address is
// reported.
func TestListenOnce(t *testing.T) {
	b := testenv.NATS(t)
	l := Listen(b.URL)
	r := serve(t, quietServer(), l)
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.end(t)
	if err := quietServer().Serve(t.Context(), l); err == nil {
		t.Error("it served twice")
	}
	if err := quietServer().Serve(t.Context(), Listen("http://x")); err == nil {
		t.Error("it served http")
	}
	if _, err := micro.Call[int](t.Context(), client(t, ""), echo, "x"); err == nil || errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("without a server: %v", err)
	}
}
