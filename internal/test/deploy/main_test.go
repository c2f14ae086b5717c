package deploy

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// binaryEnv is the command line, in a process that another one has started, which has built it.
const binaryEnv = "MSCTL_TEST_DEPLOY_BINARY"

var (
	once   sync.Once
	binary string
	failed error
	folder string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if folder != "" {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

// msctl runs the command line, which is built once.
func msctl(t *testing.T, dir string, args ...string) {
	t.Helper()
	once.Do(func() {
		if binary = os.Getenv(binaryEnv); binary != "" {
			return
		}
		if folder, failed = os.MkdirTemp("", "msctl-deploy"); failed != nil { //nolint:usetesting // all tests use it
			return
		}
		binary = filepath.Join(folder, "msctl")
		cmd := exec.Command("go", "build", "-o", binary, "github.com/msctl/msctl/cmd/msctl")
		cmd.Dir = testenv.Root()
		cmd.Env = append(os.Environ(), "GOEXPERIMENT=jsonv2")
		if out, err := cmd.CombinedOutput(); err != nil {
			failed = fmt.Errorf("build msctl: %w\n%s", err, out)
		}
	})
	if failed != nil {
		t.Fatal(failed)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("msctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// sample is a workspace to check.
type sample struct {
	name string
	args []string // of msctl new
	web  bool     // whether it has the web client
}

// workspace creates a workspace with manifests, and returns its folder.
func (s sample) workspace(t *testing.T) string {
	t.Helper()
	dir := workspace(t, s.args...)
	if s.web {
		msctl(t, dir, "new", "web", "--no-install")
		if err := os.RemoveAll(filepath.Join(dir, "deploy")); err != nil { // so that the overlays have it, too
			t.Fatal(err)
		}
		msctl(t, dir, "new", "deploy", "kubernetes")
	}
	return dir
}

func samples() []sample {
	return []sample{
		{"default", nil, false},
		{"web client", nil, true},
		{"notifications", []string{"--example", "notifications"}, false},
		{"PostgreSQL", []string{"--store", "postgres", "--example", "notifications", "--telemetry"}, true},
		{"all transports", []string{"--service", "items", "--service", "mail:rabbitmq", "--service", "cache:redis", "--service", "audit:nats"}, false},
		{"brokers only", []string{"--service", "audit:nats", "--service", "a-b:rabbitmq"}, false},
	}
}

// workspace creates a workspace with manifests, and returns its folder.
func workspace(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	msctl(t, filepath.Dir(dir), append([]string{"new", "shop", "--yes"}, args...)...)
	msctl(t, dir, "new", "deploy", "kubernetes")
	return dir
}

// read returns the files of a workspace by path, without the runtime.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name == "third_party" || name == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
