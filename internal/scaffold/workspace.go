package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// Workspace is what `msctl new NAME` was told.
type Workspace struct {
	// Name is the workspace's name.
	Name string
	// Module is its Go module path; empty is DefaultModule(Name).
	Module string
	// GatewayPort is where the gateway listens; 0 is 3001.
	GatewayPort int
	// Services are its services, at least one.
	Services []Service
	// Notifications makes a worker of the service notifications, which has to be
	// on RabbitMQ: it mails a confirmation for each order. Services are items,
	// orders and notifications, at least.
	Notifications bool
	// Version is msctl's own, for the file that says where the runtime is from.
	Version string
}

// DefaultServices are those of a workspace that was told nothing.
func DefaultServices() []Service {
	return []Service{{Name: "items", Port: 3002}, {Name: "orders", Port: 3003}}
}

// AddExample gives the workspace an example beside items and orders, with the
// services that it needs and that are not there.
func (w *Workspace) AddExample(name string) error {
	if name != notifications {
		return fmt.Errorf("there is no example %q: there is %s", name, notifications)
	}
	w.Notifications = true
	if w.service(notifications) == nil {
		w.Services = append(slices.Clone(w.Services), Service{Name: notifications, Transport: workspace.RabbitMQ})
	}
	return nil
}

// notifications is the example's name and that of its service.
const notifications = "notifications"

// service returns the service of that name, or nil.
func (w Workspace) service(name string) *Service {
	i := slices.IndexFunc(w.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &w.Services[i]
}

// checkExample says what the example lacks, or nil.
func (w Workspace) checkExample() error {
	if !w.Notifications {
		return nil
	}
	if w.service("items") == nil || w.service("orders") == nil {
		return errors.New("the example notifications needs the services items and orders")
	}
	if s := w.service(notifications); s == nil || s.Transport != workspace.RabbitMQ {
		return errors.New("the example notifications needs its service on rabbitmq, which keeps messages and knows dead letters")
	}
	return nil
}

// DefaultGatewayPort is the gateway's port where nothing else is said.
const DefaultGatewayPort = 3001

// Check returns everything that is wrong with the answers, or nil.
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
		errs = append(errs, errors.New("a workspace needs at least one service"))
	}
	ports := map[int]string{cmp.Or(w.GatewayPort, DefaultGatewayPort): "the gateway"}
	files := map[string]string{}
	for _, s := range w.Services {
		if err := CheckService(s); err != nil {
			errs = append(errs, err)
			continue
		}
		if other, taken := ports[s.Port]; taken && !s.OnBroker() {
			errs = append(errs, fmt.Errorf("service %s has port %d, which %s has already", s.Name, s.Port, other))
		}
		if other, taken := files[s.File()]; taken && other == s.Name {
			errs = append(errs, fmt.Errorf("service %s is there twice", s.Name))
		} else if taken {
			errs = append(errs, fmt.Errorf("services %s and %s cannot be told apart in Go", other, s.Name))
		}
		ports[s.Port], files[s.File()] = s.Name, s.Name
	}
	return errors.Join(append(errs, w.checkExample())...)
}

// Files renders the whole workspace, in the order of their paths.
func (w Workspace) Files() ([]File, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
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
	runtime, err := bundle(v.Brokers)
	if err != nil {
		return nil, err
	}
	sums, err := v.sums(v.Brokers)
	if err != nil {
		return nil, err
	}
	files = append(append(files, runtime...), File{Path: "go.sum", Data: sums})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// renderService renders the files of a service and those that it shares with
// others.
func (w Workspace) renderService(v view, s serviceView) ([]File, error) {
	kind := w.kind(s.Service)
	files, err := renderService(kind, v, s)
	if err != nil {
		return nil, err
	}
	if kind == "orders" && w.Notifications {
		outbox, err := renderService("outbox", v, s)
		if err != nil {
			return nil, err
		}
		files = append(files, outbox...)
	}
	own, shared, err := renderTransport(s.Service, v)
	return addMissing(files, slices.Concat(own, shared)), err
}

// addMissing adds those files whose paths are not there.
func addMissing(files, more []File) []File {
	for _, f := range more {
		if !slices.ContainsFunc(files, func(other File) bool { return other.Path == f.Path }) {
			files = append(files, f)
		}
	}
	return files
}

func renderService(kind string, v view, s serviceView) ([]File, error) {
	data := oneService{serviceView: s, Module: v.Module, Workspace: v.Name, Items: v.Items, Orders: v.Orders, Notifications: v.Notifications}
	return renderDir(kind, data, strings.NewReplacer("NAME", s.Name, "FILE", s.File()))
}
