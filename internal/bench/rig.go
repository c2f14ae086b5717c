package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// rig is what one run needs: its connections, the fault proxies in front of the
// targets, and the plan. Call close when the run has finished.
type rig struct {
	ctx     context.Context
	spec    *Spec
	plan    load.Plan
	conns   []micro.Conn
	shared  map[string][]micro.Conn // of the messages of a recording, which came from the same programs, by place
	proxies []*fault.Proxy
	fleet   FleetRun  // that makes the run; nil for this process
	started time.Time // of the run; set before the first request
	pause   func(ctx context.Context, service string, d time.Duration) error
}

// newRig connects a run of the Spec, whose messages have their targets.
func newRig(ctx context.Context, spec *Spec, pauser Pauser) (*rig, error) {
	r := &rig{ctx: ctx, spec: spec, shared: map[string][]micro.Conn{}}
	if err := r.setUp(pauser); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) setUp(pauser Pauser) (err error) {
	s := r.spec
	r.plan = load.Plan{
		Policy: Divided(s.ClientPolicy(), s.part), Pacer: s.pacer(), Users: s.users(), Think: s.Load.Think, Arrivals: s.Load.Arrivals, Coalesce: s.Load.Coalesce, Seed: s.Load.Seed,
		Duration: s.duration(), Requests: s.Load.Requests, Warmup: s.Load.Warmup, MaxInFlight: s.Load.MaxInFlight,
		Objective: s.Objective, Triggers: r.triggers(), NoMetadata: s.NoMetadata, Redact: s.Secrets.Mask, TimerPacing: s.memory != nil,
	}
	if slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.ForProcess() }) && pauser != nil {
		if r.pause, err = pauser(r.ctx); err != nil {
			return err
		}
	}
	for _, m := range s.Messages {
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
func (r *rig) add(m *Message) error {
	message := load.Message{
		Name: r.spec.Secrets.Mask(m.title()), Weight: m.Weight, Pattern: m.route, Event: m.event, Payload: m.payload.Make, Metadata: m.pairs, Expect: r.expect(),
	}
	if r.spec.Fleet != nil {
		r.plan.Messages = append(r.plan.Messages, message)
		return nil
	}
	if shared := r.shared[place(m.target)]; m.sent != nil && shared != nil {
		message.Conns = shared
		r.plan.Messages = append(r.plan.Messages, message)
		return nil
	}
	t, err := r.proxied(m.target)
	if err != nil {
		return err
	}
	connections := r.spec.Load.Connections
	if t.Scheme == target.SchemeHTTP {
		message.Pattern, message.HTTP = micro.Name(m.title()), true
		connections = 1 // the HTTP client opens as many as it needs
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
	if m.sent != nil {
		r.shared[place(m.target)] = message.Conns
	}
	return nil
}

// place identifies where a target is.
func place(t target.Target) string {
	return t.Scheme + " " + t.Service + " " + strings.Join(t.Addresses, ",")
}

// expect returns the check of each value of a reply; nil without --expect.
func (r *rig) expect() func(micro.Value) error {
	expression := r.spec.Expect
	if expression == nil {
		return nil
	}
	return func(v micro.Value) error {
		status, _ := v.Any.(web.Status)
		holds, err := expression.HoldsFor(v.Raw, int(status))
		if err == nil && !holds {
			err = fmt.Errorf("--expect %s is not true", expression)
		}
		return err
	}
}

// dial makes one connection for a message: to its target, or to the proxy in front
// of it.
func (r *rig) dial(t target.Target, m *Message) (micro.Conn, error) {
	switch {
	case r.spec.memory != nil:
		return r.spec.memory.dial(), nil
	case t.Scheme == target.SchemeHTTP:
		return r.dialHTTP(t, m)
	}
	// The plan bounds the requests in flight, and the policy how long each waits.
	limits := target.DialOptions{Wait: true, Control: r.control()}
	if !slices.Equal(t.Addresses, m.target.Addresses) { // a proxy that passes on encrypted bytes
		limits.ServerName = serverName(m.target)
	}
	return r.spec.Target.Dial(t, limits)
}

func (r *rig) dialHTTP(t target.Target, m *Message) (micro.Conn, error) {
	options := web.Options{Method: m.verb(), Header: m.header.Clone(), Redirects: r.spec.Redirects, HTTP2: r.spec.HTTP2}
	if e := r.spec.Expect; e != nil && e.UsesStatus() {
		options.Accept = func(int) bool { return true } // the expression decides
	}
	if t.Login.Given && options.Header.Get("Authorization") == "" {
		basic := http.Request{Header: options.Header}
		basic.SetBasicAuth(t.Login.User, t.Login.PasswordText())
	}
	options.Control = r.control()
	if strings.HasPrefix(t.Addresses[0], "https:") {
		config, err := r.spec.Target.TLSConfig()
		if err != nil {
			return nil, err
		}
		options.TLS = config
	}
	conn, err := web.Dial(origin(t.Addresses[0])+m.path, options)
	if err != nil {
		return nil, exit.Usagef("--to: %w", err)
	}
	return conn, nil
}

// control returns the Control for connections, which may lead to a proxy of this process.
func (r *rig) control() target.Control {
	control := r.spec.guard.Control
	if control == nil {
		return nil
	}
	var own []string
	for _, p := range r.proxies {
		own = append(own, p.Addr())
	}
	return func(network, address string, c syscall.RawConn) error {
		if slices.Contains(own, address) {
			return nil
		}
		return control(network, address, c)
	}
}

// proxied starts a fault proxy in front of a target if there are faults for one,
// and returns the target through which to send.
func (r *rig) proxied(t target.Target) (target.Target, error) {
	options := fault.Options{Target: t.Addresses, Raw: t.Raw(), Seed: r.spec.Load.Seed + uint64(r.spec.part.Index)<<32, Faults: forProxy(r.spec.Faults), Control: r.spec.guard.Control}
	if len(options.Faults) == 0 || r.spec.memory != nil {
		return t, nil
	}
	switch {
	case t.Kind() == target.TCP && t.Encrypted():
		config, err := r.spec.Target.TLSConfig()
		if err != nil {
			return t, err
		}
		config.ServerName = serverName(t)
		options.TLS = config
	case t.Scheme == target.SchemeHTTP:
		u, err := url.Parse(origin(t.Addresses[0]))
		if err != nil {
			return t, exit.Usagef("--to: %w", err)
		}
		if u.Scheme == "https" {
			return t, exit.WithHint(exit.Usagef("faults cannot be injected into https, and the target is %s", t), "bench the gateway over http, or the service behind it")
		}
		options.Target = []string{web.HostPort(u)}
	}
	// The proxy outlives the run's context: requests in flight when a run is
	// stopped still have the run's grace.
	p, err := fault.Start(context.WithoutCancel(r.ctx), options)
	if err != nil {
		return t, fmt.Errorf("start the fault proxy: %w", err)
	}
	r.proxies = append(r.proxies, p)
	return t.Through(p.Addr()), nil
}

// serverName returns the name on the certificate expected behind a proxy.
func serverName(t target.Target) string {
	host, _, err := net.SplitHostPort(t.Addresses[0])
	switch {
	case target.IsSocket(t.Addresses[0]):
		return "localhost"
	case err != nil:
		return t.Addresses[0]
	}
	return host
}

// close closes the connections and proxies. Nothing may be in flight.
func (r *rig) close() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	for _, p := range r.proxies {
		_ = p.Close()
	}
}

// about returns the description of the run for the report.
func (r *rig) about(name string, cell int) report.About {
	s := r.spec
	a := report.About{
		Name: name, Cell: cell, Pattern: s.Title(), Target: s.Targets(), Load: s.describeLoad(), Coalesce: s.Load.Coalesce, Seed: s.Load.Seed, Faults: r.faultCounts(),
	}
	var digests []string
	for _, m := range s.Messages {
		digests = append(digests, fmt.Sprintf("%s×%d", m.digest, m.Weight))
		a.Loopback = a.Loopback || m.target.Loopback()
	}
	a.Data = strings.Join(digests, " ")
	counted := map[string]bool{}
	for _, m := range s.Messages {
		at := place(m.target)
		switch {
		case m.target.Scheme == target.SchemeHTTP:
			a.LateUnknown = true
			continue
		case m.sent != nil && counted[at]:
			continue
		}
		counted[at] = true
		each := len(m.target.Addresses)
		if m.target.Broker != nil {
			each = 1 // a client connects to one of a broker's addresses
		}
		a.Connections += s.Load.Connections * each
	}
	if r.fleet != nil {
		a.Agents = r.fleet.Agents()
		a.Connections *= len(a.Agents)
	}
	return a
}

// faultCounts returns how often each fault was injected, summed over the proxies.
// The counts of a pause are 0: the triggers report it. A proxy lists the faults it
// was started with first, in their order.
func (r *rig) faultCounts() []report.Fault {
	list := make([]report.Fault, len(r.spec.Faults))
	for i, f := range r.spec.Faults {
		list[i].Text = f.Text
	}
	if r.fleet != nil {
		for i, n := range r.fleet.Faults() {
			list[i].Messages, list[i].Hit, list[i].Swallowed = n[0], n[1], n[2]
		}
		return list
	}
	for _, p := range r.proxies {
		stats := p.Stats().Faults
		for i, f := range r.spec.Faults {
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
