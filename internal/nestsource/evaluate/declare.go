package evaluate

import (
	"strings"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// declared evaluates the declarations of a variable.
func (e *Evaluator) declared(name string, b *binding, s *Scope) Value {
	var bodies *Namespace
	var v Value
	for _, node := range b.nodes {
		switch d := node.(type) {
		case *typescript.VarDecl:
			return e.variable(name, b, d, s)
		case *typescript.Import:
			return e.Eval(d.Alias, s)
		case *typescript.Function:
			if f, ok := v.(*Function); !ok || f.Node.Body == nil { // the last of several overloads has the body
				v = &Function{Node: d, scope: s}
			}
		case *typescript.Class:
			v = e.newClass(d, s)
		case *typescript.Enum:
			if v == nil {
				v = NewObject()
				b.value, b.state = v, known // members may refer to the enum
			}
			e.enum(v.(*Object), d, s)
		case *typescript.Namespace:
			if bodies == nil {
				bodies = &Namespace{}
			}
			body := s.child()
			body.declare(d.Body)
			bodies.scopes = append(bodies.scopes, body)
		}
	}
	switch d := v.(type) {
	case *Function:
		d.props = bodies
	case *Class:
		d.props = bodies
	case nil:
		if bodies != nil {
			return bodies
		}
		return e.unknown(s, first(b.nodes), name+" cannot be evaluated")
	}
	return v
}

func (e *Evaluator) variable(name string, b *binding, d *typescript.VarDecl, s *Scope) Value {
	if d.Init == nil {
		if d.Type != nil {
			if v := e.typeValue(d.Type, s); v != nil {
				return v
			}
		}
		if b.constant || strings.Contains(s.Module.File.Name, ".d.") {
			return e.unknown(s, d, "its value is not in the sources")
		}
		return Undefined{}
	}
	v := e.Eval(d.Init, s)
	if _, simple := d.Target.(*typescript.Ident); simple {
		return v
	}
	scratch := s.child()
	e.bind(d.Target, v, scratch, true)
	if bound := scratch.vars[name]; bound != nil {
		return bound.value
	}
	return e.unknown(s, d, "it cannot be evaluated")
}

// typeValue returns the value of a declaration whose type has only one, or nil.
func (e *Evaluator) typeValue(t typescript.Type, s *Scope) Value {
	switch t := t.(type) {
	case *typescript.LiteralType:
		if t.Value == nil {
			return Null{}
		}
		return t.Value
	case *typescript.Operator:
		if t.Op == "readonly" {
			return e.typeValue(t.X, s)
		}
	case *typescript.TypeOf:
		return e.path(t.Name, s)
	case *typescript.TypeRef:
		if strings.Contains(t.Name, ".") && len(t.Args) == 0 { // a member of an enum
			return e.path(t.Name, s)
		}
	case *typescript.TupleType:
		out := &Array{}
		for _, elem := range t.Elems {
			v := e.typeValue(elem, s)
			if v == nil {
				v = e.unknown(s, elem, "its type has more than one value")
			}
			out.Items = append(out.Items, v)
		}
		return out
	case *typescript.ObjectType:
		out := NewObject()
		for _, m := range t.Members {
			key, unknown := e.name(m.Name, s)
			if unknown != nil || m.Method || m.Type == nil {
				continue
			}
			v := e.typeValue(m.Type, s)
			if v == nil {
				v = e.unknown(s, m, "its value is not in the sources")
			}
			out.Set(key, v)
		}
		return out
	}
	return nil
}

// path evaluates a dotted name in a type. It returns nil for a type that is not a value.
func (e *Evaluator) path(name string, s *Scope) Value {
	parts := strings.Split(name, ".")
	b, at := s.find(parts[0])
	if b == nil {
		return nil
	}
	v := e.read(parts[0], b, at)
	for _, part := range parts[1:] {
		v = e.member(v, part, s, nil)
	}
	if FindUnknown(v) != nil {
		return nil
	}
	return v
}

func (e *Evaluator) enum(o *Object, d *typescript.Enum, s *Scope) {
	body := s.child()
	body.owner = o
	var next Value = 0.0
	for _, m := range d.Members {
		key, unknown := e.name(m.Name, s)
		if unknown != nil {
			o.open = unknown
			continue
		}
		v := next
		if m.Init != nil {
			v = e.Eval(m.Init, body)
		}
		o.Set(key, v)
		next = e.unknown(s, m, "it follows a member without a number")
		if n, ok := v.(float64); ok {
			next = n + 1
			if reverse, _ := toString(n); !isIndex(key) {
				o.Set(reverse, key)
			}
		}
	}
}

// bind binds the names of a target to the parts of a value.
func (e *Evaluator) bind(target typescript.Expr, v Value, s *Scope, constant bool) {
	switch t := target.(type) {
	case *typescript.Ident:
		s.set(t.Name, v, constant)
	case *typescript.ObjectPattern:
		e.bindObject(t, v, s, constant)
	case *typescript.ArrayPattern:
		items, ok := e.iterate(v)
		for i, b := range t.Elements {
			if b == nil {
				continue
			}
			var part Value = Undefined{}
			if !ok {
				part = e.derived(s, b, e.cause(v, s, b))
			} else if i < len(items) {
				part = items[i]
			}
			e.bind(b.Target, e.orDefault(part, b.Default, s), s, constant)
		}
		if t.Rest != nil {
			var rest Value = &Array{items[min(len(items), len(t.Elements)):]}
			if !ok {
				rest = e.derived(s, t, e.cause(v, s, t))
			}
			e.bind(t.Rest, rest, s, constant)
		}
	}
}

func (e *Evaluator) bindObject(t *typescript.ObjectPattern, v Value, s *Scope, constant bool) {
	taken := map[string]bool{}
	for _, b := range t.Properties {
		key, unknown := e.name(b.Key, s)
		var part Value
		if unknown != nil {
			part = unknown
		} else {
			taken[key] = true
			part = e.member(v, key, s, b)
		}
		e.bind(b.Target, e.orDefault(part, b.Default, s), s, constant)
	}
	if t.Rest == nil {
		return
	}
	entries, ok := e.entries(v)
	if !ok {
		e.bind(t.Rest, e.derived(s, t, e.cause(v, s, t)), s, constant)
		return
	}
	rest := NewObject()
	for _, entry := range entries {
		if !taken[entry.key] {
			rest.Set(entry.key, entry.value)
		}
	}
	e.bind(t.Rest, rest, s, constant)
}

// orDefault returns the default of a binding or a parameter for undefined.
func (e *Evaluator) orDefault(v Value, x typescript.Expr, s *Scope) Value {
	if x == nil {
		return v
	}
	switch v := v.(type) {
	case Undefined:
		return e.Eval(x, s)
	case *Unknown:
		if v.Default == nil || v.Default == (Undefined{}) {
			u := *v
			u.Default, _ = Defaults(e.Eval(x, s))
			return &u
		}
	}
	return v
}

// applyMutations executes the statements of the module that change a variable after its
// declaration.
func (e *Evaluator) applyMutations(name string, b *binding, s *Scope) {
	m := s.Module
	if s != m.Scope {
		e.localMutations(name, b, s)
		return
	}
	if b.from != nil {
		return // the module that exports it does
	}
	for _, mut := range m.mutations(name) {
		switch {
		case !mut.part && b.constant, m.ran[mut.stmt]:
		case runsNow(mut):
			if m.ran == nil {
				m.ran = map[typescript.Stmt]bool{}
			}
			m.ran[mut.stmt] = true
			e.exec(mut.stmt, s)
		default:
			e.forget(b, mut, s)
		}
	}
}

// runsNow reports whether a statement changes the variable when the module is loaded.
func runsNow(mut mutated) bool {
	switch stmt := mut.stmt.(type) {
	case *typescript.ExprStmt:
		if !mut.inner {
			return true
		}
		call, ok := stmt.X.(*typescript.Call)
		if !ok {
			return false
		}
		switch callee := call.Callee.(type) {
		case *typescript.Function:
			return true
		case *typescript.Member:
			return callee.Name == "forEach" || callee.Name == "map"
		}
	case *typescript.If, *typescript.Loop, *typescript.Block, *typescript.Switch, *typescript.Try:
		return true
	}
	return false
}

// localMutations makes a variable of a function unknown if the function assigns to it:
// which assignment comes last depends on the execution.
func (e *Evaluator) localMutations(name string, b *binding, s *Scope) {
	if s.body == nil {
		return // the function is being executed
	}
	for _, mut := range s.localMutations() {
		if mut.name == name && (mut.part || !b.constant) {
			e.forget(b, mutated{s.body, mut}, s)
		}
	}
}

// forget makes the part of a value unknown that a statement may change.
func (e *Evaluator) forget(b *binding, mut mutated, s *Scope) {
	u := e.unknown(s, first(b.nodes), "its value changes")
	if d, ok := first(b.nodes).(*typescript.VarDecl); ok {
		u.Text = s.Module.File.Text(d.Target)
	}
	switch v := b.value.(type) {
	case *Object:
		if mut.member != "" {
			u.Default, _ = Defaults(v.members[mut.member])
			v.Set(mut.member, u)
			return
		}
		if mut.part {
			v.open = u
			return
		}
	case *Class:
		if mut.member != "" {
			v.statics.Set(mut.member, u)
		}
		return
	case *Function, *Namespace, *Native, *External:
		return
	}
	u.Default, _ = Defaults(b.value)
	if old, ok := b.value.(*Unknown); ok {
		u.Env = old.Env
	}
	b.value = u
}
