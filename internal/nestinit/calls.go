package nestinit

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// findBrokers determines the addresses of the brokers.
func (p *planner) findBrokers() {
	for _, s := range p.plan.Services {
		if s.Disabled != "" {
			continue
		}
		for _, list := range [][]endpoint{s.facts.servers, s.facts.clients} {
			for _, e := range list {
				if e.transport.Broker() {
					p.broker(s, e)
				}
			}
		}
	}
}

var brokerPorts = map[workspace.Transport]string{workspace.RabbitMQ: "5672", workspace.Redis: "6379", workspace.NATS: "4222"}

// broker adds the address of the broker of an endpoint, and sets the variables that the
// program reads it from.
func (p *planner) broker(s *Service, e endpoint) {
	host, port := e.address()
	scheme, _, _ := strings.Cut(workspace.DefaultBrokerURL(e.transport), ":")
	port = cmp.Or(port, brokerPorts[e.transport])
	remote := strings.Contains(host, ".") && !isLocal(host)
	at := "localhost"
	if remote {
		at = host
	}
	address := scheme + "://" + net.JoinHostPort(at, port)
	i := slices.IndexFunc(p.plan.Brokers, func(l Line) bool { return l.Name == string(e.transport) })
	switch {
	case i < 0:
		p.plan.Brokers = append(p.plan.Brokers, Line{Name: string(e.transport), Value: address, Comment: brokerComment(e, host)})
	case p.plan.Brokers[i].Value != address:
		s.Notes = append(s.Notes, fmt.Sprintf("%s: it uses %s at %s", e.at, e.transport.Title(), net.JoinHostPort(cmp.Or(host, "localhost"), port)))
		p.notef("%s (%s) uses another %s than the other services: %s", s.Name, e.at, e.transport.Title(), net.JoinHostPort(cmp.Or(host, "localhost"), port))
		address = p.plan.Brokers[i].Value
	}
	p.brokerVariables(s, e, host, address)
}

// brokerComment marks an address that the sources do not determine.
func brokerComment(e endpoint, host string) Comment {
	f := e.url
	if f.text == "" && len(f.vars) == 0 {
		f = e.host
	}
	switch {
	case host == "" && (len(f.vars) > 0 || f.unknown != ""):
		return Comment{fmt.Sprintf("%s (%s)", noValue(f), f.at), true}
	case host != "" && !isLocal(host) && !strings.Contains(host, "."):
		return Comment{fmt.Sprintf("%s is the name of a container (%s)", host, f.at), true}
	}
	return Comment{}
}

// brokerVariables sets the variables of the address of a broker. `msctl run` itself sets
// RABBITMQ_URL, REDIS_URL, and NATS_URL.
func (p *planner) brokerVariables(s *Service, e endpoint, host, address string) {
	_, hostPort, _ := strings.Cut(address, "://")
	newHost, newPort, err := net.SplitHostPort(hostPort)
	if err != nil {
		return
	}
	if name := e.url.variable(); name != "" && name != e.transport.Variable() {
		c := p.originOf(s, e.url)
		switch {
		case secret.URL(e.url.text) != e.url.text && !isGuest(e.url.text):
			p.notePassword(e)
			return // the program reads it from its own file
		case e.url.text == "":
			c = Comment{noValue(e.url) + " (" + e.url.at.String() + ")", true}
		case !isLocal(host) && !strings.Contains(host, "."):
			c = Comment{fmt.Sprintf("%s is the name of a container (%s)", host, p.whereIs(s, e.url)), true}
		}
		s.set(name, withScheme(e.url.text, address), c)
	}
	if len(e.url.vars) > 1 {
		p.partsOfURL(s, e, newHost, newPort)
		if secret.URL(e.url.text) != e.url.text && !isGuest(e.url.text) {
			p.notePassword(e)
		}
	}
	if name := e.port.variable(); name != "" && e.port.text != "" {
		s.set(name, newPort, p.originOf(s, e.port))
	}
	if e.host.variable() != "" && e.host.text == "" {
		s.set(e.host.variable(), newHost, Comment{noValue(e.host) + " (" + e.host.at.String() + ")", true})
		return
	}
	if name := e.host.variable(); name != "" && isLocal(e.host.text) {
		s.set(name, newHost, p.originOf(s, e.host))
	}
	p.pinHost(s, e.host, newHost, "the broker is expected on this machine")
	if e.url.variable() == "" && len(e.url.vars) == 0 && host != "" && !isLocal(host) && !strings.Contains(host, ".") && e.url.text != "" {
		p.containers = append(p.containers, mention{host, e.url.at.String()})
	}
}

// notePassword reports that the address of a broker has a password, which msctl needs too.
func (p *planner) notePassword(e endpoint) {
	p.notef("the address of %s (%s) has a password, so it is not in msctl.yaml: set %s for msctl", e.transport.Title(), e.url.at, e.transport.Variable())
}

// partsOfURL sets the variables of an address that several determine, such as
// amqp://${RABBITMQ_HOST}:${RABBITMQ_PORT}.
func (p *planner) partsOfURL(s *Service, e endpoint, host, port string) {
	for _, name := range e.url.vars {
		v, known := s.facts.env[name]
		c := p.originOf(s, fact{vars: []string{name}})
		upper := strings.ToUpper(name)
		switch {
		case strings.HasSuffix(upper, "HOST") || strings.HasSuffix(upper, "HOSTNAME"):
			if !known || !isLocal(v.value) {
				where := fmt.Sprintf("%s has no value (%s)", name, e.url.at)
				if known && v.value != "" {
					where = fmt.Sprintf("%s in %s:%d", v.value, v.file, v.line)
				}
				c = Comment{where + ", and the broker is expected on this machine", true}
			}
			s.set(name, host, c)
		case strings.HasSuffix(upper, "PORT"):
			s.set(name, port, c)
		case known && v.example && !secretValue(name, v.value) && v.value != "":
			s.set(name, v.value, c)
		}
	}
}

// isGuest reports whether the login of an address is RabbitMQ's default.
func isGuest(address string) bool { return strings.Contains(address, "//guest:guest@") }

// withScheme returns an address in the form that the sources use: NATS also takes one
// without a scheme.
func withScheme(text, address string) string {
	if text != "" && !strings.Contains(text, "://") {
		_, address, _ = strings.Cut(address, "://")
	}
	return address
}

// connect finds the services that the clients of a service call.
func (p *planner) connect(s *Service) {
	if s.Disabled != "" {
		return
	}
	for _, c := range s.facts.clients {
		switch c.transport {
		case workspace.TCP:
			p.connectTCP(s, c)
		case workspace.RabbitMQ:
			p.connectQueue(s, c)
		}
	}
}

func (p *planner) connectTCP(s *Service, c endpoint) {
	switch {
	case !isLocal(c.host.text) && strings.Contains(c.host.text, "."):
		return // another machine
	case c.port.number() != 0 && s.main != nil && c.port.number() == s.main.port.number():
		return // itself
	}
	target, guess := p.tcpServer(s, c)
	if target == nil {
		switch {
		case c.port.text != "" && c.port.number() != 0:
			p.notef("%s calls port %s (%s), on which no application here listens", s.Name, c.port.text, c.at)
		default:
			p.notef("%s calls a service that is not known: %s (%s)", s.Name, noValue(c.port), c.at)
		}
		return
	}
	p.depend(s, target, guess)
	if name := c.port.variable(); name != "" {
		comment := p.originOf(s, c.port)
		switch {
		case guess != "":
			comment = Comment{guess, true}
		case c.port.number() != target.Port:
			comment = Comment{fmt.Sprintf("the port of %s", target.Name), target.Comments["port"].Guess}
		}
		s.set(name, itoa(target.main.port.number()), comment)
	} else if n := c.port.number(); n != 0 && n != target.main.port.number() {
		p.notef("%s calls %s at port %d (%s), but it listens on %d", s.Name, target.Name, n, c.at, target.main.port.number())
	}
	switch name := c.host.variable(); {
	case name == "":
		p.pinHost(s, c.host, "localhost", target.Name+" runs on this machine")
	case isLocal(c.host.text):
		s.set(name, "localhost", p.originOf(s, c.host))
	case c.host.text == "":
		s.set(name, "localhost", Comment{fmt.Sprintf("%s has no value (%s); %s runs on this machine", name, c.host.at, target.Name), true})
	default:
		p.pinHost(s, c.host, "localhost", target.Name+" runs on this machine")
	}
}

// tcpServer returns the service that a client connects to, and why that is a guess.
func (p *planner) tcpServer(s *Service, c endpoint) (target *Service, guess string) {
	var same, similar, all []*Service
	for _, other := range p.plan.Services {
		if other == s || other.main == nil || other.main.transport != workspace.TCP || other.Disabled != "" {
			continue
		}
		all = append(all, other)
		if n := c.port.number(); n != 0 && (other.declared() == n || n == other.Port) {
			same = append(same, other)
		}
		if v := c.port.variable(); v != "" && v == other.main.port.variable() && v != "PORT" && v != "MS_PORT" && v != "TCP_PORT" {
			similar = append(similar, other)
		}
	}
	if len(same) == 1 {
		return same[0], ""
	}
	if len(same) == 0 && len(similar) == 1 {
		return similar[0], ""
	}
	among := all
	if len(same) > 1 {
		among = same
	}
	for _, other := range among {
		if c.names(other.Name) {
			if len(same) > 1 && c.host.text == other.Name {
				return other, ""
			}
			return other, fmt.Sprintf("%s has the name of the client (%s)", other.Name, c.at)
		}
	}
	return nil, ""
}

// declared returns the port in the sources of a service, before it got another one.
func (s *Service) declared() int { return s.main.declaredPort }

// names reports whether a client has the name of a service: in its token, its host, or the
// variables that determine its address.
func (e endpoint) names(service string) bool {
	stem := stemOf(service)
	for _, text := range append([]string{e.token, e.host.text}, append(e.port.vars, append(e.host.vars, append(e.queue.vars, e.queue.text)...)...)...) {
		words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) })
		joined := "-" + strings.Join(words, "-") + "-"
		if stem != "" && strings.Contains(joined, "-"+stem+"-") || singular(stem) != "" && strings.Contains(joined, "-"+singular(stem)+"-") {
			return true
		}
	}
	return false
}

// stemOf returns the name of a service without words such as service.
func stemOf(name string) string {
	for _, suffix := range []string{"-service", "-svc", "-ms", "-microservice", "-app", "-api"} {
		name = strings.TrimSuffix(name, suffix)
	}
	for _, prefix := range []string{"ms-", "service-", "microservice-"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

func singular(stem string) string { return strings.TrimSuffix(stem, "s") }

func (p *planner) connectQueue(s *Service, c endpoint) {
	var target *Service
	for _, other := range p.plan.Services {
		if other == s || other.Disabled != "" {
			continue
		}
		for _, e := range other.facts.servers {
			sameVariable := e.queue.variable() != "" && e.queue.variable() == c.queue.variable()
			if e.transport == workspace.RabbitMQ && (e.queue.text != "" && e.queue.text == c.queue.text || c.queue.text == "" && sameVariable) {
				target = other
			}
		}
	}
	guess := ""
	if target == nil && c.queue.text == "" {
		for _, other := range p.plan.Services {
			if other != s && other.Disabled == "" && other.Transport == workspace.RabbitMQ && c.names(other.Name) {
				target, guess = other, fmt.Sprintf("%s has the name of the client (%s)", other.Name, c.at)
			}
		}
	}
	if target == nil {
		if c.queue.text != "" && c.queue.text != "default" {
			p.notef("%s sends to the queue %s (%s), which no application here consumes", s.Name, c.queue.text, c.at)
		}
		return
	}
	p.depend(s, target, guess)
	if name := c.queue.variable(); name != "" {
		comment := p.originOf(s, c.queue)
		if guess != "" || c.queue.text == "" {
			comment = Comment{cmp.Or(guess, "the queue of "+target.Name), guess != "" || target.Comments["queue"].Guess}
		}
		s.set(name, target.QueueName(), comment)
	}
}

// depend makes a service depend on another one, unless that depends on it.
func (p *planner) depend(s, target *Service, guess string) {
	if slices.Contains(s.DependsOn, target.Name) {
		return
	}
	if p.reaches(target, s, map[*Service]bool{}) {
		note := fmt.Sprintf("It also calls %s, which depends on it", target.Name)
		if !slices.Contains(s.Notes, note) {
			s.Notes = append(s.Notes, note)
		}
		return
	}
	s.DependsOn = append(s.DependsOn, target.Name)
	if guess != "" {
		s.guess("depends_on", "%s", guess)
	}
}

func (p *planner) reaches(from, to *Service, seen map[*Service]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, name := range from.DependsOn {
		for _, next := range p.plan.Services {
			if next.Name == name && p.reaches(next, to, seen) {
				return true
			}
		}
	}
	return false
}

// callsByPattern finds the services that others call through a broker on which a client
// names none: the service that handles the pattern.
func (p *planner) callsByPattern() {
	handlers := map[workspace.Transport]map[string][]*Service{}
	for _, s := range p.plan.Services {
		if s.Disabled != "" || s.main == nil || s.main.transport != workspace.NATS && s.main.transport != workspace.Redis {
			continue
		}
		routes := handlers[s.main.transport]
		if routes == nil {
			routes = map[string][]*Service{}
			handlers[s.main.transport] = routes
		}
		for _, h := range s.facts.part.Handlers() {
			if pattern, err := micro.ParsePattern(h.Pattern); err == nil && h.Computed == nil && !h.Unused {
				routes[pattern.Route()] = append(routes[pattern.Route()], s)
			}
		}
	}
	if len(handlers) == 0 {
		return
	}
	for _, event := range []bool{false, true} { // a request needs the other service more than an event
		for _, s := range p.plan.Services {
			if s.Disabled == "" {
				p.sendsOf(s, handlers, event)
			}
		}
	}
}

func (p *planner) sendsOf(s *Service, handlers map[workspace.Transport]map[string][]*Service, event bool) {
	method := "send"
	if event {
		method = "emit"
	}
	var transports []workspace.Transport
	for _, c := range s.facts.clients {
		if handlers[c.transport] != nil && !slices.Contains(transports, c.transport) {
			transports = append(transports, c.transport)
		}
	}
	if len(transports) == 0 {
		return
	}
	for _, c := range s.facts.part.Calls(method) {
		if len(c.Args) == 0 || len(c.Arg(0).Parts()) > 0 {
			continue
		}
		pattern, err := micro.ParsePattern(c.Arg(0).JSON())
		if err != nil {
			continue
		}
		for _, t := range transports {
			for _, target := range handlers[t][pattern.Route()] {
				if target != s {
					p.depend(s, target, "")
				}
			}
		}
	}
}

// addVariables adds the other variables that the sources read and a file shows by example.
func (p *planner) addVariables(s *Service) {
	if s.Disabled != "" {
		return
	}
	for _, name := range s.facts.part.Variables() {
		v, ok := s.facts.env[name]
		known := slices.ContainsFunc(s.Variables, func(l Line) bool { return l.Name == name })
		reserved := s.Port != 0 && slices.Contains([]string{"PORT", "MS_PORT", "MS_HOST"}, name) || name == "RABBITMQ_URL" || name == "REDIS_URL" || name == "NATS_URL"
		if known || reserved || !ok || !v.example {
			continue
		}
		if v.value == "" || secretValue(name, v.value) {
			s.Variables = append(s.Variables, Line{Name: name, Comment: Comment{fmt.Sprintf("set it in .env; see %s:%d", v.file, v.line), false}, Disabled: true})
			text := fmt.Sprintf("%s is not set (see %s:%d)", name, v.file, v.line)
			p.missing = append(p.missing, mention{text, s.Name})
			continue
		}
		if value, container := onThisMachine(name, v.value); container != "" {
			s.set(name, value, Comment{fmt.Sprintf("%s in %s:%d is the name of a container", container, v.file, v.line), true})
			continue
		}
		s.set(name, v.value, Comment{fmt.Sprintf("from %s:%d", v.file, v.line), true})
	}
}

var (
	containerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	hostVariable  = regexp.MustCompile(`(^|_)HOST(NAME)?$`) // not RABBITMQ_VHOST
)

// onThisMachine returns a value with localhost in place of the name of a container, and that
// name. The value is a host or an address.
func onThisMachine(name, value string) (local, container string) {
	inContainer := func(host string) bool { return containerName.MatchString(host) && !isLocal(host) }
	if hostVariable.MatchString(strings.ToUpper(name)) {
		if inContainer(value) {
			return "localhost", value
		}
		return value, ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || !inContainer(u.Hostname()) {
		return value, ""
	}
	container = u.Hostname()
	if port := u.Port(); port != "" {
		u.Host = net.JoinHostPort("localhost", port)
	} else {
		u.Host = "localhost"
	}
	return u.String(), container
}

// mention is something that several services or places have in common.
type mention struct{ text, by string }

// noteMentions adds a note for each text, with who or what mentions it.
func (p *planner) noteMentions(list []mention, format string) {
	var texts []string
	by := map[string][]string{}
	for _, m := range list {
		if by[m.text] == nil {
			texts = append(texts, m.text)
		}
		if !slices.Contains(by[m.text], m.by) {
			by[m.text] = append(by[m.text], m.by)
		}
	}
	for _, text := range texts {
		names := by[text]
		if len(names) > 3 {
			names = append(names[:3:3], fmt.Sprintf("and %d more", len(names)-3))
		}
		p.notef(format, text, strings.Join(names, ", "))
	}
}
