// Package workspaces writes and builds workspaces for tests that run their programs.
package workspaces

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/test/testenv"
)

// Write writes a workspace to dir, as `msctl new` does.
func Write(tb testing.TB, dir string, w scaffold.Workspace) {
	tb.Helper()
	files, err := w.Files()
	if err != nil {
		tb.Fatal(err)
	}
	Add(tb, dir, files)
}

// Add writes files to a workspace. It replaces those that exist.
func Add(tb testing.TB, dir string, files []scaffold.File) {
	tb.Helper()
	steps, err := scaffold.Plan(dir, files)
	if err == nil {
		err = scaffold.Write(dir, steps, true)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Build builds programs of a workspace, which are then in its folder bin.
func Build(tb testing.TB, dir string, programs ...string) {
	tb.Helper()
	args := []string{"build", "-o", "bin" + string(filepath.Separator)}
	for _, name := range programs {
		args = append(args, "./apps/"+name)
	}
	cmd := exec.CommandContext(tb.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), testenv.WorkspaceBuild()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
}
