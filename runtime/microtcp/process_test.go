//go:build unix

package microtcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// service is a real process that serves: this test binary again.
type service struct {
	cmd  *exec.Cmd
	addr string
	out  *bufio.Reader
}

// startService starts a service on address; files are listening sockets for its
// InheritEnv.
func startService(t testing.TB, address string, env string, files ...*os.File) *service {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serviceEnv+"="+address, micro.InheritEnv+"="+env)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &service{cmd: cmd, out: bufio.NewReader(pipe)}
	t.Cleanup(s.kill)
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the service does not come up: %v", err)
	}
	s.addr = strings.TrimSpace(line)
	return s
}

// kill ends the process as kill -9 does.
func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // killed, or ended before
}

// drained reports whether the process has ended by itself, in good order.
func (s *service) drained(t testing.TB) {
	t.Helper()
	rest, _ := io.ReadAll(s.out)
	if err := s.cmd.Wait(); err != nil || !strings.Contains(string(rest), "drained") {
		t.Errorf("the service ended with %v: %s", err, rest)
	}
}

// outcome is how one call ended.
type outcome struct {
	err error
	at  time.Time
}

// callAll makes n calls of hold at once.
func callAll(c *micro.Client, n, ms int) <-chan outcome {
	out := make(chan outcome, n)
	for range n {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // all of them must be in flight first
			defer cancel()
			got, err := micro.Call[int](ctx, c, hold, ms)
			if err == nil && got != ms {
				err = fmt.Errorf("the answer is %d", got)
			}
			out <- outcome{err, time.Now()}
		}()
	}
	return out
}

// inFlight waits until n messages are in flight in addition to its own at a service.
func inFlight(t testing.TB, c *micro.Client, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d calls in flight", n), func() bool {
		d, err := micro.Call[micro.Description](t.Context(), c, micro.DescribePattern, micro.None{})
		return err == nil && d.InFlight == n+1
	})
}

// TestKill: kill -9 of a service with 1,000 calls in flight gives 1,000 errors at
// once, and the client continues when the service is ready again. "At once" is
// under 100 ms on a machine with nothing else to do; the bound here is far below
// the calls' own deadline, and lets a busy machine take its time.
func TestKill(t *testing.T) {
	s := startService(t, "127.0.0.1:0", "")
	c := client(t, s.addr)
	calls := callAll(c, 1000, -1)
	inFlight(t, c, 1000)
	killed := time.Now()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	var slowest time.Duration
	for range 1000 {
		o := <-calls
		slowest = max(slowest, o.at.Sub(killed))
		if !errors.Is(o.err, micro.ErrConnectionLost) {
			t.Fatalf("got %v", o.err)
		}
	}
	t.Logf("1000 calls failed within %v of kill -9", slowest)
	if slowest > micro.DefaultTimeout/2 {
		t.Errorf("the last call failed after %v", slowest)
	}
	s.kill()
	if _, err := micro.Call[string](t.Context(), c, echo, "x"); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("without a service: %v", err)
	}
	startService(t, s.addr, "")
	if got, err := micro.Call[string](t.Context(), c, echo, "back"); err != nil || got != "back" {
		t.Errorf("with the service again: %q, %v", got, err)
	}
}

// TestTerminate: SIGTERM of a service with 1,000 calls in flight: all of them
// are answered.
func TestTerminate(t *testing.T) {
	s := startService(t, "127.0.0.1:0", "")
	c := client(t, s.addr)
	calls := callAll(c, 1000, 100)
	inFlight(t, c, 1000)
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	for range 1000 {
		if o := <-calls; o.err != nil {
			t.Fatalf("a call in flight: %v", o.err)
		}
	}
	s.drained(t)
}

// load calls without pause from many goroutines until stop, and counts.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup
	good atomic.Int64
}

func startLoad(t testing.TB, c *micro.Client) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for w := range 16 {
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				want := fmt.Sprint(w, i)
				if got, err := micro.Call[string](context.Background(), c, echo, want); err != nil || got != want {
					t.Errorf("call %s: %q, %v", want, got, err)
					return
				}
				l.good.Add(1)
			}
		})
	}
	return l
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

func (l *load) more(t testing.TB, n int64) {
	t.Helper()
	from := l.good.Load()
	eventually(t, "calls continue", func() bool { return l.good.Load() >= from+n || t.Failed() })
}

// TestHandOver: under load a service process hands its listening socket to the
// next, as msctl run does at each rebuild: no call fails, and the probe reaches
// the process that is asked.
func TestHandOver(t *testing.T) {
	socket, probe := listen(t), listen(t)
	shared, probeFile := file(t, socket), file(t, probe)
	_, port, _ := net.SplitHostPort(socket.Addr().String())
	env := fmt.Sprintf("%s=3 probe=4", port)
	address := "127.0.0.1:" + port

	old := startService(t, address, env, shared, probeFile)
	c := client(t, address)
	l := startLoad(t, c)
	for range 3 {
		l.more(t, 200)
		ownProbe := listen(t)
		next := startService(t, address, env, shared, file(t, ownProbe))
		p := client(t, ownProbe.Addr().String())
		if h, err := micro.Call[micro.Health](t.Context(), p, micro.HealthPattern, micro.None{}); err != nil || h.Status != "ok" {
			t.Errorf("the probe: %+v, %v", h, err)
		}
		_ = p.Close()
		_ = old.cmd.Process.Signal(syscall.SIGTERM)
		l.more(t, 200)
		old.drained(t)
		old = next
	}
	l.end()
	t.Logf("%d calls over four processes", l.good.Load())
}

// TestProbeBesideTheLimit: a supervisor's probe neither takes a place of the
// connection limit nor waits for one.
func TestProbeBesideTheLimit(t *testing.T) {
	probe := listen(t)
	fd, err := syscall.Dup(int(file(t, probe).Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(micro.InheritEnv, fmt.Sprintf("probe=%d", fd))
	r := start(t, quietServer(), WithMaxConnections(1))
	for _, address := range []string{r.addr, probe.Addr().String()} {
		c := client(t, address)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		if _, err := micro.Call[string](ctx, c, echo, "x"); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// file duplicates a socket for another process. It is not l.File, whose Fd would
// make the socket block in all processes that share it: an accept that blocks cannot be
// ended.
func file(t testing.TB, l *net.TCPListener) *os.File {
	t.Helper()
	conn, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	var failure error
	if err := conn.Control(func(own uintptr) { fd, failure = syscall.Dup(int(own)) }); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "socket")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestTakeTurns: of two services behind one client, either may drain and come
// back under load.
func TestTakeTurns(t *testing.T) {
	a, b := start(t, quietServer()), start(t, quietServer())
	c := client(t, a.addr+","+b.addr)
	l := startLoad(t, c)
	for range 3 {
		for _, r := range []**running{&a, &b} {
			l.more(t, 200)
			addr := (*r).addr
			(*r).end(t)
			l.more(t, 200)
			*r = startOn(t, quietServer(), Listen(addr))
		}
	}
	l.end()
	t.Logf("%d calls over eight servers", l.good.Load())
}
