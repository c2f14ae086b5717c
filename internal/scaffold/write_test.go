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
	got := tree(t, dir)
	delete(got, recordFile)
	want := map[string]string{"./": "", "new/": "", "new/deep/": "", "new/deep/file": "n", "kept": "k", "grown": "ab"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNothingOfTheUserIsLost: no option makes msctl overwrite a file that it did not write,
// or that has changed since. Its own files are replaced if force is set.
func TestNothingOfTheUserIsLost(t *testing.T) {
	dir := t.TempDir()
	if err := write(t, dir, false, File{Path: "a", Data: []byte("a\n")}, File{Path: "b", Data: []byte("b\n")}, File{Path: "c", Data: []byte("c\n")}); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "b", "b\r\n") // only its line endings are different
	put(t, dir, "c", "c and mine\n")
	put(t, dir, "mine", "m\n")
	before := tree(t, dir)

	newer := []File{{Path: "a", Data: []byte("a2\n")}, {Path: "b", Data: []byte("b2\n")}}
	conflict := conflictOf(t, write(t, dir, false, newer...))
	if diff := cmp.Diff(&ConflictError{Dir: dir, Own: []string{"a", "b"}}, conflict); diff != "" {
		t.Error(diff)
	}
	for _, force := range []bool{false, true} {
		conflict := conflictOf(t, write(t, dir, force, append(newer, File{Path: "c", Data: []byte("c2\n")}, File{Path: "mine", Data: []byte("theirs\n")})...))
		if diff := cmp.Diff(&ConflictError{Dir: dir, Yours: []string{"c", "mine"}, Own: []string{"a", "b"}}, conflict); diff != "" {
			t.Error(diff)
		}
	}
	conflictOf(t, write(t, dir, true, File{Path: "c", Removed: true}))
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("something was written: %s", diff)
	}
	if err := write(t, dir, true, append(newer, File{Path: "mine", Data: []byte("m and more\n"), Edited: true})...); err != nil {
		t.Fatal(err)
	}
	if err := write(t, dir, true, File{Path: "a", Removed: true}); err != nil {
		t.Fatal(err)
	}
	got := tree(t, dir)
	if diff := cmp.Diff(recordHeader+objectID([]byte("b2\n"))+" b\n"+objectID([]byte("c\n"))+" c\n", got[recordFile]); diff != "" {
		t.Error(diff)
	}
	delete(got, recordFile)
	want := map[string]string{"./": "", "b": "b2\r\n", "c": "c and mine\n", "mine": "m and more\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// conflictOf returns the conflict that err must be.
func conflictOf(t *testing.T, err error) *ConflictError {
	t.Helper()
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	return conflict
}

// TestObjectID: the IDs are git's, so that git can find the text that msctl wrote.
func TestObjectID(t *testing.T) {
	const id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391" // git hash-object /dev/null
	if got := objectID(nil); got != id {
		t.Errorf("the ID of an empty file is %s", got)
	}
	const hello = "ce013625030ba8dba906f756967f9e9ca394464a" // echo hello | git hash-object --stdin
	for _, text := range []string{"hello\n", "hello\r\n"} {
		if got := objectID([]byte(text)); got != hello {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestLineEndings(t *testing.T) {
	for _, test := range []struct{ name, before, text, want string }{
		{"unix", "a\nb\n", "a\nx\nb\n", "a\nx\nb\n"},
		{"windows", "a\r\nb\r\n", "a\nx\nb\n", "a\r\nx\r\nb\r\n"},
		{"windows, with an unfinished last line", "a\r\nb", "a\nb\nx\n", "a\r\nb\r\nx\r\n"},
		{"mixed", "a\r\nb\nc\r\n", "a\nb\nx\nc\n", "a\r\nb\nx\r\nc\r\n"},
		{"mostly unix", "a\r\nb\nc\nd\n", "a\nx\nb\nc\nd\n", "a\r\nx\nb\nc\nd\n"},
		{"new", "", "a\n", "a\n"},
	} {
		if got := string(withEndingsOf([]byte(test.before), []byte(test.text))); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestWriteAllOrNothing: a failure in the middle leaves the disk as it was.
func TestWriteAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "grown", "a")
	put(t, dir, "old", "o")
	put(t, dir, "blocked", "a file where a folder should be")
	before := tree(t, dir)
	steps := []Step{
		{File{Path: "x/y/new", Data: []byte("n")}, Create},
		{File{Path: "grown", Data: []byte("ab"), Edited: true}, Insert},
		{File{Path: "old", Removed: true}, Remove},
		{File{Path: "blocked/file", Data: []byte("b")}, Create},
	}
	err := Write(dir, steps, true)
	if err == nil || !strings.Contains(err.Error(), "blocked/file") {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("the disk was changed: %s", diff)
	}
}
