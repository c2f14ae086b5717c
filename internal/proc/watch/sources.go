package watch

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Sources is what a Go service is built from, except for the standard library and the
// module cache. The zero value means that the sources are not known.
type Sources struct {
	dirs  map[string]bool // absolute folders of its packages
	files map[string]bool // absolute paths of embedded files, go.mod, and go.sum
}

// has reports whether a change of the file at the absolute path may change the program.
func (s Sources) has(path string) bool {
	if s.files[path] || s.dirs[path] { // a folder that was moved, deleted, or created
		return true
	}
	if s.dirs != nil && !s.dirs[filepath.Dir(path)] {
		return false
	}
	return isSource(path)
}

// isSource reports whether go build may compile the file.
func isSource(path string) bool {
	switch filepath.Ext(path) {
	case ".go":
		return !strings.HasSuffix(path, "_test.go")
	case ".c", ".h", ".s", ".S", ".cc", ".cpp", ".hpp":
		return true
	}
	return false
}

// goPackage is the part of an entry of go list -json that Sources uses.
type goPackage struct {
	Dir        string
	Standard   bool
	EmbedFiles []string
	Module     *goModule
}

type goModule struct {
	Main    bool
	Version string
	GoMod   string
	Replace *goModule
}

// local reports whether the package may be edited: whether it belongs to a main module,
// or to a module that is replaced with a folder.
func (p *goPackage) local() bool {
	switch {
	case p.Standard || p.Dir == "":
		return false
	case p.Module == nil:
		return true
	}
	return p.Module.Main || p.Module.Replace != nil && p.Module.Replace.Version == ""
}

// GoListFields are the fields of go list -json that [ParseSources] needs.
const GoListFields = "Dir,Standard,EmbedFiles,Module"

// ParseSources reads the output of go list -e -deps -json=[GoListFields] for the
// package of a service.
func ParseSources(goList string) (Sources, error) {
	found := Sources{dirs: map[string]bool{}, files: map[string]bool{}}
	for in := json.NewDecoder(strings.NewReader(goList)); ; {
		var p goPackage
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return Sources{}, err
		}
		if p.local() {
			found.add(&p)
		}
	}
}

func (s Sources) add(p *goPackage) {
	s.dirs[p.Dir] = true
	for _, name := range p.EmbedFiles {
		s.files[filepath.Join(p.Dir, filepath.FromSlash(name))] = true
	}
	if m := p.Module; m != nil && m.GoMod != "" {
		s.files[m.GoMod] = true
		s.files[strings.TrimSuffix(m.GoMod, ".mod")+".sum"] = true
	}
}

// folders returns the folders to watch.
func (s Sources) folders() []string {
	seen := map[string]bool{}
	var out []string
	add := func(dir string) {
		if info, err := os.Stat(dir); !seen[dir] && err == nil && info.IsDir() {
			seen[dir] = true
			out = append(out, dir)
		}
	}
	for dir := range s.dirs {
		add(dir)
	}
	for file := range s.files {
		add(filepath.Dir(file))
	}
	return out
}
