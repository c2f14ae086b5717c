package nestinit

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/workspace"
)

// place is a place in the sources.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.file == "" {
		return "the sources"
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// fact is a value of the sources.
type fact struct {
	text string // "" if it is not known
	// vars are the variables of the environment that determine it. The text is then the
	// value that they have in a file, or the default in the sources.
	vars []string
	// unknown is why the sources do not determine it, if no variable does.
	unknown string
	expr    string
	at      place
}

func (f fact) number() int {
	n, err := strconv.Atoi(strings.TrimSpace(f.text))
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}

// variable returns the one variable that determines the fact, or "".
func (f fact) variable() string {
	if len(f.vars) == 1 {
		return f.vars[0]
	}
	return ""
}

func itoa(n int) string { return strconv.Itoa(n) }

// read returns a value. at is the place of the call that it is an argument of.
func read(v nestsource.Value, at place) fact {
	f := fact{at: at}
	if text, ok := v.Text(); ok {
		f.text = text
	} else if n, ok := v.Number(); ok {
		f.text = strconv.FormatFloat(n, 'f', -1, 64)
	}
	c := v.Computed()
	if c == nil {
		return f
	}
	f.expr = c.Text
	if c.File != "" {
		f.at = place{c.File, c.Line}
	}
	for _, name := range append([]string{c.Env}, c.More...) {
		if name != "" && !slices.Contains(f.vars, name) {
			f.vars = append(f.vars, name)
		}
	}
	if len(f.vars) == 0 {
		f.unknown = c.Reason
	}
	if slices.ContainsFunc(f.vars, secret.Named) && !strings.Contains(f.text, "://") {
		f.text = "" // a credential is not for a file that is shared; of an address, only the host is
	}
	return f
}

// endpoint is where a microservice listens, or what a client connects to.
type endpoint struct {
	// transport is "" if msctl does not support it; name is always NestJS's name.
	transport     workspace.Transport
	name          string
	at            place
	host          fact // of TCP and of a broker
	port          fact
	queue         fact
	url           fact // of a broker, if the address is not a host and a port
	token         string
	transportFact fact
	// unknown is set if nothing is known about it.
	unknown fact
	// declaredPort is the port in the sources, which may differ from that of the plan.
	declaredPort int
}

// transportOf are the transports by NestJS's name.
var transportOf = map[string]workspace.Transport{"TCP": workspace.TCP, "RMQ": workspace.RabbitMQ, "REDIS": workspace.Redis, "NATS": workspace.NATS}

// defaultPorts are the ports that NestJS uses without a port.
var defaultPorts = map[workspace.Transport]string{workspace.TCP: "3000", workspace.Redis: "6379"}

// readEndpoint reads the options of a microservice or a client.
func readEndpoint(v nestsource.Value, at place) (e endpoint) {
	v = v.Result()
	e = endpoint{at: at, name: "TCP"}
	if transport := v.Member("transport"); !transport.Missing() {
		e.name = transport.Transport()
		e.transportFact = read(transport, at)
	}
	if v.Computed() != nil {
		e.transportFact = read(v, at)
	}
	if c := v.Computed(); c != nil && len(v.Keys()) == 0 {
		e.name, e.unknown = "", read(v, at)
		return e
	}
	if slices.Contains(v.Keys(), "strategy") {
		e.name = "a custom transport"
	}
	e.transport = transportOf[e.name]
	options := v.Member("options")
	member := func(names ...string) fact {
		for _, name := range names {
			if m := options.Member(name); !m.Missing() {
				return read(firstOf(m), at)
			}
		}
		return fact{at: at}
	}
	e.host, e.port = member("host"), member("port")
	defer func() { e.declaredPort = e.port.number() }()
	switch e.transport {
	case workspace.TCP, workspace.Redis:
		if options.Member("port").Missing() {
			e.port.text = defaultPorts[e.transport]
		}
		e.url = member("url")
	case workspace.RabbitMQ:
		e.queue, e.url = member("queue"), member("urls")
		if options.Member("queue").Missing() {
			e.queue.text = "default"
		}
		if first := firstOf(options.Member("urls")); len(first.Keys()) > 0 { // an object
			e.url = fact{at: at}
			e.host, e.port = read(first.Member("hostname"), at), read(first.Member("port"), at)
		}
	case workspace.NATS:
		e.queue, e.url = member("queue"), member("servers", "url")
	}
	return e
}

// firstOf returns the first item of an array, or the value itself. The reason for an
// unknown array is that of the item.
func firstOf(v nestsource.Value) nestsource.Value {
	items := v.Items()
	if len(items) == 0 {
		return v
	}
	if v.Computed() != nil {
		return v.Index(0)
	}
	return items[0]
}

// address returns the host and port of the broker of an endpoint, as far as it is known.
func (e endpoint) address() (host, port string) {
	if text := e.url.text; text != "" {
		text, _, _ = strings.Cut(text, ",")
		if !strings.Contains(text, "://") {
			text = "x://" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			return "", ""
		}
		return u.Hostname(), u.Port()
	}
	return e.host.text, e.port.text
}

// facts are what an application listens on and calls.
type facts struct {
	servers []endpoint
	http    *fact // the port of HTTP; nil without HTTP
	context place // createApplicationContext, without an address
	clients []endpoint
	env     environment
	part    *nestsource.Project
	others  []string // files that also start an application
}

// readFacts reads an application.
func (l *layout) readFacts(a *application) *facts {
	f := &facts{}
	// The files with variables may be named in the sources, so these are read first.
	part := l.project.Part(nil, a.dir)
	f.env = l.environment(a, envFilePaths(part))
	part.SchemaDefaults(func(name, value, file string, line int) {
		if known, ok := f.env[name]; !ok || known.value == "" {
			f.env[name] = variable{value: value, file: file, line: line, schema: true}
		}
	})
	f.part = l.project.Part(f.env.lookup, a.dir)
	app := f.part.Application(a.main)
	hasHTTP := false
	for _, c := range app.Creates {
		at := place{c.File, c.Line}
		switch c.Callee[strings.LastIndex(c.Callee, ".")+1:] {
		case "createMicroservice":
			f.servers = append(f.servers, readEndpoint(c.Arg(1), at))
		case "createApplicationContext":
			f.context = at
		default:
			hasHTTP = true
		}
	}
	for _, c := range app.Connects {
		f.servers = append(f.servers, readEndpoint(c.Arg(0), place{c.File, c.Line}))
	}
	for _, c := range app.Listens {
		if hasHTTP && f.http == nil {
			http := read(c.Arg(0), place{c.File, c.Line})
			f.http = &http
		}
	}
	for _, c := range app.Clients {
		e := readEndpoint(c.Options, place{c.File, c.Line})
		e.token = c.Name
		f.clients = append(f.clients, e)
	}
	for _, file := range f.part.Containing("NestFactory") {
		if file != a.main && (path.Base(path.Dir(file)) == "src" || path.Dir(file) == path.Dir(a.main)) {
			f.others = append(f.others, file)
		}
	}
	return f
}

// envFilePaths returns the files that ConfigModule.forRoot names.
func envFilePaths(p *nestsource.Project) (out []string) {
	for _, c := range p.Calls("ConfigModule.forRoot") {
		v := c.Arg(0).Member("envFilePath")
		list := v.Items()
		if len(list) == 0 {
			list = []nestsource.Value{v}
		}
		for _, item := range list {
			if text, ok := item.Text(); ok && !path.IsAbs(text) {
				out = append(out, path.Clean(text))
			}
		}
	}
	return out
}
