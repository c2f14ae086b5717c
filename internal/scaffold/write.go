package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// State is the effect of writing a file.
type State int

const (
	// Create creates a file.
	Create State = iota
	// Insert adds lines to a file of the user.
	Insert
	// Same leaves an identical file alone.
	Same
	// Replace overwrites a different file.
	Replace
)

// Step is one file of a plan and its state.
type Step struct {
	File
	State State
}

// Plan compares files with those in dir. It changes nothing.
func Plan(dir string, files []File) ([]Step, error) {
	steps := make([]Step, 0, len(files))
	for _, f := range files {
		state := Create
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case err == nil && bytes.Equal(old, f.Data):
			state = Same
		case err == nil && f.Edited:
			state = Insert
		case err == nil:
			state = Replace
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("plan %s: %w", f.Path, err)
		}
		steps = append(steps, Step{f, state})
	}
	return steps, nil
}

// ConflictError names existing files that differ from those to write.
type ConflictError struct {
	Dir   string
	Paths []string
}

// Error names the files.
func (e *ConflictError) Error() string {
	shown := e.Paths
	rest := ""
	if len(shown) > 10 {
		rest = fmt.Sprintf(" and %d more", len(shown)-10)
		shown = shown[:10]
	}
	return fmt.Sprintf("files in %s are there already and say something else than msctl writes: %s%s", e.Dir, strings.Join(shown, ", "), rest)
}

// Write carries out the steps in dir. If one fails, it undoes all of them. Files to replace
// are a *ConflictError unless force is set.
func Write(dir string, steps []Step, force bool) error {
	var conflicts []string
	for _, s := range steps {
		if s.State == Replace && !force {
			conflicts = append(conflicts, s.Path)
		}
	}
	if conflicts != nil {
		return &ConflictError{dir, conflicts}
	}
	w := &writer{dir: dir}
	for _, s := range steps {
		if s.State == Same {
			continue
		}
		if err := w.write(s.File); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", s.Path, err), w.undo())
		}
	}
	return nil
}

// writer records how to undo its changes.
type writer struct {
	dir     string
	folders []string           // created folders, outermost first
	before  map[string]*backup // by path
	order   []string
}

// backup is the previous content of a path; nil means that it did not exist.
type backup struct {
	data []byte
	mode fs.FileMode
}

func (w *writer) write(f File) error {
	path := filepath.Join(w.dir, filepath.FromSlash(f.Path))
	if err := w.folder(filepath.Dir(path)); err != nil {
		return err
	}
	var old *backup
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
		old = &backup{data, mode}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if w.before == nil {
		w.before = map[string]*backup{}
	}
	w.before[path], w.order = old, append(w.order, path)
	return replaceFile(path, f.Data, mode)
}

// replaceFile writes a temporary file next to path and renames it, so that path is never
// partially written.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".msctl-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(mode), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// folder creates a folder and its parents.
func (w *writer) folder(path string) error {
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is a file, not a folder", p)
		}
		if err == nil || p == filepath.Dir(p) {
			break
		}
		missing = append(missing, p)
	}
	for _, p := range slices.Backward(missing) {
		if err := os.Mkdir(p, 0o755); err != nil {
			return err
		}
		w.folders = append(w.folders, p)
	}
	return nil
}

// undo restores the previous state.
func (w *writer) undo() error {
	var errs []error
	for _, path := range slices.Backward(w.order) {
		old := w.before[path]
		if old == nil {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			continue
		}
		errs = append(errs, replaceFile(path, old.data, old.mode))
	}
	for _, path := range slices.Backward(w.folders) {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
