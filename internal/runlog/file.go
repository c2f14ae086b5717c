package runlog

import (
	"fmt"
	"io"
	"os"
)

const (
	fileLimit = 8 << 20 // bytes of one file of a log
	oldFiles  = 4       // that are kept besides the current one
)

// File limits the size of the log that this process writes to its standard output: when
// the file is full, its content is moved to an older file, and the oldest one is removed.
type File struct {
	path  string
	limit int64
	size  int64
}

// NewFile returns the log at path, to which standard output must append.
func NewFile(path string) *File { return &File{path: path, limit: fileLimit} }

// older returns the name of an older file of a log; 1 is the most recent one.
func older(path string, n int) string { return fmt.Sprintf("%s.%d", path, n) }

// RemoveOlder removes the older files of a log.
func RemoveOlder(path string) error {
	for n := 1; n <= oldFiles; n++ {
		if err := os.Remove(older(path, n)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove an old log: %w", err)
		}
	}
	return nil
}

// wrote counts n bytes that were written, and moves the content of the file if it is full.
// If that fails, the file keeps growing.
func (f *File) wrote(n int) {
	if f == nil {
		return
	}
	if f.size += int64(n); f.size < f.limit {
		return
	}
	f.size = 0
	_ = os.Remove(older(f.path, oldFiles))
	for n := oldFiles - 1; n >= 1; n-- {
		_ = os.Rename(older(f.path, n), older(f.path, n+1))
	}
	// The file itself stays where it is, because it is the standard output of this process
	// and of those that it starts.
	if copyFile(f.path, older(f.path, 1)) == nil {
		_ = os.Truncate(f.path, 0)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
