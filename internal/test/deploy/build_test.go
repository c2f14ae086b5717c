package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// run runs a command in dir and returns its output.
func run(t *testing.T, dir string, environment []string, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "GOWORK=off", "GOEXPERIMENT="), environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// actionlint checks workflows. It cannot be a requirement of this module, because it requires another version of a YAML
// library than the others do.
const actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

func TestWorkflows(t *testing.T) {
	if out, err := run(t, t.TempDir(), nil, "go", "run", actionlint, "-version"); err != nil {
		if os.Getenv("MSCTL_TEST_NETWORK") != "" {
			t.Fatalf("actionlint cannot be built: %v\n%s", err, out)
		}
		t.Skip("actionlint cannot be built")
	}
	dir := filepath.Join(workspace(t, "--example", "notifications"), ".github", "workflows")
	lint := func() (string, error) {
		return run(t, dir, nil, "go", "run", actionlint, "-no-color", "-shellcheck=", "-pyflakes=", "ci.yaml", "release.yaml")
	}
	if out, err := lint(); err != nil {
		t.Fatalf("actionlint: %v\n%s", err, out)
	}
	for _, name := range []string{"ci.yaml", "release.yaml"} {
		text := readFile(t, filepath.Join(dir, name))
		for _, problem := range checkWorkflow(text) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	release := readFile(t, filepath.Join(dir, "release.yaml"))
	for _, m := range []struct{ old, new, want string }{
		{"${{ github.ref_name }}", "${{ gitub.ref_name }}", `undefined variable "gitub"`},
		{"run: go mod verify", "run: echo ${{ github.event.head_commit.message }}", "potentially untrusted"},
		{"needs: test", "needs: tests", `needs job "tests" which does not exist`},
	} {
		put(t, filepath.Join(dir, "release.yaml"), seed(t, release, m.old, m.new))
		if out, err := lint(); err == nil || !strings.Contains(out, m.want) {
			t.Errorf("with %q, actionlint prints %s", m.new, out)
		}
	}
	for _, m := range []struct{ old, new, want string }{
		{"permissions: {}", "permissions: write-all", "write-all"},
		{"@3d3c42e5aac5ba805825da76410c181273ba90b1 #", "@v7 #", "is not pinned to a commit"},
		{"# v7.0.1", "", "no comment names the version"},
		{"cosign@v2.6.5", "cosign@latest", "is not pinned to a version"},
	} {
		if problems := strings.Join(checkWorkflow(seed(t, release, m.old, m.new)), "\n"); !strings.Contains(problems, m.want) {
			t.Errorf("with %q, got %s", m.new, problems)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// seed returns a text with a mistake.
func seed(t *testing.T, text, old, mistake string) string {
	t.Helper()
	seeded := strings.Replace(text, old, mistake, 1)
	if seeded == text {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return seeded
}

// TestReproducible builds a program with the flags of the Dockerfile in two folders. The second build has a cache of its own, so
// that it compiles everything again.
func TestReproducible(t *testing.T) {
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		t.Skip("compiles the standard library: set MSCTL_TEST_ALL=1")
	}
	dir, elsewhere := workspace(t, "--store", "memory"), filepath.Join(t.TempDir(), "elsewhere") // without a database: its driver takes minutes
	if err := os.CopyFS(elsewhere, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	text := readFile(t, filepath.Join(dir, "Dockerfile"))
	for _, flags := range []string{`CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"`, "go build -ldflags='-s -w -buildid=' -o"} {
		if !strings.Contains(text, flags) {
			t.Errorf("the Dockerfile does not build with %s", flags)
		}
	}
	build := func(dir string, more ...string) string {
		binary := filepath.Join(t.TempDir(), "service")
		environment := append([]string{"CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false"}, more...)
		if out, err := run(t, dir, environment, "go", "build", "-ldflags=-s -w -buildid=", "-o", binary, "./apps/items"); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		sum := sha256.Sum256([]byte(readFile(t, binary)))
		return hex.EncodeToString(sum[:])
	}
	one, two := build(dir), build(elsewhere, "GOCACHE="+t.TempDir())
	t.Log(one)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("two builds differ:\n%s", diff)
	}
}

// TestImages builds each image twice, without a cache.
func TestImages(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("skipped: docker is not installed")
	}
	if out, err := run(t, t.TempDir(), nil, "docker", "info"); err != nil {
		t.Skipf("skipped: no container engine is running: %s", out)
	}
	dir := workspace(t)
	environment := []string{"SOURCE_DATE_EPOCH=1700000000", "DOCKER_BUILDKIT=1"}
	for _, program := range []string{"items", "gateway"} {
		var files [2]string
		for i := range files {
			name := filepath.Join(t.TempDir(), "image.tar")
			out, err := run(t, dir, environment, "docker", "buildx", "build", "--no-cache", "--provenance=false", "--build-arg", "SERVICE="+program,
				"--output", "type=oci,rewrite-timestamp=true,dest="+name, ".")
			if err != nil {
				t.Fatalf("docker build: %v\n%s", err, out)
			}
			sum := sha256.Sum256([]byte(readFile(t, name)))
			files[i] = hex.EncodeToString(sum[:])
		}
		if files[0] != files[1] {
			t.Errorf("two builds of %s differ", program)
		}
	}
}
