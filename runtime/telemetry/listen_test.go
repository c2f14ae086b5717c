package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestProbes follows the probes of a service from its start to its end.
func TestProbes(t *testing.T) {
	tel := newTelemetry(t)
	well := make(chan bool, 1)
	well <- true
	s := newServer(tel, micro.WithHealthCheck("db", func(context.Context) error {
		ok := <-well
		well <- ok
		if !ok {
			return errors.New("down")
		}
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	url := listening(t, tel, ctx, s)
	want := func(path string, status int, body string) {
		t.Helper()
		if gotStatus, got := fetch(t, url+path); gotStatus != status || strings.TrimSpace(got) != body {
			t.Errorf("%s: %d %s, want %d %s", path, gotStatus, got, status, body)
		}
	}
	const ok = `{"status":"ok"}`
	want("/live", 200, ok)
	want("/ready", 503, `{"message":"the server has not been started","status":"error"}`)
	serving(t, s)
	deadline := time.Now().Add(soon)
	for s.Ready(ctx) != nil && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	want("/ready", 200, ok)
	<-well
	well <- false
	want("/ready", 503, `{"message":"check db: down","status":"error"}`)
	want("/live", 200, ok)
	<-well
	well <- true
	want("/ready", 200, ok)
	cancel()
	want("/ready", 503, `{"status":"shutting_down"}`)
	want("/live", 200, ok)
	if status, _ := fetch(t, url+"/"); status != http.StatusNotFound {
		t.Errorf("/: %d", status)
	}
}

// TestListenClosed checks that no port is opened after Close, or without an address, and that
// an address that cannot be used is an error.
func TestListenClosed(t *testing.T) {
	tel := newTelemetry(t)
	if err := tel.Listen(t.Context(), ""); err != nil || len(tel.private) != 0 {
		t.Errorf("no address: %v, %d ports", err, len(tel.private))
	}
	if err := tel.Listen(t.Context(), "9464"); err == nil {
		t.Error("9464: no error")
	}
	tel.Close()
	if err := tel.Listen(t.Context(), ":0"); err == nil {
		t.Error("Listen after Close")
	}
}

// TestProfiles checks that go tool pprof can read the profiles of the private port, and that
// nothing is served by http.DefaultServeMux.
func TestProfiles(t *testing.T) {
	tel := newTelemetry(t)
	url := listening(t, tel, t.Context()) + "/debug/pprof/"
	for path, status := range map[string]int{"": 200, "heap": 200, "goroutine?debug=1": 200, "unknown": 404, "trace?seconds=1": 200} {
		if got, body := fetch(t, url+path); got != status || body == "" {
			t.Errorf("%s: status %d, %d bytes", path, got, len(body))
		}
	}
	for _, path := range []string{"heap", "profile?seconds=1"} {
		cmd := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", url+path)
		cmd.Env = append(cmd.Environ(), "PPROF_TMPDIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "flat%") {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/metrics"} {
		w := httptest.NewRecorder()
		http.DefaultServeMux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("http.DefaultServeMux serves %s", path)
		}
	}
}
