package proc

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// awaitPartlyReady awaits the event that lists what is missing.
func awaitPartlyReady(t *testing.T, s *session, want string) {
	t.Helper()
	if e, _ := s.awaitKind(0, KindPartlyReady, ""); e.Text != want {
		t.Errorf("partly ready: %q, want %q", e.Text, want)
	}
}

// TestBrokenBuild checks that a service that does not build does not keep the others from
// starting, that those that depend on it wait, and that all start when it is fixed.
func TestBrokenBuild(t *testing.T) {
	t.Parallel()
	file, ports := shop(t, twoServices+`  front: {command: [$SELF, __command], port: $3, depends_on: [orders]}
  other: {command: [$SELF, __command], port: $4}
`)
	good := "package contracts\n\nconst Version = 1\n"
	contracts := filepath.Join(filepath.Dir(file), "contracts", "contracts.go")
	write(t, contracts, good+"const Version = 2\n")
	s := start(t, file, Options{})
	s.awaitKind(0, KindReady, "other")
	s.awaitKind(0, KindBuildFailed, "items")
	awaitPartlyReady(t, s, "1 of 4 services ready; failed: items; waiting: orders, front")
	for service, on := range map[string]string{"orders": "items", "front": "orders"} {
		if e, _ := s.awaitKind(0, KindWaiting, service); e.Text != on {
			t.Errorf("%s waits for %q, want %s", service, e.Text, on)
		}
	}
	states := map[string]State{}
	for _, one := range statusOf(t, s).Services {
		states[one.Name] = one.State
	}
	if states["items"] != StateFailed || states["orders"] != StateWaiting || states["other"] != StateReady {
		t.Errorf("states %v", states)
	}
	write(t, contracts, good)
	s.awaitKind(0, KindAllReady, "")
	if got := who(t, dial(t, ports[1])); got.Name != "orders" {
		t.Errorf("%+v answers, want orders", got)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestFailedCommands checks that commands that cannot be started, end, or do not answer do
// not keep another service from starting, and that each becomes ready when its problem is
// solved, without a change of its files.
func TestFailedCommands(t *testing.T) {
	t.Parallel()
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	file, _ := shop(t, fmt.Sprintf(`name: shop
services:
  missing: {command: ./later, port: $1}
  ends: {command: [sh, -c, "test -e solved && exec $SELF __command; exit 7"], port: $2}
  mute: {command: [sh, -c, "until test -e solved; do sleep 0.1; done; exec $SELF __command"], port: $3}
  occupied: {command: [$SELF, __command], port: %[1]d}
  fine: {command: [$SELF, __command], port: $4}
`, inUse.Addr().(*net.TCPAddr).Port))
	s := start(t, file, Options{firstBackoff: 10 * time.Millisecond, ReadyTimeout: 2 * time.Second})
	for service, want := range map[string]string{
		"missing": "cannot be started: start ./later: ", "ends": "ended before it was ready: exit status 7, 5 times in a row",
		"mute": "did not become ready in 2s: nothing listens at ", "occupied": "port 127.0.0.1:",
	} {
		if e, _ := s.awaitKind(0, KindFailed, service); !strings.HasPrefix(e.Text, want) {
			t.Errorf("%s failed: %q, want %q…", service, e.Text, want)
		}
	}
	mute, _ := s.awaitKind(0, KindFailed, "mute")
	s.awaitKind(0, KindReady, "fine")
	s.awaitKind(0, KindPartlyReady, "")
	dir := filepath.Dir(file)
	write(t, filepath.Join(dir, "solved"), "")
	writeProgram(t, filepath.Join(dir, "later"), "#!/bin/sh\nexec "+self(t)+" __command\n")
	_ = inUse.Close()
	s.awaitKind(0, KindAllReady, "")
	if ready, _ := s.awaitKind(0, KindReady, "mute"); ready.Pid != mute.Pid {
		t.Errorf("pid %d became ready, want the process %d, which has been running", ready.Pid, mute.Pid)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// TestOccupiedSocket checks that a Go service starts when its port is free, if it was not
// free at first.
func TestOccupiedSocket(t *testing.T) {
	t.Parallel()
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	port := inUse.Addr().(*net.TCPAddr).Port
	file, _ := shop(t, fmt.Sprintf("name: shop\nservices:\n  items: {path: ./items, port: %d}\n  fine: {command: [$SELF, __command], port: $1}\n", port))
	s := start(t, file, Options{firstBackoff: 10 * time.Millisecond})
	if e, _ := s.awaitKind(0, KindFailed, "items"); !strings.HasPrefix(e.Text, fmt.Sprintf("port 127.0.0.1:%d is in use", port)) {
		t.Errorf("items failed: %q", e.Text)
	}
	s.awaitKind(0, KindReady, "fine")
	_ = inUse.Close()
	s.awaitKind(0, KindAllReady, "")
	if got := who(t, dial(t, port)); got.Name != "items" {
		t.Errorf("%+v answers, want items", got)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if !refused(port) {
		t.Errorf("port %d is still open", port)
	}
	if n := len(s.find(KindEnding, "")); n != 1 {
		t.Errorf("the end was announced %d times, want once", n)
	}
}
