package evaluate

import (
	"slices"

	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Scope is a lexical scope. Its variables are evaluated when they are first read, so that
// the order of declarations and of imports does not matter.
type Scope struct {
	// Module is the module that the scope is in.
	Module *Module

	parent *Scope
	vars   map[string]*binding
	this   Value
	// owner is the enum whose members can be read without its name, if the scope is its body.
	owner *Object
	// body is the block of a function that is read without being executed.
	body    *typescript.Block
	changed []mutation // of body
}

// binding is a variable, a function, a class, an enum, a namespace, or an import.
type binding struct {
	// nodes are its declarations: several for enums, namespaces, and overloads.
	nodes []typescript.Node
	// from is the import that it stands for.
	from *imported
	// constant reports whether it cannot be assigned to.
	constant bool
	// exported reports whether it is a member of its namespace.
	exported bool

	state state
	value Value
}

type state int

const (
	unread state = iota
	reading
	known
)

// imported is a name that another module exports.
type imported struct {
	spec string
	name string // "*" for the module itself
}

func (s *Scope) child() *Scope {
	return &Scope{Module: s.Module, parent: s, this: s.this}
}

// find returns the binding of a name and the scope that it is in.
func (s *Scope) find(name string) (*binding, *Scope) {
	for ; s != nil; s = s.parent {
		if b := s.vars[name]; b != nil {
			return b, s
		}
		if s.owner != nil {
			if v, ok := s.owner.Get(name); ok {
				return &binding{state: known, value: v, constant: true}, s
			}
		}
	}
	return nil, nil
}

// localMutations returns the mutations in the function that is read.
func (s *Scope) localMutations() []mutation {
	if s.changed == nil {
		s.changed = append([]mutation{}, mutations(s.body)...)
	}
	return s.changed
}

// set binds a name to a value.
func (s *Scope) set(name string, v Value, constant bool) {
	s.add(name, &binding{state: known, value: v, constant: constant})
}

func (s *Scope) add(name string, b *binding) {
	if s.vars == nil {
		s.vars = map[string]*binding{}
	}
	s.vars[name] = b
}

// declare binds what statements declare. Nested blocks have scopes of their own.
func (s *Scope) declare(body []typescript.Stmt) {
	for _, stmt := range body {
		s.declareOne(stmt, false)
	}
}

func (s *Scope) declareOne(stmt typescript.Stmt, exported bool) {
	switch d := stmt.(type) {
	case *typescript.Export:
		if d.Decl != nil {
			s.declareOne(d.Decl, true)
		}
	case *typescript.Var:
		for _, v := range d.Decls {
			for _, name := range Names(v.Target) {
				s.add(name, &binding{nodes: []typescript.Node{v}, constant: d.Kind == "const" || d.Kind == "using", exported: exported})
			}
		}
	case *typescript.FuncDecl:
		s.merge(d.Func.Name, d.Func, exported)
	case *typescript.Class:
		s.merge(d.Name, d, exported)
	case *typescript.Enum:
		s.merge(d.Name, d, exported)
	case *typescript.Namespace:
		if !d.Global {
			s.merge(d.Name, d, exported)
		}
	case *typescript.Import:
		s.declareImport(d, exported)
	}
}

// merge adds a declaration to those of the same name.
func (s *Scope) merge(name string, node typescript.Node, exported bool) {
	if name == "" {
		return
	}
	b := s.vars[name]
	if b == nil {
		b = &binding{constant: true}
		s.add(name, b)
	}
	b.nodes = append(b.nodes, node)
	b.exported = b.exported || exported
}

func (s *Scope) declareImport(d *typescript.Import, exported bool) {
	bind := func(as, name string) {
		if as != "" {
			s.add(as, &binding{from: &imported{d.From, name}, constant: true, exported: exported})
		}
	}
	if d.Alias != nil {
		s.add(d.Default, &binding{nodes: []typescript.Node{d}, constant: true, exported: exported})
		return
	}
	bind(d.Default, "default")
	bind(d.Namespace, "*")
	for _, n := range d.Names {
		bind(n.As, n.Name)
	}
}

// Names returns the names that a target binds.
func Names(target typescript.Expr) (out []string) {
	add := func(x typescript.Expr) {
		if x != nil {
			out = append(out, Names(x)...)
		}
	}
	switch t := target.(type) {
	case *typescript.Ident:
		return []string{t.Name}
	case *typescript.ObjectPattern:
		for _, b := range t.Properties {
			add(b.Target)
		}
		add(t.Rest)
	case *typescript.ArrayPattern:
		for _, b := range t.Elements {
			if b != nil {
				add(b.Target)
			}
		}
		add(t.Rest)
	}
	return out
}

// mutation is an assignment to a variable or to a part of its value.
type mutation struct {
	name string
	// member is the member that changes, if it is named.
	member string
	// part is set for x.y = 1 and x.push(1), and not for x = 1.
	part bool
	// inner is set if it is in a function, so that it may run at any time, or never.
	inner bool
}

// mutators are the methods that change their object, or their first argument.
var mutators = []string{"push", "unshift", "pop", "shift", "splice", "sort", "reverse", "fill", "set", "add", "delete", "clear", "copyWithin"}

// mutations returns the mutations of variables that are not declared in node itself.
func mutations(node typescript.Node) []mutation {
	f := &mutationFinder{}
	f.visit(node)
	return f.found
}

type mutationFinder struct {
	found  []mutation
	locals [][]string // the names of each function around
}

func (f *mutationFinder) add(x typescript.Node, part bool) {
	member := ""
	for {
		switch n := x.(type) {
		case *typescript.Member:
			x, part, member = n.Object, true, n.Name
		case *typescript.Index:
			x, part, member = n.Object, true, ""
		case *typescript.Assert:
			x = n.X
		case *typescript.Ident:
			for _, names := range f.locals {
				if slices.Contains(names, n.Name) {
					return
				}
			}
			f.found = append(f.found, mutation{n.Name, member, part, len(f.locals) > 0})
			return
		default:
			return
		}
	}
}

func (f *mutationFinder) visit(node typescript.Node) {
	switch n := node.(type) {
	case *typescript.Function:
		f.locals = append(f.locals, localNames(n))
		typescript.Each(n, f.visit)
		f.locals = f.locals[:len(f.locals)-1]
		return
	case *typescript.Binary:
		if isAssignment(n.Op) {
			f.assign(n.L)
		}
	case *typescript.Unary:
		if n.Op == "++" || n.Op == "--" || n.Op == "delete" {
			f.add(n.X, false)
		}
	case *typescript.Call:
		f.call(n)
	}
	typescript.Each(node, f.visit)
}

// assign adds the target of an assignment, or what a destructuring assignment assigns.
func (f *mutationFinder) assign(target typescript.Node) {
	switch t := target.(type) {
	case *typescript.Array:
		for _, x := range t.Elements {
			if x != nil {
				f.assign(x)
			}
		}
	case *typescript.Object:
		for _, p := range t.Properties {
			f.assign(p.Value)
		}
	case *typescript.Spread:
		f.assign(t.X)
	default:
		f.add(target, false)
	}
}

func (f *mutationFinder) call(n *typescript.Call) {
	m, ok := n.Callee.(*typescript.Member)
	if !ok {
		return
	}
	if slices.Contains(mutators, m.Name) {
		f.add(m.Object, true)
	}
	object, ok := m.Object.(*typescript.Ident)
	static := ok && (object.Name == "Object" && (m.Name == "assign" || m.Name == "defineProperty" || m.Name == "defineProperties") ||
		object.Name == "Reflect" && (m.Name == "set" || m.Name == "defineProperty" || m.Name == "deleteProperty"))
	if static && len(n.Args) > 0 {
		f.add(n.Args[0], true)
	}
}

// localNames returns the parameters and variables of a function.
func localNames(fn *typescript.Function) []string {
	var names []string
	for _, p := range fn.Params {
		names = append(names, Names(p.Target)...)
	}
	var visit func(typescript.Node)
	visit = func(n typescript.Node) {
		switch n := n.(type) {
		case *typescript.Var:
			for _, d := range n.Decls {
				names = append(names, Names(d.Target)...)
			}
		case *typescript.FuncDecl:
			names = append(names, n.Func.Name)
			return
		case *typescript.Function:
			return
		}
		typescript.Each(n, visit)
	}
	typescript.Each(fn, visit)
	return names
}

func isAssignment(op string) bool {
	switch op {
	case "==", "!=", "===", "!==", "<=", ">=":
		return false
	}
	return op[len(op)-1] == '='
}
