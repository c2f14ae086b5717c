// Package broker finds the brokers that the services of a run use, and prepares
// programs that take the place of missing ones.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/msctl/msctl/internal/workspace"
)

// Error reports that a broker that services need is not available.
type Error struct {
	Transport workspace.Transport
	// Address is where the broker is expected, without a password.
	Address string
	// From is where the address is configured; see [workspace.Workspace.Broker].
	From string
	// Program is the program that msctl would have started if it were installed. It is
	// empty if msctl cannot or must not start one.
	Program string
	Err     error
}

// Error names the broker, its address, and the reason.
func (e *Error) Error() string {
	text := "no " + e.Transport.Title() + " at " + e.Address
	if e.From != "" {
		text += " (" + e.From + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Broker is a broker that services of the run use.
type Broker struct {
	Transport workspace.Transport
	// URL is its address: the configured one, or that of Program.
	URL string
	// Program is the program to start for this run, or nil if a broker answers at the
	// configured address.
	Program *Program

	configured string
	from       string // where the address is configured
	missing    error  // why the broker does not answer there
}

// Set is the brokers of a run. It does not change once [Find] has returned it.
type Set struct {
	work *workspace.Workspace
	All  []*Broker
}

// Find determines the brokers of services, each once, and checks which of them answer.
// For each broker of this machine that does not answer, it prepares a program, with
// its files below dir. natsServer is the command line of a process that calls
// [ServeNATS]; the port is appended to it. The error is an *[Error], or that of ctx.
func Find(ctx context.Context, w *workspace.Workspace, services []*workspace.Service, natsServer []string, dir string) (*Set, error) {
	set := &Set{work: w}
	for _, s := range services {
		if !s.Transport.Broker() {
			continue
		}
		address, from := w.Broker(s.Transport, s, w.Getenv)
		if set.at(s.Transport, address) == nil {
			set.All = append(set.All, &Broker{Transport: s.Transport, URL: address, configured: address, from: from})
		}
	}
	var checks sync.WaitGroup
	for _, b := range set.All {
		if err := workspace.CheckBrokerURL(b.Transport, b.configured); err != nil {
			return nil, b.error(fmt.Errorf("invalid address: %w", err))
		}
		checks.Go(func() { b.missing = Handshake(ctx, b.Transport, b.configured) })
	}
	checks.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, b := range set.All {
		if b.missing == nil {
			continue
		}
		if !workspace.OnThisMachine(b.configured) {
			return nil, b.error(b.missing)
		}
		if err := set.replace(b, natsServer, dir); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// replace prepares a program for a missing broker.
func (set *Set) replace(b *Broker, natsServer []string, dir string) error {
	name := Name(set.work, b.Transport)
	for n := 2; set.hasName(name) || set.work.Service(name) != nil; n++ {
		name = fmt.Sprintf("%s-%d", Name(set.work, b.Transport), n)
	}
	p, err := newProgram(b.Transport, natsServer, dir, name, b.expectedPort())
	if err != nil {
		failed := b.error(err)
		var missing *notInstalledError
		if errors.As(err, &missing) {
			failed.Program = missing.program
		}
		return failed
	}
	b.Program, b.URL = p, p.url
	return nil
}

// expectedPort returns the port of the address under `brokers` if it is free, or 0.
// Programs that do not read RABBITMQ_URL, REDIS_URL, or NATS_URL expect the broker there:
// a NestJS application often has the address in its sources.
func (b *Broker) expectedPort() int {
	u, err := url.Parse(b.configured)
	if b.from != "brokers" || err != nil || u.Scheme == "amqps" || u.Scheme == "rediss" || u.Scheme == "tls" {
		return 0
	}
	port, err := strconv.Atoi(brokerPort(b.Transport, u))
	if err != nil || !isFree(port) {
		return 0
	}
	return port
}

func (set *Set) hasName(name string) bool {
	return slices.ContainsFunc(set.All, func(b *Broker) bool { return b.Program != nil && b.Program.Name == name })
}

func (set *Set) at(t workspace.Transport, configured string) *Broker {
	for _, b := range set.All {
		if b.Transport == t && b.configured == configured {
			return b
		}
	}
	return nil
}

// Of returns the broker of a service, or nil if it has none.
func (set *Set) Of(s *workspace.Service) *Broker {
	address, _ := set.work.Broker(s.Transport, s, set.work.Getenv)
	return set.at(s.Transport, address)
}

// Env returns the environment variables that contain the addresses of the workspace's
// brokers, for a service. They include brokers to which the service only sends.
func (set *Set) Env(s *workspace.Service) (env []string) {
	for _, t := range workspace.Brokers() {
		used := set.work.Brokers[t] != "" || slices.ContainsFunc(set.work.Services, func(s *workspace.Service) bool { return s.Transport == t })
		if !used {
			continue
		}
		address, _ := set.work.Broker(t, s, set.work.Getenv)
		if b := set.at(t, address); b != nil {
			address = b.URL
		}
		env = append(env, t.Variable()+"="+address)
	}
	return env
}

// Name returns the name under which a run starts a transport's broker, in events and
// in its status: that of the transport, unless a service has that name.
func Name(w *workspace.Workspace, t workspace.Transport) string {
	name := string(t)
	for w.Service(name) != nil {
		name += "-broker"
	}
	return name
}

// Target returns the target of a service on the broker at address, in the form that
// users type, without a password: amqp://host/queue, nats://host.
func Target(address string, s *workspace.Service) string {
	safe := workspace.Redacted(address)
	if s.Transport != workspace.RabbitMQ {
		return safe
	}
	list := workspace.SplitBrokerURL(safe)
	for i, one := range list {
		if u, err := url.Parse(one); err == nil {
			list[i] = u.JoinPath(url.PathEscape(s.QueueName())).String()
		}
	}
	return strings.Join(list, ",")
}

// String describes in one line which broker the run uses: an existing one, or one that
// is started, why, and how long its data is kept.
func (b *Broker) String() string {
	if b.Program == nil {
		return "using " + b.Transport.Title() + " at " + workspace.Redacted(b.URL)
	}
	at := workspace.Redacted(b.configured)
	if u, err := url.Parse(b.configured); err == nil {
		at = u.Host
	}
	why := ""
	if errors.Is(b.missing, errNotBroker) {
		why = " (" + b.missing.Error() + ")"
	}
	_, here, _ := strings.Cut(b.URL, "://") // only host and port
	text := fmt.Sprintf("no %s at %s%s: starting one for this run at %s", b.Transport.Title(), at, why, here)
	if b.Program.slow {
		text += " (takes several seconds)"
	}
	if b.Program.Dir == "" {
		return text + ", without persistence"
	}
	return text + "; its data in " + b.Program.Dir + " is deleted when the run ends"
}

func (b *Broker) error(err error) *Error {
	return &Error{Transport: b.Transport, Address: workspace.Redacted(b.configured), From: b.from, Err: err}
}
