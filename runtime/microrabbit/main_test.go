package microrabbit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

// serviceEnv makes the test binary run as a service process, because the tests that kill
// services need real processes. Its value is the broker's URL. The arguments are the queue
// and the behavior of the handlers.
const serviceEnv = "MICRORABBIT_TEST_SERVICE"

func TestMain(m *testing.M) {
	if url := os.Getenv(serviceEnv); url != "" {
		os.Exit(runService(url, os.Args[1]))
	}
	goleak.VerifyTestMain(brokerStopper{m})
}

// brokerStopper stops the broker that the tests have started, after the last test.
type brokerStopper struct{ *testing.M }

func (m brokerStopper) Run() int {
	code := m.M.Run()
	if oneBroker.end != nil {
		oneBroker.end()
	}
	return code
}

// runService serves a queue until the process is asked to stop. It answers echo requests
// and prints the data of each event that it has handled.
func runService(url, queue string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := quietServer()
	micro.HandleEvent(s, noted, func(_ context.Context, in string) error {
		_, err := fmt.Println(in)
		return err
	})
	l := Listen(url, queue, WithAck(ackMode(os.Getenv("NOACK") != "")))
	if err := s.Serve(ctx, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

var (
	echo  = micro.Cmd("echo")   // answers with its data
	noted = micro.Name("noted") // an event
)

func quietServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	micro.Handle(s, echo, func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
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
	ready, cancelReady := context.WithTimeout(context.Background(), soon)
	defer cancelReady()
	if err := l.Ready(ready); err != nil {
		t.Fatalf("not ready: %v", stop())
	}
	return stop
}

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

func dial(t testing.TB, url, queue string, opts ...DialOption) *micro.Client {
	t.Helper()
	c := micro.NewClient(Dial(url, queue, opts...), micro.WithTimeout(soon))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ackMode returns the AckMode that corresponds to NestJS's noAck.
func ackMode(noAck bool) AckMode {
	if noAck {
		return AckOnReceipt
	}
	return AckAfterHandling
}
