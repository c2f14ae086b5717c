package scaffold

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/templates"
)

// OnBroker reports whether messages reach the service through a broker.
func (s Service) OnBroker() bool { return s.Transport.Broker() }

// Package is the runtime's package of the service's transport.
func (s Service) Package() string { return transportPackage(s.Transport) }

func transportPackage(t workspace.Transport) string {
	switch t {
	case workspace.RabbitMQ:
		return "microrabbit"
	case workspace.Redis:
		return "microredis"
	case workspace.NATS:
		return "micronats"
	}
	return "microtcp"
}

// TransportName returns the transport's name in msctl.yaml.
func (s Service) TransportName() workspace.Transport { return cmp.Or(s.Transport, workspace.TCP) }

// Queue returns the RabbitMQ queue or NATS queue group, or "".
func (s Service) Queue() string {
	return (&workspace.Service{Name: s.Name, Transport: s.Transport}).QueueName()
}

// Preset returns the address of the service, or of its broker, in development.
func (s Service) Preset() string {
	if s.OnBroker() {
		return workspace.DefaultBrokerURL(s.Transport)
	}
	return fmt.Sprintf("tcp://localhost:%d", s.Port)
}

// Inside returns the address of the service, or of its broker, in containers.
func (s Service) Inside() string {
	if s.OnBroker() {
		return brokerView{s.Transport}.Inside()
	}
	return fmt.Sprintf("tcp://%s:%d", s.Name, s.Port)
}

// Setting returns the Go call that reads the service's address.
func (s Service) Setting() string {
	method := "Service"
	if s.OnBroker() {
		method = "Broker"
	}
	return fmt.Sprintf("env.%s(%q, %q)", method, s.Variable(), s.Preset())
}

// Dial returns the Go call that connects to the service. target is the Go expression of
// its address.
func (s Service) Dial(target string) string {
	if s.Transport == workspace.RabbitMQ {
		return fmt.Sprintf("microrabbit.Dial(%s, %q)", target, s.Queue())
	}
	return fmt.Sprintf("%s.Dial(%s)", s.Package(), target)
}

// Listed returns the Go call that creates the service's transport in the gateway.
func (s Service) Listed() string {
	switch s.Transport {
	case workspace.RabbitMQ:
		return fmt.Sprintf("rabbitmq(%q)", s.Queue())
	case workspace.Redis, workspace.NATS:
		return string(s.Transport) + "()"
	}
	return fmt.Sprintf("tcp(%q, %q)", s.Variable(), s.Preset())
}

// Where describes how the service is reached.
func (s Service) Where() string {
	switch s.Transport {
	case workspace.RabbitMQ:
		return "in RabbitMQ's queue " + s.Queue()
	case workspace.NATS:
		return "on NATS, in the queue group " + s.Queue()
	case workspace.Redis:
		return "on Redis"
	}
	return fmt.Sprintf("on port %d", s.Port)
}

// brokerView is the data of a broker for the templates.
type brokerView struct{ workspace.Transport }

// Name returns the transport, which is also the broker's host in containers.
func (b brokerView) Name() string { return string(b.Transport) }

// Preset returns the broker's address in development.
func (b brokerView) Preset() string { return workspace.DefaultBrokerURL(b.Transport) }

// Secret returns the variable that holds its password.
func (b brokerView) Secret() string { return strings.TrimSuffix(b.Variable(), "_URL") + "_PASSWORD" }

// Inside returns its address in containers. The password is in a file.
func (b brokerView) Inside() string {
	scheme, _, _ := strings.Cut(b.Preset(), "://")
	user := "app"
	if b.Transport == workspace.Redis {
		user = "default" // its only password is that of this user
	}
	return fmt.Sprintf("%s://%s@%s:%s", scheme, user, b.Name(), b.port())
}

// Local returns the address of the container for programs on this machine.
func (b brokerView) Local() string {
	return strings.Replace(b.Inside(), "@"+b.Name()+":", "@localhost:", 1)
}

// SecretFile returns the setting with the file of its password in containers.
func (b brokerView) SecretFile() setting {
	return setting{b.Secret() + "_FILE", "/run/secrets/" + b.Name()}
}

func (b brokerView) port() string {
	return b.Preset()[strings.LastIndex(b.Preset(), ":")+1:]
}

// server returns the broker as a server of compose.yaml.
func (b brokerView) server() server { return server{b.Name(), b.port(), b.Title()} }

// server is a program of compose.yaml that is not the workspace's own: a broker or PostgreSQL.
type server struct{ Name, Port, Title string }

// Declaration returns the entry of its password among the secrets of compose.yaml.
func (s server) Declaration() string {
	return fmt.Sprintf("  %s: # the password of %s\n    file: ./secrets/%[1]s", s.Name, s.Title)
}

// Published returns its entry in compose.dev.yaml, which publishes its port.
func (s server) Published() string {
	return fmt.Sprintf("  %s:\n    networks: [outside]\n    ports:\n      - \"127.0.0.1:%s:%[2]s\"", s.Name, s.Port)
}

// Secure returns the scheme of its addresses with TLS.
func (b brokerView) Secure() string {
	if b.Transport == workspace.NATS {
		return "tls"
	}
	scheme, _, _ := strings.Cut(b.Preset(), "://")
	return scheme + "s"
}

// Explanation returns the comment for its settings in .env.example.
func (b brokerView) Explanation() string {
	return fmt.Sprintf("# The address of %s (%s:// with TLS). If it names a user without a password, as %s does, the password is\n# %s, or in the file that %[4]s_FILE names",
		b.Title(), b.Secure(), b.Inside(), b.Secret())
}

// NestJS returns NestJS's name of the transport.
func (b brokerView) NestJS() string {
	if b.Transport == workspace.RabbitMQ {
		return "Transport.RMQ"
	}
	return "Transport." + strings.ToUpper(b.Name())
}

// HowStarted describes how msctl run starts the broker.
func (b brokerView) HowStarted() string {
	switch b.Transport {
	case workspace.NATS:
		return "NATS is part of msctl"
	case workspace.Redis:
		return "Redis needs `redis-server` in the PATH"
	}
	return "RabbitMQ needs `rabbitmq-server` in the PATH"
}

// Compose returns the broker's entry in compose.yaml.
func (b brokerView) Compose() (string, error) {
	return composeEntry(b.Name())
}

// composeEntry returns the entry in compose.yaml of a program that is not the workspace's own.
func composeEntry(name string) (string, error) {
	text, err := fs.ReadFile(templates.Files(), "compose/"+name+".yaml")
	return strings.TrimRight(string(text), "\n"), err
}

// Volume reports whether the broker stores data.
func (b brokerView) Volume() bool { return b.Transport == workspace.RabbitMQ }

// brokersOf returns the brokers that the transports require.
func brokersOf(transports ...workspace.Transport) []brokerView {
	var found []brokerView
	for _, t := range workspace.Brokers() {
		if slices.Contains(transports, t) {
			found = append(found, brokerView{t})
		}
	}
	return found
}

// renderTransport renders the files that a service on a broker needs in addition to its
// code: own is its listener; shared are files of the workspace that all services on
// brokers, or on this broker, share.
func renderTransport(s Service, v view) (own, shared []File, err error) {
	if !s.OnBroker() {
		return nil, nil, nil
	}
	names := strings.NewReplacer("NAME", s.Name, "FILE", s.File())
	data := oneService{serviceView: serviceView{Service: s}, Module: v.Module}
	for _, dir := range []string{"broker", string(s.Transport)} {
		files, err := renderDir(dir, data, names)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files {
			if strings.HasPrefix(f.Path, "apps/"+s.Name+"/") {
				own = append(own, f)
			} else {
				shared = append(shared, f)
			}
		}
	}
	return own, shared, nil
}
