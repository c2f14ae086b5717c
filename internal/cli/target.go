package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/workspace"
)

// targetSyntax is the TARGET syntax for the help of the commands that take one.
const targetSyntax = `TARGET is the name of a service in msctl.yaml, or an address:
  tcp://host:port            NestJS' own transport; several share the messages:
                             tcp://a:3002,b:3002
  amqp://host/queue          RabbitMQ
  redis://host               Redis
  nats://host                NATS
and over TLS tls://, amqps://, rediss://, nats+tls://. A password is best left to
MSCTL_PASSWORD, behind user@host. ` + "`msctl help targets`" + ` has all of it.`

// targetHelp adds to it where messages go without a target.
const targetHelp = targetSyntax + `
Without one: in a workspace the service that says it handles the pattern,
elsewhere tcp://localhost:3002.`

// defaultTarget is where messages go outside of a workspace.
const defaultTarget = "tcp://localhost:3002"

// target is where messages go.
type target struct {
	// scheme is tcp, tls, http or that of a broker.
	scheme string
	// addresses are host:port, one or several that share the messages. For
	// http it is the one URL, without the login.
	addresses []string
	// login is who we are to an http server.
	login login
	// service is the name in msctl.yaml, or "" for a target given by address.
	service string
	// foreign tells that the service is a program that msctl does not build, such as
	// a NestJS service.
	foreign bool
	// broker says more of a broker; nil for others.
	broker *broker
}

// String is the target as a person writes it, without the password: with that in
// the environment it can be typed again.
func (t target) String() string {
	switch {
	case t.scheme == schemeHTTP:
		scheme, rest, _ := strings.Cut(t.addresses[0], "://")
		return scheme + "://" + t.login.String() + rest
	case t.broker != nil:
		return t.scheme + "://" + t.broker.login.String() + strings.Join(t.addresses, ",") + t.tail()
	}
	return t.scheme + "://" + strings.Join(t.addresses, ",")
}

// info is what msctl knows of the target's scheme; nil for http.
func (t target) info() *schemeInfo { return schemeOf(t.scheme) }

// encrypted reports whether the target's scheme is one of TLS.
func (t target) encrypted() bool { return t.info() != nil && t.info().tls }

// raw reports whether a proxy before the target sees bytes only, and not messages.
func (t target) raw() bool { return t.scheme == schemeHTTP || t.broker != nil }

// list is the addresses as microtcp.Dial takes them.
func (t target) list() string { return strings.Join(t.addresses, ",") }

// name is what to call the target in a message: its service, or its address.
func (t target) name() string {
	if t.service != "" {
		return t.service
	}
	return t.String()
}

const (
	schemeTCP  = "tcp"
	schemeTLS  = "tls"
	schemeHTTP = "http" // for bench only
)

// parseTarget reads a TARGET. Names of services are looked up in the workspace
// of the current folder. Everything that is wrong is a usage error.
func parseTarget(ctx context.Context, text string) (target, error) {
	switch {
	case text == "":
		return target{}, usagef("the target is empty: give a service's name or tcp://host:port")
	case !strings.Contains(text, ":"):
		return serviceTarget(ctx, text)
	}
	return parseURL(text)
}

// parseURL reads a TARGET that is an address.
func parseURL(text string) (target, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return parseAddresses(schemeTCP, text)
	}
	switch known := schemeOf(scheme); {
	case known != nil && known.kind != "":
		return parseBroker(known, rest)
	case known != nil:
		return parseAddresses(scheme, rest)
	case scheme == "http" || scheme == "https":
		return parseHTTP(text)
	}
	return target{}, unknownScheme(text, scheme)
}

// unknownScheme names the scheme that was meant, or all of them.
func unknownScheme(text, scheme string) error {
	err := usagef("target %q: unknown scheme %q", withoutLogin(text), scheme)
	var names []string
	for _, s := range schemes() {
		names = append(names, s.name)
	}
	alias := map[string]string{"rabbitmq": schemeAMQP, "rmq": schemeAMQP, "natss": schemeNATSTLS, "nats-tls": schemeNATSTLS}
	if near := cmp.Or(alias[scheme], nearest.Word(scheme, names)); near != "" {
		return withHint(err, "did you mean %s?", schemeOf(near).sample)
	}
	return withHint(err, "a target is a service of msctl.yaml, or begins with %s://", strings.Join(names, "://, "))
}

// parseHTTP reads the URL of a web server.
func parseHTTP(text string) (target, error) {
	shown := withoutLogin(text)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return target{}, usagef("target %q is not a URL", shown)
	}
	if number, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || number < 1 || number > 65535) {
		return target{}, usagef("target %q: port %q must be a number from 1 to 65535", shown, u.Port())
	}
	t := target{scheme: schemeHTTP, addresses: []string{text}}
	if u.User != nil {
		t.login, u.User = readLogin(u.User, false), nil
		t.addresses[0] = u.String()
	}
	return t, nil
}

// parseAddresses reads host:port,host:port; each may repeat the scheme.
func parseAddresses(scheme, list string) (target, error) {
	t := target{scheme: scheme}
	if strings.Contains(list, "@") {
		return t, usagef("target %q: this transport has no users and passwords", withoutLogin(scheme+"://"+list))
	}
	for _, one := range strings.Split(list, ",") {
		address, err := parseAddress(strings.TrimPrefix(strings.TrimSpace(one), scheme+"://"))
		if err != nil {
			return target{}, usagef("target %q: %w", scheme+"://"+list, err)
		}
		if slices.Contains(t.addresses, address) {
			return target{}, usagef("target %q: %s is there twice", scheme+"://"+list, address)
		}
		t.addresses = append(t.addresses, address)
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

// currentWorkspace loads the workspace of the current folder; nil where there
// is none.
func currentWorkspace() (*workspace.Workspace, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the workspace: %w", err)
	}
	path, err := workspace.Find(dir)
	if errors.Is(err, workspace.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return workspace.Load(path)
}
