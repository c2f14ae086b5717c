package microrabbit

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var echo = micro.Cmd("echo")

func quietServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { return in, nil })
	return s
}

// start serves s on l until the test ends.
func start(t testing.TB, s *micro.Server, l *Listener) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	var err error
	ended := false
	stop = func() error {
		cancel()
		if !ended {
			ended = true
			err = <-done
		}
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	ready, cancelReady := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancelReady()
	if err := l.Ready(ready); err != nil {
		t.Fatalf("not ready: %v", stop())
	}
	return stop
}

func dial(t testing.TB, url, queue string, opts ...DialOption) *micro.Client {
	t.Helper()
	c := micro.NewClient(Dial(url, queue, opts...))
	t.Cleanup(func() { _ = c.Close() })
	return c
}
