package micronats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestMaxPayload: what is larger than the broker takes is refused at the caller, or
// answered with an error, with both sizes; the connections live on.
func TestMaxPayload(t *testing.T) {
	b := testenv.PrivateNATS(t, "max_payload: 10000")
	var log testenv.Log
	s := quietServer(micro.WithLogger(log.Logger()))
	failed := make(chan error, 1)
	micro.Handle(s, micro.Cmd("large"), func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
	micro.HandleFunc(s, micro.Cmd("largeStream"), func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
		for _, n := range []int{1, 20_000, 2} {
			if err := reply.Send(micro.Value{Any: strings.Repeat("x", n)}); err != nil {
				failed <- err
				return err
			}
		}
		return nil
	})
	start(t, s, b.URL)
	c := client(t, b.URL)

	_, err := micro.Call[string](t.Context(), c, echo, strings.Repeat("x", 10_000))
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "10000") {
		t.Errorf("request: %v", err)
	}
	if err := c.Emit(t.Context(), note, strings.Repeat("x", 10_000)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("event: %v", err)
	}
	var remote *micro.Error
	if _, err = micro.Call[string](t.Context(), c, micro.Cmd("large"), 10_000); !errors.As(err, &remote) || remote.Status != 500 || !strings.Contains(remote.Message, "max_payload 10000") {
		t.Errorf("answer: %v", err)
	}
	if got, err := micro.Call[string](t.Context(), c, micro.Cmd("large"), 9000); err != nil || len(got) != 9000 {
		t.Errorf("just right: %d, %v", len(got), err)
	}
	var values []string
	for v, err := range micro.Stream[string](t.Context(), c, micro.Cmd("largeStream"), 1) {
		values = append(values, fmt.Sprint(len(v), err != nil))
	}
	if got := strings.Join(values, ","); got != "1 false,0 true" {
		t.Errorf("stream: %s", got)
	}
	if err := <-failed; err == nil {
		t.Error("the handler got no error")
	}
	if strings.Count(log.String(), "replaced a reply by an error") != 2 {
		t.Error(log.String())
	}
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); err != nil {
		t.Error(err)
	}
}
