package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/policy"
)

// arrival is what the service saw of an attempt.
type arrival struct {
	attempt int
	left    time.Duration // until its deadline
}

// serveHeld serves a pattern over TCP for one request: its first attempt is
// answered when release is closed, and further ones once the first has arrived.
func serveHeld(t *testing.T, release <-chan struct{}) (address string, arrived <-chan arrival) {
	t.Helper()
	seen := make(chan arrival, 10)
	first := make(chan struct{}) // closed when the first attempt has arrived
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.HandleFunc(s, micro.Cmd("held"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		if req.Attempt > 1 {
			<-first
		}
		seen <- arrival{req.Attempt, time.Until(req.Deadline)}
		if req.Attempt <= 1 {
			close(first)
			<-release
		}
		return reply.Send(micro.Value{Any: req.Attempt, Last: true})
	})
	l := microtcp.Listen("127.0.0.1:0")
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	at, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at.String(), seen
}

// TestLateOverTCP: an abandoned attempt is reported when its reply arrives, whether it timed out, was canceled with its request, or was outrun
// by a hedge.
func TestLateOverTCP(t *testing.T) {
	errLeft := errors.New("the caller has left")
	cases := map[string]struct {
		opts   []policy.Option
		cancel bool
		want   error
	}{
		"timed out": {[]policy.Option{policy.WithTimeout(500 * ms)}, false, micro.ErrTimeout},
		"canceled":  {[]policy.Option{policy.WithTimeout(time.Minute)}, true, errLeft},
		"outrun":    {[]policy.Option{policy.WithTimeout(time.Minute), hedgeAt(10*ms, 1)}, false, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			address, arrived := serveHeld(t, release)
			late := make(chan policy.Late, 10)
			conn := microtcp.Dial(address)
			defer func() { _ = conn.Close() }()
			if _, err := micro.Call[int](t.Context(), micro.NewClient(conn), micro.Cmd("unserved"), 0); !errors.Is(err, micro.ErrNoHandler) {
				t.Fatalf("connect: %v", err) // so that the attempts need not
			}
			client := micro.NewClient(conn, policy.New(c.opts...).With(policy.WithHooks(policy.Hooks{
				Late: func(_ context.Context, l policy.Late) { late <- l },
			})))
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.cancel {
				go func() { <-arrived; cancel(errLeft) }()
			}
			answer, err := micro.Call[int](ctx, client, micro.Cmd("held"), 0)
			if !errors.Is(err, c.want) || err == nil && answer != 2 {
				t.Errorf("answer %d, %v, want %v", answer, err, c.want)
			}
			if len(late) > 0 {
				t.Error("reported as late before it was answered")
			}
			close(release)
			if l := <-late; l.Number != 1 || l.Err != nil || l.By < 0 {
				t.Errorf("late: %+v", l)
			}
		})
	}
}

// TestDeadlineOverTCP: the service sees the attempt's time, not the request's,
// and the number of the attempt, a hedge's too.
func TestDeadlineOverTCP(t *testing.T) {
	release := make(chan struct{})
	address, arrived := serveHeld(t, release)
	defer close(release)
	client := micro.NewClient(microtcp.Dial(address), policy.New(policy.WithTimeout(20*time.Second), hedgeAt(10*ms, 1)), micro.WithTimeout(time.Hour))
	defer func() { _ = client.Close() }()
	if answer, err := micro.Call[int](t.Context(), client, micro.Cmd("held"), 0); answer != 2 || err != nil {
		t.Fatalf("%d, %v", answer, err)
	}
	for n := 1; n <= 2; n++ {
		if a := <-arrived; max(a.attempt, 1) != n || a.left <= 0 || a.left > 20*time.Second {
			t.Errorf("attempt %d of %d has %s left, want at most 20s", a.attempt, n, a.left)
		}
	}
}

// TestTimeoutPerValueOverTCP checks that a stream that stops is abandoned, and that the next
// attempt starts the reply again, over a real connection.
func TestTimeoutPerValueOverTCP(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	release := make(chan struct{})
	micro.HandleFunc(s, micro.Cmd("stops"), func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		if !req.Deadline.IsZero() && time.Until(req.Deadline) < time.Hour {
			t.Errorf("attempt %d has a deadline in %s", req.Attempt, time.Until(req.Deadline))
		}
		if err := reply.Send(micro.Value{Any: max(req.Attempt, 1)}); err != nil || req.Attempt >= 3 {
			return err
		}
		<-release
		return nil
	})
	l := microtcp.Listen("127.0.0.1:0")
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	defer func() {
		close(release)
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	at, err := l.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ends []error
	p := policy.New(policy.WithTimeout(500*ms), policy.WithTimeoutPerValue(true), policy.WithRetries(9), policy.WithRetryAfterValue(true),
		policy.WithHooks(policy.Hooks{Ended: func(_ context.Context, a policy.Attempt) { ends = append(ends, a.Err) }}))
	client := micro.NewClient(microtcp.Dial(at.String()), p)
	defer client.Close()
	var values []int
	for v, err := range micro.Stream[int](t.Context(), client, micro.Cmd("stops"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	for i, err := range ends {
		if last := i == len(ends)-1; last != (err == nil) || !last && !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("attempt %d ended with %v", i+1, err)
		}
	}
	// On a busy machine, a value may come too late for its attempt.
	if len(values) == 0 || values[len(values)-1] < 3 || !slices.IsSorted(values) {
		t.Errorf("the values are %v, want one of each attempt, up to the third", values)
	}
}
