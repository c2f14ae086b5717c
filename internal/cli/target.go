package cli

import (
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
const targetSyntax = `TARGET is the name of a service in msctl.yaml, or an address: tcp://host:port,
tls://host:port, or several that share the messages: tcp://a:3002,b:3002.`

// targetHelp adds to it where messages go without a target.
const targetHelp = targetSyntax + `
Without one: in a workspace the service that says it handles the pattern,
elsewhere tcp://localhost:3002.`

// defaultTarget is where messages go outside of a workspace.
const defaultTarget = "tcp://localhost:3002"

// target is where messages go.
type target struct {
	// scheme is tcp, tls or http.
	scheme string
	// addresses are host:port, one or several that share the messages. For
	// http it is the one URL.
	addresses []string
	// service is the name in msctl.yaml, or "" for a target given by address.
	service string
}

// String is the target as a person writes it.
func (t target) String() string {
	if t.scheme == schemeHTTP {
		return t.addresses[0]
	}
	return t.scheme + "://" + strings.Join(t.addresses, ",")
}

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
func parseTarget(text string) (target, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	switch {
	case text == "":
		return target{}, usagef("the target is empty: give a service's name or tcp://host:port")
	case !isURL && strings.Contains(text, ":"):
		return parseAddresses(schemeTCP, text)
	case !isURL:
		return serviceTarget(text)
	}
	switch scheme {
	case schemeTCP, schemeTLS:
		return parseAddresses(scheme, rest)
	case "http", "https":
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return target{}, usagef("target %q is not a URL", text)
		}
		if number, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || number < 1 || number > 65535) {
			return target{}, usagef("target %q: port %q must be a number from 1 to 65535", text, u.Port())
		}
		return target{scheme: schemeHTTP, addresses: []string{text}}, nil
	case "amqp", "amqps", "redis", "rediss", "nats":
		return target{}, usagef("target %q: this version of msctl speaks TCP only; RabbitMQ, Redis and NATS come next", text)
	}
	err := usagef("target %q: unknown scheme %q", text, scheme)
	return target{}, withHint(err, "a target is a service of msctl.yaml, tcp://host:port or tls://host:port")
}

// parseAddresses reads host:port,host:port; each may repeat the scheme.
func parseAddresses(scheme, list string) (target, error) {
	t := target{scheme: scheme}
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
	if strings.ContainsAny(text, "/?#@ ") {
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

// serviceTarget looks a service up in the workspace of the current folder.
func serviceTarget(name string) (target, error) {
	w, err := currentWorkspace()
	if err != nil {
		return target{}, err
	}
	if w == nil {
		err := usagef("target %q: a service's name needs a workspace, and there is no %s here or above", name, workspace.FileName)
		return target{}, withHint(err, "give an address, such as --to tcp://%s:3002", name)
	}
	s := w.Service(name)
	if s == nil {
		err := usagef("the workspace %s has no service %q", w.Name, name)
		if near := nearest.Word(name, w.Names()); near != "" {
			return target{}, withHint(err, "did you mean %s?", near)
		}
		return target{}, withHint(err, "it has %s", strings.Join(w.Names(), ", "))
	}
	if s.Kind == workspace.KindGateway {
		return target{}, withHint(usagef("%s is a gateway: it answers HTTP, not messages", name), "try curl %s/health", s.URL())
	}
	if err := w.CheckTransports(name); err != nil {
		return target{}, err
	}
	return targetOf(s), nil
}

func targetOf(s *workspace.Service) target {
	return target{scheme: schemeTCP, addresses: []string{s.Addr()}, service: s.Name}
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
