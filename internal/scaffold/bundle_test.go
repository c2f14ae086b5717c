package scaffold

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/workspace"
)

// onBrokers is a workspace with a service on TCP and one on each of the brokers.
func onBrokers(brokers ...workspace.Transport) Workspace {
	w := shop()
	for _, t := range brokers {
		w.Services = append(w.Services, Service{Name: "on-" + string(t), Transport: t})
	}
	return w
}

// selections are sets of brokers: none, each by itself, and all.
func selections() [][]workspace.Transport {
	list := [][]workspace.Transport{nil, workspace.Brokers()}
	for _, t := range workspace.Brokers() {
		list = append(list, []workspace.Transport{t})
	}
	return list
}

// onDemand is the package of the bundle whose module a workspace requires only if it uses the package.
const onDemand = runtimeModule + "/runtime/gateway/webhook"

// TestBundleIsWhole: every package of ours that a file of the bundle imports is in
// the bundle, and the modules it imports are among those that go.mod will require.
func TestBundleIsWhole(t *testing.T) {
	for _, brokers := range selections() {
		t.Run(fmt.Sprint(brokers), func(t *testing.T) {
			files, err := bundle(brokersOf(brokers...))
			if err != nil {
				t.Fatal(err)
			}
			packages, imported := packagesOf(t, files)
			modules := bundledModules(brokersOf(brokers...))
			for name, by := range imported {
				first, _, _ := strings.Cut(name, "/")
				switch {
				case strings.HasPrefix(name, runtimeModule+"/"):
					if !packages[name] {
						t.Errorf("%s imports %s, which is not in the bundle", by, name)
					}
				case strings.Contains(first, "."):
					if strings.Contains(by, "/gateway/webhook/") {
						continue
					}
					if !slices.ContainsFunc(modules, func(m string) bool { return name == m || strings.HasPrefix(name, m+"/") }) {
						t.Errorf("%s imports %s: its module is not among bundledModules", by, name)
					}
				}
			}
			for _, name := range []string{"micro", "microtcp", "microtest", "policy", "validate", "wire", "gateway", "gateway/auth", "gateway/webhook", "internal/calls", "internal/js", "internal/lead"} {
				if !packages[runtimeModule+"/runtime/"+name] {
					t.Errorf("the bundle lacks %s", name)
				}
			}
			for _, b := range workspace.Brokers() {
				if has := packages[runtimeModule+"/runtime/"+transportPackage(b)]; has != slices.Contains(brokers, b) {
					t.Errorf("the bundle has %s: %v", transportPackage(b), has)
				}
			}
		})
	}
}

// packagesOf returns the packages of Go files, and what they import with one of
// the files that do.
func packagesOf(t *testing.T, files []File) (packages map[string]bool, imported map[string]string) {
	t.Helper()
	packages, imported = map[string]bool{}, map[string]string{}
	for _, f := range files {
		if path.Ext(f.Path) != ".go" {
			continue
		}
		packages[path.Join(runtimeModule, strings.TrimPrefix(path.Dir(f.Path), bundleDir))] = true
		tree, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Data, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range tree.Imports {
			imported[strings.Trim(spec.Path.Value, `"`)] = f.Path
		}
	}
	return packages, imported
}

// TestBundledModules: the modules that a workspace requires are those that the
// packages of its bundle import and those that these import, and no others.
func TestBundledModules(t *testing.T) {
	for _, brokers := range selections() {
		for _, withTelemetry := range []bool{false, true} {
			wantModules(t, brokersOf(brokers...), addons(withTelemetry)...)
		}
	}
}

func wantModules(t *testing.T, brokers []brokerView, more ...addon) {
	t.Helper()
	files, err := bundle(brokers, more...)
	if err != nil {
		t.Fatal(err)
	}
	packages, _ := packagesOf(t, files)
	args := []string{"list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}"}
	for name := range packages {
		if name != onDemand {
			args = append(args, name)
		}
	}
	out := goTool(t, ".", []string{"GOWORK="}, append([]string{"go"}, args...)...)
	got := strings.Fields(out)
	slices.Sort(got)
	if diff := cmp.Diff(bundledModules(brokers, more...), slices.Compact(got)); diff != "" {
		t.Errorf("%v: modules (-bundledModules +imported):\n%s", brokers, diff)
	}
}

// TestTidy: go mod tidy finds nothing to do. It needs modules that only the tests
// of our modules import, so it is skipped where they are not at hand.
func TestTidy(t *testing.T) {
	if testing.Short() {
		t.Skip("writes whole workspaces")
	}
	for _, brokers := range selections() {
		for _, withTelemetry := range []bool{false, true} {
			t.Run(fmt.Sprint(brokers, withTelemetry), func(t *testing.T) {
				dir := t.TempDir()
				w := onBrokers(brokers...)
				w.Telemetry = withTelemetry
				makeWorkspace(t, dir, w)
				tidy(t, dir)
			})
		}
	}
}

func tidy(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "tidy", "-diff")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if os.Getenv("MSCTL_TEST_NETWORK") == "" {
		cmd.Env = append(cmd.Env, "GOPROXY=off")
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "module lookup disabled") {
		t.Skip("modules of other modules' tests are not in the module cache")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
