package scaffold

import (
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

// Dir is a workspace on the disk that is added to.
type Dir struct {
	// Root is its absolute path.
	Root string
	// Workspace is what its msctl.yaml says.
	Workspace *workspace.Workspace
	// Module is its Go module path.
	Module string
	// Version is msctl's own, for the file that says where the runtime is from.
	Version string
}

// Open reads the workspace whose msctl.yaml is at path.
func Open(path string) (*Dir, error) {
	w, err := workspace.Load(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{Root: w.Dir, Workspace: w}
	text, err := d.read("go.mod")
	if err != nil {
		return nil, fmt.Errorf("a workspace of msctl new has a go.mod beside %s: %w", workspace.FileName, err)
	}
	line := regexp.MustCompile(`(?m)^module\s+"?([^"\s]+)"?\s*(?://.*)?$`).FindSubmatch(text)
	if line == nil {
		return nil, errors.New("go.mod has no module line")
	}
	d.Module = string(line[1])
	return d, nil
}

// Result is what is to be written, and what has to be done by hand because a
// file is not as msctl knows it.
type Result struct {
	Files []File
	// ByHand are sentences, each with what to write where.
	ByHand []string
}

func (r *Result) byHand(format string, args ...any) {
	r.ByHand = append(r.ByHand, fmt.Sprintf(format, args...))
}

// edit adds a changed file, unless nothing changed.
func (r *Result) edit(name string, before, after []byte) {
	if string(before) != string(after) {
		r.Files = append(r.Files, File{Path: name, Data: after, Edited: true})
	}
}

// read reads a file of the workspace; name has slashes.
func (d *Dir) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.Root, filepath.FromSlash(name)))
}

// NextPort is the first port after all of the workspace's.
func (d *Dir) NextPort() int {
	next := DefaultGatewayPort
	for _, s := range d.Workspace.Services {
		next = max(next, s.Port)
	}
	return next + 1
}

// gateway returns the workspace's gateway in Go, or nil.
func (d *Dir) gateway() *workspace.Service {
	i := slices.IndexFunc(d.Workspace.Services, func(s *workspace.Service) bool {
		return s.Kind == workspace.KindGateway && s.Path != ""
	})
	if i < 0 {
		return nil
	}
	return d.Workspace.Services[i]
}

// NewService renders a service and wires it into the gateway, msctl.yaml, the
// compose file and the example of the environment. The first service on a broker
// brings what the workspace needs for it: the runtime's package and its modules.
func (d *Dir) NewService(s Service) (Result, error) {
	if err := d.checkNew(s); err != nil {
		return Result{}, err
	}
	var r Result
	if err := d.addFiles(&r, s); err != nil {
		return Result{}, err
	}
	wires := []func(*Result, Service) error{d.wireGateway, d.wireManifest, d.wireCompose, d.wireEnvironment, d.wireRuntime}
	for _, wire := range wires {
		if err := wire(&r, s); err != nil {
			return Result{}, err
		}
	}
	return r, nil
}

// checkNew says what is in the way of a new service, or nil.
func (d *Dir) checkNew(s Service) error {
	if err := CheckService(s); err != nil {
		return err
	}
	if d.Workspace.Service(s.Name) != nil {
		return fmt.Errorf("%s has a service %s already", workspace.FileName, s.Name)
	}
	for _, other := range d.Workspace.Services {
		if other.Port == s.Port && s.Port != 0 {
			return fmt.Errorf("port %d is that of service %s already", s.Port, other.Name)
		}
		if (Service{Name: other.Name}).File() == s.File() {
			return fmt.Errorf("services %s and %s cannot be told apart in Go", other.Name, s.Name)
		}
	}
	return nil
}

// addFiles renders the service's own files, and those that services on its
// broker share unless they are there already: they are the user's then.
func (d *Dir) addFiles(r *Result, s Service) error {
	v := view{Module: d.Module}
	files, err := renderService("service", v, serviceView{Service: s})
	if err != nil {
		return err
	}
	own, shared, err := renderTransport(s, v)
	if err != nil {
		return err
	}
	gateway := d.gateway()
	for i, f := range slices.Concat(files, own, shared) {
		if rest, ok := strings.CutPrefix(f.Path, "apps/gateway/"); ok {
			if gateway == nil {
				continue
			}
			f.Path = path.Join(path.Clean(gateway.Path), rest)
		}
		if _, err := d.read(f.Path); err == nil && i >= len(files)+len(own) {
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

// addSettings adds where the service is, or where its broker is with the
// broker's password.
func addSettings(text string, s Service) string {
	added, like := []string{s.Variable() + "=" + s.Preset() + "\n"}, regexp.MustCompile(`^[A-Z0-9_]+_URL=`)
	if !s.OnBroker() && regexp.MustCompile(`(?m)^[A-Z0-9_]+_URL=tcp:`).MatchString(text) {
		like = regexp.MustCompile(`^[A-Z0-9_]+_URL=tcp:`)
	}
	if s.OnBroker() {
		b := brokerView{s.Transport}
		like = regexp.MustCompile(`^[A-Z0-9_]+_(URL|PASSWORD)=`)
		added = append([]string{"\n", b.Explanation() + "\n"}, append(added, b.Secret()+"=change-me\n")...)
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
