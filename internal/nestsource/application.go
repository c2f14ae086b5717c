package nestsource

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Application is what the main file of an application starts, as far as the sources
// determine it.
type Application struct {
	// Creates are the calls of NestFactory.create, createMicroservice, and
	// createApplicationContext.
	Creates []Call
	// Connects are the calls of connectMicroservice.
	Connects []Call
	// Listens are the calls of listen with arguments: the address of HTTP.
	Listens []Call
	// Clients are the clients of the modules that the application consists of.
	Clients []Client
}

// Client is a client of other services: an entry of ClientsModule, a call of
// ClientProxyFactory.create, or a property with @Client().
type Client struct {
	// Name is its injection token, or "".
	Name string
	// Options are its transport and options.
	Options Value
	// File and Line are its place, as in [Call].
	File string
	Line int
}

// Application reads the main file of an application, whose path is relative to the folder.
// It follows calls of functions of the sources, and the imports of modules.
func (p *Project) Application(main string) Application {
	r := &applicationReader{Project: p, seen: map[*evaluate.Class]bool{}, calling: map[*typescript.Function]int{}}
	if m := p.load(filepath.Join(p.Dir, filepath.FromSlash(main))); m != nil {
		for _, stmt := range m.File.Body {
			r.walk(m, stmt, m.Scope)
		}
		if len(r.app.Creates) == 0 { // nothing calls the function
			r.everything(m)
		}
	}
	for _, c := range r.app.Creates {
		if root, ok := c.Arg(0).v.(*evaluate.Class); ok {
			r.moduleClass(root)
		}
	}
	r.lexicalClients()
	return r.app
}

// applicationReader reads an application.
type applicationReader struct {
	*Project
	app     Application
	seen    map[*evaluate.Class]bool
	calling map[*typescript.Function]int
	// followed counts the calls that were followed.
	followed int
}

// walk visits what runs when a node is evaluated. A function runs where it is called.
func (r *applicationReader) walk(m *evaluate.Module, n typescript.Node, s *evaluate.Scope) {
	switch n := n.(type) {
	case *typescript.FuncDecl, *typescript.Class:
		return
	case *typescript.Function:
		s = r.eval.Inside(n, s)
		if n.Body != nil {
			r.body(m, n.Body.Body, s)
			return
		}
	case *typescript.Var:
		for _, d := range n.Decls {
			if _, function := d.Init.(*typescript.Function); !function && d.Init != nil {
				r.walk(m, d.Init, s)
			}
		}
		return
	case *typescript.Block:
		s = s.Block(n.Body)
	case *typescript.Call:
		r.call(m, n, s)
		return
	case *typescript.If:
		if test, ok := evaluate.Truth(r.eval.Eval(n.Test, s)); ok {
			branch := n.Then
			if !test {
				branch = n.Else
			}
			if branch != nil {
				r.walk(m, branch, s)
			}
			return
		}
	}
	typescript.Each(n, func(child typescript.Node) { r.walk(m, child, s) })
}

func (r *applicationReader) body(m *evaluate.Module, body []typescript.Stmt, s *evaluate.Scope) {
	for _, stmt := range body {
		r.walk(m, stmt, s)
	}
}

func (r *applicationReader) call(m *evaluate.Module, n *typescript.Call, s *evaluate.Scope) {
	callee := n.Callee
	if member, ok := callee.(*typescript.Member); ok {
		r.walk(m, member.Object, s)
	}
	r.record(m, n, s)
	fn, isFunction := r.eval.Eval(callee, s).(*evaluate.Function)
	var args []evaluate.Value
	for _, arg := range n.Args {
		if spread, ok := arg.(*typescript.Spread); ok {
			arg = spread.X
		}
		v := r.eval.Eval(arg, s)
		args = append(args, v)
		switch passed := v.(type) {
		case *evaluate.Function:
			if _, inline := arg.(*typescript.Function); inline {
				r.walk(m, arg, s)
			} else if !isFunction { // something else calls it
				r.follow(passed, nil)
			}
		default:
			r.walk(m, arg, s)
		}
	}
	if isFunction {
		r.follow(fn, args)
	}
}

// Limits of the calls that are followed: of a function within itself, of calls within calls,
// and of all together.
const (
	maxWithin   = 2
	maxDepth    = 40
	maxFollowed = 5000
)

// follow visits the body of a function for a call.
func (r *applicationReader) follow(f *evaluate.Function, args []evaluate.Value) {
	m := f.Module()
	if r.calling[f.Node] >= maxWithin || len(r.calling) > maxDepth || r.followed >= maxFollowed {
		return
	}
	r.followed++
	r.calling[f.Node]++
	scope := r.eval.Within(f, args)
	if f.Node.Body != nil {
		r.body(m, f.Node.Body.Body, scope)
	} else if f.Node.Result != nil {
		r.walk(m, f.Node.Result, scope)
	}
	if r.calling[f.Node]--; r.calling[f.Node] == 0 {
		delete(r.calling, f.Node)
	}
}

// record adds a call that starts something.
func (r *applicationReader) record(m *evaluate.Module, n *typescript.Call, s *evaluate.Scope) {
	member, ok := n.Callee.(*typescript.Member)
	if !ok {
		return
	}
	var list *[]Call
	switch {
	case member.Name == "connectMicroservice":
		list = &r.app.Connects
	case member.Name == "listen" && len(n.Args) > 0:
		list = &r.app.Listens
	case slices.Contains([]string{"create", "createMicroservice", "createApplicationContext"}, member.Name) &&
		strings.HasPrefix(r.calleeName(member, s), "NestFactory."):
		list = &r.app.Creates
	default:
		return
	}
	*list = append(*list, r.newCall(m, n, s))
}

// newCall evaluates the arguments of a call.
func (p *Project) newCall(m *evaluate.Module, call *typescript.Call, s *evaluate.Scope) Call {
	c := Call{Callee: p.calleeName(call.Callee, s), File: p.rel(m.Path), Line: m.File.Line(callPosition(call))}
	for _, arg := range call.Args {
		if spread, ok := arg.(*typescript.Spread); ok {
			arg = spread.X
		}
		c.Args = append(c.Args, Value{p.eval.Eval(arg, s), p})
	}
	return c
}

// everything records the calls of a module wherever they are.
func (r *applicationReader) everything(m *evaluate.Module) {
	r.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
		if call, ok := n.(*typescript.Call); ok {
			r.record(m, call, s)
		}
		return true
	})
}

// Result returns what a factory returns: the value itself if it is not a function. Options
// of a microservice may have one (useFactory).
func (v Value) Result() Value {
	switch x := v.v.(type) {
	case *evaluate.Function:
		return Value{v.p.eval.Result(x), v.p}
	case *evaluate.Object:
		if factory, ok := x.Get("useFactory"); ok {
			return Value{v.p.eval.Result(factory), v.p}
		}
	}
	return v
}
