package evaluate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/modules"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Member returns a member of a value.
func (e *Evaluator) Member(v Value, name string) Value { return e.member(v, name, nil, nil) }

// member returns a member of a value for a node of the source.
func (e *Evaluator) member(v Value, name string, s *Scope, n typescript.Node) Value {
	switch v := v.(type) {
	case *Unknown:
		return e.unknownMember(v, name, s, n)
	case *Object:
		return e.objectMember(v, name, s, n)
	case *Array:
		return e.arrayMember(v, name)
	case string:
		return stringMember(v, name)
	case float64:
		return numberMember(v, name)
	case *Class:
		return e.static(v, name, s, n)
	case *Namespace:
		if v.module != nil {
			return e.Export(v.module, name)
		}
		return e.namespaceMember(v, name, s, n)
	case *Function:
		return e.functionMember(v, name, s, n)
	case *Native:
		if p, ok := v.Props[name]; ok {
			return p
		}
	case *External:
		return e.external(v.Module, joinName(v.Name, name), s, n)
	case Undefined, Null:
		return e.unknown(s, n, "its object is missing")
	}
	return e.unknown(s, n, "it has no member "+name+" that can be evaluated")
}

func joinName(object, name string) string {
	if object == "*" {
		return name
	}
	return object + "." + name
}

// external returns what a package exports.
func (e *Evaluator) external(module, name string, s *Scope, n typescript.Node) Value {
	if variable, ok := strings.CutPrefix(name, "env."); ok && (module == "process" || module == "node:process") {
		u := e.unknown(s, n, "it depends on the environment")
		u.Env = variable
		if e.o.Env != nil {
			if value, ok := e.o.Env(variable); ok {
				u.Default = value
			}
		}
		return u
	}
	if v := e.o.External(module, name); v != nil {
		return v
	}
	return &External{Module: module, Name: name}
}

// isEnvironment reports whether a value is process.env.
func isEnvironment(x *External) bool {
	return (x.Module == "process" || x.Module == "node:process") && x.Name == "env"
}

func (e *Evaluator) unknownMember(u *Unknown, name string, s *Scope, n typescript.Node) Value {
	out := e.derived(s, n, u)
	if u.Default != nil && !missing(u.Default) {
		if v := e.member(u.Default, name, s, n); FindUnknown(v) == nil {
			out.Default = v
		}
	}
	return out
}

func (e *Evaluator) objectMember(o *Object, name string, s *Scope, n typescript.Node) Value {
	if c, ok := o.Host.(*collection); ok {
		return c.member(name)
	}
	if v, ok := o.members[name]; ok {
		if a, ok := v.(*accessor); ok {
			return e.callFunction(a.get, o, nil, s, n)
		}
		return v
	}
	if o.Class != nil {
		if v := e.inherited(o, o.Class, name); v != nil {
			return v
		}
		if o.unmade {
			if v := e.injected(o.Class, name); v != nil {
				return v
			}
			return e.unknown(s, n, "it depends on the object")
		}
	}
	if o.open != nil {
		return e.derived(s, n, o.open)
	}
	if o.base != nil {
		return e.member(o.base, name, s, n)
	}
	if native := objectMethod(o, name); native != nil {
		return native
	}
	return Undefined{}
}

// inherited returns a method or an accessor of the class of an instance, or nil.
func (e *Evaluator) inherited(o *Object, c *Class, name string) Value {
	for _, m := range c.Node.Members {
		property := o.unmade && m.Kind == typescript.MemberProperty && m.Value != nil
		if m.Static || m.Func == nil && !property || m.Kind == typescript.MemberConstructor || m.Kind == typescript.MemberSet {
			continue
		}
		if key, unknown := e.name(m.Key, c.Scope); unknown != nil || key != name {
			continue
		}
		if property {
			o.Set(name, e.unknown(c.Scope, m, name+" refers to itself"))
			scope := c.Scope.child()
			scope.this = o
			o.Set(name, e.Eval(m.Value, scope))
			return o.members[name]
		}
		f := &Function{Node: m.Func, scope: c.Scope, this: o}
		if m.Kind == typescript.MemberGet {
			return e.callFunction(f, o, nil, nil, nil)
		}
		return f
	}
	if parent, ok := e.Parent(c).(*Class); ok {
		return e.inherited(o, parent, name)
	}
	return nil
}

func (e *Evaluator) functionMember(f *Function, name string, s *Scope, n typescript.Node) Value {
	switch name {
	case "name":
		return f.Node.Name
	case "length":
		return float64(len(f.Node.Params))
	case "call":
		return &Native{Name: name, Call: func(e *Evaluator, c Call) Value {
			return e.callFunction(f, c.Arg(0), c.Args[min(1, len(c.Args)):], c.Scope, c.Node)
		}}
	case "apply":
		return &Native{Name: name, Call: func(e *Evaluator, c Call) Value {
			args, _ := e.iterate(c.Arg(1))
			return e.callFunction(f, c.Arg(0), args, c.Scope, c.Node)
		}}
	}
	if f.props != nil {
		return e.namespaceMember(f.props, name, s, n)
	}
	return e.unknown(s, n, "it has no member "+name+" that can be evaluated")
}

func (e *Evaluator) namespaceMember(ns *Namespace, name string, s *Scope, n typescript.Node) Value {
	for _, body := range ns.scopes {
		if b := body.vars[name]; b != nil && b.exported {
			return e.read(name, b, body)
		}
	}
	return e.unknown(s, n, "it has no member "+name)
}

// namespaceNames returns the exported names of a namespace, in order of declaration.
func (ns *Namespace) names() []string {
	var out []string
	for _, body := range ns.scopes {
		var names []string
		for name, b := range body.vars {
			if b.exported {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			return position(body.vars[a]) - position(body.vars[b])
		})
		out = append(out, names...)
	}
	return out
}

func position(b *binding) int {
	if n := first(b.nodes); n != nil {
		return n.Range().Pos
	}
	return 0
}

// imported returns what an import of a module refers to.
func (e *Evaluator) imported(m *Module, from imported) Value {
	if v := e.o.External(from.spec, from.name); v != nil {
		return v
	}
	path := e.o.Resolve(m.Path, from.spec)
	if path == "" {
		if modules.IsRelative(from.spec) {
			return &Unknown{Text: from.name, File: m.Path, Reason: "cannot find the module " + strconv.Quote(from.spec)}
		}
		return e.external(from.spec, from.name, nil, nil)
	}
	target := e.o.Load(path)
	if target == nil {
		return &Unknown{Text: from.name, File: path, Reason: "cannot read " + strconv.Quote(from.spec)}
	}
	v := e.exportOrNil(target, from.name)
	if v == nil {
		// A package that only has declarations, or whose export is not found.
		return e.external(from.spec, from.name, nil, nil)
	}
	return v
}

// Export returns what a module exports under a name; "*" is the module itself.
func (e *Evaluator) Export(m *Module, name string) Value {
	if v := e.exportOrNil(m, name); v != nil {
		return v
	}
	return &Unknown{Text: name, File: m.Path, Reason: "the module does not export " + name}
}

func (e *Evaluator) exportOrNil(m *Module, name string) Value {
	key := exportKey{m, name}
	if e.reading[key] {
		return nil
	}
	e.reading[key] = true
	defer delete(e.reading, key)
	if m.equals != nil || m.common {
		return e.commonExport(m, name)
	}
	if name == "*" {
		return &Namespace{module: m}
	}
	x, ok := m.exports[name]
	switch {
	case !ok:
		return e.starExport(m, name)
	case x.value != nil:
		return e.Eval(x.value, m.Scope)
	case x.from != nil:
		return e.imported(m, *x.from)
	case x.local != "":
		if b := m.Scope.vars[x.local]; b != nil {
			return e.read(x.local, b, m.Scope)
		}
		return nil
	}
	return e.anonymousDefault(x.decl, m)
}

func (e *Evaluator) starExport(m *Module, name string) Value {
	if name == "default" {
		return nil
	}
	for _, spec := range m.stars {
		path := e.o.Resolve(m.Path, spec)
		if path == "" {
			if v := e.o.External(spec, name); v != nil {
				return v
			}
			continue
		}
		if target := e.o.Load(path); target != nil {
			if v := e.exportOrNil(target, name); v != nil {
				return v
			}
		}
	}
	return nil
}

func (e *Evaluator) anonymousDefault(d typescript.Node, m *Module) Value {
	switch d := d.(type) {
	case *typescript.Class:
		return e.newClass(d, m.Scope)
	case *typescript.FuncDecl:
		return &Function{Node: d.Func, scope: m.Scope}
	}
	return nil
}

// commonExport returns what a CommonJS module exports: `export =` or module.exports.
func (e *Evaluator) commonExport(m *Module, name string) Value {
	var all Value
	if m.equals != nil {
		all = e.Eval(m.equals, m.Scope)
	} else {
		module := m.Scope.vars["module"]
		e.applyMutations("module", module, m.Scope)
		e.applyMutations("exports", m.Scope.vars["exports"], m.Scope)
		all = e.member(module.value, "exports", m.Scope, nil)
	}
	if name == "*" {
		return all
	}
	if v := e.member(all, name, nil, nil); FindUnknown(v) == nil || name != "default" {
		if _, undefined := v.(Undefined); !undefined {
			return v
		}
	}
	if name == "default" {
		return all
	}
	return nil
}

// exportNames returns the names that a module exports, without those of packages.
func (e *Evaluator) exportNames(m *Module) []string {
	var own []string
	for name := range m.exports {
		own = append(own, name)
	}
	slices.Sort(own) // the order of a module's members
	for _, spec := range m.stars {
		key := exportKey{m, "*" + spec}
		target := e.o.Load(e.o.Resolve(m.Path, spec))
		if target == nil || e.reading[key] {
			continue
		}
		e.reading[key] = true
		for _, name := range e.exportNames(target) {
			if !slices.Contains(own, name) && name != "default" {
				own = append(own, name)
			}
		}
		delete(e.reading, key)
	}
	slices.Sort(own)
	return own
}

// entry is a member of an object.
type entry struct {
	key   string
	value Value
}

// entries returns the enumerable members of a value, in order.
func (e *Evaluator) entries(v Value) (out []entry, ok bool) {
	switch v := v.(type) {
	case *Object:
		for _, k := range v.Keys() {
			out = append(out, entry{k, e.objectMember(v, k, nil, nil)})
		}
		return out, v.open == nil
	case *Array:
		for i, item := range v.Items {
			out = append(out, entry{strconv.Itoa(i), item})
		}
		return out, true
	case string:
		for i, r := range []rune(v) {
			out = append(out, entry{strconv.Itoa(i), string(r)})
		}
		return out, true
	case *Class:
		for _, name := range e.staticNames(v) {
			out = append(out, entry{name, e.static(v, name, nil, nil)})
		}
		return out, true
	case *Namespace:
		names := v.names()
		if v.module != nil {
			names = e.exportNames(v.module)
		}
		for _, name := range names {
			out = append(out, entry{name, e.member(v, name, nil, nil)})
		}
		return out, true
	}
	return nil, false
}
