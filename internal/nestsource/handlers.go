package nestsource

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// Handler is a pattern that a method of a controller handles.
type Handler struct {
	// Pattern is the pattern as JSON, "undefined", or "" if it is Computed.
	Pattern string
	// Computed is set if the sources do not determine the pattern, or whether there is a
	// handler at all.
	Computed *Computed
	// Event reports whether it is an @EventPattern.
	Event bool
	// Class and Method name the handler.
	Class, Method string
	// File is relative to the folder, with slashes. Line is that of the decorator, from 1.
	File string
	Line int
	// Transport is the only transport that the handler is for, such as "TCP" or "RMQ"; ""
	// for all.
	Transport string
	// Extras are the options of the decorator as a JSON object, or "".
	Extras string
	// Payload is the type of the data, or nil if the handler does not take any or does not
	// declare a type.
	Payload *Type
	// Reply is the type of the reply, without Promise and Observable, or nil if it is not
	// declared or there is none.
	Reply *Type
	// Stream reports whether the handler returns a stream of replies.
	Stream bool
	// Unused is set if the sources contain modules, and none has the class among its
	// controllers.
	Unused bool
}

// Kind returns "event", "stream", or "message", as services describe their handlers.
func (h *Handler) Kind() string {
	switch {
	case h.Event:
		return "event"
	case h.Stream:
		return "stream"
	}
	return "message"
}

// Handlers returns the handlers of the files, in the order of the files and their lines.
// A method with several patterns has one entry for each.
func (p *Project) Handlers() []Handler {
	r := &handlerReader{Project: p, applied: map[memberOf]*outcome{}, listed: map[*typescript.ClassMember]bool{}, bases: map[*typescript.Class]bool{}}
	for _, path := range p.Files {
		if m := p.load(path); m != nil {
			r.collect(m)
		}
	}
	r.classDecorators()
	for _, c := range r.classes {
		r.class(c)
	}
	for c := range p.nest.controllers { // a class that a function returns, or of another folder
		if !slices.ContainsFunc(r.classes, func(d declaredClass) bool { return d.value == c }) {
			r.rows(c, c.Name(), false)
		}
	}
	for _, c := range r.classes {
		r.leftOver(c)
	}
	for _, path := range p.Files {
		if m := p.load(path); m != nil {
			r.unattached(m)
		}
	}
	slices.SortStableFunc(r.handlers, func(a, b Handler) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Class, b.Class))
	})
	return slices.CompactFunc(r.handlers, func(a, b Handler) bool {
		return a.Computed != nil && b.Computed != nil && a.Computed.String() == b.Computed.String() && a.Class == b.Class
	})
}

// handlerReader reads the handlers of a project.
type handlerReader struct {
	*Project
	classes  []declaredClass
	applied  map[memberOf]*outcome
	listed   map[*typescript.ClassMember]bool
	bases    map[*typescript.Class]bool // the classes that others extend
	handlers []Handler
}

// declaredClass is a class declaration. inner is set if it is in a function.
type declaredClass struct {
	value  *evaluate.Class
	module *evaluate.Module
	inner  bool
}

type memberOf struct {
	class  *evaluate.Class
	member *typescript.ClassMember
}

// outcome is what the decorators of a method have stored.
type outcome struct {
	meta *metadata
	line typescript.Node   // the decorator that stored it
	bad  []typescript.Expr // decorators that may store a pattern, but are not known
	why  *evaluate.Unknown
}

// collect finds the classes of a module, with the scope that each is declared in, and
// evaluates the statements that apply a decorator by hand.
func (r *handlerReader) collect(m *evaluate.Module) {
	source := m.File.Source
	inner := 0
	r.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
		switch n := n.(type) {
		case *typescript.Class:
			if !n.Declare {
				value := r.eval.Class(n, s)
				r.classes = append(r.classes, declaredClass{value, m, n.Pos < inner})
				if parent, ok := r.eval.Parent(value).(*evaluate.Class); ok {
					r.bases[parent.Node] = true
				}
			}
		case *typescript.Function:
			inner = max(inner, n.End)
			return strings.Contains(source[n.Pos:n.End], "class")
		case *typescript.ExprStmt:
			if strings.Contains(source[n.Pos:n.End], ".prototype") && n.Pos >= inner {
				r.eval.Eval(n.X, s)
			}
		}
		return true
	})
}

// visit calls see for every node of a module, with its scope. It continues with the parts
// of a node if see returns true.
func (p *Project) visit(m *evaluate.Module, see func(n typescript.Node, s *evaluate.Scope) bool) {
	var walk func(n typescript.Node, s *evaluate.Scope)
	walk = func(n typescript.Node, s *evaluate.Scope) {
		if !see(n, s) {
			return
		}
		switch n := n.(type) {
		case *typescript.Function:
			s = p.eval.Inside(n, s)
			if n.Body != nil { // Inside has declared its names
				for _, stmt := range n.Body.Body {
					walk(stmt, s)
				}
				return
			}
		case *typescript.Block:
			s = s.Block(n.Body)
		case *typescript.Namespace:
			s = p.eval.Namespace(n, s)
		case *typescript.Class:
			s = p.eval.Class(n, s).Body()
		}
		typescript.Each(n, func(child typescript.Node) { walk(child, s) })
	}
	for _, stmt := range m.File.Body {
		walk(stmt, m.Scope)
	}
}

// classDecorators applies the decorators of classes: @Module names the controllers, and one
// of the sources may apply decorators to the methods.
func (r *handlerReader) classDecorators() {
	for _, c := range r.classes {
		for _, d := range slices.Backward(c.value.Node.Decorators) {
			touched, stored := r.nest.touched, r.nest.stored
			v := r.eval.Eval(d, c.value.Scope)
			done := r.eval.Call(v, evaluate.Call{Args: []evaluate.Value{c.value}, Scope: c.value.Scope, Node: d})
			if r.nest.stored == stored && (r.nest.touched > touched || r.makesPatterns(d, c.value.Scope, v, done)) {
				u := &evaluate.Unknown{Reason: "which methods the decorator of the class applies to is not known"}
				r.add(Handler{Computed: r.computed(u, c.module, d), Class: c.value.Name()}, c.module, d)
			}
		}
	}
}

// makesPatterns reports whether a decorator whose effect is not known is a function of the
// sources that uses MessagePattern or EventPattern.
func (r *handlerReader) makesPatterns(d typescript.Expr, s *evaluate.Scope, results ...evaluate.Value) bool {
	callee := d
	call, ok := d.(*typescript.Call)
	if ok {
		callee = call.Callee
		for _, arg := range call.Args {
			if r.isPattern(arg, s) {
				return true
			}
		}
	}
	f, ok := r.eval.Eval(callee, s).(*evaluate.Function)
	return ok && slices.ContainsFunc(results, isUnknown) && strings.Contains(f.Text(), "Pattern")
}

func isUnknown(v evaluate.Value) bool {
	_, ok := v.(*evaluate.Unknown)
	return ok
}

// class adds the handlers of a class that NestJS can create.
func (r *handlerReader) class(c declaredClass) {
	used := r.nest.controllers[c.value]
	switch {
	case used:
	case c.value.Node.Abstract, r.bases[c.value.Node], c.inner:
		return // its subclasses, or the classes that the function returns, have the handlers
	}
	r.rows(c.value, c.value.Name(), !used && r.nest.modules > 0 && !r.nest.open)
}

// rows adds the handlers of a class: its methods, and those that it inherits.
func (r *handlerReader) rows(c *evaluate.Class, name string, unused bool) {
	known := map[string]bool{}
	for owner := c; owner != nil; {
		for _, m := range owner.Node.Members {
			if m.Static || m.Func == nil || m.Kind == typescript.MemberConstructor {
				continue
			}
			key := m.Key.Text
			if m.Key.Computed != nil {
				v := r.eval.Eval(m.Key.Computed, owner.Scope)
				if text, ok := v.(string); ok {
					key = text
				} else {
					key = "[" + owner.Scope.Module.File.Text(m.Key.Computed) + "]"
				}
			}
			if m.Func.Body == nil || known[key] {
				continue
			}
			known[key] = true
			if m.Kind == typescript.MemberMethod {
				r.method(owner, m, Handler{Class: name, Method: key, Unused: unused})
			}
		}
		parent := r.eval.Parent(owner)
		owner, _ = parent.(*evaluate.Class)
		if owner == nil {
			r.foreignBase(c, parent, name)
		}
	}
}

// foreignBase adds an entry for a controller whose base class is not in the sources, and may
// have handlers.
func (r *handlerReader) foreignBase(c *evaluate.Class, parent evaluate.Value, name string) {
	if _, none := parent.(evaluate.Undefined); none || !r.isController(c) {
		return
	}
	if x, ok := parent.(*evaluate.External); ok && isFramework(x.Module) {
		return
	}
	m := c.Scope.Module
	u := evaluate.FindUnknown(parent)
	if u == nil {
		u = &evaluate.Unknown{Reason: "the base class is not in the sources"}
	}
	r.add(Handler{Class: name, Computed: r.computed(u, m, c.Node.Extends)}, m, c.Node.Extends)
}

func (r *handlerReader) isController(c *evaluate.Class) bool {
	for _, d := range c.Node.Decorators {
		if call, ok := d.(*typescript.Call); ok {
			if x, ok := r.eval.Eval(call.Callee, c.Scope).(*evaluate.External); ok && x.Module == common && x.Name == "Controller" {
				return true
			}
		}
	}
	return false
}

// method adds the patterns of a method.
func (r *handlerReader) method(owner *evaluate.Class, m *typescript.ClassMember, h Handler) {
	if len(m.Decorators) == 0 && r.nest.methods[evaluate.Method(owner, m).Identity()] == nil {
		return
	}
	key := memberOf{owner, m}
	out := r.applied[key]
	if out == nil {
		out = r.apply(owner, m, h.Method)
		r.applied[key] = out
	}
	r.listed[m] = true
	module := owner.Scope.Module
	for _, d := range out.bad {
		bad := h
		bad.Computed = r.computed(out.why, module, d)
		r.add(bad, module, d)
	}
	if out.meta != nil {
		r.signature(&h, owner, m)
		r.patterns(h, out, module)
	}
}

// apply applies the decorators of a method, the last one first, as JavaScript does.
func (r *handlerReader) apply(owner *evaluate.Class, m *typescript.ClassMember, name string) *outcome {
	f := evaluate.Method(owner, m)
	descriptor := evaluate.NewDescriptor(f)
	out := &outcome{line: m}
	for _, d := range slices.Backward(m.Decorators) {
		touched, stored := r.nest.touched, r.nest.stored
		v := r.eval.Eval(d, owner.Scope)
		done := r.eval.Call(v, evaluate.Call{Args: []evaluate.Value{evaluate.Prototype(owner), name, descriptor}, Scope: owner.Scope, Node: d})
		switch {
		case r.nest.stored > stored:
			out.line = d
		case r.nest.touched > touched, r.makesPatterns(d, owner.Scope, v, done), r.mayBePattern(v, d, owner, m):
			out.bad = append(out.bad, d)
			out.why = why(v)
		}
	}
	value, _ := descriptor.Get("value")
	if last, ok := value.(*evaluate.Function); ok {
		out.meta = r.nest.methods[last.Identity()]
	}
	if stored := r.nest.methods[f.Identity()]; out.meta == nil && stored != nil {
		out.bad, out.why = append(out.bad, out.line), &evaluate.Unknown{Reason: "another decorator replaces the method"}
	}
	return out
}

func why(v evaluate.Value) *evaluate.Unknown {
	if u, ok := v.(*evaluate.Unknown); ok {
		return u
	}
	return &evaluate.Unknown{Reason: "what the decorator does is not known"}
}

// mayBePattern reports whether a decorator that is not in the sources may store a pattern:
// the method has a parameter for a payload, or the module of the decorator is missing.
func (r *handlerReader) mayBePattern(v evaluate.Value, d typescript.Expr, owner *evaluate.Class, m *typescript.ClassMember) bool {
	if !isUnknown(v) {
		return false
	}
	callee := d
	if call, ok := d.(*typescript.Call); ok {
		callee = call.Callee
	}
	switch source := r.eval.Eval(callee, owner.Scope).(type) {
	case *evaluate.External:
		return !isFramework(source.Module) && r.hasPayload(owner, m)
	case *evaluate.Unknown:
		return strings.HasPrefix(source.Reason, "cannot find the module") || r.hasPayload(owner, m)
	}
	return r.hasPayload(owner, m)
}

// patterns adds one handler for each pattern of a method.
func (r *handlerReader) patterns(h Handler, out *outcome, m *evaluate.Module) {
	h.Event = out.meta.event
	h.Transport = transportName(out.meta.transport)
	if out.meta.extras != nil && len(out.meta.extras.Keys()) > 0 {
		h.Extras, _ = evaluate.JSON(out.meta.extras)
	}
	argument := firstArgument(out.line)
	list, ok := out.meta.patterns.(*evaluate.Array)
	if !ok {
		h.Computed = r.computed(evaluate.FindUnknown(out.meta.patterns), m, argument)
		r.add(h, m, out.line)
		return
	}
	for _, pattern := range list.Items {
		one := h
		if u := evaluate.FindUnknown(pattern); u != nil {
			node := argument
			if len(list.Items) > 1 && u.Text != "" {
				node = nil // the element
			}
			whole := *u
			whole.Default, _ = evaluate.Defaults(pattern)
			one.Computed = r.computed(&whole, m, node)
		} else {
			one.Pattern = patternText(pattern)
		}
		r.add(one, m, out.line)
	}
}

func patternText(v evaluate.Value) string {
	if n, ok := v.(float64); ok && (math.IsNaN(n) || math.IsInf(n, 0)) {
		return evaluate.Quote(typescript.FormatNumber(n)) // NestJS converts a number to a string
	}
	if text, ok := evaluate.JSON(v); ok {
		return text
	}
	return "undefined"
}

// firstArgument returns the first argument of a decorator, or the decorator.
func firstArgument(d typescript.Node) typescript.Node {
	if call, ok := d.(*typescript.Call); ok && len(call.Args) > 0 {
		return call.Args[0]
	}
	return d
}

func transportName(v evaluate.Value) string {
	switch v := v.(type) {
	case float64:
		if i := int(v); i >= 0 && i < len(transports) && v == math.Trunc(v) {
			return transports[i]
		}
		return typescript.FormatNumber(v)
	case *evaluate.Unknown:
		return v.Text
	}
	return ""
}

func (r *handlerReader) add(h Handler, m *evaluate.Module, at typescript.Node) {
	h.File, h.Line = r.rel(m.Path), m.File.Line(at.Range().Pos)
	r.handlers = append(r.handlers, h)
}

// leftOver adds the methods of classes that nothing creates: an abstract class without a
// subclass, or a class in a function whose calls are not known. They may be handlers.
func (r *handlerReader) leftOver(c declaredClass) {
	for _, m := range c.value.Node.Members {
		if r.listed[m] || m.Func == nil || m.Func.Body == nil || len(m.Decorators) == 0 || m.Static {
			continue
		}
		out := r.apply(c.value, m, m.Key.Text)
		if out.meta == nil {
			continue
		}
		reason := "the class has no subclass in the sources"
		switch {
		case c.inner:
			reason = "the class is in a function whose calls are not in the sources"
		case !c.value.Node.Abstract || r.bases[c.value.Node]:
			continue // only a base class
		}
		u := &evaluate.Unknown{Reason: reason}
		h := Handler{Class: c.value.Name(), Method: m.Key.Text, Event: out.meta.event, Computed: r.computed(u, c.module, firstArgument(out.line))}
		r.add(h, c.module, out.line)
	}
}

// unattached adds the uses of MessagePattern and EventPattern that no method has, and those
// in parts of a file that could not be parsed.
func (r *handlerReader) unattached(m *evaluate.Module) {
	for _, problem := range m.File.Problems {
		pos := problem.Pos
		for line := range strings.SplitAfterSeq(m.File.Source[problem.Pos:problem.End], "\n") {
			if strings.Contains(line, "Pattern(") {
				c := &Computed{Text: shown(strings.TrimSpace(line)), File: r.rel(m.Path), Line: m.File.Line(pos), Reason: "syntax error: " + problem.Reason}
				r.handlers = append(r.handlers, Handler{Computed: c, File: c.File, Line: c.Line})
			}
			pos += len(line)
		}
	}
	if !strings.Contains(m.File.Source, microservices) {
		return
	}
	r.visit(m, func(n typescript.Node, s *evaluate.Scope) bool {
		if call, ok := n.(*typescript.Call); ok && !r.nest.seen[n] && r.isPattern(call.Callee, s) {
			u := &evaluate.Unknown{Reason: "it does not decorate a method of a class"}
			r.add(Handler{Computed: r.computed(u, m, call)}, m, call)
		}
		_, function := n.(*typescript.Function)
		return !function
	})
}

// isPattern reports whether a function is MessagePattern or EventPattern.
func (r *handlerReader) isPattern(callee typescript.Expr, s *evaluate.Scope) bool {
	switch callee.(type) {
	case *typescript.Ident, *typescript.Member:
		native, ok := r.eval.Eval(callee, s).(*evaluate.Native)
		return ok && (native.Name == "MessagePattern" || native.Name == "EventPattern")
	}
	return false
}
