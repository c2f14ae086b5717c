// Package workspace knows msctl.yaml, the file that says which services make
// up a workspace: it loads it, checks every value and says what is wrong with
// line and column, and edits it without losing comments.
//
// A whole file:
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
//	    transport: rabbitmq   # or redis, nats: no port with a broker
//	  gateway:
//	    kind: gateway
//	    path: ./apps/gateway
//	    port: 3001
//	    depends_on: [items, mail]
//	brokers:                  # where they are, if not where they usually are
//	  rabbitmq: amqp://localhost:5672
package workspace

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
)

// FileName is the name of the file, in the workspace's folder.
const FileName = "msctl.yaml"

// Workspace is what msctl.yaml says. It is not changed after loading, so
// goroutines may share it.
type Workspace struct {
	// Path is the file's absolute path, Dir the folder it is in; both are
	// empty for a workspace made by [Parse].
	Path, Dir string
	// Name is the workspace's name (`name`, required): a lower-case letter,
	// then lower-case letters, digits and hyphens, 63 at most.
	Name string
	// Env is given to every service (`env`); a service's own entry wins.
	Env map[string]string
	// Brokers are the addresses of brokers (`brokers`), for the transports
	// that it names; see [Workspace.BrokerURL]. They may hold passwords.
	Brokers map[Transport]string
	// Services in the order of the file (`services`, required).
	Services []*Service
}

// Service is one entry of `services`. Its key is its name, with the rules of
// [Workspace.Name]; it is also the name by which a target is given on the
// command line and a host in compose files.
type Service struct {
	Name string
	// Kind is what it is to others (`kind`).
	Kind Kind
	// Path is the folder of a Go main package (`path`), relative to the
	// workspace and inside it, with slashes: "./apps/items". A service has
	// either a Path or a Command.
	Path string
	// Command is any other program and its arguments (`command`): a list, or
	// a line that is split at spaces, with '…' and "…" to keep words
	// together. No shell runs it, so nothing in it is expanded.
	Command []string
	// Dir is where a Command runs (`dir`), relative to the workspace or
	// absolute; the workspace itself by default. Only with `command`.
	Dir string
	// Transport is how messages reach it (`transport`, tcp by default); not
	// for a gateway, which has "".
	Transport Transport
	// Host is where others find it (`host`, localhost by default): a name or
	// an IP address.
	Host string
	// Port is where it listens (`port`, 1–65535, no two services the same);
	// required for TCP, for a gateway and for ReadyHTTP, 0 otherwise.
	Port int
	// Queue is RabbitMQ's queue or NATS' queue group, where it is not the
	// service's name (`queue`); see [Service.QueueName].
	Queue string
	// DependsOn names the services that must be ready before it starts
	// (`depends_on`).
	DependsOn []string
	// Env is added to the program's environment (`env`); numbers and booleans
	// are taken as they are written.
	Env map[string]string
	// Watch is what a change of rebuilds and restarts it (`watch`): globs
	// relative to the workspace, where ** stands for any folders. Empty for
	// the default: the Go files it is built from, or nothing for a Command.
	Watch []string
	// Ready is how msctl finds out that it is up (`ready`).
	Ready Ready
	// ReadyPattern is the JSON text of the pattern that ReadyMessage asks for
	// (`ready: {pattern: …}`), "" for the health message.
	ReadyPattern string
	// Line and Column are where its name stands in the file, from 1.
	Line, Column int
}

// Kind is what a service is to others.
type Kind string

// The kinds of services.
const (
	// KindService answers messages; it is the default.
	KindService Kind = "service"
	// KindGateway answers HTTP requests and sends messages.
	KindGateway Kind = "gateway"
)

// Transport is how messages reach a service.
type Transport string

// The transports.
const (
	TCP      Transport = "tcp"
	RabbitMQ Transport = "rabbitmq"
	Redis    Transport = "redis"
	NATS     Transport = "nats"
)

// Ready is how readiness is asked.
type Ready string

// The ways to ask for readiness.
const (
	// ReadyMessage sends a message and waits for any answer, an error from the
	// service included; the default for a service.
	ReadyMessage Ready = "message"
	// ReadyHTTP asks for GET /health and waits for any answer below 500; the
	// default for a gateway.
	ReadyHTTP Ready = "http"
	// ReadyProcess takes a process that has not ended within two seconds for
	// ready; the default for a Command on Redis or NATS, where nobody can ask
	// a program that is not built on this runtime whether it serves.
	ReadyProcess Ready = "process"
)

// Service returns the service of that name, or nil.
func (w *Workspace) Service(name string) *Service {
	for _, s := range w.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Names returns the services' names in the order of the file.
func (w *Workspace) Names() []string {
	names := make([]string, len(w.Services))
	for i, s := range w.Services {
		names[i] = s.Name
	}
	return names
}

// Order returns the services in an order in which each one comes after all
// that it depends on; otherwise they stay in the order of the file. With names
// it returns only those and what they depend on; unknown names are left out.
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
			visit(dependency) // ends: a loaded workspace has no cycles
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

// Addr is host:port of the service, where it has a port.
func (s *Service) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// URL is the target of a service with an address of its own, as others write
// it: tcp://host:port, or http://host:port for a gateway. It is of no use with a
// broker: see [Workspace.Broker] and [Service.QueueName].
func (s *Service) URL() string {
	if s.Kind == KindGateway {
		return "http://" + s.Addr()
	}
	return string(s.Transport) + "://" + s.Addr()
}

// WorkDir is the absolute folder in which a service's program runs: Dir for a
// Command, the workspace's folder otherwise.
func (w *Workspace) WorkDir(s *Service) string {
	if filepath.IsAbs(s.Dir) {
		return filepath.Clean(s.Dir)
	}
	return filepath.Join(w.Dir, filepath.FromSlash(s.Dir))
}
