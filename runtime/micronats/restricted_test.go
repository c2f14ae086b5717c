package micronats

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// countTo is a handler that streams 0 to n-1.
func countTo(_ context.Context, n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// restricted is a broker with a user for each kind of restriction. The password is x.
func restricted(t testing.TB) *testenv.Broker {
	t.Helper()
	return testenv.PrivateNATS(t, `authorization { users: [
		{user: all, password: x}
		{user: publisher, password: x, permissions: {publish: "dock.>", subscribe: {deny: ">"}}}
		{user: token, password: x, permissions: {publish: "dock.>", subscribe: "_INBOX.*"}}
		{user: prefix, password: x, permissions: {publish: "dock.>", subscribe: "_INBOX.prefix.>"}}
		{user: one, password: x, permissions: {publish: "dock.load", subscribe: "_INBOX.>"}}
		{user: server, password: x, permissions: {publish: "_INBOX.>", subscribe: "dock.load"}}
		{user: responder, password: x, permissions: {publish: {deny: ">"}, subscribe: "dock.>", allow_responses: true}}
	] }`)
}

// TestLeastPrivilege: what the user is permitted works, and the error of everything else
// names what is not permitted.
func TestLeastPrivilege(t *testing.T) {
	b := restricted(t)
	var mu sync.Mutex
	events := map[string]int{}
	s := quietServer()
	micro.HandleEvent(s, micro.Name("dock.load"), func(_ context.Context, user string) error {
		mu.Lock()
		defer mu.Unlock()
		events[user]++
		return nil
	})
	micro.Handle(s, micro.Name("dock.count"), func(_ context.Context, n int) (int, error) { return n + 1, nil })
	micro.HandleStream(s, micro.Name("dock.stream"), countTo)
	start(t, s, withUser(b.URL, "all:x"))
	one := micro.Name("dock.count")
	for _, tt := range []struct {
		user    string
		pattern micro.Pattern
		event   bool
		denied  []string // the end of the error; nil if permitted
		prefix  string
	}{
		{user: "publisher", pattern: micro.Name("dock.load"), event: true},
		{user: "publisher", pattern: micro.Name("yard.load"), event: true, denied: []string{`publish to "yard.load"`}},
		{user: "publisher", pattern: one, denied: []string{`subscribe to "_INBOX.*.*" or "_INBOX.*"`}},
		{user: "token", pattern: micro.Name("dock.load"), event: true},
		{user: "token", pattern: one},
		{user: "token", pattern: micro.HealthPattern, denied: []string{`publish to "msctl.health"`}},
		{user: "prefix", pattern: one, prefix: "_INBOX.prefix"},
		{user: "prefix", pattern: one, denied: []string{`subscribe to "_INBOX.`}},
		{user: "one", pattern: micro.Name("dock.load"), event: true},
		{user: "one", pattern: micro.Name("dock.load.now"), event: true, denied: []string{`publish to "dock.load.now"`}},
		{user: "one", pattern: one, denied: []string{`publish to "dock.count"`}},
	} {
		t.Run(fmt.Sprint(tt.user, " ", tt.pattern, " ", tt.prefix), func(t *testing.T) {
			var opts []DialOption
			if tt.prefix != "" {
				opts = append(opts, WithInboxPrefix(tt.prefix))
			}
			c := client(t, withUser(b.URL, tt.user+":x"), opts...)
			for range 3 { // what has been found out is no reason to fail later
				var err error
				if tt.event {
					err = c.Emit(t.Context(), tt.pattern, tt.user)
				} else {
					_, err = micro.Call[any](t.Context(), c, tt.pattern, 1)
				}
				if tt.denied == nil {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				var denied *PermissionError
				if !errors.Is(err, micro.ErrForbidden) || !errors.Is(err, micro.ErrRefused) || !errors.As(err, &denied) {
					t.Fatalf("%v is not a permission error", err)
				}
				for _, text := range tt.denied {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%v does not contain %s", err, text)
					}
				}
			}
		})
	}
	eventually(t, "the events", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return cmp.Equal(events, map[string]int{"publisher": 3, "token": 3, "one": 3})
	})
	wrong := client(t, withUser(b.URL, "all:y"))
	if err := wrong.Emit(t.Context(), one, 1); !errors.Is(err, micro.ErrRefused) || errors.Is(err, micro.ErrForbidden) {
		t.Errorf("a wrong password: %v", err)
	}
}

// TestSingleInboxes: requests of a user who is only permitted inboxes of one token are as independent of each
// other as those of other users, and leave no subscriptions behind.
func TestSingleInboxes(t *testing.T) {
	b := restricted(t)
	s := quietServer()
	micro.Handle(s, micro.Name("dock.count"), func(_ context.Context, n int) (int, error) { return n + 1, nil })
	micro.HandleStream(s, micro.Name("dock.stream"), countTo)
	start(t, s, withUser(b.URL, "all:x"))
	c, conn := dial(t, withUser(b.URL, "token:x"))
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			if got, err := micro.Call[int](t.Context(), c, micro.Name("dock.count"), n); got != n+1 || err != nil {
				t.Errorf("%d: %d, %v", n, got, err)
			}
			var got []int
			for v, err := range micro.Stream[int](t.Context(), c, micro.Name("dock.stream"), n) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if len(got) != n {
				t.Errorf("a stream of %d values: %d", n, len(got))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, _ = micro.Call[int](ctx, c, micro.Name("dock.count"), n)
		})
	}
	wg.Wait()
	if _, err := micro.Call[int](t.Context(), c, micro.Name("dock.nothing"), 1); !errors.Is(err, micro.ErrNotServed) {
		t.Errorf("without a subscriber: %v", err)
	}
	if n := conn.link.NumSubscriptions(); n != 0 {
		t.Errorf("%d subscriptions remain", n)
	}
	b.Kill()
	b.Start()
	testenv.Within(t, soon, "to be served again", func() {
		for ok := false; !ok; {
			_, err := micro.Call[int](t.Context(), c, micro.Name("dock.count"), 1)
			ok = err == nil
		}
	})
}

// TestInboxRefusedLater: a user who loses the permission while requests are pending learns of
// it, and requests that were sent do not count as unsent.
func TestInboxRefusedLater(t *testing.T) {
	b := newScripted(t, `{"max_payload":1048576,"headers":true}`)
	c := client(t, b.url)
	failed := make(chan error)
	for range 2 {
		go func() {
			_, err := micro.Call[int](t.Context(), c, micro.Name("x"), 1)
			failed <- err
		}()
		inbox := strings.Fields(b.hears(t, "SUB _INBOX."))[1]
		b.hears(t, `{"pattern":"x"`)
		b.say <- `-ERR 'Permissions Violation for Subscription to "` + inbox + `"'`
		if err := <-failed; !errors.Is(err, micro.ErrConnectionLost) || !strings.Contains(err.Error(), "no longer lets the user subscribe") {
			t.Error(err)
		}
		b.hears(t, "UNSUB")
	}
}

// TestRestrictedServer: a server needs the subjects of its handlers, and nothing else. The
// error names all that are missing.
func TestRestrictedServer(t *testing.T) {
	b := restricted(t)
	serverWith := func(log *testenv.Log, patterns ...string) *micro.Server {
		s := micro.NewServer(micro.WithLogger(log.Logger()))
		for _, p := range patterns {
			micro.Handle(s, micro.Name(p), func(context.Context, any) (string, error) { return p, nil })
		}
		micro.HandleStream(s, micro.Name("dock.stream"), countTo)
		return s
	}
	var log testenv.Log
	err := serverWith(&log, "dock.load", "dock.count", "yard.load").Serve(t.Context(), Listen(withUser(b.URL, "server:x"), WithQueue("q")))
	var denied *PermissionError
	if !errors.As(err, &denied) || !slices.Equal(denied.Subjects, []string{"dock.count", "yard.load", "dock.stream"}) {
		t.Errorf("serve: %v", err)
	}
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	micro.Handle(s, micro.Name("dock.load"), func(context.Context, any) (string, error) { return "loaded", nil })
	r := start(t, s, withUser(b.URL, "server:x"))
	c := client(t, withUser(b.URL, "all:x"))
	if got, err := micro.Call[string](t.Context(), c, micro.Name("dock.load"), 1); got != "loaded" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	r.end(t)

	// A server that may only respond sends one message for each request, which is too few for a stream.
	start(t, serverWith(&log, "dock.load"), withUser(b.URL, "responder:x"))
	if got, err := micro.Call[string](t.Context(), c, micro.Name("dock.load"), 1); got != "dock.load" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	raw := dialRaw(t, withUser(b.URL, "all:x"))
	raw.send(t, &nats.Msg{Subject: "dock.stream", Reply: raw.newInbox(), Data: []byte(`{"data":3,"id":"1"}`)})
	eventually(t, "the violation in the log", func() bool {
		return strings.Contains(log.String(), "does not let the user publish a reply, so") && strings.Contains(log.String(), "allow_responses")
	})
}
