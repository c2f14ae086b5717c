package typescript

// arrow parses an arrow function, or returns nil if there is none.
func (p *parser) arrow() Expr {
	pos := p.tok.Pos
	async := p.is("async")
	if async {
		next := p.peek()
		if next.newline || next.kind != tWord && next.text != "(" && next.text != "<" || next.text == "function" {
			async = false
		}
	}
	f := &Function{Arrow: true, Async: async}
	head := func() bool {
		if async {
			p.advance()
		}
		return p.arrowHead(f)
	}
	if p.mayBeArrow(async) {
		if p.noArrowTo && p.arrowBeforeColon(f, head) {
			f.Span = p.from(pos)
			return f
		}
		if !p.noArrowTo && p.try(head) {
			p.arrowBody(f)
			f.Span = p.from(pos)
			return f
		}
	}
	return nil
}

// arrowBeforeColon parses an arrow function between ? and :, where the type of its result
// may be the other half of the condition: a ? (b) : c => d.
func (p *parser) arrowBeforeColon(f *Function, head func() bool) bool {
	typed := false
	if !p.try(func() bool { ok := head(); typed = f.Return != nil; return ok && !typed }) {
		if !typed {
			return false
		}
		return p.try(func() bool {
			head()
			p.arrowBody(f)
			return p.is(":")
		})
	}
	p.arrowBody(f)
	return true
}

// mayBeArrow looks one or two tokens ahead, because trying is expensive.
func (p *parser) mayBeArrow(async bool) bool {
	if async {
		return true
	}
	switch {
	case p.tok.kind == tWord:
		return !isReserved(p.tok.text) && p.peek().text == "=>"
	case p.is("<"):
		return true
	case !p.is("("):
		return false
	}
	saved := p.i
	defer func() { p.i = saved }()
	switch t := p.next(); t.kind {
	case tPunct:
		return t.text == ")" || t.text == "..." || t.text == "{" || t.text == "["
	case tWord:
		switch p.next().text {
		case ",", ":", "?", "=", ")":
			return true
		}
	}
	return false
}

// arrowHead parses an arrow function up to the arrow.
func (p *parser) arrowHead(f *Function) bool {
	f.Return = nil
	if p.tok.kind == tWord {
		pos := p.tok.Pos
		name := p.word()
		f.Params = []*Param{{Span: p.from(pos), Target: &Ident{p.from(pos), name}}}
	} else {
		jsx := p.jsx && p.is("<")
		types := p.typeParams()
		if jsx && p.err == nil && len(types) == 1 && p.source[p.last-2] != ',' { // <T>… is an element
			return false
		}
		p.signature(f)
	}
	return p.is("=>") && !p.tok.newline
}

func (p *parser) arrowBody(f *Function) {
	p.expect("=>")
	if p.is("{") {
		f.Body = p.block()
		return
	}
	f.Result = p.assign()
}

// signature parses the parameters and the type of the result.
func (p *parser) signature(f *Function) {
	defer p.fresh()()
	p.expect("(")
	f.Params = nil
	for _, param := range list(p, ")", p.param) {
		if name, ok := param.Target.(*Ident); !ok || name.Name != "this" {
			f.Params = append(f.Params, param)
		}
	}
	if p.accept(":") {
		f.Return = p.returnType()
	}
}

func (p *parser) param() *Param {
	pos := p.tok.Pos
	param := &Param{Decorators: p.decorators()}
	for p.isAny("public", "private", "protected", "readonly", "override") {
		if next := p.peek(); next.kind != tWord && next.text != "{" && next.text != "[" {
			break
		}
		p.advance()
		param.Property = true
	}
	param.Rest = p.accept("...")
	param.Target = p.target()
	param.Optional = p.accept("?")
	if p.accept(":") {
		param.Type = p.typ()
	}
	if p.accept("=") {
		param.Default = p.assign()
	}
	param.Span = p.from(pos)
	return param
}

// target parses the name or the pattern that a declaration binds.
func (p *parser) target() Expr {
	pos := p.tok.Pos
	switch {
	case p.accept("{"):
		return p.objectPattern(pos)
	case p.accept("["):
		return p.arrayPattern(pos)
	}
	name := p.word()
	return &Ident{p.from(pos), name}
}

func (p *parser) objectPattern(pos int) Expr {
	defer p.deeper()()
	pattern := &ObjectPattern{}
	list(p, "}", func() *Binding {
		start := p.tok.Pos
		if p.accept("...") {
			pattern.Rest = p.target()
			return nil
		}
		b := &Binding{Key: p.name()}
		if p.accept(":") {
			b.Target = p.target()
		} else {
			b.Target = &Ident{b.Key.Span, b.Key.Text}
		}
		if p.accept("=") {
			b.Default = p.assign()
		}
		b.Span = p.from(start)
		pattern.Properties = append(pattern.Properties, b)
		return nil
	})
	pattern.Span = p.from(pos)
	return pattern
}

func (p *parser) arrayPattern(pos int) Expr {
	defer p.deeper()()
	pattern := &ArrayPattern{}
	for !p.is("]") && p.tok.kind != tEnd {
		if p.accept(",") {
			pattern.Elements = append(pattern.Elements, nil)
			continue
		}
		start := p.tok.Pos
		if p.accept("...") {
			pattern.Rest = p.target()
			break
		}
		b := &Binding{Target: p.target()}
		if p.accept("=") {
			b.Default = p.assign()
		}
		b.Span = p.from(start)
		pattern.Elements = append(pattern.Elements, b)
		if !p.accept(",") && !p.is("]") {
			p.unexpected()
		}
	}
	p.accept(",")
	p.expect("]")
	pattern.Span = p.from(pos)
	return pattern
}

// function parses a function expression or declaration, starting at its keyword.
func (p *parser) function(pos int, async bool) *Function {
	defer p.fresh()()
	p.expect("function")
	f := &Function{Async: async, Generator: p.accept("*")}
	if p.tok.kind == tWord {
		f.Name = p.word()
	}
	p.functionRest(f)
	f.Span = p.from(pos)
	return f
}

// method parses the parameters and the body of a method.
func (p *parser) method(pos int) *Function {
	defer p.fresh()()
	f := &Function{}
	p.functionRest(f)
	f.Span = p.from(pos)
	return f
}

func (p *parser) functionRest(f *Function) {
	p.typeParams()
	p.signature(f)
	if p.is("{") {
		f.Body = p.block()
	}
}

func (p *parser) decorators() []Expr {
	var out []Expr
	for p.is("@") {
		p.advance()
		out = append(out, p.decorator())
	}
	return out
}

func (p *parser) decorator() Expr {
	defer p.fresh()()
	p.noIndex = true
	pos := p.tok.Pos
	return p.chain(pos, p.primary(), true)
}

// class parses a class, starting at its keyword.
func (p *parser) class(pos int, decorators []Expr) *Class {
	defer p.fresh()()
	defer p.deeper()()
	c := &Class{Decorators: decorators, Abstract: p.accept("abstract")}
	p.expect("class")
	if p.tok.kind == tWord && !p.isAny("extends", "implements") {
		c.Name = p.word()
	}
	c.TypeParams = p.typeParams()
	if p.accept("extends") {
		start := p.tok.Pos
		c.Extends = p.heritage(start, c)
	}
	if p.accept("implements") {
		p.typ()
		for p.accept(",") {
			p.typ()
		}
	}
	p.expect("{")
	for !p.is("}") && p.tok.kind != tEnd {
		if !p.accept(";") {
			c.Members = append(c.Members, p.classMember())
		}
	}
	p.expect("}")
	c.Span = p.from(pos)
	return c
}

// heritage parses the class after extends, whose type arguments are not those of a call.
func (p *parser) heritage(pos int, c *Class) Expr {
	x := p.chain(pos, p.primary(), true)
	if p.is("<") {
		c.ExtendsArgs = p.typeArgs()
	}
	return x
}

func (p *parser) classMember() *ClassMember {
	pos := p.tok.Pos
	m := &ClassMember{Decorators: p.decorators()}
	if p.is("static") && p.peek().text == "{" {
		p.advance()
		m.Kind, m.Static = MemberStaticBlock, true
		m.Body = p.block()
		m.Span = p.from(pos)
		return m
	}
	async := p.modifiers(m)
	if p.is("[") && p.indexSignature() {
		m.Kind = MemberIndex
		p.semicolon()
		m.Span = p.from(pos)
		return m
	}
	generator := p.accept("*")
	m.Key = p.name()
	m.Optional = p.accept("?")
	p.accept("!")
	if p.isAny("(", "<") {
		p.classMethod(m, async, generator)
	} else {
		p.classProperty(m)
	}
	m.Span = p.from(pos)
	return m
}

// modifiers parses the modifiers of a member and reports whether async is among them.
func (p *parser) modifiers(m *ClassMember) (async bool) {
	for p.isAny("public", "private", "protected", "readonly", "override", "declare", "static", "abstract", "accessor", "async", "get", "set") {
		next := p.peek()
		if !p.startsName(next) || next.newline && !p.isAny("static", "get", "set") {
			return async
		}
		switch p.word() {
		case "static":
			m.Static = true
		case "abstract":
			m.Abstract = true
		case "async":
			async = true
		case "get":
			m.Kind = MemberGet
		case "set":
			m.Kind = MemberSet
		}
	}
	return async
}

func (p *parser) classMethod(m *ClassMember, async, generator bool) {
	switch {
	case m.Kind != MemberProperty:
	case m.Key.Text == "constructor" && m.Key.Computed == nil && !m.Static:
		m.Kind = MemberConstructor
	default:
		m.Kind = MemberMethod
	}
	m.Func = p.method(m.Key.Pos)
	m.Func.Name, m.Func.Async, m.Func.Generator = m.Key.Text, async, generator
	if m.Func.Body == nil {
		p.semicolon()
	}
}

func (p *parser) classProperty(m *ClassMember) {
	if p.accept(":") {
		m.Type = p.typ()
	}
	if p.accept("=") {
		m.Value = p.assign()
	}
	p.semicolon()
}

// indexSignature parses [key: string]: T, or reports false for a computed name.
func (p *parser) indexSignature() bool {
	return p.try(func() bool {
		p.expect("[")
		p.word()
		p.expect(":")
		p.typ()
		p.expect("]")
		if p.accept(":") {
			p.typ()
		}
		return true
	})
}
