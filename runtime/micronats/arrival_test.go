package micronats

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestTimeOfWaitingMessages checks that a full server does not work for callers who have gone, and
// answers what has expired.
func TestTimeOfWaitingMessages(t *testing.T) {
	b := testenv.NATS(t)
	s := micro.NewServer(micro.WithLogger(quietServer().Logger()), micro.WithMaxInFlight(1))
	var handled atomic.Int64
	begun, release := make(chan struct{}, 100), make(chan struct{})
	micro.Handle(s, hold, func(context.Context, int) (int, error) {
		handled.Add(1)
		begun <- struct{}{}
		<-release
		return 1, nil
	})
	in := startIntake(t, s, Listen(b.URL))
	c := client(t, b.URL)
	call := func(timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := micro.Call[int](ctx, c, hold, 1)
		return err
	}
	first := make(chan error)
	go func() { first <- call(soon) }()
	<-begun
	raw := dialRaw(t, b.URL)
	inbox := raw.newInbox()
	const waiting, timeout = 30, 300 * time.Millisecond
	for range waiting {
		raw.send(t, &nats.Msg{Subject: hold.Route(), Reply: inbox, Header: nats.Header{"timeout-ms": {"300"}}, Data: []byte(`{"data":1,"id":"1"}`)})
	}
	eventually(t, "all to be read", func() bool { return len(in.queue) == waiting-1 }) // the leader has taken one
	if err := call(timeout); !errors.Is(err, micro.ErrTimeout) {                       // so their time has passed, too
		t.Errorf("a call behind a full server: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	eventually(t, "the answers to what has expired", func() bool { return len(raw.came(inbox)) == waiting })
	for _, reply := range raw.came(inbox) {
		if reply != `{"err":{"status":504,"message":"the deadline passed before the work was started"},"isDisposed":true,"id":"1"}` {
			t.Error(reply)
		}
	}
	if n := handled.Load(); n > 2 { // the last call may have been read late
		t.Errorf("%d requests were handled", n)
	}
}

// startIntake serves s until the test ends, and returns the intake.
func startIntake(t *testing.T, s *micro.Server, l *Listener) *intake {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *intake), make(chan error, 1)
	go func() {
		done <- s.Serve(ctx, serving(func() {
			l.server, l.ctx = s, s.Context()
			defer l.watch.Start()()
			in, err := l.attempt(ctx)
			if err == nil {
				defer in.end()
				err = l.subscribe(ctx, in)
			}
			if err != nil {
				t.Error(err)
			}
			ready <- in
			<-ctx.Done()
			l.drain(in, newLeaving())
		}))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	in := <-ready
	if in == nil {
		t.FailNow()
	}
	return in
}

// serving is a listener that returns when the function does.
type serving func()

func (f serving) Serve(context.Context, *micro.Server) error { f(); return nil }

// TestArrival checks that the time of each message counts from the read that it came with, and
// that a handler sees what is left of it.
func TestArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen("nats://a")
		l.server, l.ctx = micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithMaxInFlight(1)), t.Context()
		defer l.watch.Start()()
		var left []time.Duration
		micro.HandleEvent(l.server, note, func(ctx context.Context, _ int) error {
			deadline, _ := ctx.Deadline()
			left = append(left, time.Until(deadline).Round(time.Millisecond))
			<-time.After(400 * time.Millisecond)
			return nil
		})
		in := newIntake(l)
		err := l.server.Serve(t.Context(), serving(func() {
			sub := &nats.Subscription{}
			in.subscriptions[sub] = &subscription{subject: note.Route(), route: l.server.RouteAt(note.Route())}
			in.join(1)
			for range 3 { // three reads, 100 ms apart
				for range 2 {
					in.read <- &nats.Msg{Sub: sub, Header: nats.Header{"timeout-ms": {"1000"}}, Data: []byte(`{"data":1}`)}
				}
				at := time.Now()
				<-time.After(100 * time.Millisecond) // parsing took so long
				in.beforeRead(at)
			}
			in.close()
			in.wg.Wait()
		}))
		if err != nil {
			t.Error(err)
		}
		const ms = time.Millisecond
		want := []time.Duration{900 * ms, 500 * ms, 200 * ms} // the others have expired
		if len(left) != len(want) {
			t.Fatalf("handled with %v left, want %v", left, want)
		}
		for i := range want {
			if left[i] != want[i] {
				t.Errorf("handled with %v left, want %v", left, want)
			}
		}
	})
}
