package nestinit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// assignPorts gives each program its port: the one in the sources, or a free one.
func (p *planner) assignPorts() {
	var open []func()
	for _, literal := range []bool{true, false} { // what cannot be changed comes first
		for _, s := range p.plan.Services {
			if s.Disabled != "" {
				continue
			}
			for _, want := range p.wanted(s) {
				if (len(want.fact.vars) == 0 && want.fact.unknown == "") != literal {
					continue
				}
				n := want.fact.number()
				switch {
				case n != 0 && p.taken[n] == nil:
					p.taken[n] = s
					want.set(n)
				case literal && n != 0:
					s.Disabled = fmt.Sprintf("port %d in %s is also that of %s", n, want.fact.at, p.taken[n].Name)
					p.notef("%s is commented out: %s; make one of them configurable", s.Name, s.Disabled)
				default:
					open = append(open, func() { p.freePort(s, want) })
				}
			}
		}
	}
	for _, assign := range open {
		assign()
	}
	for _, s := range p.plan.Services {
		if s.Disabled == "" {
			p.setPort(s)
		}
	}
}

// port is a port that a program listens on.
type port struct {
	fact *fact
	set  func(int)
	key  string
}

func (p *planner) wanted(s *Service) []port {
	var out []port
	for i := range s.facts.servers {
		e := &s.facts.servers[i]
		if e.transport == workspace.TCP {
			out = append(out, port{&e.port, func(n int) { e.port.text = itoa(n) }, "port"})
		}
	}
	if s.facts.http != nil {
		out = append(out, port{s.facts.http, func(n int) { s.http = n }, "http"})
	}
	return out
}

// firstPort is the first port that is given to a program without one.
const firstPort = 3001

// freePort gives a program a free port, because its own is not known, or that of another.
func (p *planner) freePort(s *Service, want port) {
	n := want.fact.number()
	reason := fmt.Sprintf("%s has no value", strings.Join(want.fact.vars, ", "))
	switch {
	case n != 0 && p.taken[n] != nil:
		reason = fmt.Sprintf("%s also uses %d", p.taken[n].Name, n)
	case len(want.fact.vars) == 0:
		reason = "the port is not known: " + want.fact.expr + ": " + want.fact.unknown
	}
	next := max(n, firstPort)
	if called, at := p.calledPort(s); want.key == "port" && n == 0 && called != 0 {
		next, reason = called, fmt.Sprintf("%s; it is the port in %s", reason, at)
	}
	for p.taken[next] != nil {
		next++
	}
	p.taken[next] = s
	want.set(next)
	key := "port"
	if want.key == "http" && s.main != nil && s.main.transport == workspace.TCP {
		key = "http"
	}
	s.guess(key, "%s: %s", want.fact.at, reason)
}

// calledPort returns the port that a client with the name of a service calls, if no
// program has it.
func (p *planner) calledPort(s *Service) (n int, at place) {
	for _, other := range p.plan.Services {
		for _, c := range other.facts.clients {
			if n := c.port.number(); other != s && c.transport == workspace.TCP && n != 0 && p.taken[n] == nil && c.names(s.Name) {
				return n, c.at
			}
		}
	}
	return 0, place{}
}

// setPort sets the port of the entry, and the variables that the program reads its
// addresses from.
func (p *planner) setPort(s *Service) {
	switch {
	case s.main == nil:
		s.Port = s.http
	case s.main.transport == workspace.TCP:
		s.Port = s.main.port.number()
	case s.http != 0:
		s.Port, s.Ready = s.http, workspace.ReadyHTTP
	}
	if s.main != nil && s.main.transport == workspace.RabbitMQ {
		p.setQueue(s)
	}
	if s.main != nil && s.main.transport == workspace.NATS && s.main.queue.text != "" {
		s.Queue = s.main.queue.text
	}
	if s.http != 0 {
		p.pinPort(s, *s.facts.http, s.http, "http")
	}
	for i := range s.facts.servers {
		e := &s.facts.servers[i]
		if e.transport == workspace.TCP {
			p.pinPort(s, e.port, e.port.number(), "port")
			p.pinHost(s, e.host, "127.0.0.1", "the program listens on this machine")
		}
	}
}

// pinPort sets the variable of a port.
func (p *planner) pinPort(s *Service, f fact, n int, key string) {
	name := f.variable()
	if name == "" {
		if len(f.vars) > 1 || f.unknown != "" {
			if _, known := s.Comments["port"]; !known {
				s.guess("port", "%s: %s (%s)", f.expr, reasonOf(f), f.at)
			}
		}
		return
	}
	if (name == "PORT" || name == "MS_PORT") && n == s.Port {
		p.origin(s, "port", f)
		return // msctl run sets these
	}
	comment := s.Comments[key]
	if n == s.Port && !comment.Guess {
		comment = s.Comments["port"]
	}
	if !comment.Guess {
		comment = p.originOf(s, f)
	}
	s.set(name, itoa(n), comment)
}

// origin adds the origin of a key.
func (p *planner) origin(s *Service, key string, f fact) {
	if _, known := s.Comments[key]; known {
		return
	}
	if c := p.originOf(s, f); c.Text != "" {
		s.Comments[key] = c
	}
}

// originOf describes where the value of a variable comes from. The default in the sources
// and a file that the program reads are no guesses.
func (p *planner) originOf(s *Service, f fact) Comment {
	v, ok := s.facts.env[f.variable()]
	switch {
	case ok && v.schema: // a default like any other
	case ok && v.value != "" && v.example:
		return Comment{fmt.Sprintf("from %s:%d", v.file, v.line), true}
	case ok && v.value != "":
		return Comment{fmt.Sprintf("%s:%d", v.file, v.line), false}
	}
	return Comment{}
}

// whereIs returns the place of the value of a fact: a file with variables, or the sources.
func (p *planner) whereIs(s *Service, f fact) place {
	if v, ok := s.facts.env[f.variable()]; ok && v.value != "" {
		return place{v.file, v.line}
	}
	return f.at
}

func reasonOf(f fact) string {
	if f.unknown != "" {
		return f.unknown
	}
	return "it depends on " + strings.Join(f.vars, ", ")
}

// set adds a variable. The first value counts.
func (s *Service) set(name, value string, c Comment) {
	if slices.ContainsFunc(s.Variables, func(l Line) bool { return l.Name == name }) {
		return
	}
	s.Variables = append(s.Variables, Line{Name: name, Value: value, Comment: c})
}

// pinHost sets the variable of a host that is not this machine, such as the name of a
// container.
func (p *planner) pinHost(s *Service, f fact, value, why string) {
	name := f.variable()
	if isLocal(f.text) || f.text == "" && len(f.vars) == 0 {
		return
	}
	switch {
	case f.text == "":
	case name == "" && strings.Contains(f.text, "."):
	case name == "":
		s.Notes = append(s.Notes, fmt.Sprintf("%s: the host %s is only known in containers", f.at, f.text))
		p.containers = append(p.containers, mention{f.text, f.at.String()})
	default:
		s.set(name, value, Comment{fmt.Sprintf("%s in %s, but %s", f.text, p.whereIs(s, f), why), true})
	}
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	if host == "" || host == "localhost" || host == "host.docker.internal" || strings.HasSuffix(host, ".localhost") {
		return host != ""
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// setQueue sets the queue of RabbitMQ.
func (p *planner) setQueue(s *Service) {
	q := s.main.queue
	if q.text == "" {
		s.Queue = s.Name
		s.main.queue.text = s.Name
		s.guess("queue", "%s (%s)", noValue(q), q.at)
		if name := q.variable(); name != "" {
			s.set(name, s.Queue, s.Comments["queue"])
		}
		return
	}
	s.Queue = q.text
	if name := q.variable(); name != "" {
		p.origin(s, "queue", q)
		s.set(name, q.text, p.originOf(s, q))
	}
}

func noValue(f fact) string {
	if f.expr == "" {
		return "the sources have no value for it"
	}
	if len(f.vars) > 0 {
		return strings.Join(f.vars, ", ") + " has no value"
	}
	return f.expr + ": " + f.unknown
}
