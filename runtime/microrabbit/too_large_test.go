package microrabbit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestTooLarge checks that a message above the broker's limit fails at once with both sizes, that
// the first reply above it is reported in the log, and that later ones are replaced by an error.
func TestTooLarge(t *testing.T) {
	b := testenv.PrivateRabbitMQ(t, "max_message_size = 100000")
	var log testenv.Log
	s := quietServer(micro.WithLogger(log.Logger()))
	large := micro.Name("large")
	micro.HandleStream(s, large, func(_ context.Context, sizes []int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, n := range sizes {
				if !yield(strings.Repeat("x", n), nil) {
					return
				}
			}
		}
	})
	q := unique(t, "large")
	start(t, s, Listen(b.URL, q))
	c := dial(t, b.URL, q)
	big := strings.Repeat("x", 200_000)
	_, err := micro.Call[string](t.Context(), c, echo, big)
	for what, err := range map[string]error{"request": err, "event": c.Emit(t.Context(), noted, big)} {
		if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "is larger than configured max size 100000") {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := micro.Call[string](ctx, c, large, []int{200_000})
		first <- err
	}()
	eventually(t, "the lost reply is logged", func() bool { return strings.Contains(log.String(), "is larger than configured max size 100000") })
	cancel()
	if err := take(t, "the end of its call", first); err == nil {
		t.Error("the reply arrived")
	}
	var values []string
	for v, err := range micro.Stream[string](t.Context(), c, large, []int{1, 200_000, 2}) {
		values = append(values, fmt.Sprint(len(v)))
		var remote *micro.Error
		if err != nil && (!errors.As(err, &remote) || remote.Status != 500 || !strings.Contains(remote.Message, "200015 bytes") || !strings.Contains(remote.Message, "max_message_size 100000")) {
			t.Errorf("the second reply: %v", err)
		}
	}
	if got := strings.Join(values, " "); got != "1 0" {
		t.Errorf("values of %s bytes, want 1 and an error", got)
	}
	if n := strings.Count(log.String(), "replaced a reply by an error"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if got, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil || got != "x" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}
