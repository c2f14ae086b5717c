package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Dir is an existing workspace on disk.
type Dir struct {
	// Root is its absolute path.
	Root string
	// Workspace is the content of its msctl.yaml.
	Workspace *workspace.Workspace
	// Module is its Go module path.
	Module string
	// Version is the version of msctl, which the bundled runtime's go.mod records.
	Version string
}

// ErrNoModule reports a workspace without a go.mod, which msctl new did not create.
var ErrNoModule = errors.New("there is no go.mod next to " + workspace.FileName)

// Open reads the workspace whose msctl.yaml is at path. The error is [ErrNoModule] if Go services
// cannot be added to it.
func Open(path string) (*Dir, error) {
	w, err := workspace.Load(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Root: w.Dir, Workspace: w}
	text, err := d.read("go.mod")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoModule
	}
	if err != nil {
		return nil, err
	}
	line := regexp.MustCompile(`(?m)^module\s+"?([^"\s]+)"?\s*(?://.*)?$`).FindSubmatch(text)
	if line == nil {
		return nil, fmt.Errorf("%s has no module line", filepath.Join(d.Root, "go.mod"))
	}
	d.Module = string(line[1])
	return d, nil
}

// Result holds the files to write, and the steps to do by hand because msctl does not
// recognize a file.
type Result struct {
	Files []File
	// ByHand are sentences that each name a change and its place.
	ByHand []string
}

func (r *Result) byHand(format string, args ...any) {
	r.ByHand = append(r.ByHand, fmt.Sprintf(format, args...))
}

// edit adds a file to the result if its content changed.
func (r *Result) edit(name string, before, after []byte) {
	if string(before) != string(after) {
		r.Files = append(r.Files, File{Path: name, Data: after, Edited: true})
	}
}

// read reads a file of the workspace, with the line ending \n; name has slashes.
func (d *Dir) read(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(d.Root, filepath.FromSlash(name)))
	return unix(text), err
}

// exists reports whether a file or folder of the workspace exists.
func (d *Dir) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(d.Root, filepath.FromSlash(name)))
	return err == nil
}

// NextPort returns the first port after those of the workspace.
func (d *Dir) NextPort() int {
	next := DefaultGatewayPort
	for _, s := range d.Workspace.Services {
		next = max(next, s.Port)
	}
	return next + 1
}

// gateway returns the workspace's first gateway that is written in Go, or nil.
func (d *Dir) gateway() *workspace.Service {
	i := slices.IndexFunc(d.Workspace.Services, func(s *workspace.Service) bool {
		return s.Kind == workspace.KindGateway && s.Path != ""
	})
	if i < 0 {
		return nil
	}
	return d.Workspace.Services[i]
}

// NewService renders a service and connects it to the gateway, msctl.yaml, the compose
// file, and .env.example. The first service on a broker adds the runtime's package for it
// and the modules of its driver.
func (d *Dir) NewService(s Service) (Result, error) {
	if err := d.checkNew(s); err != nil {
		return Result{}, err
	}
	var r Result
	wires := []func(*Result, Service) error{d.addFiles, d.checkGateway, d.wireGateway, d.wireManifest, d.wireCompose, d.wirePorts, d.wireEnvironment, d.wireRuntime, d.wireOrigin}
	for _, wire := range wires {
		if err := wire(&r, s); err != nil {
			return Result{}, err
		}
	}
	return r, nil
}

// checkNew returns the reason why a service cannot be added, or nil.
func (d *Dir) checkNew(s Service) error {
	if err := CheckService(s); err != nil {
		return err
	}
	if d.Workspace.Service(s.Name) != nil {
		return fmt.Errorf("%s already has a service %s", workspace.FileName, s.Name)
	}
	for _, other := range d.Workspace.Services {
		if other.Port == s.Port && s.Port != 0 {
			return fmt.Errorf("port %d is already used by service %s", s.Port, other.Name)
		}
		if sameInGo(Service{Name: other.Name}, s) {
			return fmt.Errorf("services %s and %s have the same name in Go", other.Name, s.Name)
		}
	}
	for _, dir := range []string{"contracts/" + s.Contracts(), "apps/" + s.Name} {
		if files, err := d.goFiles(dir, withTests); err != nil || len(files) > 0 {
			return cmp.Or(err, fmt.Errorf("%s already has Go files: choose another name for the service", dir))
		}
	}
	return nil
}

// checkGateway verifies that the gateway's package does not use the names of the service's
// routes, and that it accepts the routes.
func (d *Dir) checkGateway(r *Result, s Service) error {
	gateway := d.gateway()
	if gateway == nil {
		return nil
	}
	files, err := d.goFiles(path.Clean(gateway.Path), withTests)
	if err != nil {
		return err
	}
	known := declared(files)
	for _, name := range []string{s.Contracts(), s.Ident() + "Routes", "Test" + s.Title() + "Routes"} {
		if known[name] != "" {
			return fmt.Errorf("%s already declares %s: choose another name for the service", known[name], name)
		}
	}
	for _, f := range r.Files {
		if !strings.HasSuffix(f.Path, "_routes.go") {
			continue
		}
		routes, err := parseGo(f.Path, f.Data)
		if err != nil {
			return err
		}
		for _, target := range routesIn(routes.tree) {
			if err := checkRoute(target, files); err != nil {
				return err
			}
		}
	}
	return nil
}

// addFiles renders the service's own files, and the files shared by the services on its
// broker unless they exist, since those belong to the user.
func (d *Dir) addFiles(r *Result, s Service) error {
	v := view{Module: d.Module, Telemetry: len(d.addons()) > 0}
	files, err := renderService(s.template(), v, serviceView{Service: s})
	if err != nil {
		return err
	}
	own, shared, err := renderTransport(s, v)
	if err != nil {
		return err
	}
	for _, name := range []string{ // which older workspaces lack
		"config/secret.go", "config/secret_test.go", "config/password.go", "config/password_test.go", "config/private.go", "config/private_test.go",
		"program/program.go", "program/health.go", "program/program_test.go", "program/dotenv.go", "program/dotenv_test.go",
	} {
		f, err := render("workspace/internal/"+name+".tmpl", "internal/"+name, v)
		if err != nil {
			return err
		}
		shared = append(shared, f)
	}
	gateway := d.gateway()
	for i, f := range slices.Concat(files, own, shared) {
		if rest, ok := strings.CutPrefix(f.Path, "apps/gateway/"); ok {
			if gateway == nil {
				continue
			}
			f.Path = path.Join(path.Clean(gateway.Path), rest)
		}
		if i >= len(files)+len(own) && d.exists(f.Path) {
			continue
		}
		r.Files = append(r.Files, f)
	}
	return nil
}

// wireManifest adds the service to msctl.yaml.
func (d *Dir) wireManifest(r *Result, s Service) error {
	before, err := d.read(workspace.FileName)
	if err != nil {
		return err
	}
	after, err := workspace.AddService(before, workspace.Service{
		Name: s.Name, Path: "./apps/" + s.Name, Transport: s.TransportName(), Queue: s.Queue(), Port: s.Port,
	})
	if err != nil {
		return err
	}
	if gateway := d.gateway(); gateway != nil {
		if after, err = workspace.AddDependency(after, gateway.Name, s.Name); err != nil {
			return err
		}
	}
	r.edit(workspace.FileName, before, after)
	return nil
}

// wireEnvironment adds lines to .env.example, after the last one of their kind.
func (d *Dir) wireEnvironment(r *Result, s Service) error {
	const name = ".env.example"
	before, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if regexp.MustCompile(`(?m)^` + s.Variable() + `=`).Match(before) {
		return nil
	}
	after := addSettings(string(before), s)
	r.edit(name, before, []byte(after))
	return nil
}

// addSettings adds the address of the service, or of its broker.
func addSettings(text string, s Service) string {
	added, like := []string{s.Variable() + "=" + s.Preset() + "\n"}, regexp.MustCompile(`^[A-Z0-9_]+_URL=`)
	if !s.OnBroker() && regexp.MustCompile(`(?m)^[A-Z0-9_]+_URL=tcp:`).MatchString(text) {
		like = regexp.MustCompile(`^[A-Z0-9_]+_URL=tcp:`)
	}
	if s.OnBroker() {
		b := brokerView{s.Transport}
		like = regexp.MustCompile(`^[A-Z0-9_]+_(URL|PASSWORD)=`)
		added = append([]string{"\n", b.Explanation() + "\n"}, added...)
	}
	lines := strings.SplitAfter(text, "\n")
	at := len(lines)
	for i, line := range lines {
		if like.MatchString(line) {
			at = i + 1
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") && lines[at-1] != "" {
		lines[at-1] += "\n"
	}
	return strings.Join(slices.Insert(lines, at, added...), "")
}
