package microredis

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// serviceEnv makes the test binary run as a service process with the URL in its value,
// for the tests and benchmarks that kill or measure a process.
const serviceEnv = "MICROREDIS_TEST_SERVICE"

func TestMain(m *testing.M) {
	if url := os.Getenv(serviceEnv); url != "" {
		os.Exit(runService(url))
	}
	goleak.VerifyTestMain(m)
}

// The patterns of the service process and of many test servers.
var (
	echo = micro.Cmd("echo") // answers with its data
	hold = micro.Cmd("hold") // answers with its data after that many milliseconds, or never
	note = micro.Name("noted")
)

type item struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
	Text  string   `json:"text"`
}

func anItem() item {
	return item{ID: 42, Name: "a good item", Price: 12.5, Tags: []string{"new", "blue"}, Text: "It is just long enough to be like the messages that services send each other."}
}

func runService(url string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, echo, func(_ context.Context, in item) (item, error) { return in, nil })
	l := Listen(url)
	go func() {
		if l.Ready(ctx) == nil {
			fmt.Println("ready")
		}
	}()
	if err := s.Serve(ctx, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// quietServer returns a server that handles echo and logs nothing.
func quietServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { return in, nil })
	micro.Handle(s, hold, func(ctx context.Context, ms int) (int, error) {
		if ms < 0 {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return ms, pause(ctx, time.Duration(ms)*time.Millisecond)
	})
	return s
}

// running is a running server.
type running struct {
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned
	err  error
}

// start serves s on l until the test ends, and returns when it is ready.
func start(t testing.TB, s *micro.Server, l *Listener) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = s.Serve(ctx, l)
	}()
	t.Cleanup(func() { r.end(t) })
	ready, giveUp := context.WithTimeout(ctx, soon)
	defer giveUp()
	if err := l.Ready(ready); err != nil {
		t.Fatalf("the server is not ready: %v", err)
	}
	return r
}

// end stops the server and waits until it has drained.
func (r *running) end(t testing.TB) {
	t.Helper()
	r.stop()
	select {
	case <-r.done:
		if r.err != nil {
			t.Errorf("serve: %v", r.err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the server does not stop")
	}
}

// soon is the timeout for events that should happen soon. It is long because the machine
// may be busy.
const soon = time.Minute

// withLogger is micro.WithLogger for a connection without a micro.Client.
func withLogger(log *slog.Logger) DialOption {
	return dialOption(func(c *Client) { c.SetLogger(log) })
}

// client returns a client that is closed when the test ends.
func client(t testing.TB, url string, opts ...DialOption) *micro.Client {
	t.Helper()
	// On a busy machine, Redis may take longer to answer than the default allows.
	opts = append([]DialOption{withLogger(slog.New(slog.DiscardHandler)), WithHeartbeat(soon)}, opts...)
	c := micro.NewClient(Dial(url, opts...), micro.WithTimeout(soon))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, soon, what, ok)
}
