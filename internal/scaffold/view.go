package scaffold

import (
	"cmp"
	"slices"

	"github.com/msctl/msctl/internal/workspace"
)

// view is the data for the templates of a workspace.
type view struct {
	versions
	Name, Module, Version string
	GatewayPort           int
	Secrets               Secrets
	Services              []serviceView
	Brokers               []brokerView
	Items, Orders         bool // whether the two sample services exist
	Notifications         bool // whether the example exists
	Telemetry             bool // whether the programs have metrics and traces
}

// serviceView is a service and the services that it calls.
type serviceView struct {
	Service
	Calls         []string
	CallVariables []Service
	Mails         bool // whether it is the example notifications
	data          bool // whether it stores data in a database
	needsPostgres bool
}

// setting is an environment variable with an address, for containers.
type setting struct{ Variable, Inside string }

// Settings returns the addresses that the service needs.
func (s serviceView) Settings() []setting {
	if s.OnBroker() {
		return settings(append([]Service{s.Service}, s.CallVariables...))
	}
	return settings(s.CallVariables)
}

// Needs returns the names of the brokers that the service needs.
func (s serviceView) Needs() []string {
	transports := []workspace.Transport{s.Transport}
	for _, other := range s.CallVariables {
		transports = append(transports, other.Transport)
	}
	var names []string
	for _, b := range brokersOf(transports...) {
		names = append(names, b.Name())
	}
	if s.needsPostgres {
		names = append(names, "postgres")
	}
	return names
}

// SecretFiles returns the names of the secrets that it has in addition to the principals'.
func (s serviceView) SecretFiles() []string {
	names := s.Needs()
	if s.Mails {
		names = append(names, "smtp")
	}
	return names
}

// Packages returns the transport packages that its main function imports: those of the
// services that it calls, and microtcp if it listens on a port.
func (s serviceView) Packages() []string {
	var names []string
	if !s.OnBroker() {
		names = append(names, s.Package())
	}
	for _, other := range s.CallVariables {
		names = append(names, other.Package())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// settings returns the addresses of the services, each variable once.
func settings(services []Service) []setting {
	var list []setting
	for _, s := range services {
		if one := (setting{s.Variable(), s.Inside()}); !slices.Contains(list, one) {
			list = append(list, one)
			if s.OnBroker() {
				list = append(list, brokerView{s.Transport}.SecretFile())
			}
		}
	}
	return list
}

// Servers returns the brokers and the database of compose.yaml.
func (v view) Servers() (list []server) {
	for _, b := range v.Brokers {
		list = append(list, b.server())
	}
	if v.Postgres() {
		list = append(list, server{"postgres", "5432", "PostgreSQL"})
	}
	return list
}

// Settings returns the addresses of all services, for the gateway.
func (v view) Settings() []setting {
	var all []Service
	for _, s := range v.Services {
		all = append(all, s.Service)
	}
	return settings(all)
}

// OnTCP returns the services with a port.
func (v view) OnTCP() []serviceView {
	return slices.DeleteFunc(slices.Clone(v.Services), func(s serviceView) bool { return s.OnBroker() })
}

// kind is the template folder of a service.
func (w Workspace) kind(s Service) string {
	switch {
	case s.Plain:
	case s.Name == "items":
		return "items"
	case s.Name == "orders" && w.service("items") != nil && !w.service("items").Plain:
		return "orders"
	case s.Name == notifications && w.Notifications:
		return notifications
	}
	return s.template()
}

// template is the template folder of a service that is not an example.
func (s Service) template() string {
	if s.Worker() {
		return "worker"
	}
	return "service"
}

func (w Workspace) view() (view, error) {
	v := view{
		Name: w.Name, Module: w.module(), Version: cmp.Or(w.Version, "devel"),
		GatewayPort: cmp.Or(w.GatewayPort, DefaultGatewayPort), Notifications: w.Notifications, Telemetry: w.Telemetry,
		Secrets: w.Secrets.complete(),
	}
	var transports []workspace.Transport
	for _, s := range w.Services {
		transports = append(transports, s.Transport)
	}
	v.Brokers = brokersOf(transports...)
	var err error
	if v.versions, err = readVersions(v.Brokers, addons(w.Telemetry)...); err != nil {
		return view{}, err
	}
	if err := v.addDrivers(w.store()); err != nil {
		return view{}, err
	}
	if w.Notifications {
		v.direct("github.com/rabbitmq/amqp091-go") // for the dead letters
	}
	for _, s := range w.Services {
		sv := serviceView{Service: s}
		switch w.kind(s) {
		case "items":
			v.Items = true
		case notifications:
			sv.Mails = true
		case "orders":
			v.Orders = true
			sv.Calls = []string{"items"}
			sv.CallVariables = []Service{*w.service("items")}
			if w.Notifications {
				sv.CallVariables = append(sv.CallVariables, *w.service(notifications))
			}
		}
		sv.data = v.SQL() && len(v.storeOf(w.kind(s))) > 0
		sv.needsPostgres = sv.data && v.Postgres()
		v.Services = append(v.Services, sv)
	}
	return v, nil
}

// Stores reports whether the service stores data.
func (s serviceView) Stores() bool { return s.data }

// ComposePostgres returns the entry of PostgreSQL in compose.yaml.
func (v view) ComposePostgres() (string, error) {
	return composeEntry("postgres")
}

// Volumes returns the names of the volumes in compose.yaml.
func (v view) Volumes() (names []string) {
	for _, s := range v.Services {
		if s.data && v.SQLite() {
			names = append(names, s.Name)
		}
	}
	if v.Postgres() {
		names = append(names, "postgres")
	}
	for _, b := range v.Brokers {
		if b.Volume() {
			names = append(names, b.Name())
		}
	}
	return names
}

// shared returns the template folders of what the programs share.
func (v view) shared() (dirs []string) {
	if v.Items {
		dirs = append(dirs, "money", "timestamp", "id")
	}
	if v.Items && v.SQL() {
		dirs = append(dirs, "database", string(v.Store))
	}
	if v.Telemetry {
		dirs = append(dirs, "telemetry")
	}
	if len(v.Servers()) > 0 {
		dirs = append(dirs, "compose_dev")
	}
	return dirs
}

// storeOf returns the template folders of the stores of a service.
func (v view) storeOf(kind string) []string {
	switch {
	case kind != "items" && kind != "orders" && kind != notifications:
		return nil
	case v.SQLite() && kind == "items":
		return []string{"items_sql", "items_sqlite"} // whose tests use a file
	case v.SQLite():
		return []string{kind + "_sql", kind + "_sqlite", kind + "_memory"}
	case v.SQL():
		return []string{kind + "_sql", kind + "_memory"}
	}
	return []string{kind + "_memory"}
}

// oneService is the data for the templates of a service.
type oneService struct {
	serviceView
	Module, Workspace            string
	Items, Orders, Notifications bool
	Telemetry                    bool
	Store
}
