package evaluate

import (
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// completion is how a statement ended.
type completion struct {
	kind  completionKind
	value Value // of returned; an *Unknown for failed
}

type completionKind int

const (
	normal completionKind = iota
	broke
	continued
	returned
	failed // it cannot be executed
)

// execList executes statements in a scope that already declares their names.
func (e *Evaluator) execList(body []typescript.Stmt, s *Scope) completion {
	for _, stmt := range body {
		if done := e.exec(stmt, s); done.kind != normal {
			return done
		}
	}
	return completion{}
}

func (e *Evaluator) fail(s *Scope, n typescript.Node, reason string) completion {
	return completion{failed, e.unknown(s, n, reason)}
}

// exec executes a statement.
func (e *Evaluator) exec(stmt typescript.Stmt, s *Scope) completion {
	if e.steps++; e.steps > maxSteps {
		return e.fail(s, stmt, "it takes too long to compute")
	}
	switch d := stmt.(type) {
	case *typescript.ExprStmt:
		e.Eval(d.X, s)
	case *typescript.Var:
		for _, v := range d.Decls {
			e.execVar(d, v, s)
		}
	case *typescript.Return:
		if d.X == nil {
			return completion{returned, Undefined{}}
		}
		return completion{returned, e.Eval(d.X, s)}
	case *typescript.Block:
		inner := s.child()
		inner.declare(d.Body)
		return e.execList(d.Body, inner)
	case *typescript.If:
		return e.execIf(d, s)
	case *typescript.Loop:
		return e.execLoop(d, s)
	case *typescript.Switch:
		return e.execSwitch(d, s)
	case *typescript.Try:
		return e.execTry(d, s)
	case *typescript.Jump:
		return e.jump(d, s)
	}
	return completion{} // declarations are bound already
}

func (e *Evaluator) jump(d *typescript.Jump, s *Scope) completion {
	switch {
	case d.Kind == "throw":
		return e.fail(s, d, "it throws an error")
	case d.Label != "":
		return e.fail(s, d, "it has a label")
	case d.Kind == "break":
		return completion{kind: broke}
	case d.Kind == "continue":
		return completion{kind: continued}
	}
	return completion{}
}

func (e *Evaluator) execVar(d *typescript.Var, v *typescript.VarDecl, s *Scope) {
	var value Value = Undefined{}
	if v.Init != nil {
		value = e.Eval(v.Init, s)
	}
	e.bind(v.Target, value, s, d.Kind == "const")
}

func (e *Evaluator) execIf(d *typescript.If, s *Scope) completion {
	test := e.Eval(d.Test, s)
	known, ok := truth(test)
	switch {
	case !ok:
		return e.execEither(d, e.cause(test, s, d.Test), s)
	case known:
		return e.exec(d.Then, s)
	case d.Else != nil:
		return e.exec(d.Else, s)
	}
	return completion{}
}

// execEither handles a condition that is unknown: what either branch may change becomes
// unknown, and if one may leave the function, so does the result.
func (e *Evaluator) execEither(d *typescript.If, cause *Unknown, s *Scope) completion {
	u := e.derived(s, d.Test, cause)
	branches := []typescript.Stmt{d.Then}
	if d.Else != nil {
		branches = append(branches, d.Else)
	}
	for _, branch := range branches {
		if leaves(branch) {
			return completion{failed, u}
		}
		for _, mut := range mutations(branch) {
			e.forgetName(mut, u, s)
		}
	}
	return completion{}
}

func (e *Evaluator) forgetName(mut mutation, u *Unknown, s *Scope) {
	b, at := s.find(mut.name)
	if b == nil || !mut.part && b.constant {
		return
	}
	e.read(mut.name, b, at)
	if o, ok := b.value.(*Object); ok && mut.part {
		if mut.member != "" {
			o.Set(mut.member, u)
		} else {
			o.open = u
		}
		return
	}
	b.value = u
}

// leaves reports whether a statement may end the function or the loop around it.
func leaves(n typescript.Node) (found bool) {
	var visit func(typescript.Node)
	visit = func(n typescript.Node) {
		switch n.(type) {
		case *typescript.Return, *typescript.Jump:
			found = true
		case *typescript.Function:
			return
		}
		typescript.Each(n, visit)
	}
	visit(n)
	return found
}

func (e *Evaluator) execLoop(d *typescript.Loop, s *Scope) completion {
	switch d.Kind {
	case typescript.LoopOf, typescript.LoopIn:
		return e.execOver(d, s)
	}
	scope := s.child()
	if d.Init != nil {
		scope.declare([]typescript.Stmt{d.Init})
		e.exec(d.Init, scope)
	}
	for once := d.Kind == typescript.LoopDo; ; once = false {
		if !once && d.Test != nil {
			test := e.Eval(d.Test, scope)
			known, ok := truth(test)
			if !ok {
				return completion{failed, e.derived(s, d.Test, e.cause(test, s, d.Test))}
			}
			if !known {
				return completion{}
			}
		}
		if done := e.exec(d.Body, scope); done.kind == broke {
			return completion{}
		} else if done.kind == returned || done.kind == failed {
			return done
		}
		if d.Update != nil {
			e.Eval(d.Update, scope)
		}
		if e.steps > maxSteps {
			return e.fail(s, d, "it takes too long to compute")
		}
	}
}

// execOver executes for…of and for…in.
func (e *Evaluator) execOver(d *typescript.Loop, s *Scope) completion {
	over := e.Eval(d.Over, s)
	items, ok := e.iterate(over)
	if d.Kind == typescript.LoopIn {
		var entries []entry
		entries, ok = e.entries(over)
		items = nil
		for _, entry := range entries {
			items = append(items, entry.key)
		}
	}
	if !ok {
		cause := e.derived(s, d.Over, e.cause(over, s, d.Over))
		if leaves(d.Body) {
			return completion{failed, cause}
		}
		for _, mut := range mutations(d.Body) {
			e.forgetName(mut, cause, s)
		}
		return completion{}
	}
	for _, item := range append([]Value{}, items...) {
		inner := s.child()
		if v, ok := d.Target.(*typescript.Var); ok && len(v.Decls) == 1 {
			e.bind(v.Decls[0].Target, item, inner, v.Kind == "const")
		} else {
			e.assign(d.Target, item, s)
		}
		switch done := e.exec(d.Body, inner); done.kind {
		case broke:
			return completion{}
		case returned, failed:
			return done
		}
	}
	return completion{}
}

func (e *Evaluator) execSwitch(d *typescript.Switch, s *Scope) completion {
	x := e.Eval(d.X, s)
	inner := s.child()
	for _, c := range d.Cases {
		inner.declare(c.Body)
	}
	start := -1
	for i, c := range d.Cases {
		if c.Test == nil {
			continue
		}
		v := e.Eval(c.Test, inner)
		same, ok := equal(x, v)
		if !ok {
			return completion{failed, e.derived(s, d.X, e.cause(&Array{[]Value{x, v}}, s, d.X))}
		}
		if same {
			start = i
			break
		}
	}
	for i, c := range d.Cases {
		if start < 0 && c.Test == nil {
			start = i
		}
		if start < 0 || i < start {
			continue
		}
		switch done := e.execList(c.Body, inner); done.kind {
		case broke:
			return completion{}
		case normal:
		default:
			return done
		}
	}
	return completion{}
}

// execTry executes the body. What its handler would do after an error is not known.
func (e *Evaluator) execTry(d *typescript.Try, s *Scope) completion {
	done := e.exec(d.Body, s)
	if d.Finally != nil && done.kind != failed {
		if last := e.exec(d.Finally, s); last.kind != normal {
			return last
		}
	}
	return done
}

// assignment evaluates =, +=, ??=, and the others.
func (e *Evaluator) assignment(x *typescript.Binary, s *Scope) Value {
	if x.Op == "=" {
		v := e.Eval(x.R, s)
		e.assign(x.L, v, s)
		return v
	}
	op := x.Op[:len(x.Op)-1]
	old := e.Eval(x.L, s)
	var v Value
	if op == "&&" || op == "||" || op == "??" {
		v = e.logical(x, op, old, s)
	} else {
		v = e.operate(x, op, old, e.Eval(x.R, s), s)
	}
	e.assign(x.L, v, s)
	return v
}

// assign assigns to a variable, a member, or the targets of a pattern.
func (e *Evaluator) assign(target typescript.Node, v Value, s *Scope) {
	switch t := target.(type) {
	case *typescript.Ident:
		if b, at := s.find(t.Name); b != nil && !b.constant {
			if b.state != known { // evaluating it later would undo the assignment
				e.read(t.Name, b, at)
			}
			b.value, b.state = v, known
		}
	case *typescript.Assert:
		e.assign(t.X, v, s)
	case *typescript.Member:
		e.setMember(e.Eval(t.Object, s), t.Name, v)
	case *typescript.Index:
		object := e.Eval(t.Object, s)
		key := e.Eval(t.Index, s)
		if text, ok := toString(key); ok {
			e.setMember(object, text, v)
		} else if o, ok := object.(*Object); ok {
			o.open = e.derived(s, t, e.cause(key, s, t))
		}
	case *typescript.Array:
		items, _ := e.iterate(v)
		for i, x := range t.Elements {
			if x != nil && i < len(items) {
				e.assign(x, items[i], s)
			}
		}
	case *typescript.Object:
		for _, p := range t.Properties {
			if key, unknown := e.name(p.Key, s); unknown == nil && p.Kind == typescript.PropertyValue {
				e.assign(p.Value, e.member(v, key, s, p), s)
			}
		}
	}
}

func (e *Evaluator) setMember(object Value, name string, v Value) {
	switch o := object.(type) {
	case *Object:
		if o.Host == nil {
			o.Set(name, v)
		}
	case *Class:
		o.statics.Set(name, v)
	case *Array:
		if i, ok := index(name); ok && i <= len(o.Items)+1000 {
			for len(o.Items) <= i {
				o.Items = append(o.Items, Undefined{})
			}
			o.Items[i] = v
		} else if n, ok := v.(float64); ok && name == "length" && n >= 0 && int(n) <= len(o.Items) {
			o.Items = o.Items[:int(n)]
		}
	}
}

// remove evaluates delete.
func (e *Evaluator) remove(target typescript.Expr, s *Scope) {
	switch t := target.(type) {
	case *typescript.Member:
		if o, ok := e.Eval(t.Object, s).(*Object); ok {
			o.Delete(t.Name)
		}
	case *typescript.Index:
		if o, ok := e.Eval(t.Object, s).(*Object); ok {
			if key, known := toString(e.Eval(t.Index, s)); known {
				o.Delete(key)
			}
		}
	}
}
