// Package workspace handles msctl.yaml, the file that describes a workspace: it loads the
// file, reports problems with their line and column, and edits it without losing comments.
//
// A complete file:
//
//	name: shop
//	env:                      # for every service
//	  LOG_LEVEL: debug
//	services:
//	  items:
//	    path: ./apps/items    # a Go package, built and run by msctl
//	    port: 3002
//	  mail:
//	    command: npm run start:dev
//	    dir: ../mail          # any program that speaks the protocol
//	    port: 3010
//	  reports:
//	    path: ./apps/reports
//	    transport: rabbitmq   # or redis or nats; a service on a broker has no port
//	  gateway:
//	    kind: gateway
//	    path: ./apps/gateway
//	    port: 3001
//	    depends_on: [items, mail]
//	brokers:                  # if not at the default ports of this machine
//	  rabbitmq: amqp://localhost:5672
package workspace

import (
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
)

// FileName is the name of the file, in the workspace's folder.
const FileName = "msctl.yaml"

// Workspace is the content of msctl.yaml. It does not change after loading, so it is safe
// for concurrent use.
type Workspace struct {
	// Path is the absolute path of the file, and Dir its folder. Both are empty for a
	// workspace from [Parse].
	Path, Dir string
	// Name is the name of the workspace (`name`, required): a lower-case letter,
	// followed by at most 62 lower-case letters, digits, and hyphens.
	Name string
	// Env is the environment of all services (`env`). The services' own entries take
	// precedence.
	Env map[string]string
	// Brokers are the addresses of brokers by transport (`brokers`); see
	// [Workspace.BrokerURL]. They may contain passwords.
	Brokers map[Transport]string
	// Services are the services in the order of the file (`services`, required).
	Services []*Service
	// Local is what the machine of a developer adds: the variables of .env and .env.local.
	Local Local
}

// Service is one entry of `services`. Its key is its name, with the rules of
// [Workspace.Name]. The name is a target on the command line and a host in compose files.
type Service struct {
	Name string
	// Kind is the kind of service (`kind`).
	Kind Kind
	// Path is the folder of a Go main package (`path`), relative to the
	// workspace and inside it, with slashes: "./apps/items". A service has
	// either a Path or a Command.
	Path string
	// Command is any other program and its arguments (`command`): a list, or a line
	// that is split at spaces, with '…' and "…" for quoting. It does not run in a
	// shell, so nothing is expanded.
	Command []string
	// Dir is the folder in which Command runs (`dir`), relative to the workspace or
	// absolute. The default is the workspace. It requires `command`.
	Dir string
	// Transport carries its messages (`transport`, tcp by default). It is "" for a
	// gateway.
	Transport Transport
	// Host is its name or IP address for other services (`host`, localhost by default).
	Host string
	// Port is its port (`port`, 1–65535, unique). It is required for TCP, for a gateway,
	// and for ReadyHTTP, and 0 otherwise.
	Port int
	// Queue is the RabbitMQ queue or the NATS queue group, if it is not the name of the
	// service (`queue`); see [Service.QueueName].
	Queue string
	// DependsOn names the services that must be ready before it starts
	// (`depends_on`).
	DependsOn []string
	// Env is added to the environment of the program (`env`). Numbers and booleans keep
	// their spelling.
	Env map[string]string
	// Watch lists the files whose changes rebuild and restart the service (`watch`):
	// globs relative to the workspace, in which ** matches any folders. If it is empty,
	// these are its Go files, or none for a Command.
	Watch []string
	// Ready is the readiness check (`ready`).
	Ready Ready
	// ReadyPattern is the pattern of the message that ReadyMessage sends, as JSON
	// (`ready: {pattern: …}`), or "" for the health message.
	ReadyPattern string
	// Tap is false if the service does not report its messages to `msctl tap` (`tap`); nil
	// means true. See [Service.Taps].
	Tap *bool
	// Line and Column are the position of its name in the file, from 1.
	Line, Column int
}

// Taps reports whether a run observes the messages of the service.
func (s *Service) Taps() bool { return s.Tap == nil || *s.Tap }

// Kind is the kind of a service.
type Kind string

// The kinds of services.
const (
	// KindService handles messages. It is the default.
	KindService Kind = "service"
	// KindGateway serves HTTP and sends messages.
	KindGateway Kind = "gateway"
)

// Transport carries the messages of a service.
type Transport string

// The transports.
const (
	TCP      Transport = "tcp"
	RabbitMQ Transport = "rabbitmq"
	Redis    Transport = "redis"
	NATS     Transport = "nats"
)

// Ready is the kind of a readiness check.
type Ready string

// The readiness checks.
const (
	// ReadyMessage sends a message and waits for any reply, even an error. It is the
	// default for a service.
	ReadyMessage Ready = "message"
	// ReadyHTTP sends GET /health and waits for a status below 500. It is the default
	// for a gateway.
	ReadyHTTP Ready = "http"
	// ReadyProcess considers a process ready if it is still running after two seconds.
	// It is the default for a Command on Redis or NATS, because a program that is not
	// built on this runtime cannot be checked there.
	ReadyProcess Ready = "process"
)

// Service returns the service with a name, or nil.
func (w *Workspace) Service(name string) *Service {
	for _, s := range w.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Names returns the names of the services in the order of the file.
func (w *Workspace) Names() []string {
	names := make([]string, len(w.Services))
	for i, s := range w.Services {
		names[i] = s.Name
	}
	return names
}

// Same reports whether a run of two workspaces is the same: their files have the same content apart
// from comments and the order of keys, and the same variables are set.
func (w *Workspace) Same(other *Workspace) bool {
	return same(w, other) && maps.Equal(w.Local.Vars, other.Local.Vars) && maps.Equal(w.Local.Extends, other.Local.Extends)
}

// Order returns the services with every service after its dependencies, and otherwise in
// the order of the file. With names, it returns only these services and their
// dependencies, and ignores unknown names.
func (w *Workspace) Order(names ...string) []*Service {
	wanted := names
	if len(names) == 0 {
		wanted = w.Names()
	}
	var ordered []*Service
	var visit func(name string)
	visit = func(name string) {
		s := w.Service(name)
		if s == nil || slices.Contains(ordered, s) {
			return
		}
		for _, dependency := range s.DependsOn {
			visit(dependency) // terminates: a loaded workspace has no cycles
		}
		ordered = append(ordered, s)
	}
	for _, s := range w.Services {
		if slices.Contains(wanted, s.Name) {
			visit(s.Name)
		}
	}
	return ordered
}

// Addr returns host:port for a service that has a port.
func (s *Service) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URL returns the address of a service that has a port: tcp://host:port, or
// http://host:port for a gateway. For services behind a broker, see [Workspace.Broker] and
// [Service.QueueName].
func (s *Service) URL() string {
	if s.Kind == KindGateway {
		return "http://" + s.Addr()
	}
	return string(s.Transport) + "://" + s.Addr()
}

// WorkDir returns the absolute path of the folder in which the program of a service runs:
// Dir for a Command, otherwise the folder of the workspace.
func (w *Workspace) WorkDir(s *Service) string {
	if filepath.IsAbs(s.Dir) {
		return filepath.Clean(s.Dir)
	}
	return filepath.Join(w.Dir, filepath.FromSlash(s.Dir))
}
