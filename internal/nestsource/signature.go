package nestsource

import (
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// signature reads the types of a handler's data and reply.
func (r *handlerReader) signature(h *Handler, owner *evaluate.Class, m *typescript.ClassMember) {
	module := owner.Scope.Module
	h.Payload = r.payload(owner, m)
	reply, stream := unwrap(m.Func.Return)
	h.Stream = stream || m.Func.Generator || m.Func.Return == nil && r.returnsObservable(owner, m.Func)
	if reply != nil {
		if text := module.File.Text(reply); text != "void" && text != "never" {
			h.Reply = r.describe(reply, module)
		}
	}
}

// streams are the types of results with several values.
var streams = []string{"Observable", "AsyncIterable", "AsyncGenerator", "AsyncIterator", "AsyncIterableIterator", "Subject", "BehaviorSubject", "ReplaySubject"}

// unwrap returns the type of the replies, and whether there may be several.
func unwrap(t typescript.Type) (reply typescript.Type, stream bool) {
	for {
		ref, ok := t.(*typescript.TypeRef)
		if !ok {
			return t, stream
		}
		many := slices.Contains(streams, lastName(ref.Name))
		if !many && ref.Name != "Promise" {
			return t, stream
		}
		stream = stream || many
		if len(ref.Args) == 0 {
			return nil, stream
		}
		t = ref.Args[0]
	}
}

// payload returns the type of the data: that of the parameter with @Payload(), or of the
// first one if no parameter has a decorator.
func (r *handlerReader) payload(owner *evaluate.Class, m *typescript.ClassMember) *Type {
	module := owner.Scope.Module
	decorated := false
	var properties []Field
	for _, p := range m.Func.Params {
		for _, d := range p.Decorators {
			decorated = true
			call, ok := d.(*typescript.Call)
			if !ok || !r.isParameter(d, owner, "Payload") {
				continue
			}
			name, named := "", false
			if len(call.Args) > 0 {
				name, named = r.eval.Eval(call.Args[0], owner.Scope).(string)
			}
			if !named {
				return r.describe(p.Type, module)
			}
			f := Field{Name: name, Optional: p.Optional || p.Default != nil}
			(&typeReader{Project: r.Project}).fieldType(&f, p.Type, module)
			properties = append(properties, f)
		}
	}
	switch {
	case len(properties) > 0:
		return &Type{Name: "object", Fields: properties}
	case decorated || len(m.Func.Params) == 0:
		return nil
	}
	return r.describe(m.Func.Params[0].Type, module)
}

// isParameter reports whether a decorator is one of NestJS's for parameters of handlers.
func (r *handlerReader) isParameter(d typescript.Expr, owner *evaluate.Class, names ...string) bool {
	if call, ok := d.(*typescript.Call); ok {
		d = call.Callee
	}
	x, ok := r.eval.Eval(d, owner.Scope).(*evaluate.External)
	return ok && x.Module == microservices && slices.Contains(names, x.Name)
}

// hasPayload reports whether a parameter has @Payload() or @Ctx().
func (r *handlerReader) hasPayload(owner *evaluate.Class, m *typescript.ClassMember) bool {
	return slices.ContainsFunc(m.Func.Params, func(p *typescript.Param) bool {
		return slices.ContainsFunc(p.Decorators, func(d typescript.Expr) bool { return r.isParameter(d, owner, "Payload", "Ctx") })
	})
}

// returnsObservable reports whether a function returns what a function of rxjs makes.
func (r *handlerReader) returnsObservable(owner *evaluate.Class, f *typescript.Function) (found bool) {
	if f.Async {
		return false
	}
	var visit func(typescript.Node)
	visit = func(n typescript.Node) {
		switch n := n.(type) {
		case *typescript.Function:
			return
		case *typescript.Return:
			found = found || n.X != nil && r.isObservable(n.X, owner)
		}
		typescript.Each(n, visit)
	}
	typescript.Each(f, visit)
	return found
}

// isObservable reports whether an expression is a call of rxjs, with or without pipe(…).
func (r *handlerReader) isObservable(x typescript.Expr, owner *evaluate.Class) bool {
	call, ok := x.(*typescript.Call)
	if !ok {
		return false
	}
	if m, ok := call.Callee.(*typescript.Member); ok && (m.Name == "pipe" || m.Name == "asObservable") {
		return r.isObservable(m.Object, owner)
	}
	external, ok := r.eval.Eval(call.Callee, owner.Scope).(*evaluate.External)
	return ok && (external.Module == "rxjs" || strings.HasPrefix(external.Module, "rxjs/")) && !strings.HasSuffix(external.Name, "ValueFrom")
}
