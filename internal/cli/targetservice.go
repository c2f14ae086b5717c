package cli

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/workspace"
)

// serviceTarget looks a service up in the workspace of the current folder.
func serviceTarget(ctx context.Context, name string) (target, error) {
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
	return findPlaces(ctx, w, s).target(s)
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
func findPlaces(ctx context.Context, w *workspace.Workspace, services ...*workspace.Service) places {
	p := places{w: w}
	for _, s := range services {
		if s.Transport.Broker() {
			p.running = runningBrokers(ctx, w)
			break
		}
	}
	return p
}

// runningBrokers asks the run of a workspace for its brokers. Nothing is known of
// them where there is no run.
func runningBrokers(ctx context.Context, w *workspace.Workspace) map[string]string {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil || len(runs) == 0 {
		return nil
	}
	status, err := runs[0].Status(ctx)
	if err != nil {
		return nil
	}
	return status.Brokers
}

// target is where a service takes messages. The error is a usage error.
func (p places) target(s *workspace.Service) (target, error) {
	if !s.Transport.Broker() {
		return target{scheme: schemeTCP, addresses: []string{s.Addr()}, service: s.Name}, nil
	}
	address, from := p.running[string(s.Transport)], "msctl run"
	if address == "" {
		address, from = p.w.Broker(s.Transport, s, os.Getenv)
	}
	t, err := brokerOf(s, address)
	if err != nil {
		return target{}, withHint(usagef("where %s is, which %s says: %w", s.Transport.Title(), from, err), "%s", hintOf(err))
	}
	t.foreign = len(s.Command) > 0
	return t, nil
}

// brokerOf is the target of a service whose broker has that address: without the
// queue, and maybe with options for other programs, which are left out.
func brokerOf(s *workspace.Service, address string) (target, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme == "tls" && s.Transport == workspace.NATS {
		scheme = schemeNATSTLS
		rest = strings.ReplaceAll(rest, ",tls://", ",")
	}
	known := schemeOf(scheme)
	if known == nil || string(known.kind) != s.Transport.Title() {
		return target{}, fmt.Errorf("%q is not an address of %s", withoutLogin(address), s.Transport.Title())
	}
	t, err := readBroker(known, rest, func(t *target, tail string) error { return t.readServiceTail(s, tail) })
	t.service = s.Name
	return t, err
}

// readServiceTail reads the path and the options of a broker of the workspace: the
// path of RabbitMQ's is a vhost.
func (t *target) readServiceTail(s *workspace.Service, tail string) error {
	path, query, _ := strings.Cut(tail, "?")
	b := t.broker
	if vhost := strings.Trim(path, "/"); b.kind == rabbitMQ && vhost != "" {
		path = "/" + vhost + "/" + url.PathEscape(s.QueueName())
	} else if b.kind == rabbitMQ {
		path = "/" + url.PathEscape(s.QueueName())
	}
	if err := b.readPath(path); err != nil {
		return err
	}
	b.query = ownParams(b.kind, query)
	var err error
	b.params, err = parseParams(b.kind, b.query)
	return err
}
