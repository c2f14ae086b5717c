package typescript

// isReserved reports whether a word cannot be the name of a variable.
func isReserved(word string) bool {
	switch word {
	case "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete", "do", "else", "enum", "export",
		"extends", "finally", "for", "function", "if", "import", "in", "instanceof", "new", "return", "switch", "throw", "try",
		"typeof", "var", "void", "while", "with":
		return true
	}
	return false
}

func (p *parser) primary() Expr {
	pos := p.tok.Pos
	t := p.tok
	switch t.kind {
	case tNumber:
		p.advance()
		return &Literal{t.Span, t.number}
	case tBigint:
		p.advance()
		return &Other{t.Span, "bigint"}
	case tString:
		p.advance()
		return &Literal{t.Span, t.text}
	case tPrivate:
		p.advance()
		return &Ident{t.Span, "#" + t.text}
	case tBacktick:
		return p.template(pos)
	case tWord:
		return p.primaryWord(pos)
	}
	switch {
	case p.is("("):
		defer p.fresh()()
		p.advance()
		x := p.expression()
		p.expect(")")
		return x
	case p.is("["):
		return p.array(pos)
	case p.is("{"):
		return p.object(pos)
	case p.is("@"):
		return p.class(pos, p.decorators())
	case p.isAny("/", "/="):
		return p.regularExpression(pos)
	case p.is("<") && p.jsx:
		return p.jsxElement(pos)
	}
	p.unexpected()
	return &Other{Span: p.from(pos)}
}

func (p *parser) primaryWord(pos int) Expr {
	t := p.tok
	switch {
	case p.is("function"):
		return p.function(pos, false)
	case p.is("async") && p.peek().text == "function" && !p.peek().newline:
		p.advance()
		return p.function(pos, true)
	case p.is("class"):
		return p.class(pos, nil)
	case p.is("new"):
		return p.construct(pos)
	case p.isAny("null", "true", "false"):
		p.advance()
		return &Literal{t.Span, map[string]any{"true": true, "false": false}[t.text]}
	case p.is("import"):
		return p.importExpression(pos)
	case isReserved(t.text) && !t.escaped:
		p.unexpected()
	}
	p.advance()
	return &Ident{t.Span, t.text}
}

func (p *parser) regularExpression(pos int) Expr {
	if !p.regexp(pos) {
		p.unexpected()
	} else {
		p.tok.End = p.i
		p.advance()
	}
	return &Other{p.from(pos), "regexp"}
}

// importExpression parses import(…) and import.meta.
func (p *parser) importExpression(pos int) Expr {
	p.advance()
	if p.accept(".") {
		p.word()
		return &Ident{p.from(pos), "import.meta"}
	}
	p.arguments()
	return &Other{p.from(pos), "import"}
}

func (p *parser) construct(pos int) Expr {
	p.advance()
	if p.accept(".") {
		p.word()
		return &Ident{p.from(pos), "new.target"}
	}
	defer p.deeper()()
	start := p.tok.Pos
	callee := p.chain(start, p.primary(), false)
	call := &Call{Callee: callee, New: true}
	if p.is("(") {
		call.Args = p.arguments()
	}
	call.Span = p.from(pos)
	return call
}

func (p *parser) array(pos int) Expr {
	defer p.fresh()()
	p.advance()
	var elements []Expr
	for !p.is("]") && p.tok.kind != tEnd {
		if p.accept(",") {
			elements = append(elements, nil)
			continue
		}
		elements = append(elements, p.element())
		if !p.accept(",") && !p.is("]") {
			p.unexpected()
		}
	}
	p.expect("]")
	return &Array{p.from(pos), elements}
}

// template parses a template literal, starting at the backtick.
func (p *parser) template(pos int) *Template {
	defer p.fresh()()
	t := &Template{}
	for {
		cooked, raw, last, ok := p.templatePart()
		t.Cooked, t.Raw = append(t.Cooked, cooked), append(t.Raw, raw)
		if !ok {
			p.fail("unterminated template")
		}
		if last {
			p.tok.End = p.i
			p.advance()
			t.Span = p.from(pos)
			return t
		}
		p.advance()
		t.Exprs = append(t.Exprs, p.expression())
		if !p.is("}") {
			p.unexpected()
			t.Cooked, t.Raw = append(t.Cooked, ""), append(t.Raw, "")
			return t
		}
		p.i = p.tok.End
	}
}

func (p *parser) object(pos int) Expr {
	defer p.fresh()()
	p.advance()
	properties := list(p, "}", p.property)
	return &Object{p.from(pos), properties}
}

func (p *parser) property() *Property {
	pos := p.tok.Pos
	if p.accept("...") {
		x := p.assign()
		return &Property{Span: p.from(pos), Kind: PropertySpread, Value: x}
	}
	kind, async, generator := PropertyValue, false, false
	for p.isAny("get", "set", "async") && !p.tok.escaped && p.startsName(p.peek()) {
		switch p.word() {
		case "get":
			kind = PropertyGet
		case "set":
			kind = PropertySet
		case "async":
			async = true
		}
	}
	if p.accept("*") {
		generator = true
	}
	shorthand := p.tok.kind == tWord
	key := p.name()
	switch {
	case p.isAny("(", "<"):
		if kind == PropertyValue {
			kind = PropertyMethod
		}
		f := p.method(pos)
		f.Name, f.Async, f.Generator = key.Text, async, generator
		return &Property{p.from(pos), kind, key, f}
	case p.accept(":"):
		value := p.assign()
		return &Property{p.from(pos), kind, key, value}
	case shorthand:
		if p.accept("=") { // ({a = 1} = x)
			p.assign()
		}
		return &Property{p.from(pos), kind, key, &Ident{key.Span, key.Text}}
	}
	p.unexpected()
	return &Property{Span: p.from(pos), Key: key, Value: &Other{Span: p.from(pos)}}
}

// startsName reports whether a token after a modifier is the name that it modifies.
func (p *parser) startsName(t token) bool {
	return t.kind == tWord || t.kind == tString || t.kind == tNumber || t.kind == tBigint || t.kind == tPrivate ||
		t.kind == tPunct && (t.text == "[" || t.text == "*")
}

// name parses the name of a member.
func (p *parser) name() Name {
	t := p.tok
	switch t.kind {
	case tWord, tString, tBigint:
		p.advance()
		return Name{Span: t.Span, Text: t.text}
	case tPrivate:
		p.advance()
		return Name{Span: t.Span, Text: "#" + t.text}
	case tNumber:
		p.advance()
		return Name{Span: t.Span, Text: FormatNumber(t.number)}
	}
	if !p.is("[") {
		p.unexpected()
		return Name{Span: t.Span}
	}
	defer p.fresh()()
	p.advance()
	x := p.assign()
	p.expect("]")
	n := Name{Span: p.from(t.Pos), Computed: x}
	if l, ok := x.(*Literal); ok { // ['a'] is the same as a
		if text, ok := l.Value.(string); ok {
			n.Text, n.Computed = text, nil
		}
	}
	return n
}
