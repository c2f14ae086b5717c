package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/internal/test/workspaces"
	"github.com/msctl/msctl/internal/workspace"
)

// webClient renders the workspace in dir, with its web client.
func webClient(t *testing.T, dir string) []scaffold.File {
	t.Helper()
	w := scaffold.Workspace{
		Name: "corner-shop", Services: []scaffold.Service{{Name: "items", Port: 3002}}, Version: "test",
		Secrets: scaffold.Secrets{Tokens: tokenSecret, Principals: principalSecret},
	}
	workspaces.Write(t, dir, w)
	opened, err := scaffold.Open(filepath.Join(dir, workspace.FileName))
	if err != nil {
		t.Fatal(err)
	}
	result, err := opened.NewWeb(3003)
	if err != nil {
		t.Fatal(err)
	}
	workspaces.Add(t, dir, result.Files)
	return slices.DeleteFunc(result.Files, func(f scaffold.File) bool { return !strings.HasPrefix(f.Path, scaffold.WebDir+"/") })
}

// installClient writes the web client to a folder, and installs its packages. The folder stays in
// .cache: packages are installed only when the lock file has changed, and the client is
// built only when a file has changed.
func installClient(t *testing.T, files []scaffold.File) (dir string) {
	t.Helper()
	root := filepath.Join(testenv.Root(), ".cache", "web")
	lock(t, root)
	dir = filepath.Join(root, filepath.FromSlash(scaffold.WebDir))
	removeOthers(t, dir)
	var packages []byte
	for _, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Path, "package-lock.json") {
			packages = f.Data
		}
	}
	once(t, filepath.Join(root, "packages"), packages, func() { install(t, dir) })
	return dir
}

// buildClient builds the web client in its folder.
func buildClient(t *testing.T, dir string, files []scaffold.File) {
	t.Helper()
	var all []byte
	for _, f := range files {
		all = fmt.Appendf(all, "%s\x00%s\x00", f.Path, f.Data)
	}
	once(t, filepath.Join(testenv.Root(), ".cache", "web", "build"), all, func() { npm(t, dir, "run", "build") })
}

// lock waits until no other process builds in the folder.
func lock(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// removeOthers removes the files of an earlier version of the client, except for its packages
// and its build.
func removeOthers(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains([]string{"node_modules", ".next"}, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// once does work unless it was done for the same content. The file stamp records that.
func once(t *testing.T, stamp string, content []byte, work func()) {
	t.Helper()
	sum := sha256.Sum256(content)
	want := hex.EncodeToString(sum[:])
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return
	}
	_ = os.Remove(stamp)
	work()
	if err := os.WriteFile(stamp, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// install installs the packages of a lock file. Without a network, it skips the test.
func install(t *testing.T, dir string) {
	t.Helper()
	if out, err := tryNPM(t, dir, "ci", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		if os.Getenv("MSCTL_TEST_NEST") == "required" {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
		t.Skipf("npm cannot install the packages: %v\n%s", err, out)
	}
}

func npm(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := tryNPM(t, dir, args...); err != nil {
		t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func tryNPM(t *testing.T, dir string, args ...string) (output []byte, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "npm", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "CI=1")
	began := time.Now()
	output, err = cmd.CombinedOutput()
	t.Logf("npm %s: %s", strings.Join(args, " "), time.Since(began).Round(time.Second/10))
	return output, err
}

// axe returns the script of axe-core, which finds violations of accessibility.
func axe(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(testenv.Root(), ".cache", "axe")
	lock(t, dir)
	var all []byte
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	once(t, filepath.Join(dir, "packages"), all, func() { install(t, dir) })
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
