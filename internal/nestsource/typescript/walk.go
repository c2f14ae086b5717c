package typescript

// Each calls visit for every expression, statement, and declaration directly below n.
// Types, and names that are not computed, are not visited.
func Each(n Node, visit func(Node)) {
	w := walker{visit}
	switch n := n.(type) {
	case *Template:
		w.exprs(n.Tag)
		w.exprs(n.Exprs...)
	case *Array:
		w.exprs(n.Elements...)
	case *Object:
		for _, p := range n.Properties {
			w.exprs(p.Key.Computed, p.Value)
		}
	case *Function:
		w.function(n)
	case *Member:
		w.exprs(n.Object)
	case *Index:
		w.exprs(n.Object, n.Index)
	case *Call:
		w.exprs(n.Callee)
		w.exprs(n.Args...)
	case *Unary:
		w.exprs(n.X)
	case *Binary:
		w.exprs(n.L, n.R)
	case *Cond:
		w.exprs(n.Test, n.Then, n.Else)
	case *Assert:
		w.exprs(n.X)
	case *Spread:
		w.exprs(n.X)
	case *ObjectPattern:
		w.bindings(n.Properties)
		w.exprs(n.Rest)
	case *ArrayPattern:
		w.bindings(n.Elements)
		w.exprs(n.Rest)
	case *Class:
		w.class(n)
	default:
		w.statement(n)
	}
}

type walker struct{ visit func(Node) }

// exprs visits those that are not nil. A nil pointer in an interface is not nil, so
// optional nodes of a pointer type must not get here.
func (w walker) exprs(list ...Expr) {
	for _, x := range list {
		if x != nil {
			w.visit(x)
		}
	}
}

func (w walker) body(list []Stmt) {
	for _, s := range list {
		w.visit(s)
	}
}

func (w walker) bindings(list []*Binding) {
	for _, b := range list {
		if b != nil {
			w.exprs(b.Key.Computed, b.Target, b.Default)
		}
	}
}

func (w walker) function(f *Function) {
	for _, p := range f.Params {
		w.exprs(p.Decorators...)
		w.exprs(p.Target, p.Default)
	}
	if f.Body != nil {
		w.visit(f.Body)
	}
	w.exprs(f.Result)
}

func (w walker) class(c *Class) {
	w.exprs(c.Decorators...)
	w.exprs(c.Extends)
	for _, m := range c.Members {
		w.exprs(m.Decorators...)
		w.exprs(m.Key.Computed, m.Value)
		if m.Func != nil {
			w.visit(m.Func)
		}
		if m.Body != nil {
			w.visit(m.Body)
		}
	}
}

func (w walker) statement(n Node) {
	switch n := n.(type) {
	case *Var:
		for _, d := range n.Decls {
			w.exprs(d.Target, d.Init)
		}
	case *FuncDecl:
		w.visit(n.Func)
	case *Enum:
		for _, m := range n.Members {
			w.exprs(m.Name.Computed, m.Init)
		}
	case *Namespace:
		w.body(n.Body)
	case *Import:
		w.exprs(n.Alias)
	case *Export:
		w.exprs(n.Default, n.Equals, n.Decl)
	case *Block:
		w.body(n.Body)
	case *ExprStmt:
		w.visit(n.X)
	case *Return:
		w.exprs(n.X)
	case *Jump:
		w.exprs(n.X)
	case *If:
		w.exprs(n.Test, n.Then, n.Else)
	case *Loop:
		w.exprs(n.Init, n.Test, n.Update, n.Target, n.Over, n.Body)
	case *Switch:
		w.visit(n.X)
		for _, c := range n.Cases {
			w.exprs(c.Test)
			w.body(c.Body)
		}
	case *Try:
		w.visit(n.Body)
		w.exprs(n.Param)
		for _, b := range []*Block{n.Catch, n.Finally} {
			if b != nil {
				w.visit(b)
			}
		}
	}
}
