package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/workspace"
)

// everything is a workspace with all that msctl new adds: an example, services on all transports,
// a database, and telemetry.
func everything(t *testing.T) Workspace {
	t.Helper()
	w := withNotifications(t)
	w.Store, w.Telemetry = SQLite, true
	w.Services = append(w.Services, Service{Name: "pay", Port: 3010})
	for _, transport := range workspace.Brokers() {
		w.Services = append(w.Services, Service{Name: "on-" + string(transport), Transport: transport})
	}
	return w
}

// makeEverything writes that workspace, with a handler, manifests, and the web client.
func makeEverything(t *testing.T, dir string, w Workspace) {
	t.Helper()
	makeWorkspace(t, dir, w)
	add := func(r Result, err error) {
		t.Helper()
		if err != nil || r.ByHand != nil {
			t.Fatal(err, r.ByHand)
		}
		if err := write(t, dir, false, r.Files...); err != nil {
			t.Fatal(err)
		}
	}
	handler, _, err := open(t, dir).NewHandler(Handler{Service: "items", Name: "archiveItem", Route: "POST /items/{id}/archive"})
	add(handler, err)
	add(open(t, dir).NewWeb(3020))
	add(open(t, dir).NewKubernetes())
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// TestNothingUnfinished: nothing that msctl writes is left for later.
func TestNothingUnfinished(t *testing.T) {
	for _, store := range Stores() {
		w, dir := everything(t), t.TempDir()
		w.Store = store
		makeEverything(t, dir, w)
		for name, text := range tree(t, dir) {
			if name == archiveFile || strings.HasPrefix(name, bundleDir+"/runtime/gateway/ui/") {
				continue // compressed, and the files of Swagger UI
			}
			if found := unfinished.FindString(text); found != "" {
				t.Errorf("%s contains %s", name, found)
			}
		}
	}
}

// TestLint runs golangci-lint in a workspace with everything, with the linters of the workspace, to
// which those that are the default belong. MSCTL_TEST_ALL runs it with each store.
func TestLint(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks whole workspaces")
	}
	tools, err := filepath.Glob(filepath.Join(testenv.Root(), ".cache", "bin", "golangci-lint-*"))
	if err != nil || len(tools) == 0 {
		t.Skip("golangci-lint is not built: run `make lint-tools`")
	}
	tool := tools[len(tools)-1]
	stores := Stores()
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		stores = stores[:1]
	}
	for _, store := range stores {
		t.Run(string(store), func(t *testing.T) {
			w, dir := everything(t), t.TempDir()
			w.Store = store
			makeEverything(t, dir, w)
			config := tree(t, dir)[".golangci.yml"]
			for _, linter := range []string{"errcheck", "govet", "ineffassign", "staticcheck", "unused"} {
				if !strings.Contains(config, "    - "+linter+" ") {
					t.Errorf(".golangci.yml lacks the default linter %s", linter)
				}
			}
			cmd := exec.CommandContext(t.Context(), tool, "run", "--allow-parallel-runners", "--max-issues-per-linter=0", "--max-same-issues=0", //nolint:gosec // our own build
				"./apps/...", "./contracts/...", "./internal/...")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), testenv.WorkspaceBuild()...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("golangci-lint: %v\n%s", err, out)
			}
		})
	}
}
