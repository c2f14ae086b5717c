package evaluate

import (
	"slices"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Options connect an evaluator to the files and to the packages outside of the sources.
type Options struct {
	// Resolve returns the absolute path of the file that an import refers to, or "".
	Resolve func(from, spec string) string
	// Load returns the module of a file, or nil.
	Load func(path string) *Module
	// External returns what a package exports under a dotted name, or nil. It takes
	// precedence over the files of the package.
	External func(module, name string) Value
	// Env returns the value of an environment variable as far as it is known. It is the
	// default of the unknown value, because the environment may differ. It may be nil.
	Env func(name string) (value string, ok bool)
	// Called returns the value of a call whose function is not in the sources, or nil.
	Called func(e *Evaluator, callee string, c Call) Value
}

// Evaluator evaluates expressions. It must not be used concurrently.
type Evaluator struct {
	o     Options
	steps int
	depth int
	// provided are the objects that stand for those that are injected.
	provided map[*Class]*Object
	// reading are the modules whose exports are being looked up, against cycles.
	reading map[exportKey]bool
}

type exportKey struct {
	module *Module
	name   string
}

// Limits of one evaluation. Expressions in sources stay far below them.
const (
	maxSteps = 200_000
	maxCalls = 600 // nesting of expressions and calls
)

// New returns an evaluator.
func New(o Options) *Evaluator {
	return &Evaluator{o: o, provided: map[*Class]*Object{}, reading: map[exportKey]bool{}}
}

// unknown returns an unknown value for a node.
func (e *Evaluator) unknown(s *Scope, n typescript.Node, reason string) *Unknown {
	u := &Unknown{Reason: reason}
	if s != nil && n != nil {
		f := s.Module.File
		u.Text, u.File, u.Line = f.Text(n), s.Module.Path, f.Line(n.Range().Pos)
	}
	return u
}

// combine computes a value from parts. If some are unknown, so is the result, and its
// default is computed from theirs.
func (e *Evaluator) combine(s *Scope, n typescript.Node, parts []Value, compute func([]Value) Value) Value {
	cause := findUnknown(&Array{parts}, false, 0)
	if cause == nil {
		return compute(parts)
	}
	u := e.derived(s, n, cause)
	u.More = variables(parts, u.Env)
	if values, ok := Defaults(&Array{parts}); ok {
		if v := compute(values.(*Array).Items); findUnknown(v, false, 0) == nil {
			u.Default = v
		}
	}
	return u
}

// variables returns the names of the variables that parts depend on, except for one.
func variables(parts []Value, except string) (names []string) {
	for _, part := range parts {
		u, ok := part.(*Unknown)
		if !ok {
			continue
		}
		for _, name := range append([]string{u.Env}, u.More...) {
			if name != "" && name != except && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// derived returns an unknown value for an expression that contains another one.
func (e *Evaluator) derived(s *Scope, n typescript.Node, cause *Unknown) *Unknown {
	u := e.unknown(s, n, cause.Reason)
	u.Env, u.More = cause.Env, cause.More
	if u.Text == "" {
		u.Text, u.File, u.Line = cause.Text, cause.File, cause.Line
	}
	return u
}

// Eval evaluates an expression in a scope.
func (e *Evaluator) Eval(x typescript.Expr, s *Scope) Value {
	if e.depth == 0 {
		e.steps = 0
	}
	e.depth++
	defer func() { e.depth-- }()
	if e.steps++; e.steps > maxSteps {
		return e.unknown(s, x, "it takes too long to compute")
	}
	if e.depth > maxCalls {
		return e.unknown(s, x, "it is nested too deeply")
	}
	if v := e.evalOperand(x, s); v != nil {
		return v
	}
	switch x := x.(type) {
	case *typescript.Unary:
		return e.unary(x, s)
	case *typescript.Binary:
		return e.binary(x, s)
	case *typescript.Cond:
		return e.cond(x, s)
	case *typescript.Call:
		return e.call(x, s)
	case *typescript.Template:
		return e.template(x, s)
	case *typescript.Assert:
		return e.Eval(x.X, s)
	}
	return e.unknown(s, x, "it is not an expression that can be evaluated")
}

// evalOperand evaluates the expressions without an operator, or returns nil.
func (e *Evaluator) evalOperand(x typescript.Expr, s *Scope) Value {
	switch x := x.(type) {
	case *typescript.Literal:
		if x.Value == nil {
			return Null{}
		}
		return x.Value
	case *typescript.Ident:
		return e.ident(x, s)
	case *typescript.Member:
		object := e.Eval(x.Object, s)
		if missing(object) && (x.Optional || optional(x.Object)) {
			return Undefined{}
		}
		return e.member(object, x.Name, s, x)
	case *typescript.Index:
		return e.index(x, s)
	case *typescript.Array:
		items, unknown := e.list(x.Elements, s)
		if unknown != nil {
			return e.derived(s, x, unknown)
		}
		return &Array{items}
	case *typescript.Object:
		return e.object(x, s)
	case *typescript.Function:
		f := &Function{Node: x, scope: s}
		if x.Arrow && s != nil {
			f.this = s.this
		}
		return f
	case *typescript.Class:
		return e.newClass(x, s)
	case *typescript.Other:
		if x.Kind == "regexp" {
			return newRegexp(s.Module.File.Source[x.Pos:x.End])
		}
	}
	return nil
}

// missing reports whether a value has no members: undefined or null.
func missing(v Value) bool {
	switch v.(type) {
	case Undefined, Null:
		return true
	}
	return false
}

// optional reports whether x is part of a chain with ?., which ends at a missing value.
func optional(x typescript.Expr) bool {
	switch x := x.(type) {
	case *typescript.Member:
		return x.Optional || optional(x.Object)
	case *typescript.Index:
		return x.Optional || optional(x.Object)
	case *typescript.Call:
		return x.Optional || optional(x.Callee)
	}
	return false
}

func (e *Evaluator) ident(x *typescript.Ident, s *Scope) Value {
	switch x.Name {
	case "undefined":
		return Undefined{}
	case "this":
		if s.this == nil {
			return e.unknown(s, x, "it depends on the object")
		}
		return s.this
	}
	if b, at := s.find(x.Name); b != nil {
		return e.read(x.Name, b, at)
	}
	if v := global(x.Name); v != nil {
		return v
	}
	return e.unknown(s, x, x.Name+" is not declared in the sources")
}

// read returns the value of a variable.
func (e *Evaluator) read(name string, b *binding, s *Scope) Value {
	switch b.state {
	case known:
		return b.value
	case reading:
		return e.unknown(s, first(b.nodes), name+" refers to itself")
	}
	b.state = reading
	var v Value
	if b.from != nil {
		v = e.imported(s.Module, *b.from)
	} else {
		v = e.declared(name, b, s)
	}
	if b.state == reading { // an enum or a class is known earlier
		b.value, b.state = v, known
	}
	e.applyMutations(name, b, s)
	return b.value
}

func first(nodes []typescript.Node) typescript.Node {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[0]
}

// list evaluates the elements of an array or the arguments of a call. unknown is set if a
// spread is unknown, because then the positions are.
func (e *Evaluator) list(elements []typescript.Expr, s *Scope) (items []Value, unknown *Unknown) {
	for _, x := range elements {
		spread, ok := x.(*typescript.Spread)
		switch {
		case x == nil:
			items = append(items, Undefined{})
		case !ok:
			items = append(items, e.Eval(x, s))
		default:
			v := e.Eval(spread.X, s)
			more, ok := e.iterate(v)
			if !ok {
				return nil, e.cause(v, s, spread)
			}
			items = append(items, more...)
		}
	}
	return items, nil
}

// iterate returns what for…of visits.
func (e *Evaluator) iterate(v Value) ([]Value, bool) {
	switch v := v.(type) {
	case *Array:
		return v.Items, true
	case string:
		var out []Value
		for _, r := range v {
			out = append(out, string(r))
		}
		return out, true
	case *Object:
		if c, ok := v.Host.(*collection); ok {
			return c.items(), true
		}
	}
	return nil, false
}

// cause returns why a value cannot be used.
func (e *Evaluator) cause(v Value, s *Scope, n typescript.Node) *Unknown {
	if u := FindUnknown(v); u != nil {
		return u
	}
	return e.unknown(s, n, "it cannot be evaluated")
}

func (e *Evaluator) object(x *typescript.Object, s *Scope) Value {
	o := NewObject()
	for _, p := range x.Properties {
		if p.Kind == typescript.PropertySpread {
			e.spreadInto(o, e.Eval(p.Value, s), s, p)
			continue
		}
		key, unknown := e.name(p.Key, s)
		if unknown != nil {
			o.open = unknown
			continue
		}
		switch p.Kind {
		case typescript.PropertyGet:
			o.Set(key, &accessor{&Function{Node: p.Value.(*typescript.Function), scope: s, this: o}})
		case typescript.PropertySet:
		case typescript.PropertyMethod:
			o.Set(key, &Function{Node: p.Value.(*typescript.Function), scope: s, this: o})
		default:
			o.Set(key, e.Eval(p.Value, s))
		}
	}
	return o
}

func (e *Evaluator) spreadInto(o *Object, v Value, s *Scope, n typescript.Node) {
	switch v := v.(type) {
	case Undefined, Null, bool, float64:
		return
	case *External:
		if isEnvironment(v) {
			o.base = v
			return
		}
	}
	entries, ok := e.entries(v)
	if !ok {
		o.open = e.cause(v, s, n)
		return
	}
	for _, entry := range entries {
		o.Set(entry.key, entry.value)
	}
	if source, ok := v.(*Object); ok && source.open != nil {
		o.open = source.open
	}
}

// name evaluates the name of a member.
func (e *Evaluator) name(n typescript.Name, s *Scope) (string, *Unknown) {
	if n.Computed == nil {
		return n.Text, nil
	}
	v := e.Eval(n.Computed, s)
	text, ok := toString(v)
	if !ok {
		return "", e.cause(v, s, n.Computed)
	}
	return text, nil
}

func (e *Evaluator) template(x *typescript.Template, s *Scope) Value {
	parts := make([]Value, len(x.Exprs))
	for i, expr := range x.Exprs {
		parts[i] = e.Eval(expr, s)
	}
	if x.Tag != nil {
		return e.tagged(x, parts, s)
	}
	return e.combine(s, x, parts, func(parts []Value) Value {
		text := x.Cooked[0]
		for i, p := range parts {
			part, ok := toString(p)
			if !ok {
				return e.unknown(s, x, "a part of it is not text")
			}
			text += part + x.Cooked[i+1]
		}
		return text
	})
}

func (e *Evaluator) tagged(x *typescript.Template, parts []Value, s *Scope) Value {
	cooked, raw := &Array{}, &Array{}
	for i := range x.Cooked {
		cooked.Items, raw.Items = append(cooked.Items, x.Cooked[i]), append(raw.Items, x.Raw[i])
	}
	tag := e.Eval(x.Tag, s)
	if native, ok := tag.(*Native); ok && native.Name == "String.raw" {
		cooked = raw
	}
	return e.Call(tag, Call{Args: append([]Value{cooked}, parts...), Node: x, Scope: s})
}

func (e *Evaluator) index(x *typescript.Index, s *Scope) Value {
	object := e.Eval(x.Object, s)
	if missing(object) && (x.Optional || optional(x.Object)) {
		return Undefined{}
	}
	key := e.Eval(x.Index, s)
	text, ok := toString(key)
	if !ok {
		u := e.derived(s, x, e.cause(key, s, x.Index))
		if d, known := Defaults(key); known {
			if text, ok = toString(d); ok {
				u.Default, _ = Defaults(e.member(object, text, s, x))
			}
		}
		return u
	}
	return e.member(object, text, s, x)
}
