package proc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/msctl/msctl/internal/workspace"
)

// BrokerError says that a broker that services need is not there.
type BrokerError struct {
	Transport workspace.Transport
	// Address is where it should be, without a password.
	Address string
	// From is what says so, as [workspace.Workspace.Broker] tells.
	From string
	// Program is what would have been started in its place, had it been
	// installed; empty where nothing can be, or should be.
	Program string
	Err     error
}

// Error says which broker does not answer where, and why.
func (e *BrokerError) Error() string {
	text := "no " + e.Transport.Title() + " answers at " + e.Address
	if e.From != "" {
		text += " (" + e.From + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap gives the reason.
func (e *BrokerError) Unwrap() error { return e.Err }

// broker is one that services of the run use.
type broker struct {
	transport workspace.Transport
	wanted    string // where it should be
	from      string // what says so
	missing   error  // why it is not there; nil when it answers
	url       string // where it is: wanted, or that of one of our own
	own       *unit  // runs ours; nil when another answers
	program   program
}

// BrokerName is the name under which a run starts a transport's broker, in
// events and in its status: that of the transport, unless a service has it.
func BrokerName(w *workspace.Workspace, t workspace.Transport) string {
	name := string(t)
	for w.Service(name) != nil {
		name += "-broker"
	}
	return name
}

// findBrokers finds the brokers of the services that run, each once, and asks all
// of them whether they are there.
func (r *run) findBrokers(ctx context.Context) error {
	for i := range r.units {
		spec := r.units[i].spec
		if !spec.Transport.Broker() {
			continue
		}
		address, from := r.work.Broker(spec.Transport, spec, os.Getenv)
		if r.brokerAt(spec.Transport, address) == nil {
			r.brokers = append(r.brokers, &broker{transport: spec.Transport, wanted: address, from: from, url: address})
		}
	}
	var asking sync.WaitGroup
	for _, b := range r.brokers {
		if err := workspace.CheckBrokerURL(b.transport, b.wanted); err != nil {
			return b.error(fmt.Errorf("the address is wrong: %w", err))
		}
		asking.Go(func() { b.missing = handshake(ctx, b.transport, b.wanted) })
	}
	asking.Wait()
	return ctx.Err()
}

func (r *run) brokerAt(t workspace.Transport, wanted string) *broker {
	for _, b := range r.brokers {
		if b.transport == t && b.wanted == wanted {
			return b
		}
	}
	return nil
}

func (b *broker) error(err error) *BrokerError {
	return &BrokerError{Transport: b.transport, Address: workspace.Redacted(b.wanted), From: b.from, Err: err}
}

// provide sees to it that every broker is there: those of this machine that do
// not answer are started, as services of the run that all others wait for.
func (r *run) provide(ctx context.Context, session string) error {
	if err := r.findBrokers(ctx); err != nil {
		return err
	}
	var own []unit
	for _, b := range r.brokers {
		if b.missing == nil {
			continue
		}
		if !workspace.OnThisMachine(b.wanted) {
			return b.error(b.missing)
		}
		u, err := r.ownBroker(b, session)
		if err != nil {
			return err
		}
		own = append(own, u)
	}
	for i := range r.units {
		u := &r.units[i]
		for j := range own {
			u.needs = append(u.needs, own[j].spec.Name)
		}
		u.env = append(u.env, r.brokerEnv(u.spec)...)
		u.broker = r.brokerOf(u.spec)
		if u.broker != nil {
			u.where = brokerTarget(u.broker.url, u.spec)
		}
	}
	r.units = append(own, r.units...)
	return nil
}

// ownBroker makes the unit of a broker that is started for this run.
func (r *run) ownBroker(b *broker, session string) (unit, error) {
	name := BrokerName(r.work, b.transport)
	for n := 2; r.unitNamed(name) || r.work.Service(name) != nil; n++ {
		name = fmt.Sprintf("%s-%d", BrokerName(r.work, b.transport), n)
	}
	var err error
	if b.program, err = r.brokerProgram(b.transport, session, name); err != nil {
		failed := b.error(err)
		var absent *absentError
		if errors.As(err, &absent) {
			failed.Program = absent.program
		}
		return unit{}, failed
	}
	b.url = b.program.url
	u := unit{
		spec: &workspace.Service{Name: name, Command: b.program.words, Transport: b.transport, Ready: workspace.ReadyMessage},
		dir:  b.program.dir, env: b.program.env, broker: b, runsBroker: true, where: workspace.Redacted(b.url),
	}
	b.own = &u
	return u, nil
}

func (r *run) unitNamed(name string) bool {
	return slices.ContainsFunc(r.brokers, func(b *broker) bool { return b.own != nil && b.own.spec.Name == name })
}

// brokerOf is the broker of a service, nil for one without.
func (r *run) brokerOf(s *workspace.Service) *broker {
	address, _ := r.work.Broker(s.Transport, s, os.Getenv)
	return r.brokerAt(s.Transport, address)
}

// brokerEnv tells a service where the brokers of the workspace are, also those
// that it only sends to.
func (r *run) brokerEnv(s *workspace.Service) (env []string) {
	for _, t := range workspace.Brokers() {
		used := r.work.Brokers[t] != "" || slices.ContainsFunc(r.work.Services, func(s *workspace.Service) bool { return s.Transport == t })
		if !used {
			continue
		}
		address, _ := r.work.Broker(t, s, os.Getenv)
		if b := r.brokerAt(t, address); b != nil {
			address = b.url
		}
		env = append(env, t.Variable()+"="+address)
	}
	return env
}

// brokerTarget is where a service is behind a broker, as a person writes it and
// without a password: amqp://host/mail, nats://host.
func brokerTarget(address string, s *workspace.Service) string {
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

// announceBrokers tells which brokers are used, and which of them are ours.
func (r *run) announceBrokers() {
	for _, b := range r.brokers {
		e := Event{Kind: KindBroker, URL: workspace.Redacted(b.url), Text: "uses the " + b.transport.Title() + " at " + workspace.Redacted(b.url)}
		if b.own != nil {
			e.Service, e.Text = b.own.spec.Name, b.story()
		}
		r.emit(e)
	}
}

// story says in one line why there is a broker of ours and what becomes of it.
func (b *broker) story() string {
	at := workspace.Redacted(b.wanted)
	if u, err := url.Parse(b.wanted); err == nil {
		at = u.Host
	}
	why := ""
	if errors.Is(b.missing, errStranger) {
		why = " (" + b.missing.Error() + ")"
	}
	_, here, _ := strings.Cut(b.url, "://") // ours: it has nothing but host and port
	text := fmt.Sprintf("no %s answers at %s%s: starting one for this run at %s", b.transport.Title(), at, why, here)
	if b.program.slow != "" {
		text += ", which takes " + b.program.slow
	}
	if b.program.dir == "" {
		return text + "; it keeps nothing"
	}
	return text + "; its data is in " + b.program.dir + ", gone afterwards"
}
