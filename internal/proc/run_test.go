package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
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

const onlyItems = "name: shop\nservices:\n  items: {path: ./items, port: $1}\n"

// TestRun checks that services start after their dependencies, serve with the documented
// environment, and stop before their dependencies.
func TestRun(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	_, ready := s.awaitKind(0, KindReady, "items")
	s.awaitKind(ready, KindStarting, "orders") // not earlier
	for i, name := range []string{"items", "orders"} {
		if got := who(t, dial(t, ports[i])); got.Name != name {
			t.Errorf("%+v answers on port %d, want %s", got, ports[i], name)
		}
	}
	for name, want := range map[string]string{
		"ITEMS_URL": fmt.Sprintf("tcp://127.0.0.1:%d", ports[0]), "MS_PORT": fmt.Sprint(ports[1]), "PORT": fmt.Sprint(ports[1]), "MS_HOST": "127.0.0.1",
	} {
		got, err := micro.Call[string](t.Context(), dial(t, ports[1]), micro.Name("env"), name)
		if err != nil || got != want {
			t.Errorf("orders has %s=%q (error %v), want %q", name, got, err, want)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	_, stopped := s.awaitKind(0, KindStopped, "orders")
	s.awaitKind(stopped, KindStopping, "items") // not earlier
	for _, name := range []string{"items", "orders"} {
		s.await(0, name+" drains", func(e Event) bool { return e.Kind == KindLog && e.Text == name+" has drained" })
	}
	for _, port := range ports {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.supervisor.options.CacheDir, ".run-*")); len(left) > 0 {
		t.Errorf("folders left in the cache: %v", left)
	}
}

// TestSelection checks that a selected service runs with its dependencies, and that no
// other service runs.
func TestSelection(t *testing.T) {
	t.Parallel()
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
			t.Errorf("services for the selection %v (-want +got):\n%s", tt.selected, diff)
		}
	}
}

// TestCrash checks that a crashed service restarts, that its last output is reported, and
// that its port stays open: a message sent while no process is running is answered.
func TestCrash(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, onlyItems)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindReady, "items")
	before := who(t, dial(t, ports[0]))
	crash(t, ports[0])
	e, next := s.awaitKind(0, KindCrashed, "items")
	if want := "ended: exit status 3"; e.Text != want || e.Delay <= 0 || e.Pid != before.Pid {
		t.Errorf("crash event %+v, want %q, a delay, and pid %d", e, want, before.Pid)
	}
	s.await(0, "the last output, without a line end", func(e Event) bool {
		return e.Kind == KindLog && e.Stream == StreamErr && e.Text == "items crashes"
	})
	got, err := micro.Call[answer](t.Context(), dial(t, ports[0]), micro.Name("who"), nil)
	if err != nil || got.Pid == before.Pid {
		t.Errorf("a message sent while no process is running: reply %+v, error %v", got, err)
	}
	s.awaitKind(next, KindReady, "items")
}

// TestFailedStart checks how a run ends with FailFast if a service cannot be started.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inUse.Close() })
	port := inUse.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct{ name, service, want string }{
		{"port in use", fmt.Sprintf("path: ./items, port: %d", port), fmt.Sprintf("service bad: port 127.0.0.1:%d is in use", port)},
		{"port of a command in use", fmt.Sprintf("command: [$SELF, __command], port: %d", port), fmt.Sprintf("service bad: port 127.0.0.1:%d is in use", port)},
		{"no such program", "command: no-such-program, port: $1", "service bad cannot be started: start no-such-program: no such program on the PATH"},
		{"no such folder", "command: sh, dir: nowhere, port: $1", "service bad cannot be started: start sh: working directory: "},
		{"never ready", "command: [$SELF, __command, mute], port: $1", "service bad did not become ready in 10s: "},
		{"exits", "command: [$SELF, __command, exit], port: $1", "service bad ended before it was ready: exit status 0, 5 times in a row"},
		{"build failed", "path: ./nothing, port: $1", "service bad: build failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file, _ := shop(t, "name: shop\nservices:\n  bad: {"+tt.service+"}\n  later: {path: ./items, port: $2, depends_on: [bad]}\n")
			o := Options{ReadyTimeout: 20 * time.Second, firstBackoff: 10 * time.Millisecond}
			if tt.name == "never ready" {
				o.ReadyTimeout = 10 * time.Second // time to write its output on a busy machine
			}
			err := runOnce(t, file, o)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q…", err, tt.want)
			}
			var start *StartError
			if errors.As(err, &start) && tt.name == "never ready" && !strings.Contains(strings.Join(start.Output, "\n"), "not listening") {
				t.Errorf("StartError does not contain the last output: %q", start.Output)
			}
			var build *BuildError
			if errors.As(err, &build) && !strings.Contains(build.Output, "nothing") {
				t.Errorf("BuildError does not contain the compiler's output: %q", build.Output)
			}
		})
	}
}

// runOnce returns the result of a run that is expected to fail.
func runOnce(t *testing.T, file string, o Options) error {
	t.Helper()
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	o.Workspace, o.CacheDir, o.FailFast = w, t.TempDir(), true
	s := New(o)
	result := make(chan error, 1)
	go func() { result <- s.Run(t.Context()) }()
	for range s.Events() { //nolint:revive // only the result matters
	}
	return <-result
}

// TestKill checks that Kill does not wait for processes to drain.
func TestKill(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, stubborn], port: $1}\n")
	s := start(t, file, Options{StopTimeout: testTimeout})
	s.awaitKind(0, KindReady, "stubborn")
	s.cancel()
	s.awaitKind(0, KindStopping, "stubborn")
	begin := time.Now()
	s.supervisor.Kill()
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("Run returned %v, want %v", err, ErrKilled)
	}
	if took := time.Since(begin); took > testTimeout/2 {
		t.Errorf("Run returned %v after Kill", took)
	}
}

// TestStopTimeout checks that a process that does not drain in time is killed with its
// whole group.
func TestStopTimeout(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, grandchild, stubborn], port: $1}\n")
	s := start(t, file, Options{StopTimeout: 300 * time.Millisecond})
	ready, _ := s.awaitKind(0, KindReady, "stubborn")
	group := members(t, ready.Pid)
	if len(group) < 2 {
		t.Errorf("group %d has the members %v, want a grandchild, too", ready.Pid, group)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.awaitKind(0, KindKilled, "stubborn")
	if left := members(t, ready.Pid); len(left) > 0 {
		t.Errorf("processes left in group %d: %v", ready.Pid, left)
	}
}

// TestGrandchild checks that a grandchild that ignores SIGTERM does not outlive a leader
// that drains.
func TestGrandchild(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  npm: {command: [$SELF, __command, grandchild], port: $1, watch: [contracts/**]}\n")
	s := start(t, file, Options{})
	first, next := s.awaitKind(0, KindReady, "npm")
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	second, _ := s.awaitKind(next, KindReady, "npm") // the command restarts because it watches the file
	if first.Pid == second.Pid {
		t.Errorf("pid %d again after a restart", first.Pid)
	}
	if left := members(t, first.Pid); len(left) > 0 {
		t.Errorf("processes left in group %d after a restart: %v", first.Pid, left)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if left := members(t, second.Pid); len(left) > 0 {
		t.Errorf("processes left in group %d: %v", second.Pid, left)
	}
	if n := len(s.find(KindKilled, "npm")); n > 0 {
		t.Errorf("%d leaders were killed, want them to drain", n)
	}
}

// TestCanceledContext checks that a run starts nothing if its context has already ended.
func TestCanceledContext(t *testing.T) {
	t.Parallel()
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
	_ = s.Run(ctx) // nil, or that a socket could not be opened
}
