package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// sources is what the NestJS sources of a workspace say, by service.
type sources struct{ services map[string]*serviceSources }

// serviceSources is what the sources of one service say.
type serviceSources struct {
	name      string
	dir       string // relative to the workspace
	version   string // of @nestjs/microservices; "" if it is not known
	handlers  []sourceHandler
	endpoints []endpoint
	sends     []sourceSend
	pipes     []sourcePipe
	// computedHandlers and computedSends count the patterns that the sources do not determine.
	computedHandlers, computedSends int
	dispatchHook                    string // the place of setOnDispatchHook; "" for none
}

// sourceHandler is a handler in the sources.
type sourceHandler struct {
	nestsource.Handler
	pattern micro.Pattern
	route   string
	at      string
}

// sourceSend is a call of send or emit of a client.
type sourceSend struct {
	pattern micro.Pattern
	route   string
	event   bool
	in, at  string // the function around the call, and its place
	known   bool   // whether the sources determine the pattern
}

// sourcePipe is an operator of RxJS that limits or repeats calls.
type sourcePipe struct {
	name   string  // timeout or retry
	value  float64 // milliseconds, or the number of retries
	in, at string
}

// endpoint is where a microservice listens or what a client connects to.
type endpoint struct {
	at          string
	client      bool
	transport   string // as NestJS names it
	host        string
	hostUnknown bool
	port        int
	queue       string
	noAck       *bool
	prefetch    int
	noAssert    bool
	options     url.Values // how the queue and the exchange are declared, as options of an address; nil if unknown
}

// source returns what the sources of a service say; nil if it is not one of NestJS.
func (e *exam) source(ctx context.Context, service string) *serviceSources {
	if e.Workspace == nil || service == "" {
		return nil
	}
	if e.sources == nil {
		e.sources = &sources{services: map[string]*serviceSources{}}
		for _, s := range e.Workspace.Services {
			if read := readSources(ctx, e.Workspace, s); read != nil {
				e.sources.services[s.Name] = read
			}
		}
	}
	return e.sources.services[service]
}

func (e *exam) handlersOf(ctx context.Context, service string) []sourceHandler {
	if s := e.source(ctx, service); s != nil {
		return s.handlers
	}
	return nil
}

func (e *exam) endpoints(ctx context.Context, service string) []endpoint {
	if s := e.source(ctx, service); s != nil {
		return s.endpoints
	}
	return nil
}

func routesOf(list []sourceHandler) (out []string) {
	for _, h := range list {
		out = append(out, h.route)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readSources reads the sources of a service; nil if they cannot be read.
func readSources(ctx context.Context, w *workspace.Workspace, s *workspace.Service) *serviceSources {
	dir := nestsource.Dir(w, s)
	if dir == "" {
		return nil
	}
	project, err := nestsource.Open(ctx, dir)
	if err != nil {
		return nil
	}
	project = project.Part(environment(w, s), ".")
	rel, err := filepath.Rel(w.Dir, dir)
	if err != nil {
		rel = dir
	}
	r := &serviceSources{name: s.Name, dir: filepath.ToSlash(rel), version: installedVersion(dir)}
	r.readHandlers(project)
	r.readEndpoints(project)
	r.readSends(project)
	r.readPipes(project)
	for _, c := range project.Calls("setOnDispatchHook") {
		r.dispatchHook = r.place(c.File, c.Line)
	}
	return r
}

// environment returns the variables of a service: those of msctl.yaml, and those of this process.
func environment(w *workspace.Workspace, s *workspace.Service) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if value := w.Getenv(name); value != "" {
			return value, true
		}
		if value, ok := s.Env[name]; ok {
			return value, true
		}
		value, ok := w.Env[name]
		return value, ok
	}
}

func (r *serviceSources) place(file string, line int) string {
	return fmt.Sprintf("%s:%d", filepath.ToSlash(filepath.Join(r.dir, file)), line)
}

func (r *serviceSources) readHandlers(p *nestsource.Project) {
	for _, h := range p.Handlers() {
		if h.Unused {
			continue
		}
		pattern, err := micro.ParsePattern(h.Pattern)
		if h.Computed != nil || err != nil {
			r.computedHandlers++
			continue
		}
		r.handlers = append(r.handlers, sourceHandler{h, pattern, pattern.Route(), r.place(h.File, h.Line)})
	}
}

func (r *serviceSources) readEndpoints(p *nestsource.Project) {
	for _, c := range p.Calls("createMicroservice", "connectMicroservice") {
		i := 0
		if strings.HasSuffix(c.Callee, "createMicroservice") {
			i = 1
		}
		if len(c.Args) > i {
			r.endpoints = append(r.endpoints, readEndpoint(c.Arg(i), r.place(c.File, c.Line), false))
		}
	}
	for _, c := range p.Application("src/main.ts").Clients {
		r.endpoints = append(r.endpoints, readEndpoint(c.Options, r.place(c.File, c.Line), true))
	}
}

func readEndpoint(v nestsource.Value, at string, client bool) endpoint {
	v = v.Result()
	end := endpoint{at: at, client: client, transport: "TCP"}
	if t := v.Member("transport"); !t.Missing() {
		end.transport = t.Transport()
	}
	if v.Computed() != nil && len(v.Keys()) == 0 {
		end.transport = ""
		return end
	}
	o := v.Member("options")
	end.host, _ = o.Member("host").Text()
	host := o.Member("host").Computed()
	end.hostUnknown = host != nil && host.Default == "" || o.Computed() != nil
	if n, ok := o.Member("port").Number(); ok {
		end.port = int(n)
	}
	end.queue, _ = o.Member("queue").Text()
	end.noAck = truth(o.Member("noAck"))
	if n, ok := o.Member("prefetchCount").Number(); ok {
		end.prefetch = int(n)
	}
	if b := truth(o.Member("noAssert")); b != nil {
		end.noAssert = *b
	}
	if end.transport == "RMQ" {
		end.options = declaredOptions(o, client)
	}
	return end
}

// truth returns a boolean; nil for anything else.
func truth(v nestsource.Value) *bool {
	if v.Missing() || v.Computed() != nil {
		return nil
	}
	var b bool
	if json.Unmarshal([]byte(v.JSON()), &b) != nil {
		return nil
	}
	return &b
}

// declaredOptions returns the options that declare a queue and an exchange, as those of an address; nil if the
// sources do not determine them. Only servers bind their queue to an exchange.
func declaredOptions(o nestsource.Value, client bool) url.Values {
	options := url.Values{}
	declared := o.Member("queueOptions")
	if declared.Computed() != nil || len(declared.Parts()) > 0 {
		return nil
	}
	for _, key := range declared.Keys() {
		if key == "noAssert" || key == "consumerOptions" || key == "bindQueue" {
			continue
		}
		options.Set(key, plain(declared.Member(key)))
	}
	for _, key := range []string{"exchange", "exchangeType", "wildcards"} {
		m := o.Member(key)
		if m.Computed() != nil {
			return nil
		}
		if !m.Missing() && !(client && key == "exchange" && !truthOf(o.Member("wildcards")) && !isFanout(o)) {
			options.Set(key, plain(m))
		}
	}
	if options.Get("exchange") == "" && options.Get("wildcards") == "" {
		options.Del("exchangeType")
	}
	return options
}

func truthOf(v nestsource.Value) bool {
	b := truth(v)
	return b != nil && *b
}

func isFanout(o nestsource.Value) bool {
	kind, _ := o.Member("exchangeType").Text()
	return kind == "fanout"
}

// plain returns a value as an option of an address.
func plain(v nestsource.Value) string {
	if text, ok := v.Text(); ok {
		return text
	}
	if n, ok := v.Number(); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return v.JSON()
}

// clientField matches the declaration of a field or a parameter that is a client.
var clientField = regexp.MustCompile(`\b(\w+)\s*[!?]?\s*:\s*Client(?:Proxy|TCP|RMQ|Redis|Nats)\b`)

// readSends reads the calls of clients: those of fields and parameters that are declared as clients. Other objects have
// methods with the same names.
func (r *serviceSources) readSends(p *nestsource.Project) {
	clients := map[string][]string{}
	for _, c := range p.Calls("send", "emit") {
		parts := strings.Split(c.Callee, ".")
		if len(parts) < 2 {
			continue
		}
		names, read := clients[c.File]
		if !read {
			text, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(c.File)))
			if err == nil {
				for _, m := range clientField.FindAllStringSubmatch(string(text), -1) {
					names = append(names, m[1])
				}
			}
			clients[c.File] = names
		}
		if !slices.Contains(names, parts[len(parts)-2]) {
			continue
		}
		s := sourceSend{event: parts[len(parts)-1] == "emit", in: c.File + " " + c.In, at: r.place(c.File, c.Line)}
		if v := c.Arg(0); v.Computed() == nil && len(v.Parts()) == 0 {
			if pattern, err := micro.ParsePattern(v.JSON()); err == nil {
				s.pattern, s.route, s.known = pattern, pattern.Route(), true
			}
		}
		if !s.known {
			r.computedSends++
		}
		r.sends = append(r.sends, s)
	}
}

// readPipes reads the operators timeout and retry of RxJS.
func (r *serviceSources) readPipes(p *nestsource.Project) {
	for _, c := range p.Calls("timeout", "retry") {
		if c.Callee != "timeout" && c.Callee != "retry" || len(c.Args) == 0 {
			continue
		}
		v := c.Arg(0)
		for _, member := range []string{"count", "each", "first"} {
			if m := v.Member(member); len(v.Keys()) > 0 && !m.Missing() {
				v = m
				break
			}
		}
		if n, ok := v.Number(); ok && n > 0 {
			r.pipes = append(r.pipes, sourcePipe{c.Callee, n, c.File + " " + c.In, r.place(c.File, c.Line)})
		}
	}
}

// installedVersion returns the version of @nestjs/microservices that an application finds, or "".
func installedVersion(dir string) string {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "node_modules", "@nestjs", "microservices", "package.json"))
		var manifest struct {
			Version string `json:"version"`
		}
		if err == nil && json.Unmarshal(text, &manifest) == nil {
			return manifest.Version
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
