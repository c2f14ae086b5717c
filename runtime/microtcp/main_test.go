package microtcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// serviceEnv makes the test binary a service process: the tests that kill
// services need real ones.
const serviceEnv = "MICROTCP_TEST_SERVICE"

func TestMain(m *testing.M) {
	if address := os.Getenv(serviceEnv); address != "" {
		os.Exit(runService(address))
	}
	goleak.VerifyTestMain(m)
}

// The patterns of the service process, and of many servers here.
var (
	echo = micro.Cmd("echo") // answers with its data
	hold = micro.Cmd("hold") // answers with its data as many milliseconds after SIGTERM; never if it is negative
	note = micro.Name("noted")
)

func runService(address string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := quietServer()
	terminated := ctx.Done()
	micro.Handle(s, hold, func(ctx context.Context, ms int) (int, error) {
		if ms < 0 {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		<-terminated
		return ms, sleep(ctx, time.Duration(ms)*time.Millisecond)
	})
	l := Listen(address)
	go func() {
		if addr, err := l.Addr(ctx); err == nil {
			fmt.Println(addr)
		}
	}()
	if err := s.Serve(ctx, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("drained")
	return 0
}

// quietServer is a server that echoes and logs nothing.
func quietServer(opts ...micro.ServerOption) *micro.Server {
	s := micro.NewServer(append([]micro.ServerOption{micro.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { return in, nil })
	return s
}

// running is a server at work.
type running struct {
	addr string
	stop context.CancelFunc
	done chan struct{} // closed when Serve has returned
	err  error
}

// start serves s until the test ends, on a free port.
func start(t testing.TB, s *micro.Server, opts ...ListenOption) *running {
	t.Helper()
	return startOn(t, s, Listen("127.0.0.1:0", opts...))
}

func startOn(t testing.TB, s *micro.Server, l *Listener) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = s.Serve(ctx, l)
	}()
	t.Cleanup(func() { r.end(t) })
	addrCtx, giveUp := context.WithTimeout(ctx, soon)
	defer giveUp()
	addr, err := l.Addr(addrCtx)
	if err != nil {
		cancel()
		<-r.done
		t.Fatalf("the server does not listen: %v, %v", err, r.err)
	}
	r.addr = addr.String()
	return r
}

// connections returns how many connections a listener has.
func (l *Listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
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

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

// client returns a client that is closed when the test ends.
func client(t testing.TB, addresses string, opts ...DialOption) *micro.Client {
	t.Helper()
	c := micro.NewClient(Dial(addresses, opts...), micro.WithTimeout(soon))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, soon, what, ok)
}

// within fails the test when f takes longer than soon.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	testenv.Within(t, soon, what, f)
}

// peer is a scripted server: its behavior on each connection is chosen by the test.
type peer struct {
	net.Listener
	t testing.TB
}

// scripted accepts connections and runs script over each until the test ends.
func scripted(t testing.TB, script func(*peerConn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{l, t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.accept(script)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return p
}

func (p *peer) addr() string { return p.Listener.Addr().String() }

func (p *peer) accept(script func(*peerConn)) {
	ended := make(chan struct{})
	n := 0
	for {
		conn, err := p.Accept()
		if err != nil {
			break
		}
		n++
		pc := &peerConn{TCPConn: conn.(*net.TCPConn), in: decoder{limit: DefaultMaxBufferSize}}
		unblock := context.AfterFunc(p.t.Context(), func() { _ = conn.Close() })
		go func() {
			script(pc)
			unblock()
			_ = conn.Close()
			ended <- struct{}{}
		}()
	}
	for range n {
		<-ended
	}
}

// peerConn is one connection of a scripted server.
type peerConn struct {
	*net.TCPConn
	in decoder
}

// next returns the next packet; ok is false at the end of the connection.
func (c *peerConn) next() (p wire.Packet, ok bool) {
	for {
		body, whole, err := c.in.next()
		if err != nil {
			return p, false
		}
		if whole {
			p, err = wire.Parse(append([]byte(nil), body...))
			return p, err == nil
		}
		n, err := c.Read(c.in.space())
		c.in.filled(n)
		if n == 0 && err != nil {
			return p, false
		}
	}
}

// reply sends one packet, of which members are all but the id.
func (c *peerConn) reply(id []byte, members string) {
	_, _ = c.Write(AppendFrame(nil, []byte(`{`+members+`,"id":`+string(id)+`}`))) // an error shows at the other side
}

// answer echoes every request until the connection ends.
func (c *peerConn) answer() {
	for {
		p, ok := c.next()
		if !ok {
			return
		}
		if p.ID != nil {
			c.reply(p.ID, `"response":`+string(p.Data)+`,"isDisposed":true`)
		}
	}
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}
