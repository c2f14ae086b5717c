// Package nestsource reads what NestJS applications declare in their TypeScript sources:
// message handlers with the types of their data, and the arguments of calls such as
// NestFactory.createMicroservice.
//
// [Open] parses the files of a folder. [Project.Handlers] and [Project.Calls] evaluate
// expressions across these files and the files that they import; nothing is executed. What
// the sources do not determine is never left out: it becomes a [Computed].
package nestsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/modules"
	"github.com/msctl/msctl/internal/nestsource/typescript"
	"github.com/msctl/msctl/internal/secret"
)

// Project is the TypeScript sources of a folder. It must not be used concurrently.
type Project struct {
	// Dir is the folder, absolute.
	Dir string
	// Files are the sources in the folder, absolute and in lexical order.
	Files []string
	// Skipped is what was left out.
	Skipped Skipped

	folders  []string // the folder and its subfolders
	resolver *modules.Resolver
	parsed   map[string]*typescript.File // by path; nil if a file cannot be read
	modules  map[string]*evaluate.Module // by path; nil if a file cannot be read
	eval     *evaluate.Evaluator
	nest     *nest
	config   *configuration
}

// Skipped names what [Open] left out.
type Skipped struct {
	// Tests are the files of tests (*.spec.ts, *.test.ts, *.e2e-spec.ts), relative.
	Tests []string
	// Declarations counts the declaration files (*.d.ts).
	Declarations int
	// Folders are folders such as node_modules and dist, relative.
	Folders []string
	// Large are files over the limit of size, relative.
	Large []string
	// Links are symbolic links to sources or folders, relative.
	Links []string
	// Unreadable are sources and folders that cannot be read, relative.
	Unreadable []string
	// JavaScript counts the JavaScript files.
	JavaScript int
}

// Computed is an expression whose value the sources do not determine.
type Computed struct {
	// Text is the expression, with credentials masked.
	Text string `json:"text"`
	// File is relative to the folder, with slashes, if it is in it. Line counts from 1.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Reason states why the value is not known.
	Reason string `json:"reason"`
	// Env is the environment variable or the configuration key that determines the value,
	// if one does.
	Env string `json:"env,omitempty"`
	// More are the other variables that contribute to the value.
	More []string `json:"-"`
	// Default is the value as JSON if Env is not set, or "" if there is none or it is a
	// credential.
	Default string `json:"default,omitempty"`
}

// maxFile limits the size of a source, in bytes. Handwritten sources are smaller.
const maxFile = 4 << 20

// Open finds and parses the TypeScript files in a folder and its subfolders, except
// node_modules, dist, hidden folders, declarations, tests, and links; or one file, of any of
// these kinds. The error is that of the file system or of the context.
func Open(ctx context.Context, path string) (*Project, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read NestJS sources: %w", err)
	}
	if followed, err := filepath.EvalSymlinks(abs); err == nil {
		abs = followed // the resolver follows links too, and a file must have one path
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() {
		return openFile(ctx, abs)
	}
	p := newProject(abs)
	if err := p.walk(ctx); err != nil {
		return nil, fmt.Errorf("read NestJS sources: %w", err)
	}
	return p, p.parse(ctx)
}

// openFile is Open for one file.
func openFile(ctx context.Context, path string) (*Project, error) {
	if !isSource(path) && !isJavaScript(path) {
		return nil, fmt.Errorf("read NestJS sources: %s is neither a folder nor a TypeScript file", path)
	}
	p := newProject(filepath.Dir(path))
	p.Files, p.folders = []string{path}, []string{p.Dir}
	if err := p.parse(ctx); err != nil {
		return nil, err
	}
	if len(p.Skipped.Unreadable) > 0 {
		_, err := os.ReadFile(path)
		return nil, fmt.Errorf("read NestJS sources: %w", err)
	}
	return p, nil
}

// newProject returns a project without files.
func newProject(dir string) *Project {
	p := &Project{Dir: dir, resolver: modules.New(), parsed: map[string]*typescript.File{}}
	p.evaluateWith(nil)
	return p
}

// evaluateWith forgets all values, and sets how variables of the environment are looked up.
func (p *Project) evaluateWith(env func(name string) (value string, ok bool)) {
	p.modules, p.nest, p.config = map[string]*evaluate.Module{}, newNest(), &configuration{env: env}
	p.eval = evaluate.New(evaluate.Options{Resolve: p.resolver.Resolve, Load: p.load, External: p.nest.external, Env: env, Called: p.called})
}

// Part returns the project with only the files in some folders, which are relative to its
// folder, and with its own environment: env returns the values that are known, and may be
// nil. Such a value is the default of a [Computed] expression. Files of other folders are
// still found by imports. The parts of a project must not be used concurrently, because
// they share its files.
func (p *Project) Part(env func(name string) (value string, ok bool), folders ...string) *Project {
	part := &Project{Dir: p.Dir, Skipped: p.Skipped, folders: p.folders, resolver: p.resolver, parsed: p.parsed}
	for _, path := range p.Files {
		rel := p.rel(path)
		if slices.ContainsFunc(folders, func(folder string) bool { return folder == "." || strings.HasPrefix(rel, folder+"/") }) {
			part.Files = append(part.Files, path)
		}
	}
	part.evaluateWith(env)
	return part
}

// Containing returns the files of the project whose source contains one of the texts,
// relative to its folder, in order.
func (p *Project) Containing(texts ...string) []string {
	var out []string
	for _, path := range p.Files {
		f := p.parsed[path]
		if f != nil && slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(f.Source, text) }) {
			out = append(out, p.rel(path))
		}
	}
	return out
}

func (p *Project) walk(ctx context.Context) error {
	return filepath.WalkDir(p.Dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist) && path != p.Dir:
			return nil // it has been removed since
		case err != nil && path != p.Dir:
			p.Skipped.Unreadable = append(p.Skipped.Unreadable, p.rel(path))
			return nil // WalkDir continues with the next folder
		case err != nil:
			return err
		case entry.IsDir() && path != p.Dir && skipFolder(entry.Name()):
			p.Skipped.Folders = append(p.Skipped.Folders, p.rel(path))
			return filepath.SkipDir
		case entry.IsDir():
			p.folders = append(p.folders, path)
			return nil
		}
		return p.add(path, entry)
	})
}

// add adds a file, or notes why it is skipped.
func (p *Project) add(path string, entry fs.DirEntry) error {
	name := entry.Name()
	if entry.Type()&fs.ModeSymlink != 0 {
		if info, err := os.Stat(path); err == nil && (info.IsDir() && !skipFolder(name) || isSource(name)) {
			p.Skipped.Links = append(p.Skipped.Links, p.rel(path))
		}
		return nil
	}
	switch {
	case !entry.Type().IsRegular():
		return nil
	case isJavaScript(name):
		p.Skipped.JavaScript++
		return nil
	case !isSource(name):
		return nil
	}
	info, err := entry.Info()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case isDeclaration(name):
		p.Skipped.Declarations++
	case isTest(name):
		p.Skipped.Tests = append(p.Skipped.Tests, p.rel(path))
	case info.Size() > maxFile:
		p.Skipped.Large = append(p.Skipped.Large, p.rel(path))
	default:
		p.Files = append(p.Files, path)
	}
	return nil
}

// isSource reports whether a file is TypeScript, by its name.
func isSource(name string) bool {
	return slices.Contains([]string{".ts", ".tsx", ".mts", ".cts"}, filepath.Ext(name))
}

// isJavaScript reports whether a file is JavaScript, by its name.
func isJavaScript(name string) bool {
	return slices.Contains([]string{".js", ".jsx", ".mjs", ".cjs"}, filepath.Ext(name))
}

func skipFolder(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"node_modules", "dist", "coverage"}, name)
}

func isDeclaration(name string) bool {
	base := strings.TrimSuffix(name, filepath.Ext(name))
	return strings.HasSuffix(base, ".d")
}

func isTest(name string) bool {
	base := strings.TrimSuffix(name, filepath.Ext(name))
	return strings.HasSuffix(base, ".spec") || strings.HasSuffix(base, ".test") || strings.HasSuffix(base, "-spec")
}

// parse parses all files on all processors.
func (p *Project) parse(ctx context.Context) error {
	parsed := make([]*typescript.File, len(p.Files))
	work := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range work {
				parsed[i] = parseFile(p.Files[i], math.MaxInt64) // walk has checked the sizes
			}
		})
	}
	for i := range p.Files {
		if ctx.Err() == nil {
			work <- i
		}
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, f := range parsed {
		p.parsed[p.Files[i]] = f
		if f == nil {
			p.Skipped.Unreadable = append(p.Skipped.Unreadable, p.rel(p.Files[i]))
		}
	}
	p.Files = slices.DeleteFunc(p.Files, func(path string) bool { return p.parsed[path] == nil })
	return nil
}

// parseFile reads and parses a file of up to limit bytes. It returns nil if the file cannot be
// read.
func parseFile(path string, limit int64) *typescript.File {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if filepath.Ext(path) == ".json" {
		text = append([]byte("export = "), text...)
	}
	return typescript.Parse(path, text)
}

// load returns the module of a file, which need not be in the folder.
func (p *Project) load(path string) *evaluate.Module {
	if path == "" {
		return nil
	}
	m, ok := p.modules[path]
	if !ok {
		f, known := p.parsed[path]
		if !known {
			f = parseFile(path, maxFile)
			p.parsed[path] = f
		}
		if f != nil {
			m = evaluate.NewModule(path, f)
		}
		p.modules[path] = m
	}
	return m
}

// rel returns a path relative to the folder, with slashes.
func (p *Project) rel(path string) string {
	rel, err := filepath.Rel(p.Dir, path)
	if err != nil {
		return filepath.ToSlash(path)
	}
	return filepath.ToSlash(rel)
}

// computed describes an unknown value. The node is the whole expression in a module.
func (p *Project) computed(u *evaluate.Unknown, m *evaluate.Module, n typescript.Node) *Computed {
	c := &Computed{Text: u.Text, Reason: u.Reason, Env: u.Env, More: u.More}
	if u.File != "" {
		c.File, c.Line = p.rel(u.File), u.Line
	}
	if n != nil {
		c.Text, c.File, c.Line = m.File.Text(n), p.rel(m.Path), m.File.Line(n.Range().Pos)
	}
	if u.Default != nil && !slices.ContainsFunc(append([]string{u.Env}, u.More...), secret.Named) {
		c.Default, _ = evaluate.JSON(u.Default)
	}
	if secret.Text(c.Default) != c.Default {
		c.Default = ""
	}
	c.Text = shown(c.Text)
	return c
}

// String returns "computed: text (file:line)".
func (c *Computed) String() string {
	return fmt.Sprintf("computed: %s (%s:%d)", c.Text, c.File, c.Line)
}

// shown returns an expression of a source for the terminal, without credentials.
func shown(text string) string { return shorten(secret.Source(text)) }

// shorten limits a text for the terminal, and removes what does not print.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 120 {
		return string(runes[:119]) + "…"
	}
	return text
}

// Folders returns the folder and its subfolders that [Open] has read, relative, "." for the
// folder itself.
func (p *Project) Folders() []string {
	out := make([]string, len(p.folders))
	for i, dir := range p.folders {
		out[i] = p.rel(dir)
	}
	return out
}

// PlainJSON removes comments, trailing commas, and the byte order mark from the JSON of a
// configuration file such as tsconfig.json.
func PlainJSON(text []byte) []byte { return modules.PlainJSON(text) }
