package proc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sources is what a Go service is built from, as far as it is not in the
// module cache or the standard library. The zero value stands for not known.
type sources struct {
	dirs  map[string]bool // folders of its packages, absolute
	files map[string]bool // embedded files and the module's own, absolute
}

// has reports whether a change of the file at path, absolute, may change the
// program.
func (s sources) has(path string) bool {
	if s.files[path] {
		return true
	}
	if s.dirs != nil && !s.dirs[filepath.Dir(path)] {
		return false
	}
	return isSource(path)
}

// isSource reports whether go build may compile a file of that name.
func isSource(path string) bool {
	switch filepath.Ext(path) {
	case ".go":
		return !strings.HasSuffix(path, "_test.go")
	case ".c", ".h", ".s", ".S", ".cc", ".cpp", ".hpp":
		return true
	}
	return false
}

// goPackage is what is used of an entry of go list -json.
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

// local reports whether somebody may edit the package: one of the main module,
// or of one that a folder stands in for.
func (p *goPackage) local() bool {
	switch {
	case p.Standard || p.Dir == "":
		return false
	case p.Module == nil:
		return true
	}
	return p.Module.Main || p.Module.Replace != nil && p.Module.Replace.Version == ""
}

// sourcesOf asks go what a package is built from. A package that does not
// compile has sources too.
func (b *builder) sourcesOf(ctx context.Context, path string) (sources, error) {
	output, err := b.run.tool(ctx, b.run.work.Dir, b.env,
		"go", "list", "-e", "-deps", "-json=Dir,Standard,EmbedFiles,Module", packagePath(path))
	if err != nil {
		return sources{}, err
	}
	found := sources{dirs: map[string]bool{}, files: map[string]bool{}}
	for in := json.NewDecoder(strings.NewReader(output.out)); ; {
		var p goPackage
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return sources{}, err
		}
		if p.local() {
			found.add(&p)
		}
	}
}

func (s sources) add(p *goPackage) {
	s.dirs[p.Dir] = true
	for _, name := range p.EmbedFiles {
		s.files[filepath.Join(p.Dir, filepath.FromSlash(name))] = true
	}
	if m := p.Module; m != nil && m.GoMod != "" {
		s.files[m.GoMod] = true
		s.files[strings.TrimSuffix(m.GoMod, ".mod")+".sum"] = true
	}
}

// folders are all that must be watched to see changes of the sources.
func (s sources) folders() []string {
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
