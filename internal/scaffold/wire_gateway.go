package scaffold

import (
	"errors"
	"io/fs"
	"path"
	"regexp"

	"github.com/msctl/msctl/internal/workspace"
)

// wireGateway regenerates the gateway's list of services, which msctl owns. If the user has
// edited it, the service is to be added by hand.
func (d *Dir) wireGateway(r *Result, s Service) error {
	gateway := d.gateway()
	if gateway == nil {
		r.byHand("%s has no gateway: nothing calls %s yet", workspace.FileName, s.Name)
		return nil
	}
	dir := path.Clean(gateway.Path)
	name := path.Join(dir, "services.go")
	files, err := d.goFiles(dir, noTests)
	if err != nil {
		return err
	}
	known := declared(files)
	if known["transport"] == "" {
		r.byHand("the gateway in %s was created by an older msctl: compare gateway.go, config.go, and services.go to those of `msctl new`, and call %sRoutes",
			dir, s.Ident())
		return nil
	}
	before, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		r.byHand("the gateway has no services.go: call %sRoutes by hand", s.Ident())
		return nil
	}
	if err != nil {
		return err
	}
	listed := d.routed(known)
	expected, err := renderList(name, listed)
	if err != nil {
		return err
	}
	if samePorts(before) != samePorts(expected.Data) {
		r.byHand("%s has been edited: add {name: %q, transport: %s, routes: %sRoutes} to its list", name, s.Name, s.Listed(), s.Ident())
		return nil
	}
	after, err := renderList(name, append(listed, serviceView{Service: s}))
	if err != nil {
		return err
	}
	after.Edited = true
	r.Files = append(r.Files, after)
	return nil
}

func renderList(name string, services []serviceView) (File, error) {
	return render("workspace/apps/gateway/services.go.tmpl", name, view{Services: services})
}

// samePorts removes the ports: a port that was changed in msctl.yaml is not an edit of
// the list.
func samePorts(text []byte) string {
	return string(regexp.MustCompile(`localhost:\d+`).ReplaceAll(text, []byte("localhost")))
}

// routed returns the services in the gateway's list, whose routes are among the names that
// its package declares.
func (d *Dir) routed(declared map[string]string) []serviceView {
	var listed []serviceView
	for _, s := range d.Workspace.Services {
		own := Service{Name: s.Name, Transport: s.Transport, Port: s.Port}
		if s.Kind == workspace.KindService && declared[own.Ident()+"Routes"] != "" {
			listed = append(listed, serviceView{Service: own})
		}
	}
	return listed
}
