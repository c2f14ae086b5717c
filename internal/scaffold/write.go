package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/disk"
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
	// Replace overwrites a different file that msctl wrote and that has not been changed.
	Replace
	// Remove removes a file that msctl wrote and that has not been changed.
	Remove
	// Conflict stands for a different file that is the user's, and is not written.
	Conflict
)

// Step is one file of a plan and its state.
type Step struct {
	File
	State State
}

// Plan compares files with those in dir. It changes nothing. The last step updates the
// record of what msctl wrote.
func Plan(dir string, files []File) ([]Step, error) {
	written, before, err := readRecord(dir)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", recordFile, err)
	}
	steps := make([]Step, 0, len(files)+1)
	for _, f := range files {
		step, err := plan(dir, f, written)
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", f.Path, err)
		}
		steps = append(steps, step)
	}
	own := File{Path: recordFile, Data: withEndingsOf(before, written.text()), Generated: true}
	state := Insert
	switch {
	case before == nil:
		state = Create
	case bytes.Equal(before, own.Data):
		state = Same
	}
	return append(steps, Step{own, state}), nil
}

// plan returns the step for one file, and updates the record.
func plan(dir string, f File, written record) (Step, error) {
	old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		if f.Removed {
			delete(written, f.Path)
			return Step{f, Same}, nil
		}
		written[f.Path] = objectID(f.Data)
		return Step{f, Create}, nil
	}
	if err != nil {
		return Step{}, err
	}
	step, own := Step{f, Conflict}, written.unchanged(f.Path, old)
	switch {
	case f.Removed && own:
		delete(written, f.Path)
		step.State = Remove
		return step, nil
	case f.Removed:
		return step, nil
	case bytes.Equal(unix(old), f.Data):
		step.State = Same
	case f.Edited:
		step.State = Insert
	case own:
		step.State = Replace
	}
	// A file with inserted lines counts as changed: what msctl wrote at first remains the
	// base of a later merge. A generated file is written again as a whole.
	if own && (!f.Edited || f.Generated) || step.State == Same && !f.Edited {
		written[f.Path] = objectID(f.Data)
	}
	step.Data = withEndingsOf(old, f.Data)
	return step, nil
}

// ConflictError names existing files that differ from those to write. Nothing was written.
type ConflictError struct {
	Dir string
	// Yours are files that msctl did not write, or that have changed since. It never
	// overwrites them.
	Yours []string
	// Own are files that msctl wrote and that have not changed since.
	Own []string
}

// Error names the files: the user's, if there are any.
func (e *ConflictError) Error() string {
	if len(e.Yours) > 0 {
		return fmt.Sprintf("files in %s are not msctl's, or have changed since it wrote them: %s", e.Dir, ShortList(e.Yours))
	}
	return fmt.Sprintf("files in %s differ from those that this msctl writes: %s", e.Dir, ShortList(e.Own))
}

// ShortList joins the first ten names.
func ShortList(names []string) string {
	if len(names) <= 10 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), len(names)-10)
}

// Write carries out the steps in dir. If one fails, it undoes all of them. The error is a
// *ConflictError if a file of the user would be replaced or, unless force is set, if files
// that msctl wrote earlier would be.
func Write(dir string, steps []Step, force bool) error {
	conflict := &ConflictError{Dir: dir}
	for _, s := range steps {
		switch s.State {
		case Conflict:
			conflict.Yours = append(conflict.Yours, s.Path)
		case Replace, Remove:
			conflict.Own = append(conflict.Own, s.Path)
		}
	}
	if conflict.Yours != nil || conflict.Own != nil && !force {
		return conflict
	}
	return disk.Uninterrupted(func() error { return writeAll(dir, steps) })
}

func writeAll(dir string, steps []Step) error {
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
	before  map[string]*[]byte // the previous content by path; nil if it did not exist
	order   []string
}

func (w *writer) write(f File) error {
	path := filepath.Join(w.dir, filepath.FromSlash(f.Path))
	if err := w.folder(filepath.Dir(path)); err != nil {
		return err
	}
	var old *[]byte
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		old = &data
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if w.before == nil {
		w.before = map[string]*[]byte{}
	}
	w.before[path], w.order = old, append(w.order, path)
	if f.Removed {
		return os.Remove(path)
	}
	return replaceFile(path, f.Data)
}

func replaceFile(path string, data []byte) error {
	return disk.Write(path, func(to io.Writer) error {
		_, err := to.Write(data)
		return err
	})
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
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, *old) {
			continue // it could not be written
		}
		errs = append(errs, replaceFile(path, *old))
	}
	for _, path := range slices.Backward(w.folders) {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
