package nestsource

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Service is the handlers of one service of a workspace.
type Service struct {
	// Name is the name of the service in msctl.yaml.
	Name string
	// Dir is the folder with its sources, absolute.
	Dir string
	// Handlers are its handlers, in the order of [Project.Handlers].
	Handlers []Handler
}

// Services reads the handlers of those services of a workspace that are NestJS applications:
// their folder has a package.json with NestJS, or is in one. With names, it reads only these
// services. A service whose sources cannot be read is left out. Results are cached until a
// file changes.
func Services(ctx context.Context, w *workspace.Workspace, names ...string) []Service {
	var out []Service
	read := map[string][]Handler{}
	finder := applicationFinder{map[string]map[string]string{}}
	for _, s := range w.Services {
		if s.Kind == workspace.KindGateway || len(s.Command) == 0 || len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		dir := finder.applicationDir(w.WorkDir(s), s.Command)
		if !usesNest(dir) {
			continue
		}
		handlers, ok := read[dir]
		if !ok {
			var err error
			if handlers, err = cached(ctx, dir); err != nil {
				continue
			}
			read[dir] = handlers
		}
		out = append(out, Service{s.Name, dir, slices.DeleteFunc(slices.Clone(handlers), func(h Handler) bool { return h.Unused })})
	}
	return out
}

// usesNest reports whether the package.json of a folder, or of a parent, names a package of
// NestJS.
func usesNest(dir string) (found bool) {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "package.json"))
		if err == nil && strings.Contains(string(text), `"@nestjs/`) {
			return true
		}
		parent := filepath.Dir(dir)
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil || parent == dir {
			return false
		}
		dir = parent
	}
}

// HasNest reports whether the package.json of a folder, or of a folder in it, names a
// package of NestJS.
func HasNest(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "*", "package.json"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(append(found, filepath.Join(dir, "package.json")), func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"@nestjs/`)
	})
}

// applicationFinder finds the folders of applications.
type applicationFinder struct {
	names map[string]map[string]string // by folder, those of projectNames
}

// applicationDir returns the folder of the application that a command starts in a folder:
// the folder itself, or one of several applications in it.
func (f *applicationFinder) applicationDir(dir string, command []string) string {
	words := command
	for range 4 { // a script may run another one
		if app := f.named(dir, words); app != "" {
			return app
		}
		more := scriptWords(dir, words)
		if len(more) == 0 {
			break
		}
		words = more
	}
	return dir
}

// named returns the folder of the application that one of the words names, or "".
func (f *applicationFinder) named(dir string, words []string) string {
	for _, word := range words {
		if app := namedApplication(dir, word); app != "" {
			return app
		}
	}
	if f.names[dir] == nil {
		f.names[dir] = projectNames(dir)
	}
	for _, word := range words {
		if _, value, ok := strings.Cut(word, "="); ok { // --filter=@scope/orders
			word = value
		}
		name, _, _ := strings.Cut(strings.Trim(word, `"'`), ":") // orders:serve
		if app := f.names[dir][name]; app != "" {
			return app
		}
	}
	return ""
}

// scriptWords returns the words of the scripts in package.json that a command names.
func scriptWords(dir string, words []string) []string {
	var manifest struct {
		Scripts map[string]string `json:"scripts"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil || json.Unmarshal(text, &manifest) != nil {
		return nil
	}
	var out []string
	for _, word := range words {
		for part := range strings.FieldsSeq(manifest.Scripts[word]) {
			if !slices.Contains(words, part) {
				out = append(out, part)
			}
		}
	}
	return out
}

// namedApplication returns the folder of the application that a word of a command names:
// a project of nest-cli.json, or a folder such as apps/orders or dist/apps/orders.
func namedApplication(dir, word string) string {
	word = strings.Trim(filepath.ToSlash(word), `"'`)
	if _, value, ok := strings.Cut(word, "="); ok { // --filter=orders
		word = value
	}
	var cli struct {
		Projects map[string]struct {
			Root string `json:"root"`
		} `json:"projects"`
	}
	if text, err := os.ReadFile(filepath.Join(dir, "nest-cli.json")); err == nil && json.Unmarshal(text, &cli) == nil {
		if project, ok := cli.Projects[word]; ok && project.Root != "" {
			return filepath.Join(dir, filepath.FromSlash(project.Root))
		}
	}
	parts := strings.Split(strings.TrimPrefix(word, "./"), "/")
	for i, part := range parts {
		if i+1 < len(parts) && slices.Contains(applicationFolders, part) && isDir(filepath.Join(dir, part, parts[i+1])) {
			return filepath.Join(dir, part, parts[i+1])
		}
	}
	name := parts[len(parts)-1] // @scope/name, or the name alone
	name, _, _ = strings.Cut(name, ":")
	for _, folder := range applicationFolders {
		if app := filepath.Join(dir, folder, name); name != "" && name != "." && name != ".." && isDir(app) {
			return app
		}
	}
	return ""
}

// projectNames returns the folders of the projects of Nx and of the packages of a
// workspace by their names, which may differ from those of the folders. It looks in the
// folders of applications, two levels deep.
func projectNames(dir string) map[string]string {
	names := map[string]string{}
	for _, folder := range applicationFolders {
		for _, depth := range []string{"*", "*/*"} {
			for _, file := range []string{"package.json", "project.json"} { // the latter takes precedence
				found, err := filepath.Glob(filepath.Join(dir, folder, depth, file))
				if err != nil {
					continue // the folder has a special character in its name
				}
				for _, path := range found {
					if name := nameIn(path); name != "" {
						names[name] = filepath.Dir(path)
					}
				}
			}
		}
	}
	return names
}

// nameIn returns the name in a project.json or package.json.
func nameIn(path string) string {
	var file struct {
		Name string `json:"name"`
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &file) != nil {
		return ""
	}
	return file.Name
}

// applicationFolders are the folders in which monorepos keep their applications.
var applicationFolders = []string{"apps", "services", "packages", "applications", "microservices"}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Dir returns the folder with the sources of a service or a gateway that is a NestJS application,
// absolute, or "" if it is none.
func Dir(w *workspace.Workspace, s *workspace.Service) string {
	if len(s.Command) == 0 {
		return ""
	}
	finder := applicationFinder{map[string]map[string]string{}}
	dir := finder.applicationDir(w.WorkDir(s), s.Command)
	if !usesNest(dir) {
		return ""
	}
	return dir
}
