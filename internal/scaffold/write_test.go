package scaffold

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree returns what is below dir, path to content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if entry.IsDir() {
			out[filepath.ToSlash(name)+"/"] = ""
			return nil
		}
		data, err := os.ReadFile(path)
		out[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir string, force bool, files ...File) error {
	t.Helper()
	steps, err := Plan(dir, files)
	if err != nil {
		t.Fatal(err)
	}
	return Write(dir, steps, force)
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "kept", "k")
	put(t, dir, "grown", "a")
	err := write(t, dir, false,
		File{Path: "new/deep/file", Data: []byte("n")},
		File{Path: "kept", Data: []byte("k")},
		File{Path: "grown", Data: []byte("ab"), Edited: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"./": "", "new/": "", "new/deep/": "", "new/deep/file": "n", "kept": "k", "grown": "ab"}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteRefusesWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "mine", "m")
	files := []File{{Path: "a", Data: []byte("a")}, {Path: "mine", Data: []byte("theirs")}}
	err := write(t, dir, false, files...)
	var conflict *ConflictError
	if !errors.As(err, &conflict) || cmp.Diff([]string{"mine"}, conflict.Paths) != "" {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(map[string]string{"./": "", "mine": "m"}, tree(t, dir)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
	if err := write(t, dir, true, files...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"./": "", "mine": "theirs", "a": "a"}, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestWriteAllOrNothing: a failure in the middle leaves the disk as it was.
func TestWriteAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "grown", "a")
	put(t, dir, "blocked", "a file where a folder should be")
	before := tree(t, dir)
	steps := []Step{
		{File{Path: "x/y/new", Data: []byte("n")}, Create},
		{File{Path: "grown", Data: []byte("ab"), Edited: true}, Insert},
		{File{Path: "blocked/file", Data: []byte("b")}, Create},
	}
	err := Write(dir, steps, false)
	if err == nil || !strings.Contains(err.Error(), "blocked/file") {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("the disk was changed: %s", diff)
	}
}
