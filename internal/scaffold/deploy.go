package scaffold

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// deployDir is the folder of the manifests in a workspace.
const deployDir = "deploy/kubernetes"

// NewKubernetes renders the manifests of all Go programs and of the web client: a base, which msctl maintains, and
// overlays, which are the user's after they have been created.
func (d *Dir) NewKubernetes() (Result, error) {
	v, err := d.deployment()
	if err != nil {
		return Result{}, err
	}
	var r Result
	for _, name := range []string{
		"base/kustomization.yaml", "base/namespace.yaml", "base/network.yaml",
		"overlays/dev/kustomization.yaml", "overlays/production/kustomization.yaml",
	} {
		if err := r.render(name, name, v); err != nil {
			return Result{}, err
		}
	}
	for _, p := range v.Programs {
		if err := r.render("base/PROGRAM.yaml", "base/"+p.Name+".yaml", p); err != nil {
			return Result{}, err
		}
	}
	if err := d.removeManifests(&r); err != nil {
		return Result{}, err
	}
	d.explainDeployment(&r, v)
	return r, nil
}

func (r *Result) render(from, to string, data any) error {
	f, err := render("kubernetes/"+from+".tmpl", deployDir+"/"+to, data)
	r.Files = append(r.Files, f)
	return err
}

// removeManifests removes the manifests of programs that msctl.yaml no longer contains.
func (d *Dir) removeManifests(r *Result) error {
	written, _, err := readRecord(d.Root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		current := slices.ContainsFunc(r.Files, func(f File) bool { return f.Path == name })
		if strings.HasPrefix(name, deployDir+"/base/") && !current {
			r.Files = append(r.Files, File{Path: name, Removed: true})
		}
	}
	return nil
}

// explainDeployment names what the manifests do not cover.
func (d *Dir) explainDeployment(r *Result, v deployment) {
	for _, s := range d.Workspace.Services {
		if d.isWeb(s) {
			continue
		}
		if s.Path == "" {
			where := "Deployment"
			if s.Port != 0 {
				where = fmt.Sprintf("Deployment with the label app.kubernetes.io/name: %s, a NetworkPolicy, and a Service %s with the port %d", s.Name, s.Name, s.Port)
			}
			r.byHand("%s is not covered, because it is not a Go program of this workspace: write its %s in an overlay", s.Name, where)
		} else if path.Clean(s.Path) != "apps/"+s.Name {
			r.byHand("the Dockerfile builds ./apps/%s, and %[1]s is in %s: build the image %s in another way", s.Name, s.Path, imageOf(d.Workspace, s.Name))
		}
	}
	for _, overlay := range []string{"dev", "production"} {
		text, err := d.read(deployDir + "/overlays/" + overlay + "/kustomization.yaml")
		for _, p := range v.Programs {
			if err == nil && !strings.Contains(string(text), "name: "+p.Image+"\n") {
				r.byHand("add the image %s to %s/overlays/%s/kustomization.yaml", p.Image, deployDir, overlay)
			}
			if err == nil && p.Web && !strings.Contains(string(text), "      name: "+p.Name+"\n") {
				r.byHand("add a patch with the host of the Ingress %s to %s/overlays/%s/kustomization.yaml, like that of the gateway", p.Name, deployDir, overlay)
			}
		}
	}
}

// Deployed reports whether the workspace has manifests.
func (d *Dir) Deployed() bool { return d.exists(deployDir + "/base/kustomization.yaml") }

// Kept splits off the steps that would replace files of the user, and returns their paths.
// The other steps can be carried out without them.
func Kept(steps []Step) (rest []Step, kept []string) {
	for _, s := range steps {
		if s.State == Conflict {
			kept = append(kept, s.Path)
		} else {
			rest = append(rest, s)
		}
	}
	return rest, kept
}

// deployment is the data for the manifests.
type deployment struct {
	Name, Namespace    string
	Programs           []*program
	Secrets            []secretRef // without those that are optional
	DevelopmentSecrets []secretRef
}

// Gateways returns the gateways.
func (v deployment) Gateways() []*program {
	return slices.DeleteFunc(slices.Clone(v.Programs), func(p *program) bool { return !p.Gateway })
}

// Public returns the programs that the Ingress leads to.
func (v deployment) Public() []*program {
	return slices.DeleteFunc(slices.Clone(v.Programs), func(p *program) bool { return !p.Public() })
}

// SendsEmail reports whether a program sends emails.
func (v deployment) SendsEmail() bool {
	return slices.ContainsFunc(v.Secrets, func(s secretRef) bool { return s.Name == "mail" })
}

// program is one program of the workspace: in Go, or the web client.
type program struct {
	Name, Image     string
	Workspace       string // its name
	Host, LocalHost string // of a public program, in production and in development
	Gateway, Web    bool
	Port            int    // 0 on a broker
	Private         bool   // whether it serves its probes on the private port
	SQLite          bool   // whether it stores data in a file
	Single          string // the reason why there is one replica only
	Settings        []setting
	Secrets         []secretRef
	Callers         []string
	Calls           []callee
	Outside         []outside
}

// callee is a program of the workspace with a port.
type callee struct {
	Name string
	Port int
}

// outside is what a program connects to that is not part of the workspace.
type outside struct {
	Title string
	Ports []int
}

// secretRef is a variable that comes from the Secret Name.
type secretRef struct {
	Name, Variable string
	Optional       string // the reason
	Value          string // in development
	Example        string // in the shell
}

// Kind returns the kind of its workload.
func (p *program) Kind() string {
	if p.SQLite {
		return "StatefulSet"
	}
	return "Deployment"
}

// Public reports whether the Ingress leads to it.
func (p *program) Public() bool { return p.Gateway || p.Web }

// PortName returns the name of its port.
func (p *program) PortName() string {
	if p.Public() {
		return "http"
	}
	return "messages"
}

// Spread returns the keys of the topology that its replicas are spread over.
func (p *program) Spread() []string {
	return []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
}

// probes are the checks of a program, as YAML.
type probes struct{ Live, Ready string }

// Probes returns the checks of the program, or nil if there is nothing to ask: a worker
// without a private port.
func (p *program) Probes() *probes {
	get := func(path, port string) string {
		return fmt.Sprintf("httpGet:\n              path: %s\n              port: %s", path, port)
	}
	switch {
	case p.Private:
		return &probes{get("/live", "private"), get("/ready", "private")}
	case p.Gateway:
		return &probes{get("/health/live", "http"), get("/health/ready", "http")}
	case p.Web:
		return &probes{get("/health", "http"), get("/health", "http")}
	case p.Port != 0:
		open := "tcpSocket:\n              port: messages"
		return &probes{open, open}
	}
	return nil
}

// checkDeployable returns the reason why a name cannot be that of an object in Kubernetes.
func checkDeployable(s *workspace.Service) error {
	if strings.HasSuffix(s.Name, "-") || len(s.Name) > 52 {
		return fmt.Errorf("service %s cannot be deployed to Kubernetes: its name must have at most 52 characters and end with a letter or a digit", s.Name)
	}
	return nil
}

var errNothingToDeploy = errors.New(workspace.FileName + " has no Go programs: msctl writes no manifests for `command` services")

// deployedName returns the name of a workspace in Kubernetes, where a name ends with a letter
// or a digit.
func deployedName(w *workspace.Workspace) string { return strings.TrimRight(w.Name, "-") }

func imageOf(w *workspace.Workspace, service string) string { return deployedName(w) + "-" + service }
