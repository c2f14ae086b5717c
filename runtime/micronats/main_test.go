package micronats

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The patterns of many servers here.
var (
	echo = micro.Cmd("echo") // answers with its data
	hold = micro.Cmd("hold") // answers with its data after as many milliseconds, or never
	note = micro.Name("noted")
)

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

// quietServer is a server that echoes and logs nothing.
func quietServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { return in, nil })
	micro.Handle(s, hold, func(ctx context.Context, ms int) (int, error) {
		if ms < 0 {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return ms, sleep(ctx, time.Duration(ms)*time.Millisecond)
	})
	return s
}

// running is a server at work.
type running struct {
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned
	err  error
}

// start serves s until the test ends, and waits until it is subscribed.
func start(t testing.TB, s *micro.Server, servers string, opts ...ListenOption) *running {
	t.Helper()
	l := Listen(servers, opts...)
	r := serve(t, s, l)
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := l.Ready(ctx); err != nil {
		t.Fatalf("the server is not ready: %v", err)
	}
	return r
}

// serve serves s until the test ends.
func serve(t testing.TB, s *micro.Server, l *Listener) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = s.Serve(ctx, l)
	}()
	t.Cleanup(func() { r.end(t) })
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

// client returns a client that is closed when the test ends.
func client(t testing.TB, servers string, opts ...DialOption) *micro.Client {
	t.Helper()
	c, _ := dial(t, servers, opts...)
	return c
}

// dial is client, with the Client below.
func dial(t testing.TB, servers string, opts ...DialOption) (*micro.Client, *Client) {
	t.Helper()
	conn := Dial(servers, opts...)
	c := micro.NewClient(conn, micro.WithTimeout(soon))
	t.Cleanup(func() { _ = c.Close() })
	return c, conn
}
