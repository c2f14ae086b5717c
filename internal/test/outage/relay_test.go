package outage

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

var echo = micro.Cmd("echo")

// serveHost runs a service at an address, or of a broker there, until the test ends, and returns
// the address of a TCP service.
func serveHost(t *testing.T, e ends, address string) string {
	t.Helper()
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, echo, func(_ context.Context, n int) (int, error) { return n, nil })
	return serveUntilEnd(t, s, e.listen(address))
}

// serveUntilEnd is serveHost for a server of its own.
func serveUntilEnd(t *testing.T, s *micro.Server, l listener) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	tcp, ok := l.(*microtcp.Listener)
	if !ok {
		return ""
	}
	bound, err := tcp.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bound.String()
}

// untilAnswered waits until a call is answered.
func untilAnswered(t *testing.T, c *micro.Client) {
	t.Helper()
	var err error
	if !testenv.Poll(time.Minute, func() bool {
		_, err = micro.Call[int](t.Context(), c, echo, 1)
		return err == nil
	}) {
		t.Fatalf("no call is answered: %v", err)
	}
}

// relay forwards connections.
type relay struct {
	socket   net.Listener
	accepted atomic.Int64
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func startRelay(t *testing.T, address, target string) *relay {
	t.Helper()
	socket, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{socket: socket}
	r.wg.Go(func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			r.accepted.Add(1)
			r.wg.Go(func() { r.join(conn, target) })
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *relay) join(conn net.Conn, target string) {
	other, err := net.Dial("tcp", target)
	if err != nil {
		_ = conn.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, conn, other)
	r.mu.Unlock()
	r.wg.Go(func() {
		_, _ = io.Copy(conn, other)
		_ = conn.Close()
	})
	_, _ = io.Copy(other, conn)
	_ = other.Close()
}

// stop ends all connections, and accepts no more.
func (r *relay) stop() {
	_ = r.socket.Close()
	r.mu.Lock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
