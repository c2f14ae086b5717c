package microredis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

func logger(l *testenv.Log) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestNonPackets checks that a message that is not a packet is handled as an event of its
// channel, with the whole message as its data (docs/wire.md 1.6).
func TestNonPackets(t *testing.T) {
	broker := testenv.Redis(t)
	got := make(chan string, 1)
	s := quietServer()
	micro.HandleEvent(s, note, func(_ context.Context, data json.RawMessage) error {
		got <- string(data)
		return nil
	})
	start(t, s, Listen(broker.URL))
	see := tapInto(t, broker.URL)
	tests := []struct{ name, body, want string }{
		{"an object", `{"foo":1}`, `{"foo":1}`},
		{"an id alone", `{"id":"z"}`, `{"id":"z"}`},
		{"an empty object", `{}`, `{}`},
		{"an array", `[1]`, `[1]`},
		{"a number", `42`, `42`},
		{"null", `null`, `null`},
		{"text", `hello`, `"hello"`},
		{"text with quotes", `say "é"`, `"say \"é\""`},
		{"nothing", ``, `""`},
		{"broken JSON", `{"data":`, `"{\"data\":"`},
		{"invalid UTF-8", "a\xff\xed\xa0\xbd", `"a` + strings.Repeat("\uFFFD", 4) + `"`},
		{"invalid UTF-8 in a packet", "{\"data\":\"a\xff\"}", "\"a\uFFFD\""},
		{"a byte order mark", "\uFEFF1", "\"\uFEFF1\""},
		{"data without a pattern", `{"data":{"a":1}}`, `{"a":1}`},
		{"a pattern without data", `{"pattern":"zzz"}`, ``},
		{"surrounding whitespace", " {\"data\":1} \n", `1`},
	}
	for _, tt := range tests {
		see.publish(t, published{note.Route(), tt.body})
		select {
		case data := <-got:
			if diff := cmp.Diff(tt.want, data); diff != "" {
				t.Errorf("%s: data (-want +got):\n%s", tt.name, diff)
			}
		case <-time.After(soon):
			t.Errorf("%s: the handler did not run", tt.name)
		}
	}
}

// TestOwnReplies checks that a handler whose glob also matches reply channels does not run
// for replies, neither of its own server nor of others.
func TestOwnReplies(t *testing.T) {
	broker := testenv.Redis(t)
	var runs atomic.Int32
	s := quietServer()
	count := func(_ context.Context, req *micro.Request, reply micro.Reply) error {
		runs.Add(1)
		return reply.Send(micro.Value{Raw: req.Data, Last: true})
	}
	micro.HandleFunc(s, micro.Name("items.*"), count)
	var watched atomic.Int32
	micro.HandleEvent(s, micro.Name("items.*.reply"), func(context.Context, json.RawMessage) error {
		watched.Add(1)
		return nil
	})
	start(t, s, Listen(broker.URL, WithWildcards()))
	see := tapInto(t, broker.URL)
	see.publish(t, published{"items.a", `{"pattern":"items.a","data":1,"id":"1"}`}) // one run and one reply
	see.publish(t, published{"items.a.reply", `{"err":"no","isDisposed":true,"id":"2"}`})
	see.publish(t, published{"items.a.reply", `{"id":"3"}`})
	see.publish(t, published{"items.a.reply", `{"pattern":"items.a.reply","data":1,"id":"4"}`}) // a request with such a name, which both handlers answer
	see.publish(t, published{"items.a.reply", `{"foo":1}`})                                     // an event with such a name
	eventually(t, "the handler of replies has run for all", func() bool { return watched.Load() == 7 })
	eventually(t, "the handler has run three times", func() bool { return runs.Load() == 3 })
}

// TestDelivery checks DeliveryFromContext.
func TestDelivery(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	micro.Handle(s, micro.Name("items.*"), func(ctx context.Context, _ micro.None) (Delivery, error) {
		return *DeliveryFromContext(ctx), nil
	})
	start(t, s, Listen(broker.URL, WithWildcards()))
	c := client(t, broker.URL)
	got, err := micro.Call[Delivery](t.Context(), c, micro.Name("items.a.b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Delivery{Channel: "items.a.b", Pattern: "items.*"}, got); diff != "" {
		t.Error(diff)
	}
	if DeliveryFromContext(t.Context()) != nil {
		t.Error("a delivery without a message")
	}
}

// TestOverlap checks that the handlers of all overlapping globs run, and that the caller
// receives one response.
func TestOverlap(t *testing.T) {
	broker := testenv.Redis(t)
	var runs atomic.Int32
	s := quietServer()
	for _, glob := range []string{"items.*", "items.a*", "*.ab"} {
		micro.Handle(s, micro.Name(glob), func(context.Context, micro.None) (int32, error) { return runs.Add(1), nil })
	}
	start(t, s, Listen(broker.URL, WithWildcards()))
	if _, err := micro.Call[int](t.Context(), client(t, broker.URL), micro.Name("items.ab"), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all three have run", func() bool { return runs.Load() == 3 })
}

// TestChannelNames checks that patterns of all kinds reach their handlers.
func TestChannelNames(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	var patterns []micro.Pattern
	for _, text := range []string{`"a b\nc"`, `"ключ"`, `"😀"`, `"*"`, `"x[y]?"`, `""`, `42`, `true`, `"a\ud83db"`, `{"b":1,"a":[null,"é"]}`, `{"a":"q\"\\"}`} {
		p, err := micro.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
		micro.Handle(s, p, func(context.Context, micro.None) (string, error) { return p.JSON(), nil })
	}
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	for _, p := range patterns {
		got, err := micro.Call[string](t.Context(), c, p, nil)
		if err != nil || got != p.JSON() {
			t.Errorf("%s: %q, %v", p, got, err)
		}
	}
}

func TestChannelName(t *testing.T) {
	tests := []struct{ pattern, want string }{
		{`"plain"`, "plain"},
		{`"é😀"`, "é😀"},
		{`"a\ud83db"`, "a\uFFFDb"},
		{`"\ud83d\ud83d"`, "\uFFFD\uFFFD"},
		{`"\ud83d"`, "\uFFFD"},
	}
	for _, tt := range tests {
		p, err := micro.ParsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := channelName(p.Route()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

// TestSlowHandler checks that a handler that was quick and suddenly becomes slow does not
// delay other messages.
func TestSlowHandler(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	release := make(chan struct{})
	entered := make(chan struct{})
	micro.Handle(s, micro.Name("moody"), func(_ context.Context, slow bool) (bool, error) {
		if slow {
			close(entered)
			<-release
		}
		return slow, nil
	})
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	for range 100 { // until it counts as quick
		if _, err := micro.Call[bool](t.Context(), c, micro.Name("moody"), false); err != nil {
			t.Fatal(err)
		}
	}
	slow := make(chan error, 1)
	go func() {
		_, err := micro.Call[bool](t.Context(), c, micro.Name("moody"), true)
		slow <- err
	}()
	<-entered
	for range 10 {
		if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
			t.Fatalf("behind a slow handler: %q, %v", got, err)
		}
	}
	close(release)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// TestFull checks that a server at its limit stops reading, and continues later.
func TestFull(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer(micro.WithMaxInFlight(2))
	release := make(chan struct{})
	var running atomic.Int32
	micro.HandleEvent(s, note, func(context.Context, int) error {
		running.Add(1)
		<-release
		return nil
	})
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	for i := range 10 {
		if err := c.Emit(t.Context(), note, i); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two handlers are running", func() bool { return running.Load() == 2 })
	close(release)
	eventually(t, "all handlers have run", func() bool { return running.Load() == 10 })
}

// TestStreamStops checks that a stream without a receiver is stopped.
func TestStreamStops(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	stopped := make(chan struct{})
	micro.HandleStream(s, micro.Name("ticks"), func(ctx context.Context, _ micro.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			defer close(stopped)
			for i := 0; yield(i, nil) && pause(ctx, time.Millisecond) == nil; i++ {
				continue
			}
		}
	})
	l := Listen(broker.URL)
	l.goneAfter = 50 * time.Millisecond
	start(t, s, l)
	c := micro.NewClient(Dial(broker.URL, withLogger(slog.New(slog.DiscardHandler))))
	for _, err := range micro.Stream[int](t.Context(), c, micro.Name("ticks"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := c.Close(); err != nil { // this also ends the subscription
		t.Fatal(err)
	}
	select {
	case <-stopped:
	case <-time.After(soon):
		t.Error("the stream has not stopped")
	}
}

// TestBadBodies checks that a server survives many bodies of every kind.
func TestBadBodies(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer()
	micro.HandleEvent(s, note, func(context.Context, json.RawMessage) error { return nil })
	start(t, s, Listen(broker.URL))
	see := tapInto(t, broker.URL)
	_ = see.sub.Close()
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	bodies := []string{``, `{`, `{}`, `null`, `0`, `"x"`, `[]`, `hello`, "\x00\xff\xfe", `{"id":1}`, `{"data":1,"id":{"a":[]}}`, `{"data":1,"id":null}`,
		`{"pattern":"\ud83d","data":1,"id":""}`, `{"data":1,"metadata":7,"id":"a"}`, `{"data":1,"metadata":{"timeout-ms":"x"},"id":"a"}`, `{"response":1,"isDisposed":true,"id":"a"}`}
	for range 100_000 / 125 / 32 {
		pipe := see.Pipeline()
		for range 125 {
			for _, body := range bodies {
				pipe.Publish(t.Context(), echo.Route(), body)
				pipe.Publish(t.Context(), note.Route(), body)
			}
		}
		pipe.Publish(t.Context(), echo.Route(), deep)
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // all published messages are handled first
	defer cancel()
	if got, err := micro.Call[string](ctx, client(t, broker.URL), echo, "still here"); err != nil || got != "still here" {
		t.Errorf("after 100,000 bodies: %q, %v", got, err)
	}
}

// TestServeOnce checks the errors of Serve that do not require a broker.
func TestServeErrors(t *testing.T) {
	l := Listen("redis://:hunter/2@localhost")
	if err := quietServer().Serve(t.Context(), l); !errors.Is(err, redisurl.ErrInvalid) || strings.Contains(fmt.Sprint(err), "hunter") {
		t.Errorf("an invalid URL: %v", err)
	}
	if err := l.Ready(t.Context()); !errors.Is(err, redisurl.ErrInvalid) {
		t.Errorf("ready after a failed Serve: %v", err)
	}
	if err := quietServer().Serve(t.Context(), l); err == nil {
		t.Error("a listener can be served twice")
	}
}
