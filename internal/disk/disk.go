// Package disk writes files completely or not at all, also when a signal arrives or the
// disk is full.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// fileMode is the mode of a new file.
const fileMode = 0o644

// Check returns an error if a file cannot be written. It changes nothing.
func Check(path string) error {
	isDevice, err := inspect(path)
	if err != nil || isDevice {
		return err
	}
	temp, err := create(path)
	if err != nil {
		return err
	}
	return discard(temp)
}

// inspect reports whether path is neither a regular file nor missing, such as a device
// or a pipe. The error is that of a file that cannot be written.
func inspect(path string) (isDevice bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, fmt.Errorf("%s is a directory", path)
	case !info.Mode().IsRegular():
		return true, nil
	}
	existing, err := os.OpenFile(path, os.O_WRONLY, 0) // replaced only if it may be written
	if err != nil {
		return false, err
	}
	return false, existing.Close()
}

// Write writes a file: to a temporary file in the same directory, which gets the name
// once it is complete. An existing file keeps its mode, and a device is written directly.
func Write(path string, write func(io.Writer) error) error {
	isDevice, err := inspect(path)
	if err != nil {
		return err
	}
	if isDevice {
		device, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(device), device.Close())
	}
	if target, err := filepath.EvalSymlinks(path); err == nil { // the link stays
		path = target
	}
	mode := fs.FileMode(fileMode)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return Uninterrupted(func() error { return replace(path, mode, write) })
}

func replace(path string, mode fs.FileMode, write func(io.Writer) error) error {
	temp, err := create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(temp), temp.Chmod(mode)); err != nil {
		return errors.Join(err, discard(temp))
	}
	if err := temp.Close(); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// create creates a temporary file in the directory of path.
func create(path string) (*os.File, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Unwrap(err))
	}
	return temp, nil
}

func discard(temp *os.File) error { return errors.Join(temp.Close(), os.Remove(temp.Name())) }

// Uninterrupted calls f and ignores signals that would end the program in the meantime.
// A signal that is also handled elsewhere has its effect there.
func Uninterrupted(f func() error) error {
	held := make(chan os.Signal, 1)
	signal.Notify(held, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(held)
	return f()
}

// Spool is a file without a name, for data that is written before its file.
type Spool struct{ file *os.File }

// NewSpool creates a spool on the disk of the file at path, or of temporary files if that
// is a device.
func NewSpool(path string) (*Spool, error) {
	if isDevice, err := inspect(path); err == nil && isDevice {
		path = filepath.Join(os.TempDir(), "spool")
	}
	file, err := create(path)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // fails on Windows until the file is closed
	return &Spool{file}, nil
}

// Write appends to the spool.
func (s *Spool) Write(p []byte) (int, error) { return s.file.Write(p) }

// CopyTo writes the content of the spool to a writer.
func (s *Spool) CopyTo(w io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

// Close deletes the spool.
func (s *Spool) Close() error {
	err := s.file.Close()
	_ = os.Remove(s.file.Name()) // usually done already
	return err
}
