package microredis

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestLeastPrivilege checks that users who may only publish, only subscribe, or only use some
// channels can do that, and that errors name what is not permitted.
func TestLeastPrivilege(t *testing.T) {
	broker := testenv.Redis(t,
		"user publisher on >"+secret+" resetchannels &noted -@all +publish",
		"user subscriber on >"+secret+" resetchannels &noted &other -@all +subscribe",
		"user caller on >"+secret+" resetchannels &*echo* -@all +publish +subscribe")
	as := func(user string) string { return withPassword(broker.URL, user, secret) }
	var log testenv.Log
	events := make(chan int, 10)
	s := micro.NewServer(micro.WithLogger(logger(&log)))
	micro.HandleEvent(s, note, func(_ context.Context, n int) error {
		events <- n
		return nil
	})
	r := start(t, s, Listen(as("subscriber")))
	publisher := client(t, as("publisher"))
	if err := publisher.Emit(t.Context(), note, 7); err != nil {
		t.Errorf("a permitted event: %v", err)
	}
	select {
	case n := <-events:
		if n != 7 {
			t.Errorf("got %d", n)
		}
	case <-time.After(soon):
		t.Error("the event was not handled")
	}
	if text := log.String(); !strings.Contains(text, "the user may not subscribe to their channels") || !strings.Contains(text, "msctl.health") {
		t.Errorf("the log does not mention health checks:\n%s", text)
	}
	r.end(t)

	start(t, quietServer(), Listen(broker.URL))
	if got, err := micro.Call[string](t.Context(), client(t, as("caller")), echo, "x"); got != "x" || err != nil {
		t.Errorf("a permitted call: %q, %v", got, err)
	}
	reply := echo.Route() + ".reply"
	_, err := micro.Call[string](t.Context(), publisher, echo, "x")
	checkDenied(t, "a call of the publisher", err, `+subscribe`, "subscribe", reply)
	checkDenied(t, "an event of the publisher", publisher.Emit(t.Context(), micro.Name("other"), 1), `"&other"`, "publish", "other")
	checkDenied(t, "an event of the subscriber", client(t, as("subscriber")).Emit(t.Context(), note, 1), `+publish`, "publish", "noted")
	_, err = micro.Call[int](t.Context(), client(t, as("caller")), hold, 1)
	checkDenied(t, "another call of the caller", err, strconv.Quote("&"+hold.Route()+".reply"), "subscribe", hold.Route()+".reply")

	two := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	for _, name := range []string{"a", "noted", "b"} {
		micro.HandleEvent(two, micro.Name(name), func(context.Context, int) error { return nil })
	}
	checkDenied(t, "a server", two.Serve(t.Context(), Listen(as("subscriber"))), `"&a" "&b"`, "subscribe", "a", "b")
	globs := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.HandleEvent(globs, micro.Name("a.*"), func(context.Context, int) error { return nil })
	checkDenied(t, "a server with wildcards", globs.Serve(t.Context(), Listen(as("subscriber"), WithWildcards())), "+psubscribe", "psubscribe", "a.*")
}

func checkDenied(t *testing.T, what string, err error, grant, command string, channels ...string) {
	t.Helper()
	var got *PermissionError
	if !errors.Is(err, micro.ErrForbidden) || !errors.As(err, &got) {
		t.Errorf("%s: %v", what, err)
		return
	}
	if diff := cmp.Diff([]any{command, channels, grant}, []any{got.Command, got.Channels, got.Grant()}); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
	checkNoSecret(t, err)
}

// TestWrongPasswordIsNotForbidden checks that a rejected login is distinguished from a missing
// permission.
func TestWrongPasswordIsNotForbidden(t *testing.T) {
	broker := testenv.Redis(t, "user few on >"+secret+" resetchannels -@all")
	err := client(t, withPassword(broker.URL, "few", "x"+secret)).Emit(t.Context(), note, 1)
	if !errors.Is(err, micro.ErrRefused) || errors.Is(err, micro.ErrForbidden) {
		t.Errorf("a wrong password: %v", err)
	}
	err = client(t, withPassword(broker.URL, "few", secret)).Emit(t.Context(), note, 1)
	if !errors.Is(err, micro.ErrForbidden) {
		t.Errorf("no permission: %v", err)
	}
}

// TestStoppingServerLeavesStreams checks that a stream whose caller has left does not hold a
// stopping server.
func TestStoppingServerLeavesStreams(t *testing.T) {
	broker := testenv.Redis(t)
	s := quietServer(micro.WithDrainTimeout(soon))
	ticks := micro.Name("ticks")
	micro.HandleStream(s, ticks, func(ctx context.Context, _ micro.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 0; yield(i, nil) && pause(ctx, time.Millisecond) == nil; i++ {
			}
		}
	})
	l := Listen(broker.URL)
	l.goneAfter = soon // so that only the end of the server ends the stream
	r := start(t, s, l)
	for v, err := range micro.Stream[int](t.Context(), client(t, broker.URL), ticks, micro.None{}) {
		if err != nil {
			t.Fatal(err)
		}
		if v == 3 {
			break
		}
	}
	began := time.Now()
	r.end(t)
	if took := time.Since(began); took > soon/2 {
		t.Errorf("the server took %v to stop", took)
	}
}
