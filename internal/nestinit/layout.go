package nestinit

import (
	"cmp"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/workspace"
)

// application is a NestJS application of the folder. Paths are relative to the folder, with
// slashes.
type application struct {
	name string
	dir  string // its folder, "." for the folder itself
	main string // the file that starts it
	// nest is the folder of nest-cli.json, if it is one of several projects there, and
	// project its name.
	nest, project string
	nx            *nxProject
	start         start
}

// layout is what the configuration files of a folder say about it.
type layout struct {
	root     string // absolute
	project  *nestsource.Project
	apps     []*application
	packages map[string]*manifest       // by folder
	composed map[string]composeServices // by file, of those that have been read
	// installed reports whether a program is installed.
	installed func(program string) bool
	skipped   []string // applications that are not NestJS
}

// manifest is a package.json.
type manifest struct {
	Name            string            `json:"name"`
	Scripts         map[string]string `json:"scripts"`
	PackageManager  string            `json:"packageManager"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	Nx              *nxProject        `json:"nx"`
}

func (m *manifest) depends(name string) bool {
	_, direct := m.Dependencies[name]
	_, dev := m.DevDependencies[name]
	return direct || dev
}

// nxProject is a project.json.
type nxProject struct {
	Name        string              `json:"name"`
	ProjectType string              `json:"projectType"`
	SourceRoot  string              `json:"sourceRoot"`
	Targets     map[string]nxTarget `json:"targets"`
}

type nxTarget struct {
	Executor string `json:"executor"`
	Options  struct {
		Main string `json:"main"`
	} `json:"options"`
}

// nestCLI is a nest-cli.json.
type nestCLI struct {
	Root       string `json:"root"`
	SourceRoot string `json:"sourceRoot"`
	EntryFile  string `json:"entryFile"`
	Projects   map[string]struct {
		Type       string `json:"type"`
		Root       string `json:"root"`
		SourceRoot string `json:"sourceRoot"`
		EntryFile  string `json:"entryFile"`
	} `json:"projects"`
}

// maxConfig limits the size of a configuration file, in bytes.
const maxConfig = 1 << 20

// readConfig returns the contents of a file relative to the folder. ok is false if it cannot be
// read, is no regular file, or is too large to be one.
func (l *layout) readConfig(name string) (text []byte, ok bool) {
	full := filepath.Join(l.root, filepath.FromSlash(name))
	info, err := os.Stat(full)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxConfig {
		return nil, false
	}
	text, err = os.ReadFile(full)
	return text, err == nil
}

// readJSON reads a JSON file relative to the folder. It returns false if there is none.
func (l *layout) readJSON(name string, into any) bool {
	text, ok := l.readConfig(name)
	return ok && json.Unmarshal(nestsource.PlainJSON(text), into) == nil
}

func (l *layout) exists(name string) bool {
	_, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(name)))
	return err == nil
}

// manifest returns the package.json of a folder, or nil.
func (l *layout) manifest(dir string) *manifest {
	m, ok := l.packages[dir]
	if !ok {
		m = &manifest{}
		if !l.readJSON(path.Join(dir, "package.json"), m) {
			m = nil
		}
		l.packages[dir] = m
	}
	return m
}

// parents returns a folder and its parents, up to the folder of the layout.
func parents(dir string) []string {
	out := []string{dir}
	for dir != "." {
		dir = path.Dir(dir)
		out = append(out, dir)
	}
	return out
}

// findLayout finds the applications of a project.
func findLayout(p *nestsource.Project, installed func(program string) bool) *layout {
	l := &layout{root: p.Dir, project: p, packages: map[string]*manifest{}, installed: installed}
	starting := p.Containing("NestFactory")
	mains := append(slices.Clone(starting), slices.DeleteFunc(p.Containing(""), func(file string) bool {
		return path.Base(file) != "main.ts" || slices.Contains(starting, file)
	})...)
	for _, dir := range foldersOf(p) {
		l.nestProjects(dir, mains)
		l.nxApplication(dir, mains)
	}
	for _, main := range mains {
		l.plainApplication(main)
	}
	// A main file may call a function of a library that calls NestFactory.
	l.apps = slices.DeleteFunc(l.apps, func(a *application) bool {
		return !slices.Contains(starting, a.main) && len(p.Part(nil, a.dir).Application(a.main).Creates) == 0
	})
	slices.SortStableFunc(l.apps, func(a, b *application) int { return strings.Compare(a.main, b.main) })
	l.setNames()
	for _, a := range l.apps {
		l.setStart(a)
	}
	l.findOthers()
	return l
}

// foldersOf returns the folders of the project and their parents, in order.
func foldersOf(p *nestsource.Project) []string {
	seen := map[string]bool{}
	for _, dir := range p.Folders() {
		seen[dir] = true
	}
	var out []string
	for dir := range seen {
		out = append(out, dir)
	}
	slices.Sort(out)
	return out
}

func (l *layout) at(main string) *application {
	for _, a := range l.apps {
		if a.main == main {
			return a
		}
	}
	return nil
}

// nestProjects adds the applications that a nest-cli.json lists.
func (l *layout) nestProjects(dir string, mains []string) {
	var cli nestCLI
	if !l.readJSON(path.Join(dir, "nest-cli.json"), &cli) {
		return
	}
	for name, project := range cli.Projects {
		if project.Type == "library" {
			continue
		}
		root := path.Join(dir, project.Root)
		entry := cmp.Or(project.EntryFile, cli.EntryFile, "main") + ".ts"
		candidates := []string{
			path.Join(dir, cmp.Or(project.SourceRoot, path.Join(project.Root, "src")), entry), path.Join(root, project.SourceRoot, entry), path.Join(root, entry),
		}
		if i := slices.IndexFunc(candidates, l.exists); i >= 0 && l.at(candidates[i]) == nil {
			l.apps = append(l.apps, &application{name: name, dir: root, main: candidates[i], nest: dir, project: name})
		}
	}
	if len(cli.Projects) == 0 && cli.EntryFile != "" {
		main := path.Join(dir, cmp.Or(cli.SourceRoot, "src"), cli.EntryFile+".ts")
		if slices.Contains(mains, main) && l.at(main) == nil {
			l.apps = append(l.apps, &application{dir: dir, main: main})
		}
	}
}

// nxApplication adds the application of a project.json, or of a package.json with targets
// of Nx.
func (l *layout) nxApplication(dir string, mains []string) {
	project := &nxProject{}
	if !l.readJSON(path.Join(dir, "project.json"), project) {
		m := l.manifest(dir)
		if m == nil || m.Nx == nil || len(m.Nx.Targets) == 0 || !l.inNx(dir) {
			return
		}
		project = m.Nx
		project.Name = cmp.Or(project.Name, m.Name)
	}
	if project.ProjectType == "library" || !l.inNx(dir) {
		return
	}
	project.Name = cmp.Or(project.Name, path.Base(dir))
	candidates := []string{project.Targets["build"].Options.Main, path.Join(cmp.Or(project.SourceRoot, path.Join(dir, "src")), "main.ts"), path.Join(dir, "src/main.ts")}
	for _, main := range candidates {
		if slices.Contains(mains, main) && l.at(main) == nil {
			l.apps = append(l.apps, &application{name: project.Name, dir: dir, main: main, nx: project})
			return
		}
	}
}

func (l *layout) inNx(dir string) bool {
	return slices.ContainsFunc(parents(dir), func(parent string) bool { return l.exists(path.Join(parent, "nx.json")) })
}

// mainNames are the names of files that start an application.
var mainNames = []string{"main.ts", "index.ts", "server.ts", "app.ts", "bootstrap.ts", "main.mts", "main.cts"}

// plainApplication adds the application of a file that no configuration names.
func (l *layout) plainApplication(main string) {
	dir := path.Dir(main)
	if path.Base(dir) == "src" {
		dir = path.Dir(dir)
	}
	name := path.Base(main)
	known := slices.ContainsFunc(l.apps, func(a *application) bool { return a.dir == dir })
	if !slices.Contains(mainNames, name) || known || l.inLibrary(main) {
		return
	}
	if path.Base(path.Dir(main)) != "src" && l.manifest(dir) == nil && name != "main.ts" {
		return
	}
	l.apps = append(l.apps, &application{dir: dir, main: main})
}

// inLibrary reports whether a file is in a library, which may start applications of others.
func (l *layout) inLibrary(file string) bool {
	return slices.Contains(strings.Split(file, "/"), "libs")
}

// setNames names the applications that no configuration has named, and makes all names
// valid and different.
func (l *layout) setNames() {
	taken := map[string]bool{}
	for _, a := range l.apps {
		name := a.name
		if name == "" {
			name = path.Base(a.dir)
		}
		if m := l.manifest(a.dir); a.name == "" && a.dir == "." {
			name = filepath.Base(l.root)
			if m != nil && m.Name != "" {
				name = m.Name
			}
		}
		name = path.Base(name) // without the scope of a package
		name = cmp.Or(workspace.SimilarName(name), "app")
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = name + "-" + itoa(n)
		}
		taken[unique] = true
		a.name = unique
	}
}

// findOthers finds the folders with a start script next to the applications that are not
// NestJS, so that their absence is not a surprise.
func (l *layout) findOthers() {
	seen := map[string]bool{}
	for _, a := range l.apps {
		seen[a.dir] = true
	}
	for _, a := range l.apps {
		if a.dir == "." {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(l.root, filepath.FromSlash(path.Dir(a.dir))))
		if err != nil {
			continue
		}
		for _, entry := range entries {
			dir := path.Join(path.Dir(a.dir), entry.Name())
			if !entry.IsDir() || seen[dir] {
				continue
			}
			seen[dir] = true
			if m := l.manifest(dir); m != nil && (m.Scripts["dev"] != "" || m.Scripts["start"] != "") {
				l.skipped = append(l.skipped, dir)
			}
		}
	}
}
