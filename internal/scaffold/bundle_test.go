package scaffold

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBundleIsWhole: every package of ours that a file of the bundle imports is in
// the bundle, and the modules it imports are those that go.mod will require.
func TestBundleIsWhole(t *testing.T) {
	files, err := bundle()
	if err != nil {
		t.Fatal(err)
	}
	packages, imported := map[string]bool{}, map[string]string{}
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
	modules := map[string]bool{}
	for name, by := range imported {
		first, _, _ := strings.Cut(name, "/")
		switch {
		case strings.HasPrefix(name, runtimeModule+"/"):
			if !packages[name] {
				t.Errorf("%s imports %s, which is not in the bundle", by, name)
			}
		case strings.Contains(first, "."):
			i := slices.IndexFunc(bundledModules(), func(m string) bool { return name == m || strings.HasPrefix(name, m+"/") })
			if i < 0 {
				t.Errorf("%s imports %s: its module is not among bundledModules", by, name)
				continue
			}
			modules[bundledModules()[i]] = true
		}
	}
	for _, m := range bundledModules() {
		if !modules[m] {
			t.Errorf("nothing imports a package of %s", m)
		}
	}
	for _, name := range []string{"micro", "microtcp", "microtest", "policy", "validate", "gateway"} {
		if !packages[runtimeModule+"/runtime/"+name] {
			t.Errorf("the bundle lacks %s", name)
		}
	}
}

// TestTidy: go mod tidy finds nothing to do. It needs modules that only the tests
// of our modules import, so it is skipped where they are not at hand.
func TestTidy(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a whole workspace")
	}
	dir := t.TempDir()
	makeShop(t, dir)
	cmd := exec.CommandContext(t.Context(), "go", "mod", "tidy", "-diff")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "module lookup disabled") {
		t.Skip("modules of other modules' tests are not in the module cache")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, cmp.Diff("", string(out)))
	}
}
