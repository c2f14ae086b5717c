// Package modules finds the file that an import of a TypeScript file refers to: relative
// paths, index files, tsconfig paths (with extends and baseUrl), packages of a workspace, and
// packages in node_modules. It prefers sources to what was compiled from them.
package modules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Resolver resolves imports. It remembers what it has read, so it must not outlive a
// change of the files. It must not be used concurrently.
type Resolver struct {
	files    map[string]bool // path to whether it is a file
	resolved map[[2]string]string
	configs  map[string]*config // by folder; nil for none
	packages map[string]*manifest
	roots    map[string]map[string]string // workspace root to package name to folder
	read     map[string]bool
}

// New returns a resolver.
func New() *Resolver {
	return &Resolver{
		files: map[string]bool{}, resolved: map[[2]string]string{}, configs: map[string]*config{},
		packages: map[string]*manifest{}, roots: map[string]map[string]string{}, read: map[string]bool{},
	}
}

// Read returns the configuration files that the results depend on.
func (r *Resolver) Read() []string {
	var out []string
	for path := range r.read {
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// Resolve returns the path of the file that an import in the file from refers to, or "" if
// there is none. from is absolute.
func (r *Resolver) Resolve(from, spec string) string {
	dir := filepath.Dir(from)
	key := [2]string{dir, spec}
	path, ok := r.resolved[key]
	if !ok {
		path = r.resolve(dir, spec)
		r.resolved[key] = path
	}
	return path
}

func (r *Resolver) resolve(dir, spec string) string {
	switch {
	case IsRelative(spec):
		return r.file(filepath.Join(dir, filepath.FromSlash(spec)))
	case strings.HasPrefix(spec, "#"):
		if path := r.packageImport(dir, spec); path != "" {
			return path
		}
	}
	if path := r.alias(dir, spec); path != "" {
		return path
	}
	return r.packageFile(dir, spec)
}

// IsRelative reports whether an import names a file and not a package or an alias.
func IsRelative(spec string) bool {
	return spec == "." || spec == ".." || strings.HasPrefix(spec, "./") || strings.HasPrefix(spec, "../") || strings.HasPrefix(spec, "/")
}

// sources are the endings of files, the preferred ones first.
var sources = []string{".ts", ".tsx", ".mts", ".cts", ".d.ts", ".d.mts", ".d.cts", ".js", ".jsx", ".mjs", ".cjs", ".json"}

// compiled maps the ending of an import to those of the source, as TypeScript does.
var compiled = map[string][]string{
	".js": {".ts", ".tsx", ".d.ts"}, ".jsx": {".tsx", ".d.ts"}, ".mjs": {".mts", ".d.mts"}, ".cjs": {".cts", ".d.cts"},
}

// file returns the source that a path without an ending, with the ending of compiled code,
// or of a folder refers to.
func (r *Resolver) file(path string) string {
	ext := filepath.Ext(path)
	for _, source := range compiled[ext] {
		if candidate := strings.TrimSuffix(path, ext) + source; r.isFile(candidate) {
			return candidate
		}
	}
	if slices.Contains(sources, ext) && r.isFile(path) {
		return path
	}
	for _, source := range sources {
		if source != ".json" && r.isFile(path+source) {
			return path + source
		}
	}
	if m := r.manifest(path); m != nil {
		if found := r.entry(m, ""); found != "" {
			return found
		}
	}
	for _, source := range sources {
		if index := filepath.Join(path, "index"+source); r.isFile(index) {
			return index
		}
	}
	return ""
}

func (r *Resolver) isFile(path string) bool {
	known, ok := r.files[path]
	if !ok {
		info, err := os.Stat(path)
		known = err == nil && info.Mode().IsRegular()
		r.files[path] = known
	}
	return known
}

// parents calls visit for a folder and its parents, up to the root of the repository.
func parents(dir string, visit func(dir string) (done bool)) {
	for {
		if visit(dir) {
			return
		}
		parent := filepath.Dir(dir)
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || parent == dir {
			return
		}
		dir = parent
	}
}

// maxConfig limits the size of a configuration file, in bytes.
const maxConfig = 1 << 20

// readJSON reads a JSON file, which may have comments and trailing commas.
func (r *Resolver) readJSON(path string, into any) bool {
	if !r.isFile(path) {
		return false
	}
	r.read[path] = true
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxConfig {
		return false
	}
	text, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(PlainJSON(text), into) == nil
}

// PlainJSON removes comments, trailing commas, and the byte order mark.
func PlainJSON(text []byte) []byte {
	s := strings.TrimPrefix(string(text), "\ufeff")
	var out []byte
	for i := 0; i < len(s); {
		switch {
		case s[i] == '"':
			stop := i + 1
			for stop < len(s) && s[stop] != '"' {
				if s[stop] == '\\' {
					stop++
				}
				stop++
			}
			stop = min(stop+1, len(s))
			out = append(out, s[i:stop]...)
			i = stop
		case strings.HasPrefix(s[i:], "//"):
			i += lengthTo(s[i:], "\n")
		case strings.HasPrefix(s[i:], "/*"):
			i += lengthTo(s[i:], "*/")
		case s[i] == '}' || s[i] == ']':
			for n := len(out); n > 0 && strings.IndexByte(" \t\r\n,", out[n-1]) >= 0; n-- {
				if out[n-1] == ',' {
					out[n-1] = ' '
					break
				}
			}
			out = append(out, s[i])
			i++
		default:
			out = append(out, s[i])
			i++
		}
	}
	return out
}

func lengthTo(s, end string) int {
	if n := strings.Index(s, end); n >= 0 {
		return n + len(end)
	}
	return len(s)
}
