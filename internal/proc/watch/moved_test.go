package watch

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/workspace"
)

const testTimeout = 60 * time.Second

// watching is a watcher of a new folder, and a subscription of all Go files in it.
func watching(t *testing.T, files ...string) (dir string, sub *Subscription) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		write(t, filepath.Join(dir, file), "package x")
	}
	w, err := New(&workspace.Workspace{Dir: dir, Path: filepath.Join(dir, workspace.FileName)}, t.Logf, func([]string) {})
	if err != nil {
		t.Fatal(err)
	}
	sub = w.Subscribe(&workspace.Service{Path: "."})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return dir, sub
}

func write(t *testing.T, file, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// awaitChange awaits a change of the path.
func awaitChange(t *testing.T, sub *Subscription, path string) {
	t.Helper()
	timer := time.NewTimer(testTimeout)
	defer timer.Stop()
	for {
		select {
		case c := <-sub.Changes:
			if slices.Contains(c.Paths, path) {
				return
			}
		case <-timer.C:
			t.Fatalf("no change of %s is reported", path)
		}
	}
}

// copyTree copies a folder.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestMovedParent checks that edits are reported after a parent of the edited file's
// folder has been moved, and replaced in different ways.
func TestMovedParent(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not rename a folder that is watched")
	}
	for name, replace := range map[string]func(t *testing.T, dir string){
		"a copy": func(t *testing.T, dir string) {
			t.Helper()
			rename(t, filepath.Join(dir, "lib"), filepath.Join(dir, "lib.old"))
			copyTree(t, filepath.Join(dir, "lib.old"), filepath.Join(dir, "lib"))
		},
		"a generated folder": func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "lib.new", "a", "money", "money.go"), "package y")
			rename(t, filepath.Join(dir, "lib"), filepath.Join(dir, "lib.old"))
			rename(t, filepath.Join(dir, "lib.new"), filepath.Join(dir, "lib"))
		},
		"there and back": func(t *testing.T, dir string) {
			t.Helper()
			rename(t, filepath.Join(dir, "lib"), filepath.Join(dir, "lib.old"))
			rename(t, filepath.Join(dir, "lib.old"), filepath.Join(dir, "lib"))
		},
		"from outside": func(t *testing.T, dir string) {
			t.Helper()
			outside := filepath.Join(t.TempDir(), "lib")
			write(t, filepath.Join(outside, "a", "money", "money.go"), "package y")
			if err := os.RemoveAll(filepath.Join(dir, "lib")); err != nil {
				t.Fatal(err)
			}
			rename(t, outside, filepath.Join(dir, "lib"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, sub := watching(t, "lib/a/money/money.go")
			for range 2 { // what was replaced once can be replaced again
				replace(t, dir)
				write(t, filepath.Join(dir, "marker.go"), "package x")
				awaitChange(t, sub, "marker.go") // the replacement has been processed
				write(t, filepath.Join(dir, "lib", "a", "money", "money.go"), "package edited")
				awaitChange(t, sub, "lib/a/money/money.go")
				_ = os.RemoveAll(filepath.Join(dir, "lib.old"))
			}
		})
	}
}

// TestReconcile checks that the watched folders follow the tree if the system has reported
// nothing at all.
func TestReconcile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "lib", "a", "a.go"), "package a")
	w, err := New(&workspace.Workspace{Dir: dir}, t.Logf, func([]string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer w.notes.Close()
	changed := map[string]bool{}
	if w.reconcile(changed) {
		t.Errorf("nothing has changed, but these are reported: %v", changed)
	}
	stale := func(name string) { // as if a different folder had this name now
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		w.watched[filepath.Join(dir, name)] = info
	}
	stale("lib/a")
	stale("gone")
	write(t, filepath.Join(dir, "new", "b.go"), "package b")
	if !w.reconcile(changed) || !changed[filepath.Join(dir, "lib", "a", "a.go")] || !changed[filepath.Join(dir, "new", "b.go")] {
		t.Errorf("changes %v, want the files of lib/a and new", changed)
	}
	for _, name := range []string{"lib/a", "new"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(path); err != nil || !os.SameFile(info, orEmpty(w.watched[path])) || !slices.Contains(w.notes.WatchList(), path) {
			t.Errorf("%s is not watched", name)
		}
	}
	if w.watched[filepath.Join(dir, "gone")] != nil {
		t.Error("a folder that does not exist counts as watched")
	}
	if changed = map[string]bool{}; w.reconcile(changed) {
		t.Errorf("reported again: %v", changed)
	}
}

func orEmpty(info fs.FileInfo) fs.FileInfo {
	if info != nil {
		return info
	}
	other, _ := os.Stat(os.TempDir())
	return other
}
