package scaffold

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTelemetryByHand follows docs/telemetry.md in a new workspace: it copies the package, edits a service, and builds it.
func TestTelemetryByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("builds OpenTelemetry")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	makeWorkspace(t, dir, shop())
	source, target := filepath.Join(root, "runtime", "telemetry"), filepath.Join(dir, bundleDir, "runtime", "telemetry")
	if err := os.CopyFS(target, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"go.mod", "go.sum", "sources.go", "*_test.go"} {
		files, err := filepath.Glob(filepath.Join(target, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(name string, pairs ...string) {
		t.Helper()
		file := filepath.Join(dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(pairs); i += 2 {
			if strings.Count(string(text), pairs[i]) != 1 {
				t.Fatalf("%s does not contain %q once", name, pairs[i])
			}
			text = []byte(strings.Replace(string(text), pairs[i], pairs[i+1], 1))
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const end = "\n\t)\n\ts.register(server)"
	server := filepath.Join("apps", "items", "server.go")
	replace(server,
		"callers *principal.Key)", "callers *principal.Key, more ...micro.ServerOption)",
		"micro.NewServer(", "micro.NewServer(append([]micro.ServerOption{", end, "\n\t}, more...)...)\n\ts.register(server)")
	main, err := os.ReadFile(filepath.Join(dir, "apps", "items", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	last := regexp.MustCompile(`\n\treturn newServer\(.*\n`).FindString(string(main))
	replace(filepath.Join("apps", "items", "main.go"), last, "\n"+documentedLines(t, root),
		"import (\n", "import (\n\t\"github.com/msctl/msctl/runtime/telemetry\"\n")
	// What `go mod tidy` does with a network, with the versions that msctl itself uses.
	require := []string{"go", "mod", "edit"}
	versions, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`).FindAllStringSubmatch(string(versions), -1) {
		if !strings.HasPrefix(m[1], runtimeModule) {
			require = append(require, "-require="+m[1]+"@"+m[2])
		}
	}
	goTool(t, dir, nil, require...)
	goTool(t, dir, []string{"GOPROXY=off", "GONOSUMDB=*", "GONOSUMCHECK=1", "GOFLAGS=-mod=mod -buildvcs=false"}, "go", "build", "-o", os.DevNull, "./apps/items")
}

// documentedLines returns the lines in docs/telemetry.md for main.go.
func documentedLines(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)\n```go\n(\tt := telemetry.New.*?)```").FindSubmatch(text)
	if lines == nil {
		t.Fatal("docs/telemetry.md has no lines for main.go")
	}
	return string(lines[1])
}
