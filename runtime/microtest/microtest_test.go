package microtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	greet = micro.Cmd("greet")
	count = micro.Cmd("count")
	wait  = micro.Cmd("wait")
	seen  = micro.Name("seen")
)

func newServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append(opts, micro.WithLogger(slog.New(slog.DiscardHandler)))...)
	micro.Handle(s, greet, func(_ context.Context, name string) (string, error) {
		if name == "" {
			return "", micro.Errorf(400, "name is missing")
		}
		return "Hello " + name, nil
	})
	micro.HandleStream(s, count, func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	micro.Handle(s, wait, func(ctx context.Context, _ micro.None) (micro.None, error) {
		<-ctx.Done()
		return micro.None{}, ctx.Err()
	})
	return s
}

func TestCalls(t *testing.T) {
	c := microtest.Serve(t, newServer())
	got, err := micro.Call[string](t.Context(), c, greet, "Ada")
	if err != nil || got != "Hello Ada" {
		t.Errorf("%q, %v", got, err)
	}
	var remote *micro.Error
	if _, err = micro.Call[string](t.Context(), c, greet, ""); !errors.As(err, &remote) || remote.Status != 400 || !remote.Remote() {
		t.Errorf("error %v", err)
	}
	if _, err = micro.Call[string](t.Context(), c, micro.Cmd("unserved"), nil); !errors.Is(err, micro.ErrNoHandler) {
		t.Errorf("error %v", err)
	}
	var values []int
	for v, err := range micro.Stream[int](t.Context(), c, count, 3) {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	if diff := cmp.Diff([]int{0, 1, 2}, values); diff != "" {
		t.Error(diff)
	}
	for v := range micro.Stream[int](t.Context(), c, count, 1000) {
		if v == 2 {
			break // discards the rest
		}
	}
	h, err := micro.Call[micro.Health](t.Context(), c, micro.HealthPattern, micro.None{})
	if err != nil || h.Status != "ok" {
		t.Errorf("health %+v, %v", h, err)
	}
}

func TestEventsAndMetadata(t *testing.T) {
	s := newServer()
	got := make(chan string, 1)
	micro.HandleEvent(s, seen, func(ctx context.Context, what string) error {
		req := micro.RequestFromContext(ctx)
		got <- what + " " + req.Metadata.Get("k") + " " + req.CorrelationID() + " " + req.Peer
		return nil
	})
	c := microtest.Serve(t, s)
	req := &micro.Request{Pattern: seen, Data: []byte(`"it"`), Event: true}
	req.Metadata.Set("k", "v")
	req.Metadata.Set(micro.MetaCorrelationID, "id")
	if err := c.Do(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "it v id memory" {
		t.Errorf("event %q", text)
	}
	if err := c.Emit(t.Context(), micro.Name("unserved"), nil); err != nil {
		t.Errorf("an event without a handler: %v", err)
	}
}

// TestDeadlines runs in a synctest bubble, so it takes no real time.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := microtest.Serve(t, newServer(), micro.WithTimeout(3*time.Second))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := micro.Call[micro.None](ctx, c, wait, micro.None{})
		var remote *micro.Error // the service's own reply may arrive first
		if !errors.Is(err, micro.ErrTimeout) && !errors.As(err, &remote) || time.Since(start) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		start = time.Now()
		_, err = micro.Call[micro.None](t.Context(), c, wait, micro.None{})
		if err == nil || time.Since(start) != 3*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		if _, err := micro.Call[micro.None](ctx, c, greet, "Ada"); !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("after the deadline: %v", err)
		}
		gone, leave := context.WithCancelCause(t.Context())
		mine := errors.New("mine")
		time.AfterFunc(time.Second, func() { leave(mine) })
		if _, err := micro.Call[micro.None](gone, c, wait, micro.None{}); !errors.Is(err, mine) {
			t.Errorf("after leaving: %v", err)
		}
	})
}

// TestBeforeAndAfter: messages wait for the server to start, and fail after it stops.
func TestBeforeAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := microtest.New()
		c := n.Client()
		_, err := micro.Call[string](t.Context(), c, greet, "Ada")
		if !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("before: %v", err)
		}
		early := make(chan error, 1)
		go func() {
			_, err := micro.Call[string](t.Context(), c, greet, "Ada")
			early <- err
		}()
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := micro.Call[string](canceled, c, greet, "Ada"); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		synctest.Wait()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		s := newServer(micro.WithDrainTimeout(time.Second))
		go func() { served <- s.Serve(ctx, n) }()
		if err := <-early; err != nil {
			t.Errorf("waited: %v", err)
		}
		if err := n.Serve(ctx, newServer()); err == nil {
			t.Error("a network was served twice")
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if _, err := micro.Call[string](t.Context(), c, greet, "Ada"); !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("after: %v", err)
		}
	})
}

// TestDrain: messages in flight get replies, unless they exceed the drain timeout.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			takes time.Duration
			want  error
		}{{time.Second, nil}, {time.Hour, micro.ErrConnectionLost}} {
			s := newServer(micro.WithDrainTimeout(2 * time.Second))
			micro.Handle(s, micro.Cmd("slow"), func(context.Context, micro.None) (string, error) {
				<-time.After(test.takes) // ignores its context
				return "done", nil
			})
			n := microtest.New()
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- s.Serve(ctx, n) }()
			called := make(chan error, 1)
			go func() {
				long, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				_, err := micro.Call[string](long, n.Client(), micro.Cmd("slow"), nil)
				called <- err
			}()
			synctest.Wait()
			stop()
			if err := <-served; (err == nil) != (test.want == nil) {
				t.Errorf("%v: serve: %v", test.takes, err)
			}
			if err := <-called; !errors.Is(err, test.want) {
				t.Errorf("%v: call: %v", test.takes, err)
			}
			<-time.After(test.takes) // for the handler
			synctest.Wait()
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := microtest.Serve(t, newServer())
		called := make(chan error, 1)
		go func() {
			_, err := micro.Call[micro.None](t.Context(), c, wait, micro.None{})
			called <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-called; !errors.Is(err, micro.ErrClosed) {
			t.Errorf("in flight: %v", err)
		}
		if _, err := micro.Call[string](t.Context(), c, greet, "Ada"); !errors.Is(err, micro.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		unserved := microtest.New().Client()
		go func() {
			_, err := micro.Call[string](t.Context(), unserved, greet, "Ada")
			called <- err
		}()
		synctest.Wait()
		if err := unserved.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-called; !errors.Is(err, micro.ErrClosed) {
			t.Errorf("waiting: %v", err)
		}
	})
}

func TestTrace(t *testing.T) {
	c := microtest.Serve(t, newServer())
	var wrote, read int
	req := &micro.Request{Pattern: count, Data: []byte("2"), Trace: &micro.Trace{
		Wrote: func(_ time.Time, packet []byte) { wrote += len(packet) },
		Read:  func(_ time.Time, packet []byte) { read++ },
	}}
	err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil }))
	if err != nil || wrote == 0 || read != 3 {
		t.Errorf("wrote %d bytes, read %d packets, %v", wrote, read, err)
	}
	stop := errors.New("enough")
	req = &micro.Request{Pattern: count, Data: []byte("2")}
	if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return stop })); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
	req = &micro.Request{Pattern: count, Data: []byte("{")}
	if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

// TestLateReply: the trace of a call reports a reply that arrives after its timeout.
func TestLateReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		slow := micro.Cmd("slow")
		micro.HandleStream(s, slow, func(_ context.Context, fails bool) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				<-time.After(2 * time.Second) // ignores its context
				_ = yield(1, nil) && yield(2, nil) && fails && yield(0, micro.Errorf(404, "gone"))
			}
		})
		c := microtest.Serve(t, s)
		for _, data := range []string{"false", "true"} {
			late := make(chan micro.LateReply, 2)
			err := c.Do(t.Context(), &micro.Request{
				Pattern: slow, Data: []byte(data), Deadline: time.Now().Add(time.Second), Trace: &micro.Trace{Late: func(l micro.LateReply) { late <- l }},
			}, nil)
			if !errors.Is(err, micro.ErrTimeout) {
				t.Errorf("error %v", err)
			}
			if l := <-late; l.By != time.Second || (l.Err != nil) != (data == "true") {
				t.Errorf("late by %v with %v", l.By, l.Err)
			}
			synctest.Wait()
			if len(late) > 0 {
				t.Error("reported twice")
			}
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	c := microtest.Serve(t, newServer())
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			got, err := micro.Call[json.RawMessage](t.Context(), c, greet, fmt.Sprint(i))
			if want := fmt.Sprintf(`"Hello %d"`, i); err != nil || string(got) != want {
				t.Errorf("%s, want %s; %v", got, want, err)
			}
		})
	}
	callers.Wait()
}

func ExampleNew() {
	s := micro.NewServer()
	micro.Handle(s, micro.Cmd("double"), func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	n := microtest.New()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, n) }()

	got, err := micro.Call[int](ctx, n.Client(), micro.Cmd("double"), 21)
	fmt.Println(got, err)
	stop()
	fmt.Println(<-served)
	// Output:
	// 42 <nil>
	// <nil>
}
