package target

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/workspace"
)

// serviceTarget looks a service up in the workspace of the current folder.
func (f *Flags) serviceTarget(ctx context.Context, name string) (Target, error) {
	w, err := workspace.Current()
	if err != nil {
		return Target{}, err
	}
	if w == nil {
		err := exit.Usagef("target %q: a service's name needs a workspace, and there is no %s here or above", name, workspace.FileName)
		return Target{}, exit.WithHint(err, "give an address, such as --to tcp://%s:3002", name)
	}
	s := w.Service(name)
	if s == nil {
		err := exit.Usagef("the workspace %s has no service %q", w.Name, name)
		if near := nearest.Word(name, w.Names()); near != "" {
			return Target{}, exit.WithHint(err, "did you mean %s?", near)
		}
		return Target{}, exit.WithHint(err, "it has %s", strings.Join(w.Names(), ", "))
	}
	if s.Kind == workspace.KindGateway {
		return Target{}, exit.WithHint(exit.Usagef("%s is a gateway: it answers HTTP, not messages", name), "try curl %s/health", s.URL())
	}
	return f.findPlaces(ctx, w, s).target(s)
}

// places knows where the services of a workspace are.
type places struct {
	w *workspace.Workspace
	// running is where the brokers of the `msctl run` that is going on are, by
	// transport.
	running map[string]string
}

// findPlaces finds out where services are: for those behind a broker it asks the
// `msctl run` that is going on, if one is.
func (f *Flags) findPlaces(ctx context.Context, w *workspace.Workspace, services ...*workspace.Service) places {
	p := places{w: w}
	for _, s := range services {
		if s.Transport.Broker() && f.Running != nil {
			p.running = f.Running(ctx, w)
			break
		}
	}
	return p
}

// target is where a service takes messages. The error is a usage error.
func (p places) target(s *workspace.Service) (Target, error) {
	if !s.Transport.Broker() {
		return Target{Scheme: SchemeTCP, Addresses: []string{s.Addr()}, Service: s.Name}, nil
	}
	address, from := p.running[string(s.Transport)], "msctl run"
	if address == "" {
		address, from = p.w.Broker(s.Transport, s, os.Getenv)
	}
	t, err := brokerOf(s, address)
	if err != nil {
		return Target{}, exit.WithHint(exit.Usagef("where %s is, which %s says: %w", s.Transport.Title(), from, err), "%s", exit.Hint(err))
	}
	t.foreign = len(s.Command) > 0
	return t, nil
}

// brokerOf is the target of a service whose broker has that address: without the
// queue, and maybe with options for other programs, which are left out.
func brokerOf(s *workspace.Service, address string) (Target, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme == "tls" && s.Transport == workspace.NATS {
		scheme = schemeNATSTLS
		rest = strings.ReplaceAll(rest, ",tls://", ",")
	}
	known := schemeOf(scheme)
	if known == nil || string(known.kind) != s.Transport.Title() {
		return Target{}, fmt.Errorf("%q is not an address of %s", WithoutLogin(address), s.Transport.Title())
	}
	t, err := readBroker(known, rest, func(t *Target, tail string) error { return t.readServiceTail(s, tail) })
	t.Service = s.Name
	return t, err
}

// readServiceTail reads the path and the options of a broker of the workspace: the
// path of RabbitMQ's is a vhost.
func (t *Target) readServiceTail(s *workspace.Service, tail string) error {
	path, query, _ := strings.Cut(tail, "?")
	b := t.Broker
	if vhost := strings.Trim(path, "/"); b.Kind == RabbitMQ && vhost != "" {
		path = "/" + vhost + "/" + url.PathEscape(s.QueueName())
	} else if b.Kind == RabbitMQ {
		path = "/" + url.PathEscape(s.QueueName())
	}
	if err := b.readPath(path); err != nil {
		return err
	}
	b.query = ownParams(b.Kind, query)
	var err error
	b.Parameters, err = parseParams(b.Kind, b.query)
	return err
}
