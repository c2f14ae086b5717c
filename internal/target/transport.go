package target

import (
	"crypto/tls"
	"slices"

	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// Kind names a transport, spelled as in its own documentation.
type Kind string

// The kinds of transports.
const (
	TCP      Kind = "TCP"
	RabbitMQ Kind = "RabbitMQ"
	Redis    Kind = "Redis"
	NATS     Kind = "NATS"
	HTTP     Kind = "HTTP" // only for msctl bench
)

// Scheme is one URL scheme of a transport.
type Scheme struct {
	Name   string // without "://"
	Sample string // an address that shows the syntax
	tls    bool
	socket bool   // the address is the path of a Unix socket
	master bool   // the path begins with the name of a master, and there may be several servers
	port   string // the default port; "" when the address must have one
	dial   string // the scheme that the driver expects; "" for Name
}

// transport holds everything that the command line knows about a transport. Each
// transport declares its value in a file of its own, and transports lists them.
type transport struct {
	kind        Kind
	schemes     []Scheme
	environment string                   // the variable with the broker's address; "" without a broker
	parameters  map[string]parameterType // the options after the ? of an address
	aliases     map[string]string        // names that other programs have for options
	// argument parses the value of an option that is an argument of a queue or an
	// exchange; nil if there are none.
	argument func(name, text string) (any, error)

	shared       bool   // all services of a broker share its one address
	headers      bool   // metadata travels in headers rather than in the packet
	singleServer bool   // an address has exactly one server
	token        bool   // a user without a password is a token
	fullLogin    bool   // a login requires both a user and a password
	timeoutHint  string // the hint for a request that timed out; "" for the general one

	// parse parses what follows the "://" of an address. All its errors are usage
	// errors.
	parse func(s Scheme, rest string) (Target, error)
	// format returns the address without the password; nil for the general form.
	format func(t Target) string

	// The following belong to brokers. readPath parses the path of an address, and
	// path is its inverse. serverPath is the part of the path that the driver gets.
	// servicePath completes the path of a broker in msctl.yaml for one service. check
	// checks options against each other, and place returns the destination of a message.
	readPath    func(b *Broker, path string) error
	path        func(b *Broker) string
	serverPath  func(b *Broker) string
	servicePath func(s *workspace.Service, path string) string
	check       func(p Parameters) error
	place       func(t Target, p micro.Pattern) string

	// prepare checks what the address refers to on this machine; nil for nothing. Its errors
	// are usage errors.
	prepare func(t Target) error
	// dial connects lazily; nil when the transport does not carry messages. config is
	// nil without TLS.
	dial func(t Target, config *tls.Config, o DialOptions) micro.Conn
	// listen returns the listener of a service; nil when msctl has none.
	listen func(t Target, config *tls.Config) Listener
	// explain rewrites an error that matches micro.ErrUnreachable for the user.
	explain func(t Target, err error) error
}

// transports lists all transports, in the order in which help shows them.
func transports() []transport {
	return []transport{tcp(), rabbitMQ(), redis(), nats(), http()}
}

// lookUp finds the transport with a scheme.
func lookUp(scheme string) (transport, Scheme, bool) {
	for _, t := range transports() {
		if i := slices.IndexFunc(t.schemes, func(s Scheme) bool { return s.Name == scheme }); i >= 0 {
			return t, t.schemes[i], true
		}
	}
	return transport{}, Scheme{}, false
}

// Schemes lists the schemes of all transports that carry messages.
func Schemes() []Scheme {
	var list []Scheme
	for _, t := range transports() {
		if t.dial != nil {
			list = append(list, t.schemes...)
		}
	}
	return list
}
