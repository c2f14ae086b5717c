package scaffold

import (
	"errors"
	"fmt"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// Handler holds the arguments of `msctl new handler`.
type Handler struct {
	// Service is the name of the service to add it to.
	Service string
	// Name is its name in Go.
	Name string
	// Kind is the kind of its messages.
	Kind HandlerKind
	// Pattern is its pattern. The zero Pattern selects {"cmd":NAME}, or SERVICE.v1.NAME for
	// an event.
	Pattern micro.Pattern
	// Route is its HTTP route, such as "POST /items/archive"; empty for none.
	Route string
}

// HandlerKind is the kind of messages that a handler receives.
type HandlerKind int

const (
	// Default is an event for a service on RabbitMQ, and a request for all others.
	Default HandlerKind = iota
	// Request gets one reply.
	Request
	// Stream is a request with any number of replies.
	Stream
	// Event gets no reply.
	Event
)

var (
	handlerName = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	wildcard    = regexp.MustCompile(`\{([a-z][A-Za-z0-9]*)\}`)
)

// complete checks the arguments and sets the defaults for a service.
func (h Handler) complete(s *workspace.Service) (Handler, error) {
	switch {
	case !handlerName.MatchString(h.Name) || token.IsKeyword(h.Name):
		err := fmt.Errorf("invalid handler name %q: must be a Go name that starts with a lower-case letter, such as archiveItem", h.Name)
		if near := lowerCamel(h.Name); near != "" && near != h.Name {
			err = fmt.Errorf("%w (did you mean %q?)", err, near)
		}
		return h, err
	case h.Name == "main":
		return h, errors.New(`invalid handler name "main": Go reserves the name of its test, TestMain`)
	}
	if h.Kind == Default {
		h.Kind = Request
		if s.Transport == workspace.RabbitMQ {
			h.Kind = Event
		}
	}
	switch {
	case !h.Pattern.IsZero():
	case h.Kind == Event:
		h.Pattern = micro.Name(h.Service + ".v1." + h.Name)
	default:
		h.Pattern = micro.Cmd(h.Name)
	}
	if strings.HasPrefix(h.Pattern.Route(), "msctl.") {
		return h, fmt.Errorf("invalid pattern %s: every service answers the patterns that start with msctl", h.Pattern)
	}
	return h, nil
}

// handlerView is the data for the templates of a handler.
type handlerView struct {
	Service, Name, Title        string
	Event, Stream               bool
	Pattern                     string // as a Go expression
	Import, Package             string // of its contract
	Receiver, ReceiverType, New string
	Fields                      []fieldView

	contracts goPackage
}

// Input returns the name of the type of its data.
func (v handlerView) Input() string {
	if v.Event {
		return v.Title + "Event"
	}
	return v.Title + "Input"
}

// Reply returns the name of the type of its reply.
func (v handlerView) Reply() string { return v.Title + "Reply" }

type fieldView struct{ Go, Name, Path string }

// fields returns the wildcards of the route, or a single field if it has none.
func (h Handler) fields() ([]fieldView, error) {
	var fields []fieldView
	for _, m := range wildcard.FindAllStringSubmatch(h.Route, -1) {
		f := fieldView{goName(m[1]), m[1], m[1]}
		if slices.ContainsFunc(fields, func(other fieldView) bool { return other.Go == f.Go }) {
			return nil, fmt.Errorf("invalid route %q: two wildcards have the same name in Go, %s", h.Route, f.Go)
		}
		fields = append(fields, f)
	}
	if fields == nil {
		fields = []fieldView{{"Name", "name", ""}}
	}
	return fields, nil
}

// Example returns data for the handler, as arguments of `msctl send`.
func (h Handler) Example() string {
	fields, err := h.fields()
	var words []string
	for _, f := range fields {
		words = append(words, f.Name+"=Ada")
	}
	if err != nil {
		return ""
	}
	return strings.Join(words, " ")
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

// NewHandler renders a handler with its types and its test, registers it and,
// with a route, adds the route to the gateway.
func (d *Dir) NewHandler(h Handler) (Result, Handler, error) {
	s, err := d.goService(h.Service)
	if err != nil {
		return Result{}, h, err
	}
	if h, err = h.complete(s); err != nil {
		return Result{}, h, err
	}
	r := Result{}
	return r, h, d.addHandler(&r, h, path.Clean(s.Path))
}

// addHandler renders a handler of the service in dir.
func (d *Dir) addHandler(r *Result, h Handler, dir string) error {
	v := handlerView{Service: h.Service, Name: h.Name, Title: upperFirst(h.Name), Event: h.Kind == Event, Stream: h.Kind == Stream}
	var err error
	if v.contracts, err = d.contractsOf(h.Service); err != nil {
		return err
	}
	v.Import, v.Package = v.contracts.path, v.contracts.name
	if v.Pattern, err = patternCode(h.Pattern); err != nil {
		return err
	}
	if v.Fields, err = h.fields(); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return d.register(r, dir, &v) },
		func() error { return d.checkNames(dir, h, v) },
		func() error { return d.renderHandler(r, dir, v) },
		func() error { return d.addRoute(r, h, v) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	slices.SortFunc(r.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// renderHandler renders the contract, the method, and its test.
func (d *Dir) renderHandler(r *Result, dir string, v handlerView) error {
	contract, method := d.freeFile(v.contracts.dir, v.Name), d.freeFile(dir, v.Name)
	for from, to := range map[string]string{
		"handler/contracts.go.tmpl":    contract + ".go",
		"handler/handler.go.tmpl":      method + ".go",
		"handler/handler_test.go.tmpl": method + "_test.go",
	} {
		f, err := render(from, to, v)
		if err != nil {
			return err
		}
		r.Files = append(r.Files, f)
	}
	return nil
}

// freeFile returns the path of a Go file for a name, without its extension. A number is
// added if there are files of that name: which file a declaration is in does not matter.
func (d *Dir) freeFile(dir, name string) string {
	base := path.Join(dir, strings.ToLower(name))
	for i := 1; ; i++ {
		file := base
		if i > 1 {
			file += strconv.Itoa(i)
		}
		if !d.exists(file+".go") && !d.exists(file+"_test.go") {
			return file
		}
	}
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

// register adds the handler to the service's register method, and stores the name of the
// method's receiver in v.
func (d *Dir) register(r *Result, dir string, v *handlerView) error {
	files, err := d.goFiles(dir, noTests)
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
	if fn == nil || !isPointer || !token.IsIdentifier(base) || serverType != "*micro.Server" {
		return fmt.Errorf("%s has no method `func (s *service) register(server *micro.Server)`, to which msctl new handler adds the handler: restore it, or add the handler by hand", dir)
	}
	v.New = "new(" + base + ")"
	method := "Handle"
	if v.Stream {
		method = "HandleStream"
	}
	receiver := v.Receiver
	after, err := f.insert(fn, v.contracts, func(contracts string) string {
		return fmt.Sprintf("%s.%s.%s(%s, %s.%s)", contracts, v.Title, method, server, receiver, v.Name)
	})
	if err != nil {
		return err
	}
	r.edit(f.name, f.text, after)
	if slices.Contains([]string{v.Package, "in", "yield"}, v.Receiver) {
		v.Receiver = "s" // the template uses these names
	}
	return nil
}

// addRoute adds the route at the end of the service's routes.
func (d *Dir) addRoute(r *Result, h Handler, v handlerView) error {
	if h.Route == "" {
		return nil
	}
	gateway := d.gateway()
	if gateway == nil {
		return fmt.Errorf("%s has no gateway for the route", workspace.FileName)
	}
	dir := path.Clean(gateway.Path)
	files, err := d.goFiles(dir, noTests)
	if err != nil {
		return err
	}
	if err := checkRoute(h.Route, files); err != nil {
		return err
	}
	function := Service{Name: h.Service}.Ident() + "Routes"
	call := "Route"
	if v.Event {
		call = "Event"
	} else if v.Stream {
		call = "Stream"
	}
	access := ""
	if strings.HasPrefix(h.Route, "DELETE ") {
		access = `, gateway.WithRoles("admin")`
	}
	statement := func(gw, client, contracts string) string {
		return fmt.Sprintf("gateway.%s(%s, %q, %s, %s.%s,\n\t\tgateway.WithSummary(%q)%s)", call, gw, h.Route, client, contracts, v.Title, v.Name, access)
	}
	f, fn := find(files, function)
	if fn == nil || f.imported(goPackage{path: runtimeModule + "/runtime/gateway", name: "gateway"}) != "gateway" {
		r.byHand("%s has no function %s: add the route by hand:\n  %s", dir, function, statement("gw", "client", v.Package))
		return nil
	}
	gw, _ := f.param(fn.Type.Params, 0)
	client, _ := f.param(fn.Type.Params, 1)
	if gw == "" || client == "" {
		r.byHand("%s in %s does not take a gateway and a client: add the route by hand", function, f.name)
		return nil
	}
	after, err := f.insert(fn, v.contracts, func(contracts string) string { return statement(gw, client, contracts) })
	if err != nil {
		return err
	}
	r.edit(f.name, f.text, after)
	return nil
}
