package modules

import (
	"encoding/json"
	"path/filepath"
	"sort"
	"strings"
)

// config is the part of a tsconfig.json that imports depend on. Paths are absolute.
type config struct {
	baseURL string
	paths   []pathRule // the longest prefix first
}

// pathRule maps an import, in which * stands for any text, to places.
type pathRule struct {
	pattern string
	places  []string
}

// tsconfigs are the files that a folder may have. Several tools split one configuration, so
// all of them count.
var tsconfigs = []string{"tsconfig.json", "tsconfig.app.json", "tsconfig.lib.json", "tsconfig.build.json", "tsconfig.base.json"}

// alias resolves an import with the configurations of a folder and its parents.
func (r *Resolver) alias(dir, spec string) (found string) {
	parents(dir, func(dir string) bool {
		if c := r.config(dir); c != nil {
			found = r.aliasIn(c, spec)
		}
		return found != ""
	})
	return found
}

func (r *Resolver) aliasIn(c *config, spec string) string {
	for _, rule := range c.paths {
		star, ok := match(rule.pattern, spec)
		if !ok {
			continue
		}
		for _, place := range rule.places {
			if path := r.file(strings.Replace(place, "*", filepath.FromSlash(star), 1)); path != "" {
				return path
			}
		}
	}
	if c.baseURL != "" {
		return r.file(filepath.Join(c.baseURL, filepath.FromSlash(spec)))
	}
	return ""
}

// match returns the text that * stands for.
func match(pattern, text string) (star string, ok bool) {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return "", pattern == text
	}
	if len(text) < len(before)+len(after) || !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
		return "", false
	}
	return text[len(before) : len(text)-len(after)], true
}

// config returns the merged configuration of a folder, or nil.
func (r *Resolver) config(dir string) *config {
	c, ok := r.configs[dir]
	if ok {
		return c
	}
	for _, name := range tsconfigs {
		if next := r.load(filepath.Join(dir, name), dir, 0); next != nil {
			c = merge(next, c)
		}
	}
	if c != nil {
		sort.SliceStable(c.paths, func(i, j int) bool {
			return strings.IndexByte(c.paths[i].pattern+"*", '*') > strings.IndexByte(c.paths[j].pattern+"*", '*')
		})
	}
	r.configs[dir] = c
	return c
}

// merge adds to a configuration what it does not say itself. Either may be nil.
func merge(base, c *config) *config {
	if c == nil {
		return base
	}
	if base == nil {
		return c
	}
	out := &config{baseURL: c.baseURL, paths: c.paths}
	if out.baseURL == "" {
		out.baseURL = base.baseURL
	}
	known := map[string]bool{}
	for _, rule := range c.paths {
		known[rule.pattern] = true
	}
	for _, rule := range base.paths {
		if !known[rule.pattern] {
			out.paths = append(out.paths, rule)
		}
	}
	return out
}

// load reads a file and what it extends. root replaces ${configDir}.
func (r *Resolver) load(path, root string, depth int) *config {
	var file struct {
		Extends         json.RawMessage `json:"extends"`
		CompilerOptions struct {
			BaseURL string              `json:"baseUrl"`
			Paths   map[string][]string `json:"paths"`
		} `json:"compilerOptions"`
	}
	if depth > 10 || !r.readJSON(path, &file) {
		return nil
	}
	dir := filepath.Dir(path)
	c := &config{}
	at := func(base, place string) string {
		place = strings.ReplaceAll(place, "${configDir}", root)
		if filepath.IsAbs(place) {
			return filepath.Clean(place)
		}
		return filepath.Join(base, filepath.FromSlash(place))
	}
	if file.CompilerOptions.BaseURL != "" {
		c.baseURL = at(dir, file.CompilerOptions.BaseURL)
	}
	var base *config
	for _, name := range extended(file.Extends) {
		if found := r.extendedFile(dir, name); found != "" {
			base = merge(base, r.load(found, root, depth+1))
		}
	}
	pathsBase := dir
	if c.baseURL != "" {
		pathsBase = c.baseURL
	} else if base != nil && base.baseURL != "" {
		pathsBase = base.baseURL
	}
	for pattern, places := range file.CompilerOptions.Paths {
		rule := pathRule{pattern: pattern}
		for _, place := range places {
			rule.places = append(rule.places, at(pathsBase, place))
		}
		c.paths = append(c.paths, rule)
	}
	sort.Slice(c.paths, func(i, j int) bool { return c.paths[i].pattern < c.paths[j].pattern })
	if len(c.paths) > 0 && base != nil {
		base = &config{baseURL: base.baseURL} // paths replace those of the base
	}
	return merge(base, c)
}

// extended returns the names in extends. Later ones take precedence.
func extended(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var several []string
	if json.Unmarshal(raw, &several) != nil {
		return nil
	}
	return several
}

func (r *Resolver) extendedFile(dir, name string) (found string) {
	if IsRelative(name) || filepath.IsAbs(name) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, filepath.FromSlash(name))
		}
		return r.firstFile(path, path+".json", filepath.Join(path, "tsconfig.json"))
	}
	parents(dir, func(dir string) bool {
		path := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
		found = r.firstFile(path, path+".json", filepath.Join(path, "tsconfig.json"))
		return found != ""
	})
	return found
}

func (r *Resolver) firstFile(paths ...string) string {
	for _, path := range paths {
		if r.isFile(path) {
			return path
		}
	}
	return ""
}
