package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/disk"
)

func text(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

// files returns the names and the contents of the files in a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(content)
	}
	return all
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := disk.Check(path); err != nil {
		t.Fatal(err)
	}
	if err := disk.Write(path, text("one")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is full")
	err := disk.Write(path, func(w io.Writer) error { return errors.Join(text("half")(w), broken) })
	if !errors.Is(err, broken) {
		t.Errorf("a write that fails: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"file": "one"}, files(t, dir)); diff != "" {
		t.Errorf("after a write that failed (-want +got):\n%s", diff)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	if err := disk.Write(link, text("two")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the mode changed: %v, %v", info, err)
	}
	if diff := cmp.Diff(map[string]string{"file": "two", "link": "two"}, files(t, dir)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "missing", "file")} {
		if disk.Check(path) == nil || disk.Write(path, text("x")) == nil {
			t.Errorf("%s was written", path)
		}
	}
	if err := errors.Join(disk.Check(os.DevNull), disk.Write(os.DevNull, text("x"))); err != nil {
		t.Errorf("a device: %v", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.NewSpool(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if err := text("a lot")(s); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); runtime.GOOS != "windows" && len(left) > 0 {
		t.Errorf("the spool has a name: %v", left)
	}
	var out strings.Builder
	if err := s.CopyTo(&out); err != nil || out.String() != "a lot" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
