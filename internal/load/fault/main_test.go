package fault

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/wire"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds the wait for events that must happen. It is long because the machine may
// be busy.
const soon = time.Minute

var (
	echo  = micro.Cmd("echo")  // answers with its data
	other = micro.Cmd("other") // the same
	count = micro.Cmd("count") // answers with 1, 2, 3
	noted = micro.Name("noted")
)

// service is a real server and what it has received.
type service struct {
	addr   string
	echoes atomic.Int64
	events atomic.Int64
}

// serve runs a server until the test ends.
func serve(t testing.TB, opts ...microtcp.ListenOption) *service {
	t.Helper()
	s, release := serveLate(t, opts...)
	release()
	return s
}

// serveLate is serve, but its echoes are held until release is called or the test
// ends.
func serveLate(t testing.TB, opts ...microtcp.ListenOption) (s *service, release func()) {
	t.Helper()
	s = &service{}
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	server := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)), micro.WithDrainTimeout(time.Second))
	answer := func(_ context.Context, in string) (string, error) {
		s.echoes.Add(1)
		<-gate
		return in, nil
	}
	micro.Handle(server, echo, answer)
	micro.Handle(server, other, answer)
	micro.HandleStream(server, count, func(context.Context, struct{}) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(2, nil) && yield(3, nil)
		}
	})
	micro.HandleEvent(server, noted, func(context.Context, string) error {
		s.events.Add(1)
		return nil
	})
	listener := microtcp.Listen("127.0.0.1:0", opts...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		release()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	addrCtx, giveUp := context.WithTimeout(ctx, soon)
	defer giveUp()
	addr, err := listener.Addr(addrCtx)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = addr.String()
	return s, release
}

// recorder is a peer that replaces the service and keeps the order: it echoes messages
// one after the other and records them.
type recorder struct {
	addr string

	mu      sync.Mutex
	packets []string
}

// record runs a recorder until the test ends.
func record(t testing.TB) *recorder {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			wg.Go(func() {
				r.answer(conn)
				_ = conn.Close()
				stop()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return r
}

func (r *recorder) answer(conn net.Conn) {
	in := microtcp.NewFrameReader(conn, 0)
	for {
		f, ok, err := in.Next()
		if err != nil {
			return
		}
		if !ok {
			if in.Fill() != nil {
				return
			}
			continue
		}
		r.mu.Lock()
		r.packets = append(r.packets, string(f.Raw))
		r.mu.Unlock()
		if p, err := wire.Parse(f.Body); err == nil && p.ID != nil {
			reply := wire.Reply{ID: p.ID, Response: p.Data, Disposed: true}
			if _, err := conn.Write(microtcp.AppendFrame(nil, reply.Append(nil))); err != nil {
				return
			}
		}
	}
}

// all returns the packets received so far.
func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.packets)
}

// before starts a proxy in front of the service until the test ends.
func before(t testing.TB, s *service, o Options, faults ...string) *Proxy {
	t.Helper()
	if s != nil {
		o.Target = []string{s.addr}
	}
	for _, text := range faults {
		o.Faults = append(o.Faults, parse(t, text))
	}
	p, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func parse(t testing.TB, text string) Fault {
	t.Helper()
	f, err := Parse(text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return f
}

// client returns a client that is closed when the test ends.
func client(t testing.TB, address string, opts ...microtcp.DialOption) *micro.Client {
	t.Helper()
	c := micro.NewClient(microtcp.Dial(address, opts...), micro.WithTimeout(soon))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// frameConn is a connection for writing and reading frames.
type frameConn struct {
	net.Conn
	t  testing.TB
	in *microtcp.FrameReader
}

func dial(t testing.TB, address string) *frameConn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &frameConn{conn, t, microtcp.NewFrameReader(conn, 0)}
}

// send writes packets, each as a frame, in one write.
func (w *frameConn) send(packets ...string) {
	w.t.Helper()
	var out []byte
	for _, p := range packets {
		out = microtcp.AppendFrame(out, []byte(p))
	}
	if _, err := w.Write(out); err != nil {
		w.t.Fatal(err)
	}
}

// next returns the next packet, or a description of the end of the stream.
func (w *frameConn) next() string {
	w.t.Helper()
	for {
		f, ok, err := w.in.Next()
		if err != nil {
			return err.Error()
		}
		if ok {
			return string(f.Raw)
		}
		if err := w.SetReadDeadline(time.Now().Add(soon)); err != nil {
			w.t.Fatal(err)
		}
		if err := w.in.Fill(); errors.Is(err, io.EOF) {
			if rest := w.in.Rest(); len(rest) > 0 {
				return "cut: " + string(rest)
			}
			return "EOF"
		} else if err != nil {
			return err.Error()
		}
	}
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, soon, what, ok)
}
