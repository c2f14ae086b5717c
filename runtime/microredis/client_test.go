package microredis

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// script answers each request on a channel with the bodies that answers returns. In them,
// ID stands for the request's ID as JSON.
func script(t testing.TB, url, channel string, answers func() []string) {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	sub := c.Subscribe(t.Context(), channel)
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := sub.ReceiveMessage(context.Background())
			if err != nil {
				return
			}
			p, err := wire.Parse([]byte(m.Payload))
			if err != nil {
				t.Error(err)
				return
			}
			for _, body := range answers() {
				_ = c.Publish(context.Background(), channel+replySuffix, strings.ReplaceAll(body, "ID", string(p.ID))).Err()
			}
		}
	}()
	t.Cleanup(func() {
		_ = sub.Close()
		<-done
		_ = c.Close()
	})
}

// TestReplies checks how a client interprets messages on a reply channel (docs/wire.md 1.3).
func TestReplies(t *testing.T) {
	const end = `{"response":"end","isDisposed":true,"id":ID}`
	tests := []struct {
		name    string
		answers []string
		want    []string
	}{
		{"a value", []string{`{"response":1,"isDisposed":true,"id":ID}`}, []string{`{"next":1}`, `{"complete":true}`}},
		{"two values", []string{`{"response":1,"id":ID}`, `{"response":2,"id":ID}`, `{"isDisposed":true,"id":ID}`}, []string{`{"next":1}`, `{"next":2}`, `{"complete":true}`}},
		{"one more key", []string{`{"response":1,"code":7,"id":ID}`}, []string{`{"next":{"response":1,"code":7,"id":"x"}}`, `{"complete":true}`}},
		{"an error", []string{`{"err":"no","isDisposed":true,"id":ID}`}, []string{`{"error":"no"}`}},
		{"two replicas: the first complete reply counts", []string{`{"response":1,"isDisposed":true,"id":ID}`, `{"err":"no","isDisposed":true,"id":ID}`}, []string{`{"next":1}`, `{"complete":true}`}},
		{"replies to others", []string{`{"response":1,"isDisposed":true,"id":"abc"}`, `{"response":1,"isDisposed":true,"id":7}`, `{"response":1,"isDisposed":true}`, end}, []string{`{"next":"end"}`, `{"complete":true}`}},
		{"not packets", []string{`hello`, ``, `null`, `[]`, `{`, `"ID"`, end}, []string{`{"next":"end"}`, `{"complete":true}`}},
		{"an id with escapes", []string{strings.Replace(end, "ID", `"\u0061"`, 1), end}, []string{`{"next":"end"}`, `{"complete":true}`}},
	}
	broker := testenv.Redis(t)
	var next atomic.Pointer[[]string]
	script(t, broker.URL, "ask", func() []string { return *next.Load() })
	c := client(t, broker.URL)
	for _, tt := range tests {
		next.Store(&tt.answers)
		got := observe(t.Context(), c, &micro.Request{Pattern: micro.Name("ask")})
		for i := range got { // the ID differs each time
			if at := strings.Index(got[i], `"id":"`); at >= 0 {
				got[i] = got[i][:at] + `"id":"x"}}`
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestNotServed checks that a request without a receiver fails at once, but not an event.
func TestNotServed(t *testing.T) {
	broker := testenv.Redis(t)
	c := client(t, broker.URL)
	began := time.Now()
	_, err := micro.Call[int](t.Context(), c, micro.Cmd("unserved"), 1)
	if !errors.Is(err, micro.ErrNotServed) || !errors.Is(err, micro.ErrUnreachable) || !strings.Contains(err.Error(), `{"cmd":"unserved"}`) {
		t.Errorf("a request: %v", err)
	}
	if time.Since(began) > soon/2 {
		t.Errorf("it took %v", time.Since(began))
	}
	if err := c.Emit(t.Context(), note, 1); err != nil {
		t.Errorf("an event: %v", err)
	}
	uncounted := client(t, broker.URL, WithoutReceiverCount())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := micro.Call[int](ctx, uncounted, micro.Cmd("unserved"), 1); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("without the count: %v", err)
	}
}

// TestReplicas checks that servers and clients log once that there are several instances.
func TestReplicas(t *testing.T) {
	broker := testenv.Redis(t)
	var logs [2]testenv.Log
	for i := range logs {
		s := micro.NewServer(micro.WithLogger(logger(&logs[i])), micro.WithName("replicated", ""))
		micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { return in, nil })
		micro.HandleEvent(s, note, func(context.Context, int) error { return nil })
		l := Listen(broker.URL)
		l.company.confirm, l.company.every = 10*time.Millisecond, 10*time.Millisecond
		start(t, s, l)
	}
	for i := range logs {
		eventually(t, "a server logs the other instance", func() bool { return strings.Contains(logs[i].String(), "another instance") })
		text := logs[i].String()
		if strings.Contains(text, "noted") || !strings.Contains(text, "echo") || !strings.Contains(text, "msctl.health.replicated") {
			t.Errorf("the log names the wrong channels: %s", text)
		}
	}
	var log testenv.Log
	c := micro.NewClient(Dial(broker.URL, WithHeartbeat(soon)), micro.WithTimeout(soon), micro.WithLogger(logger(&log)))
	t.Cleanup(func() { _ = c.Close() })
	for range 3 {
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
			t.Fatal(got, err)
		}
	}
	eventually(t, "the client logs several receivers", func() bool { return strings.Contains(log.String(), "more than one") })
	for i := range logs {
		if n := strings.Count(logs[i].String(), "another instance"); n != 1 {
			t.Errorf("the server logged the other instance %d times", n)
		}
	}
	if n := strings.Count(log.String(), "more than one"); n != 1 {
		t.Errorf("the client logged several receivers %d times", n)
	}
}

// TestReplyChannels checks that reply channels are shared, kept for a while, and finally
// unsubscribed.
func TestReplyChannels(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	start(t, s, Listen(broker.URL))
	conn := Dial(broker.URL, withLogger(slog.New(slog.DiscardHandler)), WithHeartbeat(soon))
	c := micro.NewClient(conn)
	defer c.Close()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	see := tapInto(t, broker.URL)
	subscribers := func() int64 {
		counts, err := see.PubSubNumSub(t.Context(), echo.Route()+replySuffix).Result()
		if err != nil {
			t.Fatal(err)
		}
		return counts[echo.Route()+replySuffix]
	}
	if n := subscribers(); n != 1 {
		t.Errorf("%d subscriptions after 50 calls", n)
	}
	session := conn.link.session()
	session.sweep(time.Hour)
	if n := subscribers(); n != 1 {
		t.Errorf("%d subscriptions shortly after the last call", n)
	}
	session.sweep(0)
	eventually(t, "the channel is unsubscribed", func() bool { return subscribers() == 0 })
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// TestManyReplyChannels checks that sweeping during calls loses no reply, and limits the
// number of reply channels.
func TestManyReplyChannels(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	patterns := make([]micro.Pattern, 2*maxIdle)
	for i := range patterns {
		patterns[i] = micro.Cmd(fmt.Sprint("p", i))
		micro.Handle(s, patterns[i], func(context.Context, micro.None) (int, error) { return i, nil })
	}
	start(t, s, Listen(broker.URL))
	conn := Dial(broker.URL, WithHeartbeat(soon))
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	defer c.Close()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range patterns {
				i = (i + g*7) % len(patterns)
				if got, err := micro.Call[int](t.Context(), c, patterns[i], nil); err != nil || got != i {
					t.Errorf("call %d: %d, %v", i, got, err)
					return
				}
				if i%16 == 0 {
					conn.link.session().sweep(0)
				}
			}
		})
	}
	all.Wait()
}

// TestClose checks the errors of calls and events after Close.
func TestClose(t *testing.T) {
	broker := testenv.Redis(t)
	start(t, quietServer(micro.WithDrainTimeout(10*time.Millisecond)), Listen(broker.URL))
	conn := Dial(broker.URL)
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	held := make(chan error, 1)
	go func() {
		_, err := micro.Call[int](t.Context(), c, hold, -1)
		held <- err
	}()
	eventually(t, "the call is pending", func() bool { return conn.calls.Len() == 1 })
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-held; !errors.Is(err, micro.ErrClosed) {
		t.Errorf("a call in flight: %v", err)
	}
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
	if err := c.Emit(t.Context(), note, 1); !errors.Is(err, micro.ErrClosed) {
		t.Errorf("an event after Close: %v", err)
	}
	if err := Dial(broker.URL).Close(); err != nil {
		t.Errorf("a client that was never used: %v", err)
	}
}

// TestDeadlines checks deadlines, canceled contexts, and late replies.
func TestDeadlines(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	stubborn := micro.Cmd("stubborn") // ignores the deadline
	micro.Handle(s, stubborn, func(context.Context, micro.None) (int, error) {
		<-time.After(400 * time.Millisecond)
		return 1, nil
	})
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	late := make(chan micro.LateReply, 1)
	var wrote, read atomic.Int32
	req := &micro.Request{Pattern: stubborn, Deadline: time.Now().Add(100 * time.Millisecond), Trace: &micro.Trace{
		Wrote: func(time.Time, []byte) { wrote.Add(1) },
		Read:  func(time.Time, []byte) { read.Add(1) },
		Late:  func(l micro.LateReply) { late <- l },
	}}
	if err := c.Do(t.Context(), req, micro.ReplyFunc(func(micro.Value) error { return nil })); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("at the deadline: %v", err)
	}
	if wrote.Load() != 1 || read.Load() != 0 {
		t.Errorf("wrote %d, read %d", wrote.Load(), read.Load())
	}
	select {
	case l := <-late:
		if l.By <= 0 || l.Err != nil {
			t.Errorf("the late answer: %+v", l)
		}
	case <-time.After(soon):
		t.Error("no late reply was reported")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	boom := errors.New("boom")
	cancel(boom)
	if _, err := micro.Call[int](ctx, c, hold, -1); !errors.Is(err, boom) {
		t.Errorf("a context that has ended: %v", err)
	}
	if err := c.Emit(ctx, note, 1); !errors.Is(err, boom) {
		t.Errorf("an event of such a context: %v", err)
	}
	gone := &micro.Request{Pattern: note, Event: true, Deadline: time.Now().Add(-time.Second), Trace: &micro.Trace{
		Wrote: func(time.Time, []byte) { t.Error("an event was sent after its deadline") },
	}}
	if err := c.Do(t.Context(), gone, nil); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("an event after its deadline: %v", err)
	}
}

// TestStreamLeft checks that a caller that leaves a stream early can call again.
func TestStreamLeft(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	micro.HandleStream(s, micro.Name("ten"), func(context.Context, micro.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range 10 {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	for range 3 {
		n := 0
		for v, err := range micro.Stream[int](t.Context(), c, micro.Name("ten"), nil) {
			if err != nil || v != n {
				t.Fatal(v, err)
			}
			if n++; n == 4 {
				break
			}
		}
	}
}

// TestLarge checks concurrent messages in both directions that exceed all buffers.
func TestLarge(t *testing.T) {
	broker := testenv.Redis(t)
	start(t, quietServer(), Listen(broker.URL))
	c := client(t, broker.URL)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 1<<20)
			got, err := micro.Call[string](t.Context(), c, echo, text)
			if err != nil || got != text {
				t.Errorf("%d bytes: %v", len(got), err)
			}
		})
	}
	all.Wait()
}

// TestManyCalls checks that each of many concurrent calls receives its own response.
func TestManyCalls(t *testing.T) {
	broker := testenv.Redis(t)
	start(t, quietServer(), Listen(broker.URL))
	clients := []*micro.Client{client(t, broker.URL), client(t, broker.URL)}
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for i := range 50 {
				want := fmt.Sprint(g, " ", i)
				if got, err := micro.Call[string](t.Context(), clients[g%2], echo, want); err != nil || got != want {
					t.Errorf("%q, want %q: %v", got, want, err)
					return
				}
			}
		})
	}
	all.Wait()
}
