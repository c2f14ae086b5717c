package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Workspace holds the answers of `msctl new NAME`. Workspaces record them as JSON for
// `msctl upgrade`, so that a field that an older msctl did not have is zero: its zero value
// must render what that msctl rendered.
type Workspace struct {
	// Name is the workspace's name.
	Name string
	// Module is its Go module path. Empty means DefaultModule(Name).
	Module string
	// GatewayPort is the port of the gateway. 0 means 3001.
	GatewayPort int
	// Services are its services, at least one.
	Services []Service
	// Secrets are its secrets for development. Files generates those that are empty.
	Secrets Secrets `json:"-"`
	// Notifications makes the service notifications, which must be on RabbitMQ, a worker
	// that confirms each order by email. It requires the services items, orders, and
	// notifications.
	Notifications bool
	// Store is where the sample services store their data. Empty means Memory.
	Store Store
	// Telemetry gives all programs metrics and traces.
	Telemetry bool
	// Version is the version of msctl, which the bundled runtime's go.mod records.
	Version string `json:"-"`
}

// DefaultServices returns the services of a workspace by default. Their ports follow the
// gateway's.
func DefaultServices(gatewayPort int) []Service {
	return []Service{{Name: "items", Port: gatewayPort + 1}, {Name: "orders", Port: gatewayPort + 2}}
}

// AddExample adds an example to items and orders, and the services that it requires.
func (w *Workspace) AddExample(name string) error {
	if name != notifications {
		return fmt.Errorf("unknown example %q: the examples are %s", name, notifications)
	}
	w.Notifications = true
	if w.service(notifications) == nil {
		w.Services = append(slices.Clone(w.Services), Service{Name: notifications, Transport: workspace.RabbitMQ})
	}
	return nil
}

// notifications is the name of the example and of its service.
const notifications = "notifications"

// service returns the service of that name, or nil.
func (w Workspace) service(name string) *Service {
	i := slices.IndexFunc(w.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &w.Services[i]
}

// checkExample returns the unmet requirement of the example, or nil.
func (w Workspace) checkExample() error {
	if !w.Notifications {
		return nil
	}
	if w.service("items") == nil || w.service("orders") == nil {
		return errors.New("the example notifications requires the services items and orders")
	}
	if s := w.service(notifications); s == nil || s.Transport != workspace.RabbitMQ {
		return errors.New("the example notifications requires its service to be on rabbitmq, which stores messages and supports dead letters")
	}
	return nil
}

// module returns its Go module path.
func (w Workspace) module() string { return cmp.Or(w.Module, DefaultModule(w.Name)) }

// DefaultGatewayPort is the default port of the gateway.
const DefaultGatewayPort = 3001

// Check returns all problems of the answers, or nil.
func (w Workspace) Check() error {
	var errs []error
	if err := workspace.CheckName(w.Name); err != nil {
		errs = append(errs, err)
	}
	if w.Module != "" {
		if err := CheckModule(w.Module); err != nil {
			errs = append(errs, err)
		}
	}
	if len(w.Services) == 0 {
		errs = append(errs, errors.New("a workspace requires at least one service"))
	}
	if w.GatewayPort < 0 || w.GatewayPort > 65535 {
		errs = append(errs, fmt.Errorf("invalid port of the gateway %d: must be between 1 and 65535", w.GatewayPort))
	}
	ports := map[int]string{cmp.Or(w.GatewayPort, DefaultGatewayPort): "the gateway"}
	for i, s := range w.Services {
		if err := CheckService(s); err != nil {
			errs = append(errs, err)
			continue
		}
		if other, taken := ports[s.Port]; taken && !s.OnBroker() {
			errs = append(errs, fmt.Errorf("service %s has port %d, which is already used by %s", s.Name, s.Port, other))
		}
		ports[s.Port] = s.Name
		errs = append(errs, w.checkOthers(i))
	}
	return errors.Join(append(errs, w.checkExample(), w.checkStore())...)
}

// checkOthers compares the names of a service with those of the services before it.
func (w Workspace) checkOthers(index int) error {
	s := w.Services[index]
	for _, other := range w.Services[:index] {
		switch {
		case other.Name == s.Name:
			return fmt.Errorf("duplicate service %s", s.Name)
		case sameInGo(other, s):
			return fmt.Errorf("services %s and %s have the same name in Go", other.Name, s.Name)
		}
	}
	return nil
}

// Files renders the whole workspace, sorted by path, with the archive from which
// `msctl upgrade` merges.
func (w Workspace) Files() ([]File, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	w.Secrets = w.Secrets.complete()
	files, err := w.render()
	if err != nil {
		return nil, err
	}
	base, err := w.archive(files)
	if err != nil {
		return nil, err
	}
	files = append(files, base)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// render renders the files without checking the answers.
func (w Workspace) render() ([]File, error) {
	v, err := w.view()
	if err != nil {
		return nil, err
	}
	files, err := renderDir("workspace", v, strings.NewReplacer())
	if err != nil {
		return nil, err
	}
	for _, s := range v.Services {
		own, err := w.renderService(v, s)
		if err != nil {
			return nil, err
		}
		files = addMissing(files, own)
	}
	for _, dir := range v.shared() {
		more, err := renderDir(dir, v, strings.NewReplacer())
		if err != nil {
			return nil, err
		}
		files = addMissing(files, more)
	}
	runtime, err := bundle(v.Brokers, addons(w.Telemetry)...)
	if err != nil {
		return nil, err
	}
	sums, err := v.sums(v.Brokers, addons(w.Telemetry)...)
	if err != nil {
		return nil, err
	}
	files = append(append(files, runtime...), File{Path: "go.sum", Data: sums})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// renderService renders the files of a service, including shared ones.
func (w Workspace) renderService(v view, s serviceView) ([]File, error) {
	kind := w.kind(s.Service)
	files, err := renderService(kind, v, s)
	if err != nil {
		return nil, err
	}
	for _, dir := range v.storeOf(kind) {
		own, err := renderService(dir, v, s)
		if err != nil {
			return nil, err
		}
		files = append(files, own...)
	}
	own, shared, err := renderTransport(s.Service, v)
	return addMissing(files, slices.Concat(own, shared)), err
}

// addMissing adds the files whose paths are missing.
func addMissing(files, more []File) []File {
	for _, f := range more {
		if !slices.ContainsFunc(files, func(other File) bool { return other.Path == f.Path }) {
			files = append(files, f)
		}
	}
	return files
}

func renderService(kind string, v view, s serviceView) ([]File, error) {
	data := oneService{serviceView: s, Module: v.Module, Workspace: v.Name, Items: v.Items, Orders: v.Orders, Notifications: v.Notifications, Telemetry: v.Telemetry, Store: v.Store}
	replaced := []string{"NAME", s.Name, "FILE", s.File(), "PACKAGE", s.Contracts()}
	if v.SQL() {
		replaced = append(replaced, "memory.go", "memory_test.go") // for tests only
	}
	names := strings.NewReplacer(replaced...)
	files, err := renderDir(kind, data, names)
	if kind != "worker" || err != nil {
		return files, err
	}
	others, err := renderDir("service", data, names) // what both have
	return addMissing(files, others), err
}
