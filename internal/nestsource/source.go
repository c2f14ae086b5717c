// Package nestsource extracts message patterns from NestJS sources: the arguments of
// @MessagePattern and @EventPattern in TypeScript files.
//
// It is not a compiler: it understands literals, and constants, enums, and static members
// that are literals in the same file. It reports everything else with its position.
package nestsource

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Handler is one handler found in the sources.
type Handler struct {
	// Pattern is its pattern as JSON.
	Pattern string
	// Event reports whether it is an @EventPattern.
	Event bool
	// Class and Method name the handler; "" if they were not recognized.
	Class, Method string
	// File is relative to the folder that was read, with slashes. Line counts
	// from 1.
	File string
	Line int
}

// Unread is a pattern that could not be read.
type Unread struct {
	File string
	Line int
	// Text is the argument in the source.
	Text string
	// Reason explains why.
	Reason string
}

// String returns "file:line: cannot read the pattern text: reason".
func (u Unread) String() string {
	return fmt.Sprintf("%s:%d: cannot read the pattern %s: %s", u.File, u.Line, u.Text, u.Reason)
}

// maxFile limits the size of a file, in bytes. Handwritten sources are smaller.
const maxFile = 4 << 20

// Read reads all TypeScript files in dir and its subfolders in lexical order, except
// node_modules, dist, hidden folders, declarations, and tests. The error is that of the
// file system. An unreadable pattern is not an error.
func Read(dir string) ([]Handler, []Unread, error) {
	var handlers []Handler
	var unread []Unread
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != dir && skipFolder(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !isSource(entry.Name()) || !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Size() > maxFile {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h, u := Parse(filepath.ToSlash(name), text)
		handlers, unread = append(handlers, h...), append(unread, u...)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read NestJS sources: %w", err)
	}
	return handlers, unread, nil
}

func skipFolder(name string) bool {
	return strings.HasPrefix(name, ".") || name == "node_modules" || name == "dist" || name == "coverage"
}

func isSource(name string) bool {
	switch filepath.Ext(name) {
	case ".ts", ".mts", ".cts":
	default:
		return false
	}
	for _, suffix := range []string{".d.ts", ".spec.ts", ".test.ts", ".e2e-spec.ts"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}

// Parse reads one file. name is the value of Handler.File and Unread.File.
func Parse(name string, text []byte) ([]Handler, []Unread) {
	if !bytes.Contains(text, []byte("Pattern")) {
		return nil, nil
	}
	p := &parser{file: name, source: string(text), tokens: scan(string(text))}
	p.constants = p.collect()
	var class string
	for p.i = 0; p.i < len(p.tokens); p.i++ {
		switch {
		case p.is("class") && p.kindAt(1) == word:
			class = p.at(1).text
		case p.is("@") && (p.at(1).text == "MessagePattern" || p.at(1).text == "EventPattern") && p.at(2).text == "(":
			p.decorator(class)
		}
	}
	slices.SortStableFunc(p.handlers, func(a, b Handler) int { return cmp.Compare(a.Line, b.Line) })
	return p.handlers, p.unread
}
