package nestinit

import (
	"cmp"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// start is how an application is started.
type start struct {
	command []string
	dir     string   // relative, "." for the folder itself
	watch   []string // globs, if the command does not restart the program itself
	guess   string   // why the command is a guess, or ""
	unknown string   // why there is no command, or ""
	note    string   // what has to be done first, or ""
}

// devScripts are the scripts that start an application for its developers, the preferred
// ones first.
var devScripts = []string{"start:dev", "dev", "start:watch", "serve", "develop", "start:local", "start"}

// setStart determines the command of an application: the way its developers start it. A
// command that restarts the program itself is preferred, so that only one watcher runs.
func (l *layout) setStart(a *application) {
	switch {
	case a.nx != nil:
		l.nxStart(a)
	case a.nest != "":
		l.nestStart(a)
	case l.scriptStart(a):
	case l.rootScript(a):
	default:
		l.guessStart(a)
	}
	if wanted := l.lockManager(a.start.dir); wanted != l.manager(a.start.dir) && a.start.guess == "" {
		a.start.guess = wanted + " is not installed, and npm runs the same programs"
	}
	if a.start.watch == nil && !l.watches(a.start.dir, a.start.command, 0) {
		a.start.watch = l.sources(a)
	}
}

// nxStart uses the target of Nx that serves the application.
func (l *layout) nxStart(a *application) {
	for _, target := range []string{"serve", "dev", "start"} {
		if _, ok := a.nx.Targets[target]; !ok {
			continue
		}
		dir := "."
		for _, parent := range parents(a.dir) {
			if l.exists(path.Join(parent, "nx.json")) {
				dir = parent
				break
			}
		}
		a.start = start{command: append(l.exec(dir), "nx", target, a.nx.Name), dir: dir}
		return
	}
	if !l.scriptStart(a) {
		a.start = start{command: append(l.exec("."), "nx", "serve", a.nx.Name), dir: ".", guess: "project.json has no target serve"}
	}
}

// nestStart uses a script for the project of a monorepo, or the Nest CLI.
func (l *layout) nestStart(a *application) {
	if m := l.manifest(a.nest); m != nil {
		var found []string
		for _, name := range slices.Sorted(maps.Keys(m.Scripts)) {
			words := strings.Fields(m.Scripts[name])
			i := slices.Index(words, "nest")
			if i >= 0 && i+2 < len(words) && words[i+1] == "start" && words[i+2] == a.project && !slices.Contains(words, "--debug") {
				found = append(found, name)
			}
		}
		slices.SortStableFunc(found, func(x, y string) int {
			return score(l.watches(a.nest, []string{"npm", "run", y}, 0)) - score(l.watches(a.nest, []string{"npm", "run", x}, 0))
		})
		if len(found) > 0 {
			a.start = start{command: l.run(a.nest, found[0]), dir: a.nest}
			return
		}
	}
	a.start = start{command: append(l.exec(a.nest), "nest", "start", a.project, "--watch"), dir: a.nest}
}

func score(b bool) int {
	if b {
		return 1
	}
	return 0
}

// scriptStart uses a script of the application's package.json.
func (l *layout) scriptStart(a *application) bool {
	m := l.manifest(a.dir)
	if m == nil {
		return false
	}
	for _, name := range devScripts {
		script := m.Scripts[name]
		if script == "" || strings.Contains(script, "docker") {
			continue
		}
		if root := l.turboRoot(a.dir, name); root != "" && m.Name != "" {
			a.start = start{command: append(l.exec(root), "turbo", "run", name, "--filter="+m.Name, "--env-mode=loose"), dir: root}
			return true
		}
		a.start = start{command: l.run(a.dir, name), dir: a.dir}
		built := builtFile(script)
		if built != "" {
			a.start.watch = []string{path.Join(a.dir, "dist/**/*.js")}
		}
		if built != "" && !l.exists(path.Join(a.dir, built)) {
			a.start.note = "the script " + name + " starts " + built + ", which has to be built first"
		}
		return true
	}
	return false
}

// builtFile returns the compiled file that a script starts without building it, or "".
func builtFile(script string) string {
	words := strings.Fields(script)
	if len(words) == 0 || words[0] != "node" {
		return ""
	}
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "dist/") || strings.HasPrefix(word, "./dist/") {
			return word
		}
	}
	return ""
}

// turboRoot returns the folder of a turbo.json whose task of that name builds other packages
// first, or "". Without that, the script itself is enough.
func (l *layout) turboRoot(dir, task string) string {
	type tasks map[string]struct {
		DependsOn []string `json:"dependsOn"`
	}
	for _, parent := range parents(dir) {
		var turbo struct {
			Tasks    tasks `json:"tasks"`
			Pipeline tasks `json:"pipeline"`
		}
		if !l.readJSON(path.Join(parent, "turbo.json"), &turbo) {
			continue
		}
		for _, list := range []tasks{turbo.Tasks, turbo.Pipeline} {
			if slices.ContainsFunc(list[task].DependsOn, func(on string) bool { return strings.HasPrefix(on, "^") }) {
				return parent
			}
		}
	}
	return ""
}

// rootScript uses a script of a parent's package.json that names the main file or the
// folder of the application.
func (l *layout) rootScript(a *application) bool {
	for _, dir := range parents(a.dir) {
		m := l.manifest(dir)
		if m == nil {
			continue
		}
		for _, name := range scriptNames(m) {
			for word := range strings.FieldsSeq(m.Scripts[name]) {
				full := path.Join(dir, strings.Trim(word, `"'`))
				if full == a.main || full == strings.TrimSuffix(a.main, ".ts") || full == a.dir && a.dir != "." {
					a.start = start{command: l.run(dir, name), dir: dir}
					return true
				}
			}
		}
	}
	return false
}

// scriptNames returns the names of scripts, those for development first.
func scriptNames(m *manifest) []string {
	names := slices.Sorted(maps.Keys(m.Scripts))
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "build") || strings.HasPrefix(name, "test") || strings.HasPrefix(name, "lint")
	})
	slices.SortStableFunc(names, func(a, b string) int {
		return score(strings.Contains(b, "dev")) - score(strings.Contains(a, "dev"))
	})
	return names
}

// guessStart is for an application without a script.
func (l *layout) guessStart(a *application) {
	dir := a.dir
	for _, parent := range parents(a.dir) {
		if l.manifest(parent) != nil {
			dir = parent
			break
		}
	}
	m := cmp.Or(l.manifest(dir), &manifest{})
	main := strings.TrimPrefix(a.main, dir+"/")
	a.start = start{dir: dir, guess: "no script of package.json starts " + main}
	switch {
	case m.depends("@nestjs/cli") && l.exists(path.Join(dir, "nest-cli.json")):
		a.start.command = append(l.exec(dir), "nest", "start", "--watch")
	case m.depends("tsx"):
		a.start.command = append(l.exec(dir), "tsx", "watch", main)
	case m.depends("ts-node"):
		a.start.command = append(l.exec(dir), "ts-node", main)
	default:
		a.start.command = append(l.exec(dir), "nest", "start", "--watch")
	}
	if slices.Contains(a.start.command, "nest") && l.startsOther(a) {
		a.start.guess, a.start.unknown = "", "neither a script of package.json nor nest-cli.json starts "+main
	}
}

// startsOther reports whether `nest start` starts another application: nest-cli.json lists
// some, and this is none of them.
func (l *layout) startsOther(a *application) bool {
	for _, dir := range parents(a.dir) {
		var cli nestCLI
		if !l.readJSON(path.Join(dir, "nest-cli.json"), &cli) {
			continue
		}
		for _, project := range cli.Projects {
			if project.Type != "library" {
				return true
			}
		}
		return false
	}
	return false
}

// manager returns the package manager of a folder. If it is not installed, npm runs the
// same scripts.
func (l *layout) manager(dir string) string {
	name := l.lockManager(dir)
	if name != "npm" && !l.installed(name) && l.installed("npm") {
		return "npm"
	}
	return name
}

// lockManager returns the package manager of the nearest lock file.
func (l *layout) lockManager(dir string) string {
	for _, parent := range append(parents(dir), l.above()...) {
		for _, lock := range [][2]string{
			{"pnpm-lock.yaml", "pnpm"}, {"pnpm-workspace.yaml", "pnpm"}, {"yarn.lock", "yarn"}, {"bun.lock", "bun"}, {"bun.lockb", "bun"}, {"package-lock.json", "npm"},
		} {
			if l.exists(path.Join(parent, lock[0])) {
				return lock[1]
			}
		}
		if m := l.manifest(parent); m != nil && m.PackageManager != "" {
			name, _, _ := strings.Cut(m.PackageManager, "@")
			return name
		}
	}
	return "npm"
}

// above returns the folders above that of the layout, up to the root of the repository: the
// applications may be a part of a larger workspace.
func (l *layout) above() (out []string) {
	dir := "."
	for full := l.root; ; full = filepath.Dir(full) {
		if _, err := os.Lstat(filepath.Join(full, ".git")); err == nil {
			return out
		}
		if filepath.Dir(full) == full {
			return nil // not in a repository
		}
		dir = path.Join(dir, "..")
		out = append(out, dir)
	}
}

// run returns the command for a script.
func (l *layout) run(dir, script string) []string { return []string{l.manager(dir), "run", script} }

// exec returns the words before a program of node_modules.
func (l *layout) exec(dir string) []string {
	switch l.manager(dir) {
	case "pnpm":
		return []string{"pnpm", "exec"}
	case "yarn":
		return []string{"yarn", "run"}
	case "bun":
		return []string{"bunx"}
	}
	return []string{"npx"}
}

// watches reports whether a command restarts the program when a file changes.
func (l *layout) watches(dir string, command []string, depth int) bool {
	if depth > 5 {
		return false
	}
	m := l.manifest(dir)
	for i, word := range command {
		switch word = strings.Trim(word, `"'`); {
		case slices.Contains([]string{"--watch", "-w", "watch", "nodemon", "ts-node-dev", "tsnd", "node-dev", "turbo", "nx", "rspack", "pm2-dev"}, path.Base(word)),
			strings.HasPrefix(word, "--watch="), strings.HasPrefix(word, "--watch-path"):
			return true
		case m != nil && m.Scripts[word] != "" && i > 0 && word != "start" || m != nil && i > 0 && command[i-1] == "run" && m.Scripts[word] != "":
			if l.watches(dir, strings.Fields(m.Scripts[word]), depth+1) {
				return true
			}
		}
	}
	return false
}

// sources returns globs for the sources of an application.
func (l *layout) sources(a *application) []string {
	globs := []string{path.Join(path.Dir(a.main), "**/*.ts")}
	for _, dir := range []string{"libs", "packages"} {
		if l.exists(dir) && !strings.HasPrefix(a.dir, dir+"/") {
			globs = append(globs, dir+"/**/*.ts")
		}
	}
	return globs
}

// install returns the command that installs the packages of an application that has none,
// or "".
func (l *layout) install() string {
	for _, a := range l.apps {
		all := append(parents(a.dir), l.above()...)
		if slices.ContainsFunc(all, func(dir string) bool { return l.exists(path.Join(dir, "node_modules")) }) {
			continue
		}
		for _, dir := range parents(a.dir) {
			if l.manifest(dir) == nil {
				continue
			}
			command := l.manager(dir) + " install"
			if dir != "." && !l.exists("package.json") {
				return "(cd " + dir + " && " + command + ")"
			}
			return command
		}
	}
	return ""
}
