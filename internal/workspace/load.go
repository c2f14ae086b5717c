package workspace

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotFound is returned if neither a folder nor its parents are a workspace.
var ErrNotFound = errors.New("no " + FileName + " in this folder or above it")

// Error is a problem in the file and its position.
type Error struct {
	// File is the name of the file, relative to the current folder if it is in it.
	File string
	// Line and Column count from 1; columns are characters.
	Line, Column int
	// Message describes the problem and how to fix it.
	Message string
}

// Error returns "msctl.yaml:LINE:COLUMN: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Find returns the path of the nearest msctl.yaml in dir or above it, or [ErrNotFound].
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", FileName, err)
	}
	for {
		path := filepath.Join(dir, FileName)
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find %s: %w", FileName, err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNotFound
		}
		dir = parent
	}
}

// Load reads and checks the file at path. If it is invalid, the error joins an *Error for
// each problem, in the order of the file.
func Load(path string) (*Workspace, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("load workspace: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load workspace: %w", err)
	}
	c := &checker{file: displayPath(path)}
	if err := c.local.readDotenv(filepath.Dir(path)); err != nil {
		return nil, err
	}
	c.lookup = c.local.LookupEnv
	w, err := c.parsed(text)
	if err != nil {
		return nil, err
	}
	w.Path, w.Dir = path, filepath.Dir(path)
	return w, nil
}

// Parse checks the text of a workspace file. file is its name in errors, which are those
// of [Load]. References to variables are not replaced in `env`; in other places, their
// defaults count.
func Parse(file string, text []byte) (*Workspace, error) {
	return (&checker{file: file}).parsed(text)
}

func (c *checker) parsed(text []byte) (*Workspace, error) {
	w := c.workspace(text)
	if len(c.problems) == 0 {
		w.Local = c.local
		return w, nil
	}
	slices.SortStableFunc(c.problems, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	joined := make([]error, 0, len(c.problems))
	for _, p := range c.problems[:min(len(c.problems), 20)] {
		joined = append(joined, p)
	}
	return nil, errors.Join(joined...)
}

// displayPath returns path relative to the current folder, if it is in it.
func displayPath(path string) string {
	current, err := os.Getwd()
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(current, path)
	if err != nil || strings.HasPrefix(relative, "..") {
		return path
	}
	return relative
}

// Current loads the workspace of the current folder. It returns nil if there is none.
func Current() (*Workspace, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the workspace: %w", err)
	}
	path, err := Find(dir)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return Load(path)
}
