package scaffold

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// observed is a workspace with telemetry and everything that it observes.
func observed(t *testing.T) Workspace {
	t.Helper()
	w := withNotifications(t)
	w.Telemetry = true
	return w
}

// TestTelemetry makes a workspace with telemetry and adds a service. It builds, passes its tests,
// and serves metrics and probes on the private ports only.
func TestTelemetry(t *testing.T) {
	if testing.Short() {
		t.Skip("builds OpenTelemetry")
	}
	dir := t.TempDir()
	makeWorkspace(t, dir, observed(t))
	r, err := open(t, dir).NewService(Service{Name: "payments", Port: 3010})
	if err != nil || r.ByHand != nil {
		t.Fatal(err, r.ByHand)
	}
	if err := write(t, dir, false, r.Files...); err != nil {
		t.Fatal(err)
	}
	if out := goTool(t, dir, nil, "gofmt", "-l", "apps", "contracts", "internal"); out != "" {
		t.Errorf("not gofmt'd:\n%s", out)
	}
	goTool(t, dir, nil, "go", "vet", "./...")
	goTool(t, dir, nil, "go", "test", "./apps/...", "./internal/...")
	for _, name := range []string{"payments", "gateway"} {
		goTool(t, dir, nil, "go", "build", "-o", filepath.Join(dir, "bin", name+exe()), "./apps/"+name)
		runObserved(t, dir, name)
	}
}

// runObserved starts a program with a private port.
func runObserved(t *testing.T, dir, name string) {
	t.Helper()
	public, private := testenv.Port(t), testenv.Port(t)
	settings := append(runSettings(), "MS_PORT="+public, "PORT="+public, "PRIVATE_ADDRESS=:"+private)
	start(t, dir, name, settings...)
	health := func() ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", name+exe()), "health")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), settings...)
		return cmd.CombinedOutput()
	}
	eventually(t, name+" is ready", func() bool {
		out, err := health()
		return err == nil && string(out) == "ready\n"
	})
	for path, want := range map[string]string{
		"/metrics":      `msctl_build_info{go="`,
		"/live":         `{"status":"ok"}`,
		"/debug/pprof/": "goroutine",
	} {
		if status, body := get(t, "http://127.0.0.1:"+private+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s: status %d, %s", name, path, status, body)
		}
		if name == "gateway" {
			if status, _ := get(t, "http://127.0.0.1:"+public+path); status != http.StatusNotFound {
				t.Errorf("%s is public: status %d", path, status)
			}
		}
	}
}

// get returns a response.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
