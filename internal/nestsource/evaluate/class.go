package evaluate

import (
	"slices"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// newClass returns the value of a class. Its name is bound inside of it.
func (e *Evaluator) newClass(d *typescript.Class, s *Scope) *Class {
	c := &Class{Node: d, statics: NewObject()}
	c.Scope = s.child()
	c.Scope.this = c
	if d.Name != "" {
		c.Scope.set(d.Name, c, true)
	}
	return c
}

// Class returns the value of a class declaration in the scope that declares it. It is the
// same value that its name has.
func (e *Evaluator) Class(d *typescript.Class, s *Scope) *Class {
	if b := s.vars[d.Name]; b != nil && d.Name != "" {
		if c, ok := e.read(d.Name, b, s).(*Class); ok && c.Node == d {
			return c
		}
	}
	return e.newClass(d, s)
}

// Body returns the scope of the body of a class that is read without creating an object:
// `this` has the values that its properties start with.
func (c *Class) Body() *Scope {
	s := c.Scope.child()
	s.this = &Object{members: map[string]Value{}, Class: c, unmade: true}
	return s
}

// Parent returns the base class: a *[Class], another value that is not in the sources, or
// [Undefined] if there is none.
func (e *Evaluator) Parent(c *Class) Value {
	if c.Node.Extends == nil {
		return Undefined{}
	}
	if c.parent == nil {
		c.parent = &Unknown{Reason: "the class extends itself"}
		c.parent = e.Eval(c.Node.Extends, c.Scope.parent)
	}
	return c.parent
}

// static returns a static member of a class.
func (e *Evaluator) static(c *Class, name string, s *Scope, n typescript.Node) Value {
	if v := e.ownStatic(c, name); v != nil {
		return v
	}
	if name == "name" {
		return c.Node.Name
	}
	if name == "prototype" {
		return Prototype(c)
	}
	switch parent := e.Parent(c).(type) {
	case *Class:
		return e.static(parent, name, s, n)
	case Undefined:
	default:
		return e.unknown(s, n, "its base class is not in the sources")
	}
	return Undefined{}
}

// ownStatic returns a static member of the class itself, or nil.
func (e *Evaluator) ownStatic(c *Class, name string) Value {
	if v, ok := c.statics.Get(name); ok {
		return v
	}
	for _, m := range c.Node.Members {
		if !m.Static || m.Kind == typescript.MemberStaticBlock || m.Kind == typescript.MemberSet || m.Kind == typescript.MemberIndex {
			continue
		}
		if key, unknown := e.name(m.Key, c.Scope.parent); unknown == nil && key == name {
			return e.staticMember(c, name, m)
		}
	}
	if c.props != nil {
		if v := e.namespaceMember(c.props, name, nil, nil); FindUnknown(v) == nil {
			return v
		}
	}
	if !c.ran {
		e.runStaticBlocks(c)
		if v, ok := c.statics.Get(name); ok {
			return v
		}
	}
	return nil
}

func (e *Evaluator) staticMember(c *Class, name string, m *typescript.ClassMember) Value {
	if m.Func != nil {
		f := &Function{Node: m.Func, scope: c.Scope, this: c}
		if m.Kind == typescript.MemberGet {
			return e.callFunction(f, c, nil, nil, nil)
		}
		return f
	}
	c.statics.Set(name, e.unknown(c.Scope, m, name+" refers to itself"))
	var v Value = Undefined{}
	switch {
	case m.Value != nil:
		v = e.Eval(m.Value, c.Scope)
	case m.Type != nil:
		if typed := e.typeValue(m.Type, c.Scope); typed != nil {
			v = typed
		}
	}
	c.statics.Set(name, v)
	if v == (Undefined{}) && !c.ran { // a static block may set it
		e.runStaticBlocks(c)
		v, _ = c.statics.Get(name)
	}
	return v
}

func (e *Evaluator) runStaticBlocks(c *Class) {
	c.ran = true
	for _, m := range c.Node.Members {
		if m.Kind == typescript.MemberStaticBlock {
			s := c.Scope.child()
			s.declare(m.Body.Body)
			e.execList(m.Body.Body, s)
		}
	}
}

// staticNames returns the names of the static properties of a class, in order.
func (e *Evaluator) staticNames(c *Class) []string {
	var out []string
	for _, m := range c.Node.Members {
		if m.Static && m.Kind == typescript.MemberProperty {
			if key, unknown := e.name(m.Key, c.Scope.parent); unknown == nil {
				out = append(out, key)
			}
		}
	}
	if !c.ran {
		e.runStaticBlocks(c)
	}
	for _, k := range c.statics.Keys() {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if c.props != nil {
		out = append(out, c.props.names()...)
	}
	return out
}

// Prototype returns an object with the methods of a class.
func Prototype(c *Class) *Object {
	return &Object{members: map[string]Value{}, Class: c}
}

// Method returns a method of a class as a value.
func Method(c *Class, m *typescript.ClassMember) *Function {
	return &Function{Node: m.Func, scope: c.Scope}
}

// construct evaluates new C(…): an object with the properties of the class and of its
// bases, after its constructor.
func (e *Evaluator) construct(c *Class, args []Value, s *Scope, n typescript.Node) Value {
	o := NewObject()
	o.Class = c
	if u := e.initialize(o, c, args, s, n); u != nil {
		return e.derived(s, n, u)
	}
	return o
}

func (e *Evaluator) initialize(o *Object, c *Class, args []Value, s *Scope, n typescript.Node) *Unknown {
	ctor := constructor(c)
	superArgs := args
	switch parent := e.Parent(c).(type) {
	case Undefined:
	case *Class:
		if ctor != nil {
			superArgs = e.superArgs(ctor, c, args, o)
		}
		if u := e.initialize(o, parent, superArgs, s, n); u != nil {
			return u
		}
	default:
		return e.unknown(s, n, "its base class is not in the sources")
	}
	scope := c.Scope.child()
	scope.this = o
	if ctor != nil { // parameters that are properties come before the properties
		inner := e.parameters(ctor, args, scope)
		for _, p := range ctor.Params {
			if id, ok := p.Target.(*typescript.Ident); ok && p.Property {
				o.Set(id.Name, inner.vars[id.Name].value)
			}
		}
	}
	for _, m := range c.Node.Members {
		if m.Static || m.Kind != typescript.MemberProperty || m.Value == nil {
			continue
		}
		if key, unknown := e.name(m.Key, c.Scope.parent); unknown == nil {
			o.Set(key, e.Eval(m.Value, scope))
		}
	}
	if ctor != nil && ctor.Body != nil {
		if done := e.execList(ctor.Body.Body, e.parameters(ctor, args, scope)); done.kind == failed {
			return done.value.(*Unknown)
		}
	}
	return nil
}

func constructor(c *Class) *typescript.Function {
	for _, m := range c.Node.Members {
		if m.Kind == typescript.MemberConstructor && m.Func.Body != nil {
			return m.Func
		}
	}
	return nil
}

// superArgs returns the arguments of super(…) in a constructor.
func (e *Evaluator) superArgs(ctor *typescript.Function, c *Class, args []Value, o *Object) (out []Value) {
	scope := c.Scope.child()
	scope.this = o
	inner := e.parameters(ctor, args, scope)
	for _, stmt := range ctor.Body.Body {
		x, ok := stmt.(*typescript.ExprStmt)
		if !ok {
			continue
		}
		if call, ok := x.X.(*typescript.Call); ok {
			if id, ok := call.Callee.(*typescript.Ident); ok && id.Name == "super" {
				out, _ = e.list(call.Args, inner)
			}
		}
	}
	return out
}
