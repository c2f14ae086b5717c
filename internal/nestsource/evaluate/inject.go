package evaluate

import (
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Instance returns an object of a class that something else creates: its members have the
// values that the class gives them.
func Instance(c *Class) *Object {
	return &Object{members: map[string]Value{}, Class: c, unmade: true}
}

// Provide returns the object of a class that is injected: a new one if its constructor has
// no parameters, otherwise that of [Instance].
func (e *Evaluator) Provide(c *Class) *Object {
	if o, ok := e.provided[c]; ok {
		return o
	}
	e.provided[c] = Instance(c) // while the constructor runs
	if ctor := constructor(c); ctor != nil && len(ctor.Params) == 0 {
		if o, ok := e.construct(c, nil, c.Scope, c.Node).(*Object); ok {
			e.provided[c] = o
		}
	}
	return e.provided[c]
}

// Result returns what a function returns that something else calls, such as a factory of a
// provider. What it awaits is known if the operand is, and missing arguments are unknown.
func (e *Evaluator) Result(fn Value, args ...Value) Value {
	f, ok := fn.(*Function)
	if !ok {
		return e.Call(fn, Call{Args: args})
	}
	if f.Node.Async { // the value of its promise
		node, same := *f.Node, *f
		node.Async, same.Node = false, &node
		f = &same
	}
	for i := len(args); i < len(f.Node.Params); i++ {
		args = append(args, e.parameter(f.Node.Params[i], f.scope))
	}
	return e.callFunction(f, f.this, args, f.scope, f.Node)
}

// Within returns the scope of a function that is read for a call with known arguments. The
// body is not executed.
func (e *Evaluator) Within(f *Function, args []Value) *Scope {
	s := f.scope
	if !f.Node.Arrow && f.this != nil {
		s = s.child()
		s.this = f.this
	}
	inner := s.child()
	for i, p := range f.Node.Params {
		var v Value
		switch {
		case p.Rest:
			v = &Array{append([]Value{}, args[min(i, len(args)):]...)}
		case i < len(args):
			v = e.orDefault(args[i], p.Default, inner)
		case p.Default != nil:
			v = e.Eval(p.Default, inner)
		default:
			v = e.parameter(p, s)
		}
		e.bind(p.Target, v, inner, true)
	}
	if f.Node.Body != nil {
		inner.body = f.Node.Body
		inner.declare(f.Node.Body.Body)
	}
	return inner
}

// parameter returns the value of a parameter without an argument: an object of the class
// that its type names, if that is injected, or an unknown value.
func (e *Evaluator) parameter(p *typescript.Param, s *Scope) Value {
	if v := e.typed(p.Type, s); v != nil {
		return v
	}
	u := e.unknown(s, p, "it is a parameter")
	if name, ok := p.Target.(*typescript.Ident); ok {
		u.Text = name.Name
	}
	return u
}

// injected returns the value of a property that the constructor of a class receives, or
// nil.
func (e *Evaluator) injected(c *Class, name string) Value {
	for c != nil {
		if ctor := constructor(c); ctor != nil {
			for _, p := range ctor.Params {
				if id, ok := p.Target.(*typescript.Ident); ok && p.Property && id.Name == name {
					return e.typed(p.Type, c.Scope)
				}
			}
		}
		c, _ = e.Parent(c).(*Class)
	}
	return nil
}

// typed returns an object for a parameter whose type is a service that is injected: the
// ConfigService of NestJS, or a class of the sources whose name ends with Service or
// Config. Otherwise it returns nil.
func (e *Evaluator) typed(t typescript.Type, s *Scope) Value {
	ref, ok := t.(*typescript.TypeRef)
	if !ok || !strings.HasSuffix(ref.Name, "Service") && !strings.HasSuffix(ref.Name, "Config") || strings.Contains(ref.Name, ".") {
		return nil
	}
	b, at := s.find(ref.Name)
	if b == nil || b.state == reading {
		return nil
	}
	switch v := e.read(ref.Name, b, at).(type) {
	case *Class:
		return e.Provide(v)
	case *External:
		if v.Module == "@nestjs/config" {
			return v
		}
	}
	return nil
}

// Truth reports whether a value, or its default if it is unknown, counts as true. ok is
// false if that is not known.
func Truth(v Value) (value, ok bool) {
	if u, unknown := v.(*Unknown); unknown && u.Default != nil {
		v = u.Default
	}
	return truth(v)
}
