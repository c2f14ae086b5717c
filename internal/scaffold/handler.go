package scaffold

import (
	"fmt"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Handler holds the arguments of `msctl new handler`.
type Handler struct {
	// Service is the name of the service to add it to.
	Service string
	// Name is its name in Go and in the pattern {"cmd":NAME}.
	Name string
	// Route is its HTTP route, such as "POST /items/archive"; empty for none.
	Route string
}

var (
	handlerName  = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	routePattern = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9._~-]*(/([A-Za-z0-9._~-]+|\{[a-z][A-Za-z0-9]*\}))*|/\{[a-z][A-Za-z0-9]*\}(/.*)?)$`)
	wildcard     = regexp.MustCompile(`\{([a-z][A-Za-z0-9]*)\}`)
)

func (h Handler) check() error {
	if !handlerName.MatchString(h.Name) || token.IsKeyword(h.Name) {
		return fmt.Errorf("handler %q must be a Go name such as archiveItem", h.Name)
	}
	if h.Route != "" && !routePattern.MatchString(h.Route) {
		return fmt.Errorf("route %q must look like 'POST /items/archive' or 'GET /items/{id}/history'", h.Route)
	}
	return nil
}

// handlerView is the data for the templates of a handler.
type handlerView struct {
	Module, Service, Name, Title string
	Receiver, ReceiverType, New  string
	Fields                       []fieldView
}

type fieldView struct{ Go, Name, Path string }

// fields returns the wildcards of the route, or a single field if it has none.
func (h Handler) fields() []fieldView {
	var fields []fieldView
	for _, m := range wildcard.FindAllStringSubmatch(h.Route, -1) {
		name := m[1]
		if !slices.ContainsFunc(fields, func(f fieldView) bool { return f.Name == name }) {
			fields = append(fields, fieldView{goName(name), name, name})
		}
	}
	if fields == nil {
		fields = []fieldView{{"Name", "name", ""}}
	}
	return fields
}

func goName(name string) string {
	if name == "id" {
		return "ID"
	}
	if rest, ok := strings.CutSuffix(name, "Id"); ok {
		name = rest + "ID"
	}
	return upperFirst(name)
}

// NewHandler renders a handler with its types and its test, and registers it. If h has a
// route, NewHandler also adds the route to the gateway.
func (d *Dir) NewHandler(h Handler) (Result, error) {
	if err := h.check(); err != nil {
		return Result{}, err
	}
	s, err := d.goService(h.Service)
	if err != nil {
		return Result{}, err
	}
	dir := path.Clean(s.Path)
	v := handlerView{Module: d.Module, Service: s.Name, Name: h.Name, Title: upperFirst(h.Name), Fields: h.fields()}
	if err := d.free(dir, v); err != nil {
		return Result{}, err
	}
	var r Result
	if err := d.register(&r, dir, &v); err != nil {
		return Result{}, err
	}
	file := strings.ToLower(h.Name)
	for from, to := range map[string]string{
		"handler/contracts.go.tmpl":    "contracts/" + file + ".go",
		"handler/handler.go.tmpl":      dir + "/" + file + ".go",
		"handler/handler_test.go.tmpl": dir + "/" + file + "_test.go",
	} {
		f, err := render(from, to, v)
		if err != nil {
			return Result{}, err
		}
		r.Files = append(r.Files, f)
	}
	if h.Route != "" {
		if err := d.addRoute(&r, h, v, Service{Name: s.Name}); err != nil {
			return Result{}, err
		}
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return r, nil
}

// goService returns the service with that name. It must have Go code in the workspace.
func (d *Dir) goService(name string) (*workspace.Service, error) {
	s := d.Workspace.Service(name)
	switch {
	case s == nil:
		return nil, &UnknownServiceError{name, d.goServices()}
	case s.Path == "":
		return nil, fmt.Errorf("service %s has no Go code in this workspace, so msctl cannot add a handler to it", name)
	case s.Kind == workspace.KindGateway:
		return nil, fmt.Errorf("%s is a gateway, which does not handle messages: add the handler to a service, with --route for the gateway", name)
	}
	return s, nil
}

func (d *Dir) goServices() []string {
	var names []string
	for _, s := range d.Workspace.Services {
		if s.Path != "" && s.Kind == workspace.KindService {
			names = append(names, s.Name)
		}
	}
	return names
}

// UnknownServiceError reports that the workspace does not have the service.
type UnknownServiceError struct {
	Name  string
	Known []string
}

// Error names the service and the existing ones.
func (e *UnknownServiceError) Error() string {
	return fmt.Sprintf("unknown service %s in %s: the services are %s", e.Name, workspace.FileName, strings.Join(e.Known, ", "))
}

// free returns an error if one of the handler's names is in use.
func (d *Dir) free(dir string, v handlerView) error {
	for _, place := range []struct {
		dir   string
		names []string
	}{{"contracts", []string{v.Title, v.Title + "Data", v.Title + "Reply"}}, {dir, []string{v.Name}}} {
		taken, err := d.declared(place.dir)
		if err != nil {
			return err
		}
		for _, name := range place.names {
			if taken[name] {
				return fmt.Errorf("%s already declares %s: choose another name", place.dir, name)
			}
		}
	}
	return nil
}

// register adds the handler to the service's register method, and stores the name of the
// method's receiver in v.
func (d *Dir) register(r *Result, dir string, v *handlerView) error {
	files, err := d.goFiles(dir)
	if err != nil {
		return err
	}
	f, fn := find(files, "register")
	var server, serverType string
	if fn != nil {
		v.Receiver, v.ReceiverType = f.param(fn.Recv, 0)
		server, serverType = f.param(fn.Type.Params, 0)
	}
	base, isPointer := strings.CutPrefix(v.ReceiverType, "*")
	if fn == nil || !isPointer || !token.IsIdentifier(base) || serverType != "*micro.Server" || !f.imports(d.Module+"/contracts") {
		return fmt.Errorf("%s has no method `func (s *service) register(server *micro.Server)`, to which msctl new handler adds the handler: restore it, or add the handler by hand", dir)
	}
	v.New = "new(" + base + ")"
	statement := fmt.Sprintf("contracts.%s.Handle(%s, %s.%s)", v.Title, server, v.Receiver, v.Name)
	r.edit(f.name, f.text, f.append(fn, statement))
	return nil
}

// addRoute adds the route at the end of the service's routes.
func (d *Dir) addRoute(r *Result, h Handler, v handlerView, s Service) error {
	gateway := d.gateway()
	if gateway == nil {
		return fmt.Errorf("%s has no gateway for the route", workspace.FileName)
	}
	dir := path.Clean(gateway.Path)
	files, err := d.goFiles(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.Contains(string(f.text), `"`+h.Route+`"`) {
			return fmt.Errorf("%s already has a route %s", f.name, h.Route)
		}
	}
	f, fn := find(files, s.Ident()+"Routes")
	statement := "gateway.Route(%[2]s, %[3]q, %[4]s, contracts.%[1]s,\n\t\tgateway.WithSummary(%[5]q))"
	if fn == nil || !f.imports(d.Module+"/contracts") || !f.imports(runtimeModule+"/runtime/gateway") {
		r.byHand("%s has no function %sRoutes: add the route by hand:\n  %s", dir, s.Ident(),
			fmt.Sprintf(statement, v.Title, "gw", h.Route, s.Ident(), v.Name))
		return nil
	}
	gw, _ := f.param(fn.Type.Params, 0)
	client, _ := f.param(fn.Type.Params, 1)
	if gw == "" || client == "" {
		r.byHand("%sRoutes in %s does not take a gateway and a client: add the route by hand", s.Ident(), f.name)
		return nil
	}
	r.edit(f.name, f.text, f.append(fn, fmt.Sprintf(statement, v.Title, gw, h.Route, client, v.Name)))
	return nil
}
