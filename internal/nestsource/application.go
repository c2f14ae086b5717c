package nestsource

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Application is what the main file of an application starts, as far as the sources
// determine it.
type Application struct {
	// Creates are the calls of NestFactory.create, createMicroservice, and
	// createApplicationContext.
	Creates []Call
	// Connects are the calls of connectMicroservice.
	Connects []Call
	// Listens are the calls of listen with arguments: the address of HTTP.
	Listens []Call
	// Clients are the clients of the modules that the application consists of.
	Clients []Client
}

// Client is a client of other services: an entry of ClientsModule, a call of
// ClientProxyFactory.create, or a property with @Client().
type Client struct {
	// Name is its injection token, or "".
	Name string
	// Options are its transport and options.
	Options Value
	// File and Line are its place, as in [Call].
	File string
	Line int
}

// Application reads the main file of an application, whose path is relative to the folder.
// It follows calls of functions of the sources, and the imports of modules.
func (p *Project) Application(main string) Application {
	r := &applicationReader{Project: p, seen: map[*evaluate.Class]bool{}, calling: map[*typescript.Function]int{}}
	if m := p.load(filepath.Join(p.Dir, filepath.FromSlash(main))); m != nil {
		for _, stmt := range m.File.Body {
			r.walk(m, stmt, m.Scope)
		}
		if len(r.app.Creates) == 0 { // nothing calls the function
			r.everything(m)
		}
	}
	for _, c := range r.app.Creates {
		if root, ok := c.Arg(0).v.(*evaluate.Class); ok {
			r.moduleClass(root)
		}
	}
	r.lexicalClients()
	return r.app
}

// applicationReader reads an application.
type applicationReader struct {
	*Project
	app     Application
	seen    map[*evaluate.Class]bool
	calling map[*typescript.Function]int
	// followed counts the calls that were followed.
	followed int
}

// walk visits what runs when a node is evaluated. A function runs where it is called.
func (r *applicationReader) walk(m *evaluate.Module, n typescript.Node, s *evaluate.Scope) {
	switch n := n.(type) {
	case *typescript.FuncDecl, *typescript.Class:
		return
	case *typescript.Function:
		s = r.eval.Inside(n, s)
		if n.Body != nil {
			r.body(m, n.Body.Body, s)
			return
		}
	case *typescript.Var:
		for _, d := range n.Decls {
			if _, function := d.Init.(*typescript.Function); !function && d.Init != nil {
				r.walk(m, d.Init, s)
			}
		}
		return
	case *typescript.Block:
		s = s.Block(n.Body)
	case *typescript.Call:
		r.call(m, n, s)
		return
	case *typescript.If:
		if test, ok := evaluate.Truth(r.eval.Eval(n.Test, s)); ok {
			branch := n.Then
			if !test {
				branch = n.Else
			}
			if branch != nil {
				r.walk(m, branch, s)
			}
			return
		}
	}
	typescript.Each(n, func(child typescript.Node) { r.walk(m, child, s) })
}

func (r *applicationReader) body(m *evaluate.Module, body []typescript.Stmt, s *evaluate.Scope) {
	for _, stmt := range body {
		r.walk(m, stmt, s)
	}
}

func (r *applicationReader) call(m *evaluate.Module, n *typescript.Call, s *evaluate.Scope) {
	callee := n.Callee
	if member, ok := callee.(*typescript.Member); ok {
		r.walk(m, member.Object, s)
	}
	r.record(m, n, s)
	fn, isFunction := r.eval.Eval(callee, s).(*evaluate.Function)
	var args []evaluate.Value
	for _, arg := range n.Args {
		if spread, ok := arg.(*typescript.Spread); ok {
			arg = spread.X
		}
		v := r.eval.Eval(arg, s)
		args = append(args, v)
		switch passed := v.(type) {
		case *evaluate.Function:
			if _, inline := arg.(*typescript.Function); inline {
				r.walk(m, arg, s)
			} else if !isFunction { // something else calls it
				r.follow(passed, nil)
			}
		default:
			r.walk(m, arg, s)
		}
	}
	if isFunction {
		r.follow(fn, args)
	}
}

// Limits of the calls that are followed: of a function within itself, of calls within calls,
// and of all together.
const (
	maxWithin   = 2
	maxDepth    = 40
	maxFollowed = 5000
)

// follow visits the body of a function for a call.
func (r *applicationReader) follow(f *evaluate.Function, args []evaluate.Value) {
	m := f.Module()
	if r.calling[f.Node] >= maxWithin || len(r.calling) > maxDepth || r.followed >= maxFollowed {
		return
	}
	r.followed++
	r.calling[f.Node]++
	scope := r.eval.Within(f, args)
	if f.Node.Body != nil {
		r.body(m, f.Node.Body.Body, scope)
	} else if f.Node.Result != nil {
		r.walk(m, f.Node.Result, scope)
	}
	if r.calling[f.Node]--; r.calling[f.Node] == 0 {
		delete(r.calling, f.Node)
	}
}

// record adds a call that starts something.
func (r *applicationReader) record(m *evaluate.Module, n *typescript.Call, s *evaluate.Scope) {
	member, ok := n.Callee.(*typescript.Member)
	if !ok {
		return
	}
	var list *[]Call
	switch {
	case member.Name == "connectMicroservice":
		list = &r.app.Connects
	case member.Name == "listen" && len(n.Args) > 0:
		list = &r.app.Listens
	case slices.Contains([]string{"create", "createMicroservice", "createApplicationContext"}, member.Name) &&
		strings.HasPrefix(r.calleeName(member, s), "NestFactory."):
		list = &r.app.Creates
	default:
		return
	}
	*list = append(*list, r.newCall(m, n, s))
}

// newCall evaluates the arguments of a call.
func (p *Project) newCall(m *evaluate.Module, call *typescript.Call, s *evaluate.Scope) Call {
	c := Call{Callee: p.calleeName(call.Callee, s), File: p.rel(m.Path), Line: m.File.Line(callPosition(call))}
	for _, arg := range call.Args {
		if spread, ok := arg.(*typescript.Spread); ok {
			arg = spread.X
		}
		c.Args = append(c.Args, Value{p.eval.Eval(arg, s), p})
	}
	return c
}

// everything records the calls of a module wherever they are.
func (r *applicationReader) everything(m *evaluate.Module) {
	r.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
		if call, ok := n.(*typescript.Call); ok {
			r.record(m, call, s)
		}
		return true
	})
}

// moduleClass reads the decorators of a module.
func (r *applicationReader) moduleClass(c *evaluate.Class) {
	if r.seen[c] {
		return
	}
	r.seen[c] = true
	for _, d := range c.Node.Decorators {
		call, ok := d.(*typescript.Call)
		if !ok || len(call.Args) == 0 {
			continue
		}
		if native, ok := r.eval.Eval(call.Callee, c.Scope).(*evaluate.Native); ok && native.Name == "Module" {
			r.module(r.eval.Eval(call.Args[0], c.Scope), 0)
		}
	}
}

// module reads a module: a class, a dynamic module, or the metadata of one.
func (r *applicationReader) module(v evaluate.Value, depth int) {
	if depth > 20 {
		return
	}
	switch v := v.(type) {
	case *evaluate.Class:
		r.moduleClass(v)
	case *evaluate.Array:
		for _, item := range v.Items {
			r.module(item, depth+1)
		}
	case *evaluate.Object:
		if found, ok := v.Host.(*clientsModule); ok {
			r.clients(found.args, r.rel(found.module.Path), found.module.File.Line(found.node.Range().Pos))
			return
		}
		for _, key := range []string{"module", "imports"} {
			if member, ok := v.Get(key); ok {
				r.module(member, depth+1)
			}
		}
		if list, ok := v.Get("providers"); ok {
			if list, ok := list.(*evaluate.Array); ok {
				for _, item := range list.Items {
					r.provider(item)
				}
			}
		}
	}
}

// clientsModule is the result of ClientsModule.register or registerAsync.
type clientsModule struct {
	args   evaluate.Value
	module *evaluate.Module
	node   typescript.Node
}

// registerClients is ClientsModule.register and registerAsync.
func registerClients(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
	if c.Scope == nil || c.Node == nil {
		return evaluate.Undefined{}
	}
	o := evaluate.NewObject()
	o.Host = &clientsModule{c.Arg(0), c.Scope.Module, c.Node}
	return o
}

// createdClient is a call of ClientProxyFactory.create.
type createdClient struct {
	options evaluate.Value
	module  *evaluate.Module
	node    typescript.Node
}

func (n *nest) createClient(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
	if c.Scope != nil && c.Node != nil {
		n.created = append(n.created, createdClient{c.Arg(0), c.Scope.Module, c.Node})
	}
	return &evaluate.External{Module: microservices, Name: "ClientProxy"}
}

// factory calls a factory, and adds the clients that it creates.
func (r *applicationReader) factory(token evaluate.Value, factory evaluate.Value) (v evaluate.Value, creates bool) {
	before := len(r.nest.created)
	v = r.eval.Result(factory)
	for _, c := range r.nest.created[before:] {
		r.addClient(Client{tokenName(token), Value{c.options, r.Project}, r.rel(c.module.Path), c.module.File.Line(c.node.Range().Pos)})
	}
	return v, len(r.nest.created) > before
}

func tokenName(token evaluate.Value) string {
	switch token := token.(type) {
	case string:
		return token
	case *evaluate.External:
		return token.Name
	case *evaluate.Class:
		return token.Name()
	}
	return ""
}

// provider adds the clients that the factory of a provider creates.
func (r *applicationReader) provider(v evaluate.Value) {
	o, ok := v.(*evaluate.Object)
	if !ok {
		return
	}
	if factory, ok := o.Get("useFactory"); ok {
		token, _ := o.Get("provide")
		if f, ok := factory.(*evaluate.Function); ok && strings.Contains(f.Text(), "ClientProxyFactory") {
			r.factory(token, f)
		}
	}
}

// forwardRef is the function with this name.
func forwardRef(e *evaluate.Evaluator, c evaluate.Call) evaluate.Value { return e.Result(c.Arg(0)) }

// clients adds the clients of ClientsModule: a list, or an object with a list.
func (r *applicationReader) clients(v evaluate.Value, file string, line int) {
	list, ok := v.(*evaluate.Array)
	if o, isObject := v.(*evaluate.Object); isObject {
		inner, _ := o.Get("clients")
		list, ok = inner.(*evaluate.Array)
	}
	if !ok {
		return
	}
	for _, item := range list.Items {
		o, ok := item.(*evaluate.Object)
		if !ok {
			continue
		}
		name, named := o.Get("name")
		if !named {
			name, _ = o.Get("provide")
		}
		if options := r.optionsOf(o, name); options != nil {
			r.addClient(Client{Name: tokenName(name), Options: Value{options, r.Project}, File: file, Line: line})
		}
	}
}

// optionsOf returns the options of an entry, which a factory may compute. It returns nil if
// the factory creates the client itself.
func (r *applicationReader) optionsOf(o *evaluate.Object, token evaluate.Value) evaluate.Value {
	if factory, ok := o.Get("useFactory"); ok {
		options, creates := r.factory(token, factory)
		if creates {
			return nil
		}
		return options
	}
	if class, ok := o.Get("useClass"); ok {
		if c, ok := class.(*evaluate.Class); ok {
			return r.eval.Result(r.eval.Member(evaluate.Instance(c), "createClientOptions"))
		}
	}
	return o
}

func (r *applicationReader) addClient(c Client) {
	same := func(other Client) bool {
		return other.File == c.File && other.Line == c.Line && (c.Name == "" || other.Name == c.Name) && other.Options.JSON() == c.Options.JSON()
	}
	if !slices.ContainsFunc(r.app.Clients, same) {
		r.app.Clients = append(r.app.Clients, c)
	}
}

// clientClasses are the transports of the classes of clients.
var clientClasses = map[string]float64{"ClientTCP": 0, "ClientRedis": 1, "ClientNats": 2, "ClientMqtt": 3, "ClientRMQ": 5, "ClientKafka": 6}

// lexicalClients adds the clients that the files of the application create wherever they
// do, unless that depends on a parameter.
func (r *applicationReader) lexicalClients() {
	names := []string{"ClientProxyFactory.create", "Client", "ClientsModule.register", "ClientsModule.registerAsync"}
	for class := range clientClasses {
		names = append(names, class)
	}
	slices.Sort(names)
	for _, c := range r.Calls(names...) {
		transport, isClass := clientClasses[c.Callee]
		switch {
		case strings.HasPrefix(c.Callee, "ClientsModule."):
			if !slices.ContainsFunc(r.app.Clients, func(known Client) bool { return known.File == c.File }) {
				r.clients(c.Arg(0).v, c.File, c.Line)
			}
		case c.Callee != "Client" && c.Callee != "ClientProxyFactory.create" && !isClass:
		case len(c.Args) == 0 || c.Arg(0).Computed() != nil && strings.HasPrefix(c.Arg(0).Computed().Reason, "it is a parameter"):
		case isClass:
			o := evaluate.NewObject()
			o.Set("transport", transport)
			o.Set("options", c.Arg(0).v)
			r.addClient(Client{Options: Value{o, r.Project}, File: c.File, Line: c.Line})
		default:
			r.addClient(Client{Options: c.Arg(0), File: c.File, Line: c.Line})
		}
	}
	slices.SortStableFunc(r.app.Clients, func(a, b Client) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
}

// Result returns what a factory returns: the value itself if it is not a function. Options
// of a microservice may have one (useFactory).
func (v Value) Result() Value {
	switch x := v.v.(type) {
	case *evaluate.Function:
		return Value{v.p.eval.Result(x), v.p}
	case *evaluate.Object:
		if factory, ok := x.Get("useFactory"); ok {
			return Value{v.p.eval.Result(factory), v.p}
		}
	}
	return v
}

// Variables returns the names of the variables that the files of the project read from the
// environment, in order: process.env.NAME, also after its validation, config.get('NAME'),
// and the keys of a schema for the environment.
func (p *Project) Variables() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, path := range p.Files {
		f := p.parsed[path]
		if f == nil || !strings.Contains(f.Source, "process.env") && !strings.Contains(strings.ToLower(f.Source), "config") {
			continue
		}
		p.visit(p.load(path), func(n typescript.Node, s *evaluate.Scope) bool {
			switch x := n.(type) {
			case *typescript.Member:
				if isVariable(x.Name) {
					add(p.variable(x, s))
				}
			case *typescript.Index:
				add(p.variable(x, s))
			case *typescript.Var:
				for _, d := range x.Decls {
					p.destructured(d, s, add)
				}
			case *typescript.Call:
				p.variablesOfCall(x, s, add)
			}
			return true
		})
	}
	return names
}

// isVariable reports whether a name is written like those of variables: in upper case.
func isVariable(name string) bool {
	return len(name) > 1 && strings.ToUpper(name) == name && name[0] >= 'A' && name[0] <= 'Z'
}

// variable returns the variable that an expression itself reads, or "".
func (p *Project) variable(x typescript.Expr, s *evaluate.Scope) string {
	u, ok := p.eval.Eval(x, s).(*evaluate.Unknown)
	if ok && u.Env != "" && u.Text == s.Module.File.Text(x) {
		return u.Env
	}
	return ""
}

// destructured adds the variables of const { NAME } = process.env.
func (p *Project) destructured(d *typescript.VarDecl, s *evaluate.Scope, add func(string)) {
	pattern, ok := d.Target.(*typescript.ObjectPattern)
	if !ok || d.Init == nil || !isEnvironment(p.eval.Eval(d.Init, s)) {
		return
	}
	for _, b := range pattern.Properties {
		if isVariable(b.Key.Text) {
			add(b.Key.Text)
		}
	}
}

func isEnvironment(v evaluate.Value) bool {
	switch v := v.(type) {
	case *evaluate.External:
		return v.Name == "env"
	case *evaluate.Object:
		return v.Base() != nil
	}
	return false
}

// variablesOfCall adds the variables of config.get('NAME') and of joi.object({NAME: …}).
func (p *Project) variablesOfCall(x *typescript.Call, s *evaluate.Scope, add func(string)) {
	m, ok := x.Callee.(*typescript.Member)
	if !ok || len(x.Args) == 0 {
		return
	}
	switch m.Name {
	case "get", "getOrThrow":
		key, ok := p.eval.Eval(x.Args[0], s).(string)
		if ok && isConfig(evaluate.Undefined{}, s.Module.File.Text(m.Object)) && isVariable(key) {
			add(key)
		}
	case "object":
		if o, ok := x.Args[0].(*typescript.Object); ok {
			for _, property := range o.Properties {
				if isVariable(property.Key.Text) {
					add(property.Key.Text)
				}
			}
		}
	}
}

// SchemaDefaults returns the defaults that schemas of joi or zod have for variables of the
// environment, as text, with their places: joi.object({PORT: joi.number().default(3000)}).
func (p *Project) SchemaDefaults(see func(name, value, file string, line int)) {
	for _, path := range p.Files {
		f := p.parsed[path]
		if f == nil || !strings.Contains(f.Source, ".default(") {
			continue
		}
		m := p.load(path)
		p.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
			o, ok := n.(*typescript.Object)
			if !ok {
				return true
			}
			for _, property := range o.Properties {
				if !isVariable(property.Key.Text) {
					continue
				}
				if value, ok := p.schemaDefault(property.Value, s); ok {
					see(property.Key.Text, value, p.rel(path), m.File.Line(property.Pos))
				}
			}
			return true
		})
	}
}

// schemaDefault returns the argument of default(…) in a chain of calls.
func (p *Project) schemaDefault(x typescript.Expr, s *evaluate.Scope) (string, bool) {
	for {
		call, ok := x.(*typescript.Call)
		if !ok {
			return "", false
		}
		m, ok := call.Callee.(*typescript.Member)
		if !ok {
			return "", false
		}
		if m.Name == "default" && len(call.Args) == 1 {
			v := Value{p.eval.Eval(call.Args[0], s), p}
			if text, ok := v.Text(); ok {
				return text, true
			}
			n, ok := v.Number()
			return typescript.FormatNumber(n), ok
		}
		x = m.Object
	}
}
