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

// controlOf is the run of a session, as another process sees it.
func controlOf(t *testing.T, file, cache string) Control {
	t.Helper()
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Runs(t.Context(), w, cache)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	return runs[0]
}

// pause pauses a service of a session for so long that the test ends first.
func (s *session) pause(file, service string) {
	s.t.Helper()
	if err := controlOf(s.t, file, s.supervisor.options.CacheDir).Pause(s.t.Context(), service, MaxPause); err != nil {
		s.t.Fatal(err)
	}
	s.awaitKind(0, KindPaused, service)
}

// TestPause: a paused service does not answer, is not taken for crashed, and
// goes on by itself.
func TestPause(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindBuilding, "items")
	c := controlOf(t, file, s.supervisor.options.CacheDir)
	if err := c.Pause(t.Context(), "orders", time.Second); err == nil || err.Error() != "service orders is not ready, so it cannot be paused" {
		t.Errorf("before it is ready: %v", err)
	}
	s.awaitKind(0, KindAllReady, "")
	before := who(t, dial(t, ports[0]))
	if err := c.Pause(t.Context(), "items", MaxPause); err != nil {
		t.Fatal(err)
	}
	e, _ := s.awaitKind(0, KindPaused, "items")
	if e.Pid != before.Pid || e.Delay != MaxPause {
		t.Errorf("%+v, want pid %d and %v", e, before.Pid, MaxPause)
	}
	quick := micro.NewClient(microtcp.Dial(fmt.Sprintf("127.0.0.1:%d", ports[0])), micro.WithTimeout(300*time.Millisecond))
	defer quick.Close()
	if got, err := micro.Call[answer](t.Context(), quick, micro.Name("who"), nil); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("a paused service answers %+v, %v", got, err)
	}
	if got := who(t, dial(t, ports[1])); got.Name != "orders" {
		t.Errorf("the other one answers %+v", got)
	}
	status, err := c.Status(t.Context())
	if err != nil || status.Services[0].State != StatePaused || status.Services[0].Pid != before.Pid {
		t.Errorf("status %+v, %v", status.Services, err)
	}
	if err := c.Pause(t.Context(), "items", 50*time.Millisecond); err != nil { // from now
		t.Error(err)
	}
	e, _ = s.awaitKind(0, KindContinued, "items")
	if e.Pid != before.Pid || e.Took < 350*time.Millisecond {
		t.Errorf("%+v, want pid %d and the whole time", e, before.Pid)
	}
	if after := who(t, dial(t, ports[0])); after != before {
		t.Errorf("after the pause answers %+v, want %+v", after, before)
	}
	if status, err = c.Status(t.Context()); err != nil || status.Services[0].State != StateReady {
		t.Errorf("status after the pause %+v, %v", status.Services, err)
	}
	if n := len(s.find(KindCrashed, "")) + len(s.find(KindNotReady, "")) + len(s.find(KindWarning, "")); n > 0 {
		t.Errorf("%d times the pause was taken for something else", n)
	}
}

// TestPauseErrors: what is asked wrongly is said, and pauses nothing.
func TestPauseErrors(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  items: {command: [$SELF, __command], port: $1}\n")
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	c := controlOf(t, file, s.supervisor.options.CacheDir)
	for query, want := range map[string]string{
		"service=itms&for=1s":     `no service "itms" runs here`,
		"service=items&for=soon":  `"soon" is not how long to pause, more than 0 and at most 10m0s`,
		"service=items&for=0s":    `"0s" is not how long to pause, more than 0 and at most 10m0s`,
		"service=items&for=10m1s": `"10m1s" is not how long to pause, more than 0 and at most 10m0s`,
		"for=1s":                  `no service "" runs here`,
		"service=items":           `"" is not how long to pause, more than 0 and at most 10m0s`,
	} {
		if _, err := c.request(t.Context(), http.MethodPost, "/pause?"+query); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
	stranger := Control{Address: c.Address, Secret: "guessed"}
	if err := stranger.Pause(t.Context(), "items", time.Second); err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)) {
		t.Errorf("a stranger may pause: %v", err)
	}
	if found := s.find(KindPaused, ""); len(found) > 0 {
		t.Errorf("paused all the same: %+v", found)
	}
}

// TestStopWhilePaused: what is paused goes on to drain when the run ends.
func TestStopWhilePaused(t *testing.T) {
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
		t.Errorf("killed: %+v", found)
	}
	for _, port := range ports {
		if !refused(port) {
			t.Errorf("port %d is still open", port)
		}
	}
}

// TestEndWhilePaused: a service that is paused when the run ends goes on at once,
// because those that depend on it may need it to drain.
func TestEndWhilePaused(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  items: {path: ./items, port: $1}\n"+
		"  orders: {command: [$SELF, __command, farewell], port: $2, depends_on: [items]}\n")
	s := start(t, file, Options{NoWatch: true, StopTimeout: patience})
	s.awaitKind(0, KindAllReady, "")
	s.pause(file, "items")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.await(0, "orders gets its last answer", func(e Event) bool { return e.Kind == KindLog && e.Text == "farewell, items" })
}

// TestKillWhilePaused: Kill reaches what is stopped.
func TestKillWhilePaused(t *testing.T) {
	file, _ := shop(t, "name: shop\nservices:\n  stubborn: {command: [$SELF, __command, stubborn], port: $1}\n")
	s := start(t, file, Options{NoWatch: true})
	ready, _ := s.awaitKind(0, KindReady, "stubborn")
	s.pause(file, "stubborn")
	s.supervisor.Kill()
	if err := s.wait(); !errors.Is(err, ErrKilled) {
		t.Errorf("Run returned %v, want %v", err, ErrKilled)
	}
	if err := syscall.Kill(-ready.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("group %d is still there: %v", ready.Pid, err)
	}
}

// TestSwapWhilePaused: a new process takes over from a paused one, which drains:
// beside it where the socket is shared, after it where not.
func TestSwapWhilePaused(t *testing.T) {
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
		went := s.find(KindContinued, name)
		if len(went) != 1 || went[0].Pid != paused.Pid || stopped.Pid != paused.Pid {
			t.Errorf("%s: paused %+v, continued %+v, stopped %+v", name, paused, went, stopped)
		}
	}
}

// TestCrashWhilePaused: a paused process that somebody kills has crashed, and the
// one that is started in its place is not paused.
func TestCrashWhilePaused(t *testing.T) {
	file, ports := shop(t, "name: shop\nservices:\n  items: {path: ./items, port: $1}\n")
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
		t.Errorf("status %+v, %v", status.Services, err)
	}
	if found := s.find(KindContinued, "items"); len(found) > 0 {
		t.Errorf("one that is gone went on: %+v", found)
	}
}
