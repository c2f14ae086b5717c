// Package target handles the TARGET of a message: it parses an address or the name
// of a service in msctl.yaml, connects to it, and explains what went wrong on the way.
package target

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// targetSyntax is the TARGET syntax for the help of the commands that take one.
const AddressSyntax = `TARGET is the name of a service in msctl.yaml, or an address:
  tcp://host:port            NestJS' own transport; several share the messages:
                             tcp://a:3002,b:3002
  amqp://host/queue          RabbitMQ
  redis://host               Redis
  nats://host                NATS
and over TLS tls://, amqps://, rediss://, nats+tls://. A password is best left to
MSCTL_PASSWORD, behind user@host. ` + "`msctl help targets`" + ` has all of it.`

// targetHelp adds to it where messages go without a target.
const Syntax = AddressSyntax + `
Without one: in a workspace the service that says it handles the pattern,
elsewhere tcp://localhost:3002.`

// defaultTarget is where messages go outside of a workspace.
const Default = "tcp://localhost:3002"

// target is where messages go.
type Target struct {
	// scheme is tcp, tls, http or that of a broker.
	Scheme string
	// addresses are host:port, one or several that share the messages. For
	// http it is the one URL, without the login.
	Addresses []string
	// login is who we are to an http server.
	Login Login
	// service is the name in msctl.yaml, or "" for a target given by address.
	Service string
	// foreign tells that the service is a program that msctl does not build, such as
	// a NestJS service.
	foreign bool
	// broker says more of a broker; nil for others.
	Broker *Broker
}

// String is the target as a person writes it, without the password: with that in
// the environment it can be typed again.
func (t Target) String() string {
	switch {
	case t.Scheme == SchemeHTTP:
		scheme, rest, _ := strings.Cut(t.Addresses[0], "://")
		return scheme + "://" + t.Login.String() + rest
	case t.Broker != nil:
		return t.Scheme + "://" + t.Broker.Login.String() + strings.Join(t.Addresses, ",") + t.tail()
	}
	return t.Scheme + "://" + strings.Join(t.Addresses, ",")
}

// info is what msctl knows of the target's scheme; nil for http.
func (t Target) info() *schemeInfo { return schemeOf(t.Scheme) }

// encrypted reports whether the target's scheme is one of TLS.
func (t Target) Encrypted() bool { return t.info() != nil && t.info().tls }

// raw reports whether a proxy before the target sees bytes only, and not messages.
func (t Target) Raw() bool { return t.Scheme == SchemeHTTP || t.Broker != nil }

// list is the addresses as microtcp.Dial takes them.
func (t Target) List() string { return strings.Join(t.Addresses, ",") }

// name is what to call the target in a message: its service, or its address.
func (t Target) Name() string {
	if t.Service != "" {
		return t.Service
	}
	return t.String()
}

const (
	SchemeTCP  = "tcp"
	SchemeTLS  = "tls"
	SchemeHTTP = "http" // for bench only
)

// parse reads a TARGET. Names of services are looked up in the workspace
// of the current folder. Everything that is wrong is a usage error.
func (f *Flags) Parse(ctx context.Context, text string) (Target, error) {
	switch {
	case text == "":
		return Target{}, exit.Usagef("the target is empty: give a service's name or tcp://host:port")
	case !strings.Contains(text, ":"):
		return f.serviceTarget(ctx, text)
	}
	return ParseURL(text)
}

// parseURL reads a TARGET that is an address.
func ParseURL(text string) (Target, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return parseAddresses(SchemeTCP, text)
	}
	switch known := schemeOf(scheme); {
	case known != nil && known.kind != "":
		return parseBroker(known, rest)
	case known != nil:
		return parseAddresses(scheme, rest)
	case scheme == "http" || scheme == "https":
		return parseHTTP(text)
	}
	return Target{}, unknownScheme(text, scheme)
}

// unknownScheme names the scheme that was meant, or all of them.
func unknownScheme(text, scheme string) error {
	err := exit.Usagef("target %q: unknown scheme %q", WithoutLogin(text), scheme)
	var names []string
	for _, s := range Schemes() {
		names = append(names, s.Name)
	}
	alias := map[string]string{"rabbitmq": schemeAMQP, "rmq": schemeAMQP, "natss": schemeNATSTLS, "nats-tls": schemeNATSTLS}
	if near := cmp.Or(alias[scheme], nearest.Word(scheme, names)); near != "" {
		return exit.WithHint(err, "did you mean %s?", schemeOf(near).Sample)
	}
	return exit.WithHint(err, "a target is a service of msctl.yaml, or begins with %s://", strings.Join(names, "://, "))
}

// parseHTTP reads the URL of a web server.
func parseHTTP(text string) (Target, error) {
	shown := WithoutLogin(text)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Target{}, exit.Usagef("target %q is not a URL", shown)
	}
	if number, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || number < 1 || number > 65535) {
		return Target{}, exit.Usagef("target %q: port %q must be a number from 1 to 65535", shown, u.Port())
	}
	t := Target{Scheme: SchemeHTTP, Addresses: []string{text}}
	if u.User != nil {
		t.Login, u.User = readLogin(u.User, false), nil
		t.Addresses[0] = u.String()
	}
	return t, nil
}

// parseAddresses reads host:port,host:port; each may repeat the scheme.
func parseAddresses(scheme, list string) (Target, error) {
	t := Target{Scheme: scheme}
	if strings.Contains(list, "@") {
		return t, exit.Usagef("target %q: this transport has no users and passwords", WithoutLogin(scheme+"://"+list))
	}
	for _, one := range strings.Split(list, ",") {
		address, err := parseAddress(strings.TrimPrefix(strings.TrimSpace(one), scheme+"://"))
		if err != nil {
			return Target{}, exit.Usagef("target %q: %w", scheme+"://"+list, err)
		}
		if slices.Contains(t.Addresses, address) {
			return Target{}, exit.Usagef("target %q: %s is there twice", scheme+"://"+list, address)
		}
		t.Addresses = append(t.Addresses, address)
	}
	return t, nil
}

func parseAddress(text string) (string, error) {
	if strings.ContainsAny(text, "/?# ") {
		return "", fmt.Errorf("%q is not host:port", text)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port", text)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return "", fmt.Errorf("port %q must be a number from 1 to 65535", port)
	}
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}
