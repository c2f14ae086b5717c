package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// rig is one run that is set up: its connections, the fault proxies in their way,
// and the plan. Close it.
type rig struct {
	ctx     context.Context
	o       *benchOptions
	plan    load.Plan
	conns   []micro.Conn
	proxies []*fault.Proxy
	started time.Time // of the run; set before the first request

	control proc.Control // of the `msctl run` whose services are paused
	paused  []string
}

// newRig sets a run up for the messages whose targets are known.
func newRig(ctx context.Context, o *benchOptions) (*rig, error) {
	r := &rig{ctx: ctx, o: o}
	if err := r.setUp(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// setUp makes everything that a run needs.
func (r *rig) setUp() error {
	o := r.o
	r.plan = load.Plan{
		Policy: o.policy, Pacer: o.pacer, Users: o.users, Think: o.think, Arrivals: o.spread, Seed: o.seed,
		Duration: o.duration, Requests: o.requests, Warmup: o.warmup, MaxInFlight: o.maxInFlight,
		Triggers: r.triggersOf(o.faults.list),
	}
	if slices.ContainsFunc(o.faults.list, fault.Fault.ForProcess) {
		if err := r.preparePause(); err != nil {
			return err
		}
	}
	for _, m := range o.messages {
		if err := r.add(m); err != nil {
			return err
		}
	}
	r.plan.OnStart = func(start time.Time) {
		r.started = start
		for _, p := range r.proxies {
			p.Begin(start)
		}
	}
	return nil
}

// add makes the connections of a message.
func (r *rig) add(m *readyMessage) error {
	message := load.Message{
		Name: m.name, Weight: m.weight, Pattern: m.route, Payload: m.payload.Make, Metadata: m.pairs,
	}
	t, err := r.proxied(m.target)
	if err != nil {
		return err
	}
	connections := r.o.connections
	if t.Scheme == target.SchemeHTTP {
		message.Pattern = micro.Name(m.verb() + " " + pathOf(m.target))
		connections = 1 // which makes as many as it needs
	}
	for range connections {
		conn, err := r.dial(t, m)
		if err != nil {
			return err
		}
		r.conns = append(r.conns, conn)
		message.Conns = append(message.Conns, conn)
	}
	r.plan.Messages = append(r.plan.Messages, message)
	return nil
}

// verb is the method of an http request.
func (m *readyMessage) verb() string {
	switch {
	case m.method != "":
		return strings.ToUpper(m.method)
	case len(m.data) > 0 || m.rows != "":
		return "POST"
	}
	return "GET"
}

func pathOf(t target.Target) string {
	u, err := url.Parse(t.Addresses[0])
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

// dial makes one connection for a message: to its target, or to the proxy before it.
func (r *rig) dial(t target.Target, m *readyMessage) (micro.Conn, error) {
	if t.Scheme == target.SchemeHTTP {
		return r.dialHTTP(t, m)
	}
	// The bound on what is in flight is the plan's, and so is who waits how long.
	limits := target.DialOptions{MaxInFlight: 1 << 30, Wait: true}
	if !slices.Equal(t.Addresses, m.target.Addresses) { // to a proxy, which passes on what is encrypted
		limits.ServerName = serverName(m.target)
	}
	return r.o.target.Dial(t, limits)
}

func (r *rig) dialHTTP(t target.Target, m *readyMessage) (micro.Conn, error) {
	options := web.Options{Method: m.verb(), Header: m.header.Clone()}
	if t.Login.Given && options.Header.Get("Authorization") == "" {
		basic := http.Request{Header: options.Header}
		basic.SetBasicAuth(t.Login.User, t.Login.PasswordText())
	}
	if strings.HasPrefix(t.Addresses[0], "https:") {
		config, err := r.o.target.TLSConfig()
		if err != nil {
			return nil, err
		}
		options.TLS = config
	}
	conn, err := web.Dial(t.Addresses[0], options)
	if err != nil {
		return nil, exit.Usagef("--to: %w", err)
	}
	return conn, nil
}

// proxied puts a fault proxy before a target, where there are faults for one, and
// returns the target to talk to instead.
func (r *rig) proxied(t target.Target) (target.Target, error) {
	options := fault.Options{Target: t.Addresses, Raw: t.Raw(), Seed: r.o.seed, Faults: r.o.faults.forProxy()}
	if len(options.Faults) == 0 {
		return t, nil
	}
	switch t.Scheme {
	case target.SchemeTLS:
		config, err := r.o.target.TLSConfig()
		if err != nil {
			return t, err
		}
		config.ServerName = serverName(t)
		options.TLS = config
	case target.SchemeHTTP:
		u, err := url.Parse(t.Addresses[0])
		if err != nil {
			return t, exit.Usagef("--to: %w", err)
		}
		if u.Scheme == "https" {
			return t, exit.WithHint(exit.Usagef("a fault proxy cannot look into https, and %s is", t), "bench the gateway over http, or the service behind it")
		}
		options.Target = []string{web.HostPort(u)}
	}
	// It outlives the run's context: what is in flight when a run is stopped
	// still has the run's grace.
	p, err := fault.Start(context.WithoutCancel(r.ctx), options)
	if err != nil {
		return t, fmt.Errorf("start the fault proxy: %w", err)
	}
	r.proxies = append(r.proxies, p)
	return t.Through(p.Addr()), nil
}

// serverName is whose certificate is expected behind a proxy.
func serverName(t target.Target) string {
	host, _, err := net.SplitHostPort(t.Addresses[0])
	if err != nil {
		return t.Addresses[0]
	}
	return host
}

// close ends the connections and proxies; nothing is in flight any more.
func (r *rig) close() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	for _, p := range r.proxies {
		_ = p.Close()
	}
}

// about is what a report says of the run beside its figures.
func (r *rig) about(name string, cell int) benchreport.About {
	o := r.o
	a := benchreport.About{
		Name: name, Cell: cell, Pattern: o.title(), Target: o.targets(), Load: o.describe(), Seed: o.seed, Faults: r.faultCounts(),
	}
	for _, m := range o.messages {
		if m.target.Scheme == target.SchemeHTTP {
			a.LateUnknown = true
			continue
		}
		each := len(m.target.Addresses)
		if m.target.Broker != nil {
			each = 1 // whichever of the brokers it is
		}
		a.Connections += o.connections * each
	}
	return a
}

// faultCounts is what came of each fault, all proxies together; of a pause the
// triggers tell. The faults that a proxy was started with are the first it lists.
func (r *rig) faultCounts() []benchreport.Fault {
	list := make([]benchreport.Fault, len(r.o.faults.texts))
	for i, text := range r.o.faults.texts {
		list[i].Text = text
	}
	for _, p := range r.proxies {
		stats := p.Stats().Faults
		for i, f := range r.o.faults.list {
			if f.ForProcess() {
				continue
			}
			a := stats[0]
			stats = stats[1:]
			list[i].Messages += int64(a.Matched)
			list[i].Hit += int64(a.Hit)
			if f.Kind == fault.DropReply {
				list[i].Swallowed += int64(a.Replies)
			}
		}
	}
	return list
}

// knock tells before any load when a target cannot be reached. Whether it answers
// the question is not asked: the run will tell.
func (o *benchOptions) knock(ctx context.Context) error {
	for _, m := range o.messages {
		for _, one := range m.target.Each() {
			if err := o.reach(ctx, one); errors.Is(err, micro.ErrUnreachable) {
				return target.Explain(err, one)
			}
		}
	}
	return context.Cause(ctx)
}

// reach connects to one address of a target.
func (o *benchOptions) reach(ctx context.Context, t target.Target) error {
	if t.Scheme != target.SchemeHTTP {
		_, err := o.target.Describe(ctx, t, target.ProbeTimeout)
		if t.Shared() && errors.Is(err, micro.ErrNotServed) {
			return nil // the broker is there, and who serves there need not describe itself
		}
		return err
	}
	u, err := url.Parse(t.Addresses[0])
	if err != nil {
		return exit.Usagef("--to: %w", err)
	}
	conn, err := (&net.Dialer{Timeout: target.ProbeTimeout}).DialContext(ctx, "tcp", web.HostPort(u))
	if err != nil {
		return fmt.Errorf("%w: %w", micro.ErrUnreachable, err)
	}
	return conn.Close()
}
