package typescript

// importStatement parses every form of import.
func (p *parser) importStatement(pos int) Stmt {
	p.advance()
	s := &Import{}
	if p.tok.kind == tString {
		s.From = p.moduleName()
		s.Span = p.from(pos)
		return s
	}
	if next := p.peek(); p.is("type") && (next.kind == tWord && (next.text != "from" || p.secondFrom()) || next.text == "{" || next.text == "*") {
		p.advance()
	}
	if p.tok.kind == tWord {
		s.Default = p.word()
		if p.accept("=") {
			p.importEquals(s)
			s.Span = p.from(pos)
			return s
		}
		p.accept(",")
	}
	switch {
	case p.accept("*"):
		p.expect("as")
		s.Namespace = p.word()
	case p.accept("{"):
		s.Names = p.importNames()
	}
	p.expect("from")
	s.From = p.moduleName()
	s.Span = p.from(pos)
	return s
}

// secondFrom reports whether `import type from` continues with another from: then type
// is a modifier and from a name.
func (p *parser) secondFrom() bool {
	saved := p.i
	defer func() { p.i = saved }()
	p.next()
	return p.next().text == "from"
}

// importEquals parses what follows `import A =`: require('x'), or a name.
func (p *parser) importEquals(s *Import) {
	if p.is("require") {
		p.advance()
		p.expect("(")
		s.Namespace, s.Default = s.Default, ""
		s.From = p.tok.text
		p.advance()
		p.expect(")")
	} else {
		pos := p.tok.Pos
		var x Expr = &Ident{Name: p.word()}
		for p.accept(".") {
			x = p.member(pos, x, false)
		}
		s.Alias = x
	}
	p.semicolon()
}

func (p *parser) moduleName() string {
	if p.tok.kind != tString {
		p.unexpected()
		return ""
	}
	name := p.tok.text
	p.advance()
	if p.isAny("with", "assert") && p.peek().text == "{" && !p.tok.newline {
		p.advance()
		p.object(p.tok.Pos)
	}
	p.semicolon()
	return name
}

// importNames parses the names of an import or an export, after the brace.
func (p *parser) importNames() []ImportName {
	return list(p, "}", func() ImportName {
		pos := p.tok.Pos
		if next := p.peek(); p.is("type") && next.text != "," && next.text != "}" && (next.text != "as" || p.typeModifiesAs()) {
			p.advance()
		}
		n := ImportName{Name: p.name().Text}
		n.As = n.Name
		if p.accept("as") {
			n.As = p.name().Text
		}
		n.Span = p.from(pos)
		return n
	})
}

// typeModifiesAs distinguishes {type as}, {type as as b}, and {type as b}: only in the last
// one type is the name.
func (p *parser) typeModifiesAs() bool {
	saved := p.i
	defer func() { p.i = saved }()
	p.next()
	second := p.next()
	return second.kind != tWord || second.text == "as"
}

// exportStatement parses every form of export.
func (p *parser) exportStatement(pos int) Stmt {
	p.advance()
	e := &Export{}
	next := p.peek()
	if p.is("type") && (next.text == "{" || next.text == "*") {
		p.advance()
	}
	switch {
	case p.accept("*"):
		e.Star = true
		if p.accept("as") {
			e.As = p.name().Text
		}
		p.expect("from")
		e.From = p.moduleName()
	case p.accept("{"):
		e.Names = p.importNames()
		if p.accept("from") {
			e.From = p.moduleName()
		} else {
			p.semicolon()
		}
	case p.accept("="):
		e.Equals = p.expression()
		p.semicolon()
	case p.is("as") && next.text == "namespace":
		p.advance()
		p.advance()
		p.word()
		p.semicolon()
	case p.accept("default"):
		p.exportDefault(e)
	default:
		e.Decl = p.statement()
	}
	e.Span = p.from(pos)
	return e
}

func (p *parser) exportDefault(e *Export) {
	start := p.tok.Pos
	next := p.peek()
	e.DefaultDecl = true
	switch {
	case p.is("class"), p.is("abstract") && next.text == "class":
		e.Decl = p.class(start, nil)
	case p.is("@"):
		e.Decl = p.class(start, p.decorators())
	case p.is("function"), p.is("async") && next.text == "function":
		e.Decl = p.functionStatement(start, p.accept("async"))
	case p.is("interface") && next.kind == tWord:
		e.Decl = p.interfaceStatement(start)
	case p.is("enum") && next.kind == tWord:
		e.Decl = p.enum(start)
	default:
		e.DefaultDecl = false
		e.Default = p.assign()
		p.semicolon()
	}
}
