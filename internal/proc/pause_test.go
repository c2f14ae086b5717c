//go:build unix

package proc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// controlOf returns the connection of another process to the only run of a workspace.
func controlOf(t *testing.T, file, cache string) Control {
	t.Helper()
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Runs(t.Context(), w, cache)
	if err != nil || len(runs) != 1 {
		t.Fatalf("got %d runs, error %v, want 1", len(runs), err)
	}
	return runs[0]
}

// pause pauses a service for longer than the test runs.
func (s *session) pause(file, service string) {
	s.t.Helper()
	if err := controlOf(s.t, file, s.supervisor.options.CacheDir).Pause(s.t.Context(), service, MaxPause); err != nil {
		s.t.Fatal(err)
	}
	s.awaitKind(0, KindPaused, service)
}

// TestPause checks that a paused service does not answer, does not count as crashed, and
// continues when the time is up.
func TestPause(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindBuilding, "items")
	c := controlOf(t, file, s.supervisor.options.CacheDir)
	if err := c.Pause(t.Context(), "orders", time.Second); err == nil || err.Error() != "service orders cannot be paused: it is not ready" {
		t.Errorf("pausing a service that is not ready: %v", err)
	}
	s.awaitKind(0, KindAllReady, "")
	before := who(t, dial(t, ports[0]))
	if err := c.Pause(t.Context(), "items", MaxPause); err != nil {
		t.Fatal(err)
	}
	e, _ := s.awaitKind(0, KindPaused, "items")
	if e.Pid != before.Pid || e.Delay != MaxPause {
		t.Errorf("paused event %+v, want pid %d and %v", e, before.Pid, MaxPause)
	}
	quick := micro.NewClient(microtcp.Dial(fmt.Sprintf("127.0.0.1:%d", ports[0])), micro.WithTimeout(300*time.Millisecond))
	defer quick.Close()
	if got, err := micro.Call[answer](t.Context(), quick, micro.Name("who"), nil); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("a paused service: reply %+v, error %v, want %v", got, err, micro.ErrTimeout)
	}
	if got := who(t, dial(t, ports[1])); got.Name != "orders" {
		t.Errorf("%+v answers, want orders", got)
	}
	status, err := c.Status(t.Context())
	if err != nil || status.Services[0].State != StatePaused || status.Services[0].Pid != before.Pid {
		t.Errorf("status %+v, error %v", status.Services, err)
	}
	if err := c.Pause(t.Context(), "items", 50*time.Millisecond); err != nil { // replaces the first pause
		t.Error(err)
	}
	e, _ = s.awaitKind(0, KindContinued, "items")
	if e.Pid != before.Pid || e.Took < 350*time.Millisecond {
		t.Errorf("continued event %+v, want pid %d and at least 350ms", e, before.Pid)
	}
	if after := who(t, dial(t, ports[0])); after != before {
		t.Errorf("%+v answers after the pause, want %+v", after, before)
	}
	if status, err = c.Status(t.Context()); err != nil || status.Services[0].State != StateReady {
		t.Errorf("status after the pause %+v, error %v", status.Services, err)
	}
	if n := len(s.find(KindCrashed, "")) + len(s.find(KindNotReady, "")) + len(s.find(KindWarning, "")); n > 0 {
		t.Errorf("%d events report a problem", n)
	}
}

// TestPauseErrors checks the errors of invalid requests, which pause nothing.
func TestPauseErrors(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  items: {command: [$SELF, __command], port: $1}\n")
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	c := controlOf(t, file, s.supervisor.options.CacheDir)
	for query, want := range map[string]string{
		"service=itms&for=1s":     `service "itms" is not running`,
		"service=items&for=soon":  `invalid pause "soon": must be more than 0s and at most 10m0s`,
		"service=items&for=0s":    `invalid pause "0s": must be more than 0s and at most 10m0s`,
		"service=items&for=10m1s": `invalid pause "10m1s": must be more than 0s and at most 10m0s`,
		"for=1s":                  `service "" is not running`,
		"service=items":           `invalid pause "": must be more than 0s and at most 10m0s`,
	} {
		if _, err := c.request(t.Context(), http.MethodPost, "/pause?"+query); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", query, err, want)
		}
	}
	unauthorized := Control{Address: c.Address, Secret: "guessed"}
	if err := unauthorized.Pause(t.Context(), "items", time.Second); err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)) {
		t.Errorf("Pause with a wrong secret returned %v", err)
	}
	if found := s.find(KindPaused, ""); len(found) > 0 {
		t.Errorf("paused nevertheless: %+v", found)
	}
}

// TestStopWhilePaused checks that paused services drain when the run ends.
func TestStopWhilePaused(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	s.pause(file, "items")
	s.pause(file, "orders")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"items", "orders"} {
		_, next := s.awaitKind(0, KindContinued, name)
		s.awaitKind(next, KindStopping, name)
		s.await(0, name+" drains", func(e Event) bool { return e.Kind == KindLog && e.Text == name+" has drained" })
	}
	if found := s.find(KindKilled, ""); len(found) > 0 {
		t.Errorf("processes were killed: %+v", found)
	}
	for _, port := range ports {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
}

// TestEndWhilePaused checks that a paused service continues as soon as the run is about to
// end, because services that depend on it may need it to drain.
func TestEndWhilePaused(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  items: {path: ./items, port: $1}\n"+
		"  orders: {command: [$SELF, __command, farewell], port: $2, depends_on: [items]}\n")
	s := start(t, file, Options{NoWatch: true, StopTimeout: testTimeout})
	s.awaitKind(0, KindAllReady, "")
	s.pause(file, "items")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.await(0, "orders gets its last reply", func(e Event) bool { return e.Kind == KindLog && e.Text == "farewell, items" })
}

// TestKillWhilePaused checks that Kill kills paused processes.
func TestKillWhilePaused(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, stubborn], port: $1}\n")
	s := start(t, file, Options{NoWatch: true})
	ready, _ := s.awaitKind(0, KindReady, "stubborn")
	s.pause(file, "stubborn")
	s.supervisor.Kill()
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("Run returned %v, want %v", err, ErrKilled)
	}
	if err := syscall.Kill(-ready.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("group %d still exists: %v", ready.Pid, err)
	}
}

// TestSwapWhilePaused checks that a new process replaces a paused one, which drains. The
// processes of items overlap; those of npm do not.
func TestSwapWhilePaused(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, "name: shop\nservices:\n  items: {path: ./items, port: $1}\n"+
		"  npm: {command: [$SELF, __command], port: $2, watch: [contracts/**]}\n")
	s := start(t, file, Options{})
	s.awaitKind(0, KindAllReady, "")
	s.pause(file, "items")
	s.pause(file, "npm")
	from := s.now()
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	s.awaitKind(from, KindSwapped, "items")
	s.awaitKind(from, KindReady, "npm")
	awaitVersion(t, ports[0], 2)
	for _, name := range []string{"items", "npm"} {
		paused := s.find(KindPaused, name)[0]
		stopped, _ := s.awaitKind(from, KindStopped, name)
		continued := s.find(KindContinued, name)
		if len(continued) != 1 || continued[0].Pid != paused.Pid || stopped.Pid != paused.Pid {
			t.Errorf("%s: paused %+v, continued %+v, stopped %+v", name, paused, continued, stopped)
		}
	}
}

// TestCrashWhilePaused checks that a paused process that is killed counts as crashed, and
// that the process that replaces it is not paused.
func TestCrashWhilePaused(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, onlyItems)
	s := start(t, file, Options{NoWatch: true})
	ready, next := s.awaitKind(0, KindReady, "items")
	s.pause(file, "items")
	if err := syscall.Kill(ready.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.awaitKind(next, KindCrashed, "items")
	again, _ := s.awaitKind(next, KindReady, "items")
	if got := who(t, dial(t, ports[0])); got.Pid != again.Pid || got.Pid == ready.Pid {
		t.Errorf("pid %d answers, want %d", got.Pid, again.Pid)
	}
	status, err := controlOf(t, file, s.supervisor.options.CacheDir).Status(t.Context())
	if err != nil || status.Services[0].State != StateReady {
		t.Errorf("status %+v, error %v", status.Services, err)
	}
	if found := s.find(KindContinued, "items"); len(found) > 0 {
		t.Errorf("a process that has ended was continued: %+v", found)
	}
}
