package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

const twoServices = `name: shop
services:
  orders:
    path: ./orders
    port: $2
    depends_on: [items]
    env: {NEEDS: ITEMS_URL}
  items:
    path: ./items
    port: $1
`

// TestLife: services start after those they need, serve, have their
// environment, and stop before those they need.
func TestLife(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	_, ready := s.awaitKind(0, KindReady, "items")
	s.awaitKind(ready, KindStarting, "orders") // not before
	for i, name := range []string{"items", "orders"} {
		c := dial(t, ports[i])
		if got := who(t, c); got.Name != name {
			t.Errorf("port %d is answered by %+v, want %s", ports[i], got, name)
		}
	}
	for name, want := range map[string]string{
		"ITEMS_URL": fmt.Sprintf("tcp://127.0.0.1:%d", ports[0]), "MS_PORT": fmt.Sprint(ports[1]), "PORT": fmt.Sprint(ports[1]), "MS_HOST": "127.0.0.1",
	} {
		got, err := micro.Call[string](t.Context(), dial(t, ports[1]), micro.Name("env"), name)
		if err != nil || got != want {
			t.Errorf("orders has %s=%q (%v), want %q", name, got, err, want)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	_, stopped := s.awaitKind(0, KindStopped, "orders")
	s.awaitKind(stopped, KindStopping, "items") // not before
	for _, name := range []string{"items", "orders"} {
		s.await(0, name+" drains", func(e Event) bool { return e.Kind == KindLog && e.Text == name+" has drained" })
	}
	for _, port := range ports {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.supervisor.options.CacheDir, ".run-*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

// TestSelection: a named service brings what it depends on, and nothing else.
func TestSelection(t *testing.T) {
	file, _ := shop(t, twoServices+"  other:\n    path: ./orders\n    port: $3\n")
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ selected, want []string }{
		{nil, []string{"items", "orders", "other"}},
		{[]string{"orders"}, []string{"items", "orders"}},
		{[]string{"items"}, []string{"items"}},
	} {
		var got []string
		for _, service := range New(Options{Workspace: w, Services: tt.selected}).Services() {
			got = append(got, service.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.selected, diff)
		}
	}
}

// TestCrash: a crashed service starts again; its port stays open meanwhile, so
// that a message sent into the gap is answered; its last words are shown.
func TestCrash(t *testing.T) {
	file, ports := shop(t, "name: shop\nservices:\n  items:\n    path: ./items\n    port: $1\n")
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindReady, "items")
	before := who(t, dial(t, ports[0]))
	crash(t, ports[0])
	e, next := s.awaitKind(0, KindCrashed, "items")
	if want := "ended: exit status 3"; e.Text != want || e.Delay <= 0 || e.Pid != before.Pid {
		t.Errorf("crash: %+v, want %q, a delay and pid %d", e, want, before.Pid)
	}
	s.await(0, "the last word, without a line end", func(e Event) bool {
		return e.Kind == KindLog && e.Stream == StreamErr && e.Text == "items has a last word"
	})
	gap, err := micro.Call[answer](t.Context(), dial(t, ports[0]), micro.Name("who"), nil)
	if err != nil || gap.Pid == before.Pid {
		t.Errorf("a message sent while nobody runs: %+v, %v", gap, err)
	}
	s.awaitKind(next, KindReady, "items")
}

// TestFailedStart: what keeps a service from starting ends the run, and says so.
func TestFailedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	port := taken.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct{ name, service, want string }{
		{"port taken", fmt.Sprintf("path: ./items, port: %d", port), fmt.Sprintf("service bad: port 127.0.0.1:%d is taken", port)},
		{"port taken, command", fmt.Sprintf("command: [$SELF, __command], port: %d", port), fmt.Sprintf("service bad: port 127.0.0.1:%d is taken", port)},
		{"no such program", "command: no-such-program, port: $1", "service bad cannot be started: start no-such-program: there is no such program"},
		{"no such folder", "command: sh, dir: nowhere, port: $1", "service bad cannot be started: start sh: its folder: "},
		{"never ready", "command: [$SELF, __command, mute], port: $1", "service bad did not become ready in 1.5s: "},
		{"exits", "command: [$SELF, __command, exit], port: $1", "service bad ended before it was ready: exit status 0, 5 times in a row"},
		{"does not build", "path: ./nothing, port: $1", "service bad does not build"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file, _ := shop(t, "name: shop\nservices:\n  bad: {"+tt.service+"}\n  later: {path: ./items, port: $2, depends_on: [bad]}\n")
			w, err := workspace.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Workspace: w, CacheDir: t.TempDir(), ReadyTimeout: 20 * time.Second}
			if tt.name == "never ready" {
				o.ReadyTimeout = 1500 * time.Millisecond
			}
			s := New(o)
			go func() {
				for range s.Events() {
				}
			}()
			err = s.Run(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q…", err, tt.want)
			}
			var start *StartError
			if errors.As(err, &start) && tt.name == "never ready" && !strings.Contains(strings.Join(start.Output, "\n"), "I say nothing more") {
				t.Errorf("its last output is missing: %q", start.Output)
			}
			var build *BuildError
			if errors.As(err, &build) && !strings.Contains(build.Output, "nothing") {
				t.Errorf("the compiler's words are missing: %q", build.Output)
			}
		})
	}
}

// TestPortOwner: whoever has the port is named, as far as /proc tells.
func TestPortOwner(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("only /proc tells who has a port")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := portOwner(l.Addr().(*net.TCPAddr).Port)
	if want := fmt.Sprintf("pid %d (", os.Getpid()); !strings.HasPrefix(got, want) {
		t.Errorf("portOwner = %q, want %q…", got, want)
	}
}

// TestKill: Kill does not wait for anybody.
func TestKill(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, stubborn], port: $1}\n")
	s := start(t, file, Options{})
	s.awaitKind(0, KindReady, "stubborn")
	s.cancel()
	s.awaitKind(0, KindStopping, "stubborn")
	begin := time.Now()
	s.supervisor.Kill()
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("Run returned %v, want %v", err, ErrKilled)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestStopTimeout: who does not drain in time is killed, with all of its group.
func TestStopTimeout(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, grandchild, stubborn], port: $1}\n")
	s := start(t, file, Options{StopTimeout: 300 * time.Millisecond})
	ready, _ := s.awaitKind(0, KindReady, "stubborn")
	group := members(t, ready.Pid)
	if len(group) < 2 {
		t.Errorf("group %d has the members %v, want a grandchild too", ready.Pid, group)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.awaitKind(0, KindKilled, "stubborn")
	if left := members(t, ready.Pid); len(left) > 0 {
		t.Errorf("left of group %d: %v", ready.Pid, left)
	}
}

// TestGrandchild: one that ignores SIGTERM does not outlive a leader that
// drains.
func TestGrandchild(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  npm: {command: [$SELF, __command, grandchild], port: $1, watch: [contracts/**]}\n")
	s := start(t, file, Options{})
	first, next := s.awaitKind(0, KindReady, "npm")
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	second, _ := s.awaitKind(next, KindReady, "npm") // a command is restarted on a change of what it watches
	if first.Pid == second.Pid {
		t.Errorf("pid %d again after a restart", first.Pid)
	}
	if left := members(t, first.Pid); len(left) > 0 {
		t.Errorf("left of group %d after a restart: %v", first.Pid, left)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if left := members(t, second.Pid); len(left) > 0 {
		t.Errorf("left of group %d: %v", second.Pid, left)
	}
	if n := len(s.find(KindKilled, "npm")); n > 0 {
		t.Errorf("%d leaders were killed, want them to drain", n)
	}
}

// TestEndOfContext: a run whose context has ended already starts nothing.
func TestEndOfContext(t *testing.T) {
	file, _ := shop(t, twoServices)
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Workspace: w, CacheDir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() {
		for e := range s.Events() {
			if e.Kind == KindStarting {
				t.Errorf("%s was started", e.Service)
			}
		}
	}()
	_ = s.Run(ctx) // nil, or that a socket could not be opened any more
}
