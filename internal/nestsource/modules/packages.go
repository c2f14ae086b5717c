package modules

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// manifest is the part of a package.json that locates sources.
type manifest struct {
	dir        string
	foreign    bool // it is in node_modules
	Name       string
	Source     string
	Types      string
	Typings    string
	Module     string
	Main       string
	Exports    json.RawMessage
	Imports    json.RawMessage
	Workspaces json.RawMessage

	Dependencies     map[string]string
	DevDependencies  map[string]string
	PeerDependencies map[string]string
}

// manifest reads the package.json of a folder. It returns nil if there is none.
func (r *Resolver) manifest(dir string) *manifest {
	m, ok := r.packages[dir]
	if !ok {
		m = &manifest{dir: dir, foreign: slices.Contains(strings.Split(filepath.ToSlash(dir), "/"), "node_modules")}
		if !r.readJSON(filepath.Join(dir, "package.json"), m) {
			m = nil
		}
		r.packages[dir] = m
	}
	return m
}

// nearest returns the manifest of a folder or of the nearest parent that has one.
func (r *Resolver) nearest(dir string) (found *manifest) {
	parents(dir, func(dir string) bool {
		found = r.manifest(dir)
		return found != nil
	})
	return found
}

// packageFile resolves the import of a package, or of a file in it. Packages of the
// workspace come first, because what is in node_modules may be an older copy.
func (r *Resolver) packageFile(dir, spec string) (found string) {
	name, sub := splitPackage(spec)
	if m := r.nearest(dir); m != nil {
		if m.Name == name {
			found = r.entry(m, sub)
		} else if folder := m.linked(name); folder != "" {
			if linked := r.manifest(folder); linked != nil {
				found = r.entry(linked, sub)
			}
		}
	}
	if found != "" {
		return found
	}
	parents(dir, func(dir string) bool {
		if m := r.manifest(r.workspacePackages(dir)[name]); m != nil {
			found = r.entry(m, sub)
		}
		return found != ""
	})
	if found != "" {
		return found
	}
	parents(dir, func(dir string) bool {
		folder, err := filepath.EvalSymlinks(filepath.Join(dir, "node_modules", filepath.FromSlash(name)))
		if err != nil {
			return false
		}
		if m := r.manifest(folder); m != nil {
			found = r.entry(m, sub)
		}
		return true
	})
	return found
}

// splitPackage splits @scope/name/sub/path.
func splitPackage(spec string) (name, sub string) {
	parts := strings.SplitN(spec, "/", 2)
	if strings.HasPrefix(spec, "@") {
		parts = strings.SplitN(spec, "/", 3)
		if len(parts) > 1 {
			parts = append([]string{parts[0] + "/" + parts[1]}, parts[2:]...)
		}
	}
	if len(parts) > 1 {
		sub = parts[1]
	}
	return parts[0], sub
}

// linked returns the folder of a dependency that package.json links by its path.
func (m *manifest) linked(name string) string {
	for _, list := range []map[string]string{m.Dependencies, m.DevDependencies, m.PeerDependencies} {
		for _, prefix := range []string{"file:", "link:", "portal:"} {
			if place, ok := strings.CutPrefix(list[name], prefix); ok {
				return filepath.Join(m.dir, filepath.FromSlash(place))
			}
		}
	}
	return ""
}

// entry returns the file of a package for an import of it (sub is "") or of a file in it.
func (r *Resolver) entry(m *manifest, sub string) string {
	key := "."
	if sub != "" {
		key = "./" + sub
	}
	candidates := targets(m.Exports, key)
	if sub == "" {
		candidates = append(candidates, m.Source, m.Types, m.Typings, m.Module, m.Main)
	}
	for _, c := range candidates {
		if found := r.sourceOf(m, c); found != "" {
			return found
		}
	}
	places := []string{"src/" + sub, sub, "lib/" + sub, "src/lib/" + sub}
	if sub == "" {
		places = []string{"src/index", "index", "lib/index", "src/main", "src/public-api"}
	}
	for _, place := range places {
		if found := r.file(filepath.Join(m.dir, filepath.FromSlash(place))); found != "" {
			return found
		}
	}
	return ""
}

// sourceOf returns the source of a file of a package. A package of the workspace names what
// its build writes, which may be missing or old.
func (r *Resolver) sourceOf(m *manifest, place string) string {
	place = strings.TrimPrefix(path.Clean(place), "./")
	if place == "." || place == "" || strings.HasPrefix(place, "..") {
		return ""
	}
	if first, rest, ok := strings.Cut(place, "/"); ok && !m.foreign && slices.Contains(outputs, first) {
		rest = withoutExt(rest)
		for {
			for _, folder := range []string{"src", "", "lib"} {
				base := filepath.Join(m.dir, folder, filepath.FromSlash(rest))
				for _, ext := range []string{".ts", ".tsx", ".mts", ".cts"} {
					if r.isFile(base + ext) {
						return base + ext
					}
				}
			}
			if !slices.Contains(append(outputs, "src"), firstPart(rest)) {
				break
			}
			_, rest, _ = strings.Cut(rest, "/")
		}
	}
	return r.file(filepath.Join(m.dir, filepath.FromSlash(place)))
}

// outputs are the folders that builds write to.
var outputs = []string{"dist", "build", "lib", "out", "esm", "cjs", "es", "types"}

func firstPart(place string) string {
	first, _, more := strings.Cut(place, "/")
	if !more {
		return ""
	}
	return first
}

// withoutExt removes .js, .d.ts, and similar endings.
func withoutExt(place string) string {
	place = strings.TrimSuffix(place, path.Ext(place))
	return strings.TrimSuffix(place, ".d")
}

// packageImport resolves #name with the imports of the nearest package.json.
func (r *Resolver) packageImport(dir, spec string) string {
	m := r.nearest(dir)
	if m == nil {
		return ""
	}
	for _, target := range targets(m.Imports, spec) {
		if found := r.sourceOf(m, target); found != "" {
			return found
		}
	}
	return ""
}

// targets returns the files that exports or imports name for a key, under any condition.
func targets(raw json.RawMessage, key string) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		if key == "." {
			return []string{one}
		}
		return nil
	}
	var several []json.RawMessage
	if json.Unmarshal(raw, &several) == nil {
		var out []string
		for _, item := range several {
			out = append(out, targets(item, key)...)
		}
		return out
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	if !slices.ContainsFunc(keys(members), func(k string) bool { return strings.HasPrefix(k, ".") || strings.HasPrefix(k, "#") }) {
		if key == "." {
			return conditions(raw, "")
		}
		return nil
	}
	for _, pattern := range keys(members) { // the longest first
		if star, ok := match(pattern, key); ok {
			return conditions(members[pattern], star)
		}
	}
	return nil
}

// keys returns the keys of a map, the longest first.
func keys(m map[string]json.RawMessage) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
}

// conditions returns all files that a target names. Sources and types come first.
func conditions(raw json.RawMessage, star string) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{strings.ReplaceAll(one, "*", star)}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		var several []json.RawMessage
		_ = json.Unmarshal(raw, &several)
		var out []string
		for _, item := range several {
			out = append(out, conditions(item, star)...)
		}
		return out
	}
	names := keys(members)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	var out []string
	for _, name := range names {
		out = append(out, conditions(members[name], star)...)
	}
	return out
}

func rank(condition string) int {
	i := slices.Index([]string{"source", "development", "types", "import", "module", "require", "default"}, condition)
	if i < 0 {
		return 100
	}
	return i
}

// workspacePackages returns the packages of the workspace whose root is dir, by name.
func (r *Resolver) workspacePackages(dir string) map[string]string {
	known, ok := r.roots[dir]
	if ok {
		return known
	}
	r.roots[dir] = nil
	var found map[string]string
	for _, pattern := range r.workspacePatterns(dir) {
		if strings.HasPrefix(pattern, "!") {
			continue
		}
		for _, folder := range folders(dir, pattern) {
			if m := r.manifest(folder); m != nil && m.Name != "" {
				if found == nil {
					found = map[string]string{}
				}
				found[m.Name] = folder
			}
		}
	}
	r.roots[dir] = found
	return found
}

// workspacePatterns returns the globs of the packages of npm, yarn, pnpm, and lerna.
func (r *Resolver) workspacePatterns(dir string) []string {
	var patterns []string
	if m := r.manifest(dir); m != nil && len(m.Workspaces) > 0 {
		var object struct{ Packages []string }
		if json.Unmarshal(m.Workspaces, &patterns) != nil && json.Unmarshal(m.Workspaces, &object) == nil {
			patterns = object.Packages
		}
	}
	var lerna struct{ Packages []string }
	if r.readJSON(filepath.Join(dir, "lerna.json"), &lerna) {
		patterns = append(patterns, lerna.Packages...)
	}
	var pnpm struct{ Packages []string }
	if file := filepath.Join(dir, "pnpm-workspace.yaml"); r.isFile(file) {
		r.read[file] = true
		if text, err := os.ReadFile(file); err == nil && len(text) < maxConfig && yaml.Unmarshal(text, &pnpm) == nil {
			patterns = append(patterns, pnpm.Packages...)
		}
	}
	return patterns
}

// maxFolders limits the folders that a glob with ** visits.
const maxFolders = 5000

// folders returns the folders that a glob matches. ** matches any number of folders.
func folders(dir, pattern string) []string {
	pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/")
	before, after, deep := strings.Cut(pattern, "**")
	if !deep {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return nil
		}
		return found
	}
	var out []string
	visited := 0
	_ = filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(before)), func(p string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // an unreadable folder has no packages
		}
		if visited++; entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") || visited > maxFolders {
			return filepath.SkipDir
		}
		if after = strings.Trim(after, "/"); after == "" || after == "*" || path.Base(p) == after {
			out = append(out, p)
		}
		return nil
	})
	return out
}
