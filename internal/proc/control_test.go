package proc

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// TestControl: another process can ask a run how it is, and stop it.
func TestControl(t *testing.T) {
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Runs(t.Context(), w, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	states := func() map[string]State {
		status, err := runs[0].Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]State{"": State(status.Workspace)}
		for _, service := range status.Services {
			got[service.Name] = service.State
		}
		return got
	}
	if diff := cmp.Diff(map[string]State{"": "shop", "items": StateReady, "orders": StateReady}, states()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	from := s.now()
	crash(t, ports[1])
	s.awaitKind(from, KindReady, "orders")
	status, err := runs[0].Status(t.Context())
	if err != nil || status.Services[1].Crashes != 1 || status.Services[1].Pid == 0 {
		t.Errorf("after a crash: %+v, %v", status.Services, err)
	}
	stranger := Control{Address: runs[0].Address, Secret: "guessed"}
	if err := stranger.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)) {
		t.Errorf("a stranger may stop it: %v", err)
	}
	if err := runs[0].Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if runs, err := Runs(t.Context(), w, s.supervisor.options.CacheDir); err != nil || len(runs) != 0 {
		t.Errorf("runs after the end: %v, %v", runs, err)
	}
}

// TestBoard: what ps shows after each event.
func TestBoard(t *testing.T) {
	at := time.Unix(0, 0)
	b := &board{status: Status{Services: []ServiceStatus{{Name: "items", State: StateWaiting}}}}
	for _, tt := range []struct {
		event Event
		want  ServiceStatus
	}{
		{Event{Kind: KindBuilding}, ServiceStatus{State: StateWaiting}},
		{Event{Kind: KindStarting, Pid: 1}, ServiceStatus{State: StateStarting, Pid: 1}},
		{Event{Kind: KindCrashed, Pid: 1}, ServiceStatus{State: StateCrashed, Crashes: 1}},
		{Event{Kind: KindStarting, Pid: 2}, ServiceStatus{State: StateStarting, Pid: 2, Crashes: 1}},
		{Event{Kind: KindReady, Pid: 2}, ServiceStatus{State: StateReady, Pid: 2, Crashes: 1}},
		{Event{Kind: KindBuildFailed}, ServiceStatus{State: StateReady, Pid: 2, Crashes: 1, BuildFailed: true}},
		{Event{Kind: KindBuilt}, ServiceStatus{State: StateReady, Pid: 2, Crashes: 1}},
		{Event{Kind: KindPaused, Pid: 2}, ServiceStatus{State: StatePaused, Pid: 2, Crashes: 1}},
		{Event{Kind: KindStarting, Pid: 3}, ServiceStatus{State: StatePaused, Pid: 2, Crashes: 1}},
		{Event{Kind: KindContinued, Pid: 2}, ServiceStatus{State: StateReady, Pid: 2, Crashes: 1}},
		{Event{Kind: KindStarting, Pid: 3}, ServiceStatus{State: StateReady, Pid: 2, Crashes: 1}},
		{Event{Kind: KindSwapped, Pid: 3}, ServiceStatus{State: StateReady, Pid: 3, Crashes: 1}},
		{Event{Kind: KindStopping, Pid: 2}, ServiceStatus{State: StateReady, Pid: 3, Crashes: 1}},
		{Event{Kind: KindStopped, Pid: 2}, ServiceStatus{State: StateReady, Pid: 3, Crashes: 1}},
		{Event{Kind: KindStopping, Pid: 3}, ServiceStatus{State: StateStopping, Pid: 3, Crashes: 1}},
		{Event{Kind: KindKilled, Pid: 3}, ServiceStatus{State: StateStopped, Crashes: 1}},
	} {
		tt.event.Service, tt.event.Time = "items", at
		b.note(tt.event)
		got := b.read().Services[0]
		got.Name, got.Since = "", time.Time{}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("after %s of pid %d (-want +got):\n%s", tt.event.Kind, tt.event.Pid, diff)
		}
	}
}

// TestTidy: what a power cut has left is removed, what runs is not.
func TestTidy(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	for name, address := range map[string]string{".run-lives": l.Addr().String(), ".run-dead": dead.Addr().String(), ".run-begins": "", "items": ""} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if address != "" {
			write(t, filepath.Join(dir, name, controlFile), fmt.Sprintf(`{"address":%q}`, address))
		}
	}
	(&run{}).tidy(t.Context(), dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if diff := cmp.Diff([]string{".run-begins", ".run-lives", "items"}, left); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNoCompiler: without Go on the PATH, the build says so.
func TestNoCompiler(t *testing.T) {
	file, _ := shop(t, twoServices)
	t.Setenv("PATH", t.TempDir())
	s := start(t, file, Options{})
	e, _ := s.awaitKind(0, KindBuildFailed, "items")
	if want := "go is not installed"; !strings.Contains(e.Text, want) {
		t.Errorf("%q, want %q", e.Text, want)
	}
	if err := s.wait(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Run returned %v", err)
	}
}
