package evaluate

import (
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// call evaluates a call.
func (e *Evaluator) call(x *typescript.Call, s *Scope) Value {
	var this Value = Undefined{}
	var fn Value
	switch callee := x.Callee.(type) {
	case *typescript.Member:
		this = e.Eval(callee.Object, s)
		if missing(this) && (callee.Optional || optional(callee.Object)) {
			return Undefined{}
		}
		fn = e.member(this, callee.Name, s, callee)
	case *typescript.Index:
		this = e.Eval(callee.Object, s)
		fn = e.index(callee, s)
	case *typescript.Ident:
		if callee.Name == "super" {
			return Undefined{} // construct has called it
		}
		fn = e.Eval(callee, s)
	default:
		fn = e.Eval(callee, s)
	}
	if missing(fn) && (x.Optional || optional(x.Callee)) {
		return Undefined{}
	}
	args, unknown := e.list(x.Args, s)
	if unknown != nil {
		return e.derived(s, x, unknown)
	}
	c := Call{This: this, Args: args, Node: x, Scope: s}
	if x.New {
		return e.construction(fn, c)
	}
	if v := e.notInSources(fn, x, c); v != nil {
		return v
	}
	if u, ok := this.(*Unknown); ok && u.Default != nil {
		return e.callOfDefault(u, fn, c)
	}
	return e.Call(fn, c)
}

// callOfDefault evaluates the call of a method whose object is unknown and has a default:
// so has the result.
func (e *Evaluator) callOfDefault(this *Unknown, fn Value, c Call) Value {
	v := e.Call(fn, c)
	u, ok := v.(*Unknown)
	member, named := c.Node.(*typescript.Call).Callee.(*typescript.Member)
	if !ok || !named || u.Default != nil || missing(this.Default) {
		return v
	}
	args, ok := Defaults(&Array{c.Args})
	if !ok {
		return v
	}
	method := e.member(this.Default, member.Name, c.Scope, c.Node)
	if d := e.Call(method, Call{This: this.Default, Args: args.(*Array).Items, Node: c.Node, Scope: c.Scope}); FindUnknown(d) == nil {
		u.Default = d
	}
	return u
}

// notInSources lets the user of the evaluator decide about a call whose function is not in
// the sources. It returns nil if that does not apply.
func (e *Evaluator) notInSources(fn Value, x *typescript.Call, c Call) Value {
	switch fn := fn.(type) {
	case *Unknown, *External:
	case *Function:
		if fn.Node.Body != nil || fn.Node.Result != nil {
			return nil
		}
	default:
		return nil
	}
	if e.o.Called == nil {
		return nil
	}
	return e.o.Called(e, c.Scope.Module.File.Text(x.Callee), c)
}

func (e *Evaluator) construction(fn Value, c Call) Value {
	switch fn := fn.(type) {
	case *Class:
		return e.construct(fn, c.Args, c.Scope, c.Node)
	case *Native:
		return fn.Call(e, c)
	case *External:
		if fn.Module == "@nestjs/config" {
			return fn // a ConfigService of the user's own
		}
	}
	return e.derived(c.Scope, c.Node, e.cause(fn, c.Scope, c.Node))
}

// Call calls a function. A value that is not a function of the sources or of this package
// returns an unknown value.
func (e *Evaluator) Call(fn Value, c Call) Value {
	switch fn := fn.(type) {
	case *Function:
		this := c.This
		if fn.this != nil {
			this = fn.this
		}
		return e.callFunction(fn, this, c.Args, c.Scope, c.Node)
	case *Native:
		return fn.Call(e, c)
	}
	return e.derived(c.Scope, c.Node, e.cause(fn, c.Scope, c.Node))
}

// callFunction calls a function of the sources. The scope and the node are those of the call.
func (e *Evaluator) callFunction(f *Function, this Value, args []Value, s *Scope, n typescript.Node) Value {
	switch {
	case f.Node.Body == nil && f.Node.Result == nil:
		return e.unknown(s, n, f.Node.Name+" has no body in the sources")
	case f.Node.Async || f.Node.Generator:
		return e.unknown(s, n, f.Node.Name+" is asynchronous or a generator")
	}
	e.depth++
	defer func() { e.depth-- }()
	if e.depth > maxCalls {
		return e.unknown(s, n, "the calls are nested too deeply")
	}
	scope := f.scope
	if !f.Node.Arrow {
		scope = scope.child()
		scope.this = this
		if f.Node.Name != "" && f.Node.Body != nil {
			if b, _ := f.scope.find(f.Node.Name); b == nil { // a named function expression
				scope.set(f.Node.Name, f, true)
			}
		}
	}
	inner := e.parameters(f.Node, args, scope)
	if f.Node.Result != nil {
		return e.Eval(f.Node.Result, inner)
	}
	done := e.execList(f.Node.Body.Body, inner)
	switch done.kind {
	case returned:
		return done.value
	case failed:
		return e.derived(s, n, done.value.(*Unknown))
	}
	return Undefined{}
}

// parameters returns the scope of a function's body: its parameters, and what the body
// declares.
func (e *Evaluator) parameters(f *typescript.Function, args []Value, s *Scope) *Scope {
	inner := s.child()
	all := &Array{append([]Value{}, args...)}
	if !f.Arrow {
		inner.set("arguments", all, true)
	}
	for i, p := range f.Params {
		var v Value = Undefined{}
		switch {
		case p.Rest:
			v = &Array{append([]Value{}, args[min(i, len(args)):]...)}
		case i < len(args):
			v = args[i]
		}
		e.bind(p.Target, e.orDefault(v, p.Default, inner), inner, false)
	}
	if f.Body != nil {
		inner.declare(f.Body.Body)
	}
	return inner
}

// Inside returns the scope of a function that is read without being executed: its
// parameters are unknown.
func (e *Evaluator) Inside(f *typescript.Function, s *Scope) *Scope {
	scope := s.child()
	inner := scope.child()
	for _, p := range f.Params {
		u := e.unknown(scope, p, "it is a parameter")
		if name, ok := p.Target.(*typescript.Ident); ok {
			u.Text = name.Name
		}
		if p.Default != nil {
			u.Default, _ = Defaults(e.Eval(p.Default, inner))
		}
		if v := e.typed(p.Type, s); v != nil {
			e.bind(p.Target, v, inner, true)
		} else {
			e.bind(p.Target, u, inner, true)
		}
	}
	if f.Body != nil {
		inner.body = f.Body
		inner.declare(f.Body.Body)
	}
	return inner
}

// Block returns the scope of a block that is read without being executed.
func (s *Scope) Block(body []typescript.Stmt) *Scope {
	inner := s.child()
	inner.body, inner.changed = s.body, s.changed
	inner.declare(body)
	return inner
}

// Namespace returns the scope of the body of a namespace that s declares.
func (e *Evaluator) Namespace(d *typescript.Namespace, s *Scope) *Scope {
	if b := s.vars[d.Name]; b != nil {
		var bodies *Namespace
		switch v := e.read(d.Name, b, s).(type) {
		case *Namespace:
			bodies = v
		case *Class:
			bodies = v.props
		case *Function:
			bodies = v.props
		}
		n := 0
		for _, node := range b.nodes {
			if _, ok := node.(*typescript.Namespace); !ok {
				continue
			}
			if node == typescript.Node(d) && bodies != nil && n < len(bodies.scopes) {
				return bodies.scopes[n]
			}
			n++
		}
	}
	return s.Block(d.Body)
}
