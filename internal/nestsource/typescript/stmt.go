package typescript

// statements parses statements up to a closing brace or the end.
func (p *parser) statements() []Stmt {
	var out []Stmt
	for p.tok.kind != tEnd && !p.is("}") {
		if p.depth == 0 {
			p.start = p.tok.Pos
		}
		if s := p.statement(); p.err == nil {
			out = append(out, s)
		}
	}
	return out
}

func (p *parser) block() *Block {
	defer p.deeper()()
	defer p.fresh()()
	pos := p.tok.Pos
	p.expect("{")
	body := p.statements()
	p.expect("}")
	return &Block{p.from(pos), body}
}

func (p *parser) statement() Stmt {
	defer p.deeper()()
	pos := p.tok.Pos
	if p.tok.kind == tWord && !p.tok.escaped {
		if s := p.keywordStatement(pos); s != nil {
			return s
		}
		if s := p.declaration(pos); s != nil {
			return s
		}
	}
	switch {
	case p.is("{"):
		return p.block()
	case p.accept(";"):
		return &Empty{p.from(pos)}
	case p.is("@"):
		return p.decorated(pos)
	case p.tok.kind == tWord && p.peek().text == ":": // a label
		p.advance()
		p.advance()
		return p.statement()
	}
	x := p.expression()
	p.semicolon()
	return &ExprStmt{p.from(pos), x}
}

// keywordStatement parses the statements that start with a reserved word, or returns nil.
func (p *parser) keywordStatement(pos int) Stmt {
	switch p.tok.text {
	case "import":
		if next := p.peek(); next.text == "(" || next.text == "." {
			return nil
		}
		return p.importStatement(pos)
	case "export":
		return p.exportStatement(pos)
	case "if":
		return p.ifStatement(pos)
	case "for":
		return p.forStatement(pos)
	case "while", "do":
		return p.whileStatement(pos)
	case "switch":
		return p.switchStatement(pos)
	case "try":
		return p.tryStatement(pos)
	case "return":
		p.advance()
		s := &Return{}
		if !p.is(";") && !p.is("}") && !p.tok.newline && p.tok.kind != tEnd {
			s.X = p.expression()
		}
		p.semicolon()
		s.Span = p.from(pos)
		return s
	case "throw", "break", "continue", "debugger":
		return p.jump(pos)
	}
	return nil
}

func (p *parser) jump(pos int) Stmt {
	s := &Jump{Kind: p.word()}
	switch {
	case s.Kind == "throw":
		s.X = p.expression()
	case p.tok.kind == tWord && !p.tok.newline:
		s.Label = p.word()
	}
	p.semicolon()
	s.Span = p.from(pos)
	return s
}

func (p *parser) condition() Expr {
	defer p.fresh()()
	p.expect("(")
	x := p.expression()
	p.expect(")")
	return x
}

func (p *parser) ifStatement(pos int) Stmt {
	p.advance()
	s := &If{Test: p.condition(), Then: p.statement()}
	if p.accept("else") {
		s.Else = p.statement()
	}
	s.Span = p.from(pos)
	return s
}

func (p *parser) whileStatement(pos int) Stmt {
	s := &Loop{Kind: LoopWhile}
	if p.word() == "do" {
		s.Kind = LoopDo
		s.Body = p.statement()
		p.expect("while")
		s.Test = p.condition()
		p.accept(";")
	} else {
		s.Test = p.condition()
		s.Body = p.statement()
	}
	s.Span = p.from(pos)
	return s
}

func (p *parser) forStatement(pos int) Stmt {
	p.advance()
	p.accept("await")
	s := &Loop{}
	p.expect("(")
	p.forHead(s)
	p.expect(")")
	s.Body = p.statement()
	s.Span = p.from(pos)
	return s
}

func (p *parser) forHead(s *Loop) {
	defer p.fresh()()
	pos := p.tok.Pos
	p.noIn = true
	var head Node
	if p.isAny("const", "var") || p.isAny("let", "using") && p.peek().text != "of" {
		v := &Var{Kind: p.word()}
		v.Decls = p.declarators()
		v.Span = p.from(pos)
		head = v
	} else if !p.is(";") {
		head = p.expression()
	}
	p.noIn = false
	switch {
	case p.accept("of"):
		s.Kind, s.Target, s.Over = LoopOf, head, p.assign()
	case p.accept("in"):
		s.Kind, s.Target, s.Over = LoopIn, head, p.expression()
	default:
		p.forClauses(s, head)
	}
}

func (p *parser) forClauses(s *Loop, head Node) {
	if v, ok := head.(*Var); ok {
		s.Init = v
	} else if head != nil {
		s.Init = &ExprStmt{head.Range(), head}
	}
	p.expect(";")
	if !p.is(";") {
		s.Test = p.expression()
	}
	p.expect(";")
	if !p.is(")") {
		s.Update = p.expression()
	}
}

func (p *parser) switchStatement(pos int) Stmt {
	p.advance()
	s := &Switch{X: p.condition()}
	p.expect("{")
	for !p.is("}") && p.tok.kind != tEnd {
		start := p.tok.Pos
		c := &Case{}
		if !p.accept("default") {
			p.expect("case")
			c.Test = p.expression()
		}
		p.expect(":")
		for !p.isAny("case", "default", "}") && p.tok.kind != tEnd {
			c.Body = append(c.Body, p.statement())
		}
		c.Span = p.from(start)
		s.Cases = append(s.Cases, c)
	}
	p.expect("}")
	s.Span = p.from(pos)
	return s
}

func (p *parser) tryStatement(pos int) Stmt {
	p.advance()
	s := &Try{Body: p.block()}
	if p.accept("catch") {
		if p.accept("(") {
			s.Param = p.target()
			if p.accept(":") {
				p.typ()
			}
			p.expect(")")
		}
		s.Catch = p.block()
	}
	if p.accept("finally") {
		s.Finally = p.block()
	}
	s.Span = p.from(pos)
	return s
}

// declaration parses a declaration, or returns nil if the statement is an expression.
// Most of the words that start a declaration are also names.
func (p *parser) declaration(pos int) Stmt {
	next := p.peek()
	name := next.kind == tWord && !next.newline
	switch p.tok.text {
	case "const", "let", "var", "using":
		return p.variables(pos, next)
	case "function":
		return p.functionStatement(pos, false)
	case "async":
		if next.text == "function" && !next.newline {
			p.advance()
			return p.functionStatement(pos, true)
		}
	case "class":
		return p.class(pos, nil)
	case "abstract":
		if next.text == "class" && name {
			return p.class(pos, nil)
		}
	case "enum":
		return p.enum(pos)
	case "interface":
		if name {
			return p.interfaceStatement(pos)
		}
	case "type":
		if name {
			return p.typeAlias(pos)
		}
	case "namespace", "module":
		if name || next.kind == tString {
			return p.namespace(pos)
		}
	case "declare":
		if name {
			p.advance()
			return p.declared(pos)
		}
	case "await":
		if next.text == "using" {
			p.advance()
			return p.variables(pos, p.peek())
		}
	}
	return nil
}

// declared parses what follows `declare`.
func (p *parser) declared(pos int) Stmt {
	if p.is("global") {
		p.advance()
		b := p.block()
		return &Namespace{p.from(pos), "global", true, b.Body}
	}
	s := p.statement()
	switch d := s.(type) {
	case *Var:
		d.Declare = true
	case *Class:
		d.Declare = true
	}
	return s
}

func (p *parser) variables(pos int, next token) Stmt {
	if p.is("const") && next.text == "enum" {
		p.advance()
		return p.enum(pos)
	}
	if !p.is("const") && next.kind != tWord && next.text != "{" && next.text != "[" {
		return nil // let and using are names
	}
	v := &Var{Kind: p.word()}
	v.Decls = p.declarators()
	p.semicolon()
	v.Span = p.from(pos)
	return v
}

func (p *parser) declarators() []*VarDecl {
	var out []*VarDecl
	for {
		pos := p.tok.Pos
		d := &VarDecl{Target: p.target()}
		p.accept("!")
		if p.accept(":") {
			d.Type = p.typ()
		}
		if p.accept("=") {
			d.Init = p.assign()
		}
		d.Span = p.from(pos)
		out = append(out, d)
		if !p.accept(",") {
			return out
		}
	}
}

func (p *parser) functionStatement(pos int, async bool) Stmt {
	f := p.function(pos, async)
	if f.Body == nil {
		p.semicolon()
	}
	return &FuncDecl{p.from(pos), f}
}

// decorated parses a class after its decorators, which may also precede `export`.
func (p *parser) decorated(pos int) Stmt {
	decorators := p.decorators()
	if !p.is("export") {
		p.accept("declare")
		return p.class(pos, decorators)
	}
	s := p.exportStatement(pos)
	if e, ok := s.(*Export); ok {
		if c, ok := e.Decl.(*Class); ok {
			c.Decorators = append(decorators, c.Decorators...)
			return s
		}
	}
	p.unexpected()
	return s
}

func (p *parser) enum(pos int) Stmt {
	p.expect("enum")
	e := &Enum{Name: p.word()}
	p.expect("{")
	e.Members = list(p, "}", func() *EnumMember {
		start := p.tok.Pos
		m := &EnumMember{Name: p.name()}
		if p.accept("=") {
			m.Init = p.assign()
		}
		m.Span = p.from(start)
		return m
	})
	e.Span = p.from(pos)
	return e
}

func (p *parser) interfaceStatement(pos int) Stmt {
	p.advance()
	i := &Interface{Name: p.word(), TypeParams: p.typeParams()}
	if p.accept("extends") {
		i.Extends = append(i.Extends, p.typ())
		for p.accept(",") {
			i.Extends = append(i.Extends, p.typ())
		}
	}
	i.Members = p.typeMembers()
	i.Span = p.from(pos)
	return i
}

func (p *parser) typeAlias(pos int) Stmt {
	p.advance()
	t := &TypeAlias{Name: p.word(), TypeParams: p.typeParams()}
	p.expect("=")
	t.Type = p.typ()
	p.semicolon()
	t.Span = p.from(pos)
	return t
}

// namespace parses namespace a.b {…} and module 'x' {…}.
func (p *parser) namespace(pos int) Stmt {
	p.advance()
	n := &Namespace{}
	if p.tok.kind == tString {
		n.Name, n.Global = p.tok.text, true
		p.advance()
	} else {
		n.Name = p.word()
	}
	switch {
	case p.is("."):
		start := p.tok.Pos
		inner := p.namespace(start)
		n.Body = []Stmt{&Export{Span: inner.Range(), Decl: inner}}
	case p.is("{"):
		n.Body = p.block().Body
	default:
		p.semicolon()
	}
	n.Span = p.from(pos)
	return n
}
