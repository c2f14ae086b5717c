package microredis

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// TestTooLarge checks that a message above Redis's limit fails at once, that a reply above it is
// reported in the log, and that both sides continue.
func TestTooLarge(t *testing.T) {
	broker := testenv.PrivateRedis(t, "proto-max-bulk-len 1mb")
	var log testenv.Log
	s := quietServer(micro.WithLogger(logger(&log)))
	big := strings.Repeat("x", 2_000_000)
	large := micro.Name("large")
	micro.Handle(s, large, func(context.Context, micro.None) (string, error) { return big, nil })
	start(t, s, Listen(broker.URL))
	c := client(t, broker.URL)
	sends := map[string]func() error{
		"request": func() error { _, err := micro.Call[string](t.Context(), c, echo, big); return err },
		"event":   func() error { return c.Emit(t.Context(), note, big) },
	}
	for what, send := range sends {
		err := send()
		// Redis closes the connection before it has read everything, and the reset may overtake the reason.
		for n := 0; n < 20 && errors.Is(err, micro.ErrConnectionLost); n++ {
			awaitRecovery(t, c)
			err = send()
		}
		if !errors.Is(err, micro.ErrRefused) || !strings.Contains(err.Error(), "invalid bulk length") {
			t.Errorf("%s: %v", what, err)
		}
	}
	awaitRecovery(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := micro.Call[string](ctx, c, large, nil)
		ended <- err
	}()
	eventually(t, "the lost reply is logged", func() bool {
		return strings.Contains(log.String(), `msg="reply lost" channel=large.reply`) && strings.Contains(log.String(), "invalid bulk length")
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("the reply arrived")
	}
	awaitRecovery(t, c)
}
