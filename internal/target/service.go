package target

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/workspace"
)

// IsGateway reports whether a TARGET is a gateway of the workspace, with a path after
// the name or without.
func IsGateway(text string) bool {
	w, err := workspace.Current()
	if err != nil || w == nil || !namesService(text) {
		return false
	}
	name, _, _ := strings.Cut(text, "/")
	s := w.Service(name)
	return s != nil && s.Kind == workspace.KindGateway
}

// namesService reports whether a TARGET is the name of a service, with a path after it
// or without, rather than an address.
func namesService(text string) bool {
	end := strings.IndexAny(text, ":/")
	return end < 0 || text[end] == '/'
}

// gatewayTarget returns the target for a path of a gateway.
func (l locations) gatewayTarget(s *workspace.Service, path string, found bool) (Target, error) {
	if !found {
		err := exit.Usagef("%s is a gateway, which serves HTTP: the path to request is missing", s.Name)
		return Target{}, exit.WithHint(err, "add it to the name: --to %s/health", s.Name)
	}
	scheme, _, _ := strings.Cut(s.URL(), "://")
	t, err := parseHTTP(Scheme{Name: scheme}, l.addr(s)+"/"+path)
	t.Service = s.Name
	return t, err
}

// serviceTarget looks a service up in the workspace of the current folder.
func (f *Flags) serviceTarget(ctx context.Context, text string) (Target, error) {
	name, path, withPath := strings.Cut(text, "/")
	if strings.Trim(name, ".") == "" || !hostPattern.MatchString(name) {
		return Target{}, invalidName(text, name)
	}
	w, err := workspace.Current()
	if err != nil {
		return Target{}, err
	}
	if w == nil {
		err := exit.Usagef("target %q: the name of a service requires a workspace, but there is no %s in this folder or above it", name, workspace.FileName)
		return Target{}, exit.WithHint(err, "use an address, such as --to tcp://%s:3002", name)
	}
	s := w.Service(name)
	if s == nil {
		err := exit.Usagef("workspace %s has no service %q", w.Name, name)
		if near := nearest.Word(name, w.Names()); near != "" {
			return Target{}, exit.WithHint(err, "did you mean %s?", near)
		}
		return Target{}, exit.WithHint(err, "its services are %s", strings.Join(w.Names(), ", "))
	}
	switch {
	case s.Kind == workspace.KindGateway && f.Gateways:
		return f.locate(ctx, w).gatewayTarget(s, path, withPath)
	case s.Kind == workspace.KindGateway:
		return Target{}, exit.WithHint(exit.Usagef("%s is a gateway: it serves HTTP, not messages", name), "try `curl %s/health`", s.URL())
	case withPath:
		return Target{}, exit.Usagef("target %q: %s handles messages, which have no paths: remove /%s", text, name, path)
	}
	return f.locate(ctx, w).target(s)
}

// hostPattern matches what can be the name of a service, or a host without a port.
var hostPattern = regexp.MustCompile(`^[\pL\d._-]+$`)

// invalidName returns the error for a TARGET that is neither an address nor can be the name
// of a service: a path, for example.
func invalidName(text, name string) error {
	err := exit.Usagef("invalid target %q: must be an address or the name of a service", text)
	if strings.Trim(name, ".") == "" {
		path, _ := filepath.Abs(text) // without a working directory, it stays relative
		return exit.WithHint(err, "for a service that listens on a Unix socket, use `--to unix://%s`", cmp.Or(path, "/PATH"))
	}
	return exit.WithHint(err, "an address has a scheme or a port, such as tcp://localhost:3002")
}

// locations knows the addresses of the services in a workspace.
type locations struct {
	w       *workspace.Workspace
	running Run
}

// locate prepares the lookup of services. It asks the workspace's `msctl run` for their
// addresses and its brokers, in case one is running.
func (f *Flags) locate(ctx context.Context, w *workspace.Workspace) locations {
	l := locations{w: w}
	if f.Running != nil {
		l.running = f.Running(ctx, w)
	}
	return l
}

// addr returns the address of a service with a port: that in the workspace, unless the run
// has found the service at another one.
func (l locations) addr(s *workspace.Service) string {
	if at := l.running.Services[s.Name]; at != "" && at != net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) {
		return at
	}
	return s.Addr()
}

// target returns the target of a service. The error is a usage error.
func (l locations) target(s *workspace.Service) (Target, error) {
	if !s.Transport.Broker() {
		return Target{Scheme: SchemeTCP, Addresses: []string{l.addr(s)}, Service: s.Name, foreign: len(s.Command) > 0}, nil
	}
	address, from := l.running.Brokers[string(s.Transport)], "msctl run"
	if address == "" {
		address, from = l.w.Broker(s.Transport, s, l.w.Getenv)
	}
	t, err := brokerOf(s, address)
	if err != nil {
		return Target{}, exit.WithHint(exit.Usagef("the %s address from %s: %w", s.Transport.Title(), from, err), "%s", exit.Hint(err))
	}
	t.foreign = len(s.Command) > 0
	return t, nil
}

// brokerOf returns the target of a service whose broker has the address. The address
// has no queue.
func brokerOf(s *workspace.Service, address string) (Target, error) {
	name, rest, _ := strings.Cut(address, "://")
	if name == "tls" && s.Transport == workspace.NATS {
		name = schemeNATSTLS
		rest = strings.ReplaceAll(rest, ",tls://", ",")
	}
	if name == "unix" && s.Transport == workspace.Redis {
		name = schemeRedisUnix
	}
	transport, scheme, _ := lookUp(name)
	if string(transport.kind) != s.Transport.Title() {
		return Target{}, fmt.Errorf("%q is not a %s address", WithoutLogin(address), s.Transport.Title())
	}
	t, err := readBroker(scheme, rest, func(t *Target, tail string) error {
		path, query, _ := strings.Cut(tail, "?")
		if transport.servicePath != nil {
			path = transport.servicePath(s, path)
		}
		return t.readOptions(path, query)
	})
	t.Service = s.Name
	return t, err
}
