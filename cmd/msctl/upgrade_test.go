package main

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpgradeFromEarlierCommit creates a workspace with the msctl before the last commit
// that changed what a workspace gets, edits ten files, and upgrades it: the edits are kept,
// and it builds, and passes vet and its tests.
func TestUpgradeFromEarlierCommit(t *testing.T) {
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		t.Skip("builds an earlier msctl, and a workspace: set MSCTL_TEST_ALL to run it; the scripts upgrade*.txtar cover merging")
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	earlier := buildEarlier(t, filepath.Join(dir, "earlier"))
	command(t, dir, earlier, "new", "shop", "--yes")
	shop := filepath.Join(dir, "shop")
	const mark = "a remark of mine"
	edited := []string{
		"apps/gateway/main.go", "apps/gateway/config.go", "apps/gateway/gateway.go", "apps/items/main.go", "apps/items/server.go", "apps/orders/main.go",
		"apps/orders/server.go", "internal/config/config.go", "compose.yaml", "Makefile", ".env.example",
	}
	for _, name := range edited {
		path := filepath.Join(shop, filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		now := "# " + mark + "\n" + string(text)
		if before, after, found := strings.Cut(string(text), "\npackage "); found {
			clause, rest, _ := strings.Cut(after, "\n")
			now = before + "\npackage " + clause + "\n// " + mark + "\n" + rest
		}
		write(t, path, now)
	}
	msctl := &exec.Cmd{Path: binary, Args: []string{"msctl", "upgrade", "--allow-dirty"}, Dir: shop}
	out, err := msctl.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for _, name := range edited {
		if text, err := os.ReadFile(filepath.Join(shop, filepath.FromSlash(name))); err != nil || !strings.Contains(string(text), mark) {
			t.Errorf("%s has lost its edit: %v", name, err)
		}
	}
	command(t, shop, "go", "build", "./...")
	command(t, shop, "go", "vet", "./...")
	command(t, shop, "go", "test", "./...")
}

// buildEarlier builds the msctl before the last commit that changed the templates or the
// runtime, in a folder.
func buildEarlier(t *testing.T, dir string) string {
	t.Helper()
	git := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", filepath.Join("..", "..")}, args...)...).Output()
		if err != nil {
			t.Skipf("the history of the repository is not available: git %s: %v", args[0], err)
		}
		return string(out)
	}
	last := strings.TrimSpace(git("log", "--max-count=1", "--format=%H", "HEAD", "--", "templates", "runtime"))
	if last == "" {
		t.Skip("the history of the repository is not available")
	}
	commit := strings.TrimSpace(git("rev-parse", "--verify", "--quiet", last+"^"))
	extract(t, git("archive", "--format=tar", commit), dir)
	earlier := filepath.Join(t.TempDir(), "msctl-earlier.exe")
	command(t, dir, "go", "build", "-o", earlier, "./cmd/msctl")
	return earlier
}

// extract writes the files of a tar archive to a folder.
func extract(t *testing.T, archive, dir string) {
	t.Helper()
	for files := tar.NewReader(strings.NewReader(archive)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, string(text))
	}
}

// command runs a program, which must succeed.
func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
