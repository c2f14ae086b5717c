package proc

import (
	"context"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/workspace"
)

// status returns what is known of a service.
func (s *session) status(service string) ServiceStatus {
	s.t.Helper()
	for _, one := range s.supervisor.Status().Services {
		if one.Name == service {
			return one
		}
	}
	s.t.Fatalf("no service %s", service)
	return ServiceStatus{}
}

func (s *session) do(service string, a Action) {
	s.t.Helper()
	if err := s.supervisor.Do(s.t.Context(), service, a); err != nil {
		s.t.Fatal(err)
	}
}

// refuses checks that an action is refused.
func (s *session) refuses(service string, a Action, reason string) {
	s.t.Helper()
	if err := s.supervisor.Do(s.t.Context(), service, a); err == nil || !strings.Contains(err.Error(), reason) {
		s.t.Errorf("%s %s: %v, want %q", a, service, err, reason)
	}
}

// TestDo checks what the user can do with a service that msctl builds.
func TestDo(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	before := who(t, dial(t, ports[0]))
	s.refuses("items", Start, "is not stopped")
	s.refuses("other", Restart, "not part of the run")

	from := s.now()
	s.do("items", Restart)
	e, from := s.awaitKind(from, KindSwapped, "items")
	if e.Pid == before.Pid {
		t.Error("the same process serves after a restart")
	}
	_, from = s.awaitKind(from, KindStopped, "items")

	s.do("items", Halt)
	_, from = s.awaitKind(from, KindHalted, "items")
	_, from = s.awaitKind(from, KindStopped, "items")
	if status := s.status("items"); status.State != StateStopped || status.Pid != 0 {
		t.Errorf("status after a stop: %+v", status)
	}
	s.refuses("items", Halt, "is stopped already")
	s.edit("contracts/contracts.go", "Version = 1", "Version = 2")
	s.do("items", Rebuild) // which starts nothing
	_, from = s.awaitKind(from, KindBuilt, "items")
	if status := s.status("items"); status.State != StateStopped {
		t.Errorf("status after a build: %+v", status)
	}
	s.do("items", Start)
	_, from = s.awaitKind(from, KindReady, "items")
	if got := who(t, dial(t, ports[0])); got.Name != "items" {
		t.Errorf("%+v answers", got)
	}
	s.do("items", Rebuild)
	s.awaitKind(from, KindUnchanged, "items")
	if n := len(s.find(KindCrashed, "")) + len(s.find(KindNotReady, "")) + len(s.find(KindWarning, "")); n > 0 {
		t.Errorf("%d events report a problem", n)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.refuses("items", Restart, "about to end")
}

// TestDoCommand checks what the user can do with a program that opens its port itself: its processes never
// overlap, whatever the order of the requests is.
func TestDoCommand(t *testing.T) {
	t.Parallel()
	file, _ := shop(t, "name: shop\nservices:\n  items: {command: [$SELF, __command], port: $1}\n  after: {command: [$SELF, __command, mute], port: $2, depends_on: [items]}\n")
	s := start(t, file, Options{NoWatch: true})
	_, from := s.awaitKind(0, KindReady, "items")
	s.refuses("items", Rebuild, "is not built by msctl")
	s.do("items", Restart)
	s.do("items", Halt)
	s.do("items", Start)
	_, from = s.awaitKind(from, KindReady, "items")
	s.do("items", Restart)
	_, from = s.awaitKind(from, KindReady, "items")
	// A process that has not answered yet.
	s.awaitKind(0, KindStarting, "after")
	s.do("after", Halt)
	_, from = s.awaitKind(from, KindStopped, "after")
	if status := s.status("after"); status.State != StateStopped {
		t.Errorf("status after a stop: %+v", status)
	}
	s.do("after", Start)
	s.awaitKind(from, KindStarting, "after")
	running := map[int]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		switch e.Kind {
		case KindStarting:
			if e.Service == "items" && len(running) > 0 {
				t.Errorf("process %d was started while another one is running", e.Pid)
			}
			running[e.Pid] = e.Service == "items"
			if e.Service != "items" {
				delete(running, e.Pid)
			}
		case KindStopped, KindKilled:
			delete(running, e.Pid)
		}
	}
}

// TestDoNothing checks that nothing can be done with a run that has not started.
func TestDoNothing(t *testing.T) {
	file, _ := shop(t, onlyItems)
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Workspace: w})
	if err := s.Do(t.Context(), "items", Restart); err == nil || s.Status().Services != nil {
		t.Errorf("a run that has not started: %v, %+v", err, s.Status())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Messages(ctx, nil)
}
