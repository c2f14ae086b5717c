package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gomodule "golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	root        = "../../.."
	mostModules = 5 // in the build list of a program that uses micro and microtcp
)

// TestTidy: `go mod tidy` changes no module.
func TestTidy(t *testing.T) {
	w := openRoot(t)
	if err := w.tidy(false); err != nil {
		t.Error(err)
	}
}

// TestBuildList: a program on the core of the runtime inherits no drivers.
func TestBuildList(t *testing.T) {
	w := openRoot(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	"context"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

func main() { _ = micro.NewServer().Serve(context.Background(), microtcp.Listen(":0")) }
`)
	mod := "module example.com/program\n\ngo 1.26.0\n\n"
	for _, m := range w.modules {
		mod += fmt.Sprintf("replace %s => %s\n", m.path(), m.dir)
	}
	write(t, filepath.Join(dir, "go.mod"), mod)
	goTool(t, dir, nil, "mod", "tidy")
	list := strings.Fields(goTool(t, dir, nil, "list", "-m", "-f", "{{.Path}}", "all"))
	if len(list) > mostModules {
		t.Errorf("the build list has %d modules, want at most %d:\n%s", len(list), mostModules, strings.Join(list, "\n"))
	}
}

// TestInstall: `go install` works for a release, with the modules from a proxy.
func TestInstall(t *testing.T) {
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		t.Skip("builds msctl with an empty module cache: set MSCTL_TEST_ALL=1")
	}
	w := openRoot(t)
	proxy, version := t.TempDir(), w.work.Replace[0].Old.Version
	clone := t.TempDir() // only what is committed
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", root, clone).CombinedOutput(); err != nil {
		t.Skipf("git clone: %v\n%s", err, out)
	}
	for _, m := range w.modules {
		publish(t, proxy, clone, m, version)
	}
	bin := t.TempDir()
	cached := filepath.Join(strings.TrimSpace(goTool(t, ".", nil, "env", "GOMODCACHE")), "cache", "download")
	goTool(t, t.TempDir(), []string{
		"GOBIN=" + bin, "GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw", "GONOSUMDB=github.com/msctl/*",
		"GOPROXY=file://" + proxy + ",file://" + cached + "," + strings.TrimSpace(goTool(t, ".", nil, "env", "GOPROXY")),
	}, "install", "github.com/msctl/msctl/cmd/msctl@"+version)
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "msctl"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), version) {
		t.Errorf("msctl version: %v\n%s", err, out)
	}
}

// TestSetVersion: a release changes the requirements among the modules, and nothing
// else.
func TestSetVersion(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.work"), "go 1.26.0\n\nuse (\n\t.\n\t./lib\n)\n\nreplace example.com/m/lib v0.1.0 => ./lib\n")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/m\n\ngo 1.26.0\n\nrequire (\n\texample.com/m/lib v0.1.0\n\texample.com/other v0.1.0\n)\n")
	write(t, filepath.Join(dir, "lib", "go.mod"), "module example.com/m/lib\n\ngo 1.26.0\n")
	w, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.setVersion("0.2"); err == nil {
		t.Error("the version 0.2 is accepted")
	}
	if err := w.setVersion("v0.2.0"); err != nil {
		t.Fatal(err)
	}
	got := read(t, filepath.Join(dir, "go.work")) + read(t, filepath.Join(dir, "go.mod"))
	want := "go 1.26.0\n\nuse (\n\t.\n\t./lib\n)\n\nreplace example.com/m/lib v0.2.0 => ./lib\n" +
		"module example.com/m\n\ngo 1.26.0\n\nrequire (\n\texample.com/m/lib v0.2.0\n\texample.com/other v0.1.0\n)\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if tags := w.tags("v0.2.0"); !slices.Equal(tags, []string{"v0.2.0", "lib/v0.2.0"}) {
		t.Errorf("tags %v", tags)
	}
}

// publish writes a module of the clone into a folder that serves as GOPROXY.
func publish(t *testing.T, proxy, clone string, m *module, version string) {
	t.Helper()
	dir := filepath.Join(proxy, filepath.FromSlash(m.path()), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	below := strings.TrimPrefix(strings.TrimPrefix(m.path(), "github.com/msctl/msctl"), "/")
	if err := zip.CreateFromVCS(f, gomodule.Version{Path: m.path(), Version: version}, clone, "HEAD", below); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, version+".mod"), read(t, filepath.Join(m.dir, "go.mod")))
	write(t, filepath.Join(dir, version+".info"), fmt.Sprintf(`{"Version": %q}`, version))
	write(t, filepath.Join(dir, "list"), version+"\n")
}

func openRoot(t *testing.T) *workspace {
	t.Helper()
	w, err := open(root)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func goTool(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "GOWORK=off"), env...)
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, failed.String())
	}
	return string(out)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
