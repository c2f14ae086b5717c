// Package target handles the TARGET of a message: it parses an address or the name
// of a service in msctl.yaml, connects to it, and explains what went wrong on the way.
//
// Everything that depends on the transport is in one value per transport (tcp.go,
// rabbitmq.go, redis.go, nats.go, http.go); transport.go lists them.
package target

import (
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
)

// Default is the target of messages outside of a workspace.
const Default = "tcp://localhost:3002"

// Target is the destination of messages.
type Target struct {
	// Scheme is the URL scheme. For https it is [SchemeHTTP] as well.
	Scheme string
	// Addresses are host:port, one or several that share the messages. For HTTP it
	// is the one URL, without the login.
	Addresses []string
	// Login authenticates to a broker or a web server.
	Login Login
	// Service is the name in msctl.yaml, or "" for a target given by address.
	Service string
	// Broker is the broker part of the address; nil for other transports.
	Broker *Broker
	// foreign is set for a program that msctl does not build, such as a NestJS service.
	foreign bool
}

// Broker is the part of a broker's address that follows its servers.
type Broker struct {
	// VHost and Queue belong to RabbitMQ.
	VHost, Queue string
	// DB is the Redis database, or "". Channels are the same in all databases.
	DB string
	// Master is the name under which Redis Sentinels know Redis, or "".
	Master string
	// Parameters are the parsed options, and query is their text.
	Parameters Parameters
	query      string
}

// String returns the target as a user writes it, without the password. With the
// password in the environment, it parses to the same target.
func (t Target) String() string {
	transport := t.transport()
	if transport.format != nil {
		return transport.format(t)
	}
	text := t.Scheme + "://" + t.Login.String() + t.List()
	if t.Broker != nil {
		text += transport.path(t.Broker)
		if t.Broker.query != "" {
			text += "?" + t.Broker.query
		}
	}
	return text
}

// transport returns the target's transport; the zero value for the zero target.
func (t Target) transport() transport {
	found, _, _ := lookUp(t.Scheme)
	return found
}

// Kind returns the target's transport.
func (t Target) Kind() Kind { return t.transport().kind }

// Encrypted reports whether the target's scheme uses TLS.
func (t Target) Encrypted() bool {
	_, scheme, _ := lookUp(t.Scheme)
	return scheme.tls
}

// Raw reports whether a proxy in front of the target sees bytes instead of messages.
func (t Target) Raw() bool { return t.Scheme == SchemeHTTP || t.Broker != nil }

// CheckProxy returns an error if a proxy in front of the target would not see its messages:
// Sentinels return the address of Redis, to which clients then connect directly.
func (t Target) CheckProxy() error {
	if t.Broker == nil || t.Broker.Master == "" {
		return nil
	}
	err := exit.Usagef("faults cannot be injected through a Sentinel (%s): its clients connect to Redis directly", t)
	return exit.WithHint(err, "use the address of Redis itself: %s://HOST:6379", strings.TrimSuffix(t.Scheme, "+sentinel"))
}

// Shared reports whether all services of a broker share its one address, so that only
// patterns distinguish them.
func (t Target) Shared() bool { return t.transport().shared }

// HasHeaders reports whether metadata travels in headers rather than in the packet.
func (t Target) HasHeaders() bool { return t.transport().headers }

// Subscribes reports whether a server must name the patterns that it handles.
func (t Target) Subscribes() bool {
	if t.Broker == nil {
		return false
	}
	p := t.Broker.Parameters
	return t.Shared() || p.Flag("wildcards") && p.Text("exchangeType") != "fanout"
}

// List returns the addresses as microtcp.Dial takes them.
func (t Target) List() string { return strings.Join(t.Addresses, ",") }

// Name returns what a message calls the target: its service, or its address.
func (t Target) Name() string {
	if t.Service != "" {
		return t.Service
	}
	return t.String()
}

// Where returns the servers of a broker, without the queue.
func (t Target) Where() string { return t.Scheme + "://" + t.List() }

// Place returns the queue, channel, or subject that receives the messages of a
// pattern; "" without a broker.
func (t Target) Place(p micro.Pattern) string {
	if place := t.transport().place; place != nil {
		return place(t, p)
	}
	return ""
}

// Each returns one target for each address. The servers of a broker's cluster count
// as one.
func (t Target) Each() []Target {
	if t.Broker != nil {
		return []Target{t}
	}
	list := make([]Target, len(t.Addresses))
	for i, address := range t.Addresses {
		list[i] = t
		list[i].Addresses = []string{address}
	}
	return list
}

// Through returns the target for clients that connect to a proxy at address, which
// passes everything on to t. With TLS, the proxy encrypts.
func (t Target) Through(address string) Target {
	switch t.Scheme {
	case SchemeTLS, schemeUnix, schemeUnixTLS:
		t.Scheme = SchemeTCP
	case schemeRedisUnix:
		t.Scheme = "redis"
	case SchemeHTTP:
		address = throughHTTP(t.Addresses[0], address)
	}
	t.Addresses = []string{address}
	return t
}

// FirstHostPort splits the first address. The path of a Unix socket is a port without a
// host, as in NestJS.
func (t Target) FirstHostPort() (host, port string) {
	first := t.Addresses[0]
	if IsSocket(first) {
		return "", first
	}
	i := strings.LastIndexByte(first, ':')
	return strings.Trim(first[:i], "[]"), first[i+1:]
}

// DialForm returns the scheme and the path that the driver of a broker expects.
func (t Target) DialForm() (scheme, path string) {
	transport, s, _ := lookUp(t.Scheme)
	scheme = s.dial
	if scheme == "" {
		scheme = s.Name
	}
	return scheme, transport.serverPath(t.Broker)
}

// dialURLs returns the broker's servers as the driver expects them: with the
// password, without the queue, and with the scheme before each.
func (t Target) dialURLs() string {
	scheme, path := t.DialForm()
	login := t.Login.reveal(t.transport().token)
	urls := make([]string, len(t.Addresses))
	for i, address := range t.Addresses {
		urls[i] = scheme + "://" + login + address + path
	}
	return strings.Join(urls, ",")
}
