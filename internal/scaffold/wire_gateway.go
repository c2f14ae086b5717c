package scaffold

import (
	"errors"
	"io/fs"
	"path"
	"regexp"

	"github.com/msctl/msctl/internal/workspace"
)

// wireGateway regenerates the gateway's list of services. msctl owns this file. If it has
// been edited, it is a file to replace, which Write refuses without force.
func (d *Dir) wireGateway(r *Result, s Service) error {
	gateway := d.gateway()
	if gateway == nil {
		r.byHand("%s has no gateway: nothing calls %s yet", workspace.FileName, s.Name)
		return nil
	}
	name := path.Join(path.Clean(gateway.Path), "services.go")
	listed, err := d.routed(path.Dir(name))
	if err != nil {
		return err
	}
	after, err := renderList(name, append(listed, serviceView{Service: s}))
	if err != nil {
		return err
	}
	if known, err := d.declared(path.Dir(name)); err != nil {
		return err
	} else if !known["transport"] {
		r.byHand("the gateway in %s was created by an older msctl: compare gateway.go, config.go, and services.go to those of `msctl new`, and call %sRoutes",
			path.Dir(name), s.Ident())
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
	expected, err := renderList(name, listed)
	if err != nil {
		return err
	}
	after.Edited = samePorts(before) == samePorts(expected.Data)
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

// routed returns the services in the gateway's list, whose routes its package has.
func (d *Dir) routed(dir string) ([]serviceView, error) {
	names, err := d.declared(dir)
	if err != nil {
		return nil, err
	}
	var listed []serviceView
	for _, s := range d.Workspace.Services {
		own := Service{Name: s.Name, Transport: s.Transport, Port: s.Port}
		if s.Kind == workspace.KindService && names[own.Ident()+"Routes"] {
			listed = append(listed, serviceView{Service: own})
		}
	}
	return listed, nil
}
