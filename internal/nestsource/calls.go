package nestsource

import (
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Call is a call in the sources.
type Call struct {
	// Callee is the called function, such as "NestFactory.createMicroservice" or
	// "this.orders.send". An imported name is the one that the package exports.
	Callee string
	// Args are the arguments.
	Args []Value
	// In names the function around the call: "bootstrap", "OrdersService.create", or "".
	In string
	// File is relative to the folder, with slashes. Line counts from 1.
	File string
	Line int
}

// Arg returns an argument. It is missing if there are fewer.
func (c Call) Arg(i int) Value {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return Value{v: evaluate.Undefined{}}
}

// Value is the value of an expression, as far as the sources determine it.
type Value struct {
	v evaluate.Value
	p *Project
}

// Part is a part of a value that the sources do not determine.
type Part struct {
	// Path leads to it: "options.urls[0]"; "" for the value itself.
	Path string
	Computed
}

// Calls returns the calls of some functions, in the order of the files and their lines. A
// name is a dotted name or its end: "createMicroservice" matches
// "NestFactory.createMicroservice", and "NestFactory.createMicroservice" also matches if
// NestFactory was imported under another name. Function bodies are read but not executed:
// parameters are computed, and so is a variable that the function assigns to.
func (p *Project) Calls(names ...string) []Call {
	var out []Call
	for _, path := range p.Files {
		f := p.parsed[path]
		if f != nil && slices.ContainsFunc(names, func(name string) bool { return strings.Contains(f.Source, lastName(name)) }) {
			out = append(out, p.callsIn(p.load(path), names)...)
		}
	}
	return out
}

func lastName(name string) string {
	_, last, ok := cutLast(name, ".")
	if !ok {
		return name
	}
	return last
}

func (p *Project) callsIn(m *evaluate.Module, names []string) (out []Call) {
	in := enclosing{}
	p.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
		in.enter(n)
		call, ok := n.(*typescript.Call)
		if !ok {
			return true
		}
		callee := p.calleeName(call.Callee, s)
		if !slices.ContainsFunc(names, func(name string) bool { return callee == name || strings.HasSuffix(callee, "."+name) }) {
			return true
		}
		c := p.newCall(m, call, s)
		c.In = in.name()
		out = append(out, c)
		return true
	})
	slices.SortStableFunc(out, func(a, b Call) int { return a.Line - b.Line })
	return out
}

// callPosition is the position of the last name of the called function: in a chain over
// several lines, the calls have different lines.
func callPosition(call *typescript.Call) int {
	if m, ok := call.Callee.(*typescript.Member); ok {
		return m.End - 1
	}
	return call.Pos
}

// calleeName returns the dotted name of a function. A part that is not a name is its text.
func (p *Project) calleeName(callee typescript.Expr, s *evaluate.Scope) string {
	switch x := callee.(type) {
	case *typescript.Member:
		return p.calleeName(x.Object, s) + "." + x.Name
	case *typescript.Ident:
		if external, ok := p.eval.Eval(x, s).(*evaluate.External); ok && external.Name != "*" && isFramework(external.Module) {
			return external.Name
		}
		return x.Name
	}
	return s.Module.File.Text(callee)
}

// enclosing tracks the functions and classes around a node.
type enclosing struct {
	names []string
	ends  []int
}

func (e *enclosing) enter(n typescript.Node) {
	pos := n.Range().Pos
	for len(e.ends) > 0 && e.ends[len(e.ends)-1] <= pos {
		e.ends, e.names = e.ends[:len(e.ends)-1], e.names[:len(e.names)-1]
	}
	name := ""
	switch n := n.(type) {
	case *typescript.Class:
		name = n.Name
	case *typescript.Function:
		name = n.Name
	case *typescript.Var:
		if id, ok := n.Decls[0].Target.(*typescript.Ident); ok && len(n.Decls) == 1 {
			switch n.Decls[0].Init.(type) {
			case *typescript.Function, *typescript.Object:
				name = id.Name
			}
		}
	}
	if name != "" {
		e.names, e.ends = append(e.names, name), append(e.ends, n.Range().End)
	}
}

func (e *enclosing) name() string { return strings.Join(e.names, ".") }

// JSON returns the value as JSON. A part that is not known has its default, or is null;
// see [Value.Parts].
func (v Value) JSON() string {
	text, ok := evaluate.JSON(withoutUnknown(v.v, 0))
	if !ok {
		return "null"
	}
	return text
}

// withoutUnknown replaces what is not known by its default or null.
func withoutUnknown(v evaluate.Value, depth int) evaluate.Value {
	if depth > 50 {
		return evaluate.Null{}
	}
	switch v := v.(type) {
	case *evaluate.Unknown:
		if v.Default != nil {
			return withoutUnknown(v.Default, depth+1)
		}
		return evaluate.Null{}
	case *evaluate.Array:
		out := &evaluate.Array{}
		for _, item := range v.Items {
			out.Items = append(out.Items, withoutUnknown(item, depth+1))
		}
		return out
	case *evaluate.Object:
		out := evaluate.NewObject()
		for _, k := range v.Keys() {
			member, _ := v.Get(k)
			out.Set(k, withoutUnknown(member, depth+1))
		}
		return out
	case evaluate.Undefined, evaluate.Null, bool, float64, string:
		return v
	}
	return evaluate.Null{}
}

// Parts returns the parts that are not known, in order.
func (v Value) Parts() []Part {
	var out []Part
	v.parts("", v.v, 0, &out)
	return out
}

func (v Value) parts(path string, value evaluate.Value, depth int, out *[]Part) {
	switch value := value.(type) {
	case *evaluate.Unknown:
		*out = append(*out, Part{path, *v.p.computed(value, nil, nil)})
	case *evaluate.External:
		*out = append(*out, Part{path, Computed{Text: value.Name, Reason: value.String() + " is not in the sources"}})
	case *evaluate.Array:
		for i, item := range value.Items {
			if depth < 50 {
				v.parts(path+"["+strconv.Itoa(i)+"]", item, depth+1, out)
			}
		}
	case *evaluate.Object:
		for _, k := range value.Keys() {
			member, _ := value.Get(k)
			if depth < 50 {
				v.parts(strings.TrimPrefix(path+"."+k, "."), member, depth+1, out)
			}
		}
	}
}

// Computed returns why the value itself is not known, or nil if it is. The parts of an
// object or an array may still be unknown.
func (v Value) Computed() *Computed {
	switch value := v.v.(type) {
	case *evaluate.Unknown:
		return v.p.computed(value, nil, nil)
	case *evaluate.External:
		return &Computed{Text: value.Name, Reason: value.String() + " is not in the sources"}
	}
	return nil
}

// Missing reports whether the value is undefined or null.
func (v Value) Missing() bool {
	switch v.known().(type) {
	case nil, evaluate.Undefined, evaluate.Null:
		return v.Computed() == nil
	}
	return false
}

// known returns the value, or its default if it is not known.
func (v Value) known() evaluate.Value {
	if u, ok := v.v.(*evaluate.Unknown); ok && u.Default != nil {
		return u.Default
	}
	return v.v
}

// Member returns a member of an object, which may be missing.
func (v Value) Member(name string) Value {
	switch o := v.known().(type) {
	case *evaluate.Object:
		return Value{v.p.eval.Member(o, name), v.p}
	case *evaluate.Unknown, *evaluate.External:
		return v
	}
	return Value{evaluate.Undefined{}, v.p}
}

// Keys returns the names of the members of an object.
func (v Value) Keys() []string {
	if o, ok := v.known().(*evaluate.Object); ok {
		return o.Keys()
	}
	return nil
}

// Items returns the items of an array. A value that is not an array has none.
func (v Value) Items() []Value {
	var out []Value
	if a, ok := v.known().(*evaluate.Array); ok {
		for _, item := range a.Items {
			out = append(out, Value{item, v.p})
		}
	}
	return out
}

// Text returns a string, or the default of one that is not known; see [Value.Computed].
func (v Value) Text() (text string, ok bool) {
	text, ok = v.known().(string)
	return text, ok
}

// Number returns a number, a numeric string, or the default of one that is not known; see
// [Value.Computed].
func (v Value) Number() (n float64, ok bool) {
	switch value := v.known().(type) {
	case float64:
		return value, true
	case string:
		n, err := strconv.ParseFloat(value, 64)
		return n, err == nil
	}
	return 0, false
}

// Transport returns the name of a NestJS transport, such as "TCP" or "RMQ", for a value of
// its enum Transport.
func (v Value) Transport() string { return transportName(v.known()) }

// Class returns the name and the file of a class, if the value is one. The file is
// relative to the folder of the project, with slashes.
func (v Value) Class() (name, file string) {
	if c, ok := v.v.(*evaluate.Class); ok {
		return c.Name(), v.p.rel(c.Scope.Module.Path)
	}
	return "", ""
}

// Index returns an item of an array, or of the default of one that is not known; see
// [Value.Computed].
func (v Value) Index(i int) Value {
	items := v.Items()
	if i >= len(items) {
		return Value{evaluate.Undefined{}, v.p}
	}
	u, ok := v.v.(*evaluate.Unknown)
	if !ok {
		return items[i]
	}
	item := *u
	item.Default = items[i].v
	return Value{&item, v.p}
}
