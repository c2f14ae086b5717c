package proc

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// TestControl checks that another process can query the status of a run, and stop it.
func TestControl(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices)
	s := start(t, file, Options{NoWatch: true})
	s.awaitKind(0, KindAllReady, "")
	w, err := workspace.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := Runs(t.Context(), w, s.supervisor.options.CacheDir)
	if err != nil || len(runs) != 1 {
		t.Fatalf("got %d runs, error %v, want 1", len(runs), err)
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
		t.Errorf("states (-want +got):\n%s", diff)
	}
	from := s.now()
	crash(t, ports[1])
	s.awaitKind(from, KindReady, "orders")
	status, err := runs[0].Status(t.Context())
	if err != nil || status.Services[1].Crashes != 1 || status.Services[1].Pid == 0 {
		t.Errorf("status after a crash: %+v, error %v", status.Services, err)
	}
	unauthorized := Control{Address: runs[0].Address, Secret: "guessed"}
	if err := unauthorized.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)) {
		t.Errorf("Stop with a wrong secret returned %v", err)
	}
	if err := runs[0].Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if runs, err := Runs(t.Context(), w, s.supervisor.options.CacheDir); err != nil || len(runs) != 0 {
		t.Errorf("got %d runs after the end, error %v, want none", len(runs), err)
	}
}

// TestBoard checks the status after each event.
func TestBoard(t *testing.T) {
	at := time.Unix(0, 0)
	b := &board{status: Status{Services: []ServiceStatus{{Name: "items", State: StateWaiting}}}}
	for _, tt := range []struct {
		event Event
		want  ServiceStatus
	}{
		{Event{Kind: KindBuilding}, ServiceStatus{State: StateWaiting}},
		{Event{Kind: KindWaiting, Text: "mail"}, ServiceStatus{State: StateWaiting, Problem: "waiting for mail"}},
		{Event{Kind: KindFailed, Text: "no"}, ServiceStatus{State: StateFailed, Problem: "no"}},
		{Event{Kind: KindStarting, Pid: 9}, ServiceStatus{State: StateStarting, Pid: 9, Problem: "no"}},
		{Event{Kind: KindReady, Pid: 9}, ServiceStatus{State: StateReady, Pid: 9}},
		{Event{Kind: KindStopping, Pid: 9}, ServiceStatus{State: StateStopping, Pid: 9}},
		{Event{Kind: KindStopped, Pid: 9}, ServiceStatus{State: StateStopped}},
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

// TestRemoveStaleSessions checks that the folders of runs that a power failure has ended
// are removed, and that those of active runs are kept.
func TestRemoveStaleSessions(t *testing.T) {
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
	for name, address := range map[string]string{".run-active": l.Addr().String(), ".run-stale": dead.Addr().String(), ".run-starting": "", "items": ""} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if address != "" {
			write(t, filepath.Join(dir, name, controlFile), fmt.Sprintf(`{"address":%q}`, address))
		}
	}
	removeStaleSessions(t.Context(), dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if diff := cmp.Diff([]string{".run-active", ".run-starting", "items"}, left); diff != "" {
		t.Errorf("entries left (-want +got):\n%s", diff)
	}
}

// TestNoCompiler checks the error if Go is not on the PATH.
func TestNoCompiler(t *testing.T) {
	file, _ := shop(t, twoServices)
	t.Setenv("PATH", t.TempDir())
	s := start(t, file, Options{FailFast: true})
	e, _ := s.awaitKind(0, KindBuildFailed, "items")
	if want := "go is not installed"; !strings.Contains(e.Text, want) {
		t.Errorf("build error %q, want %q", e.Text, want)
	}
	if err := s.wait(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Run returned %v, want %v", err, exec.ErrNotFound)
	}
}

// TestRemoveOldLogs checks which logs are removed.
func TestRemoveOldLogs(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{
		"a/.detached.log": keepLogs + time.Hour, "a/.detached.log.1": keepLogs + time.Hour, "b/.detached.log": time.Hour, "b/items": keepLogs + time.Hour,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, "x")
		if err := os.Chtimes(file, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	removeOldLogs(dir, now)
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, "*", ".*"))
	left = append(left, hidden...)
	slices.Sort(left)
	want := []string{filepath.Join(dir, "b", ".detached.log"), filepath.Join(dir, "b", "items")}
	if diff := cmp.Diff(want, slices.Compact(left)); diff != "" || err != nil {
		t.Errorf("files left (-want +got), error %v:\n%s", err, diff)
	}
}
