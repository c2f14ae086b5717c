package nestsource

import (
	"cmp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

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
