//go:build unix

package micronats

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// clusterOf starts servers that form a cluster. stop announces the end of one.
func clusterOf(t *testing.T, n int) (servers []*testenv.Broker, stop func(*testenv.Broker)) {
	t.Helper()
	ports := make([]int, n)
	var routes []string
	for i := range ports {
		var err error
		if ports[i], err = testenv.FreePort(); err != nil {
			t.Fatal(err)
		}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	pids := map[*testenv.Broker]string{}
	for i, port := range ports {
		pid := filepath.Join(t.TempDir(), "pid")
		b := testenv.PrivateNATS(t,
			fmt.Sprintf("server_name: s%d", i),
			fmt.Sprintf(`cluster { name: c, listen: "127.0.0.1:%d", routes: [%s] }`, port, strings.Join(routes, ", ")),
			`lame_duck_grace_period: "5m"`, `lame_duck_duration: "10m"`, // no connection is closed during a test
			fmt.Sprintf("pid_file: %q", pid))
		servers = append(servers, b)
		pids[b] = pid
	}
	return servers, func(b *testenv.Broker) {
		signal(t, pids[b], syscall.SIGUSR2) // what nats-server --signal ldm sends
	}
}

// signal sends a signal to the process of a broker.
func signal(t *testing.T, pidFile string, sig syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, sig)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPermissionRestored checks that a server that loses the permission for a subject while it
// runs, and gets it back, serves the subject again.
func TestPermissionRestored(t *testing.T) {
	file, pid := filepath.Join(t.TempDir(), "users"), filepath.Join(t.TempDir(), "pid")
	relative, err := filepath.Rel(os.TempDir(), file) // brokers keep their configuration in a folder there
	if err != nil {
		t.Fatal(err)
	}
	permit := func(subjects string) {
		text := `authorization { users: [{user: all, password: x}, {user: server, password: x, permissions: {subscribe: [` + subjects + `]}}] }`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	permit(`"one", "two"`)
	b := testenv.PrivateNATS(t, fmt.Sprintf("include %q", filepath.Join("..", relative)), fmt.Sprintf("pid_file: %q", pid))
	var log testenv.Log
	s := micro.NewServer(micro.WithLogger(log.Logger()))
	for _, name := range []string{"one", "two"} {
		micro.Handle(s, micro.Name(name), func(context.Context, int) (string, error) { return name, nil })
	}
	start(t, s, withUser(b.URL, "server:x"))
	c := client(t, withUser(b.URL, "all:x"))
	call := func(name string) error {
		_, err := micro.Call[string](t.Context(), c, micro.Name(name), 1)
		return err
	}
	permit(`"one"`)
	signal(t, pid, syscall.SIGHUP)
	eventually(t, "the subscription to end", func() bool { return errors.Is(call("two"), micro.ErrNotServed) })
	eventually(t, "an attempt without the permission", func() bool { return strings.Count(log.String(), "Permissions Violation") > 1 })
	if err := call("one"); err != nil {
		t.Error(err)
	}
	permit(`"one", "two"`)
	signal(t, pid, syscall.SIGHUP)
	eventually(t, "the subject to be served again", func() bool { return call("two") == nil })
}

// TestLameDuck checks that both sides leave a server that will stop: no call fails, no message is
// lost or handled twice, in a queue group or not, and streams continue on the old connection.
func TestLameDuck(t *testing.T) {
	servers, stop := clusterOf(t, 3)
	all := servers[0].URL + "," + servers[1].URL + "," + servers[2].URL
	var log testenv.Log
	var requests, events, alone atomic.Int64
	count := func(n *atomic.Int64, ready *atomic.Bool) func(context.Context, int) error {
		return func(_ context.Context, event int) error {
			if event == 0 {
				ready.Store(true)
			} else {
				n.Add(1)
			}
			return nil
		}
	}
	var groupReady, aloneReady atomic.Bool
	release := make(chan struct{})
	server := func(options ...ListenOption) {
		s := micro.NewServer(micro.WithLogger(log.Logger()))
		if options == nil {
			micro.HandleEvent(s, note, count(&alone, &aloneReady))
		} else {
			micro.HandleStream(s, micro.Name("stream"), twoValues(release))
			micro.HandleEvent(s, note, count(&events, &groupReady))
			micro.Handle(s, echo, func(_ context.Context, in string) (string, error) { requests.Add(1); return in, nil })
		}
		start(t, s, servers[0].URL, options...) // which announces the others
	}
	for range 3 {
		server(WithQueue("q"))
	}
	server()
	c, conn := dial(t, all)
	eventually(t, "the servers to know of each other's subscriptions", func() bool {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return err == nil && c.Emit(t.Context(), note, 0) == nil && groupReady.Load() && aloneReady.Load()
	})
	early := requests.Load()

	var streams sync.WaitGroup
	begun := make(chan struct{})
	for range 8 {
		streams.Go(func() {
			next, end := iter.Pull2(micro.Stream[int](t.Context(), c, micro.Name("stream"), 1))
			defer end()
			one, err, _ := next()
			begun <- struct{}{}
			two, err2, _ := next()
			if _, _, more := next(); one != 1 || two != 2 || err != nil || err2 != nil || more {
				t.Errorf("stream: %d, %v, %d, %v, %v", one, err, two, err2, more)
			}
		})
	}
	for range 8 {
		<-begun
	}

	var sent atomic.Int64
	var callers sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				sent.Add(1)
				if got, err := micro.Call[string](t.Context(), c, echo, "x"); got != "x" || err != nil {
					t.Errorf("call: %q, %v", got, err)
				}
				if err := c.Emit(t.Context(), note, 1); err != nil {
					t.Errorf("event: %v", err)
				}
			}
		})
	}
	for _, b := range servers[:2] { // one after another, as in a rolling restart
		leaves := conn.up.Load().link.ConnectedAddr() == b.Addr
		stop(b)
		eventually(t, "the client to move", func() bool { s := conn.up.Load(); return s != nil && s.link.ConnectedAddr() != b.Addr })
		before := sent.Load()
		eventually(t, "calls over the new connection", func() bool { return sent.Load() > before+200 })
		conn.mu.Lock()
		if leaves && len(conn.old) == 0 {
			t.Error("the streams have no connection")
		}
		conn.mu.Unlock()
	}
	close(release)
	streams.Wait()
	eventually(t, "the client to leave", func() bool { conn.mu.Lock(); defer conn.mu.Unlock(); return len(conn.old) == 0 })
	eventually(t, "the servers to leave", func() bool {
		moved := strings.Count(log.String(), "moved to another connection")
		return moved >= 4 && moved == strings.Count(log.String(), "left a connection")
	})
	eventually(t, "1,600 calls", func() bool { return sent.Load() >= 1600 })
	close(done)
	callers.Wait()
	if !testenv.Poll(soon/6, func() bool { return events.Load() == sent.Load() && alone.Load() == sent.Load() }) {
		t.Errorf("of %d events, %d were handled in the group, and %d alone", sent.Load(), events.Load(), alone.Load())
	}
	if n := requests.Load() - early; n != sent.Load() {
		t.Errorf("%d of %d requests were handled", n, sent.Load())
	}
	if strings.Contains(log.String(), "connection to the broker lost") {
		t.Error(log.String())
	}
}

// twoValues is a handler that streams 1, and 2 after release.
func twoValues(release chan struct{}) func(context.Context, any) iter.Seq2[int, error] {
	return func(ctx context.Context, _ any) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			if !yield(1, nil) {
				return
			}
			select {
			case <-release:
			case <-ctx.Done():
			}
			yield(2, nil)
		}
	}
}

// TestLameDuckAlone checks that a client and a server stay where they are while there is no other
// server, and continue when it is back.
func TestLameDuckAlone(t *testing.T) {
	servers, stop := clusterOf(t, 1)
	b := servers[0]
	start(t, quietServer(), b.URL)
	c, conn := dial(t, b.URL)
	call := func() error {
		_, err := micro.Call[string](t.Context(), c, echo, "x")
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	stop(b)
	eventually(t, "the announcement", func() bool { conn.mu.Lock(); defer conn.mu.Unlock(); return conn.moving })
	for range 100 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	b.Kill()
	b.Start()
	eventually(t, "calls again", func() bool {
		err := call()
		if err != nil && !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) && !errors.Is(err, micro.ErrNotServed) {
			t.Error(err)
		}
		return err == nil
	})
}
