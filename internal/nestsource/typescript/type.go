package typescript

import "slices"

// typ parses a type.
func (p *parser) typ() Type {
	defer p.deeper()()
	defer p.fresh()()
	pos := p.tok.Pos
	if t := p.functionType(pos); t != nil {
		return t
	}
	t := p.unionType()
	if p.is("extends") && !p.tok.newline && p.conditionalType() {
		return &OtherType{p.from(pos)}
	}
	return t
}

// conditionalType parses the rest of A extends B ? C : D. After `infer T`, extends may be a
// constraint instead, without a question mark.
func (p *parser) conditionalType() bool {
	return p.try(func() bool {
		p.expect("extends")
		p.typ()
		p.expect("?")
		p.typ()
		p.expect(":")
		p.typ()
		return true
	})
}

// returnType parses the type of a result, which may be a type predicate.
func (p *parser) returnType() Type {
	pos := p.tok.Pos
	predicate := p.try(func() bool {
		p.accept("asserts")
		p.word()
		return p.is("is") && !p.tok.newline
	})
	if predicate {
		p.advance()
		p.typ()
		return &OtherType{p.from(pos)}
	}
	if p.is("asserts") && p.peek().kind == tWord && !p.peek().newline {
		p.advance()
		p.word()
		return &OtherType{p.from(pos)}
	}
	return p.typ()
}

// functionType parses (a: A) => B, <T>(a: A) => B, and new () => B, or returns nil.
func (p *parser) functionType(pos int) Type {
	if !p.isAny("(", "<", "new") && !(p.is("abstract") && p.peek().text == "new") {
		return nil
	}
	f := &FuncType{}
	ok := p.try(func() bool {
		p.accept("abstract")
		p.accept("new")
		p.typeParams()
		p.signature(&Function{})
		return p.is("=>")
	})
	if !ok {
		return nil
	}
	p.advance()
	f.Return = p.returnType()
	f.Span = p.from(pos)
	return f
}

func (p *parser) unionType() Type {
	pos := p.tok.Pos
	p.accept("|")
	types := []Type{p.intersectionType()}
	for p.accept("|") {
		types = append(types, p.intersectionType())
	}
	if len(types) == 1 {
		return types[0]
	}
	return &Union{p.from(pos), types}
}

func (p *parser) intersectionType() Type {
	pos := p.tok.Pos
	p.accept("&")
	types := []Type{p.operatorType()}
	for p.accept("&") {
		types = append(types, p.operatorType())
	}
	if len(types) == 1 {
		return types[0]
	}
	return &Intersection{p.from(pos), types}
}

func (p *parser) operatorType() Type {
	defer p.deeper()()
	pos := p.tok.Pos
	next := p.peek()
	operand := next.kind != tEnd && (next.kind != tPunct || slices.Contains([]string{"(", "[", "{", "-"}, next.text)) && !next.newline
	switch {
	case p.isAny("keyof", "readonly", "unique") && operand:
		op := p.word()
		x := p.operatorType()
		return &Operator{p.from(pos), op, x}
	case p.is("infer") && operand:
		p.advance()
		p.word()
		p.try(func() bool { // a constraint, if no condition follows
			p.expect("extends")
			p.unionType()
			return !p.is("?")
		})
		return &OtherType{p.from(pos)}
	}
	return p.postfixType()
}

func (p *parser) postfixType() Type {
	pos := p.tok.Pos
	t := p.primaryType()
	for p.is("[") && !p.tok.newline {
		p.advance()
		if p.accept("]") {
			t = &ArrayType{p.from(pos), t}
			continue
		}
		index := p.typ()
		p.expect("]")
		t = &IndexedType{p.from(pos), t, index}
	}
	return t
}

func (p *parser) primaryType() Type {
	t := p.tok
	switch t.kind {
	case tString:
		p.advance()
		return &LiteralType{t.Span, t.text}
	case tNumber:
		p.advance()
		return &LiteralType{t.Span, t.number}
	case tBigint:
		p.advance()
		return &OtherType{t.Span}
	case tBacktick:
		return p.templateType()
	case tWord:
		return p.namedType()
	}
	switch {
	case p.is("-"):
		p.advance()
		n := p.tok.number
		p.advance()
		return &LiteralType{p.from(t.Pos), -n}
	case p.accept("("):
		inner := p.typ()
		p.expect(")")
		return inner
	case p.accept("["):
		elems := list(p, "]", p.tupleElement)
		return &TupleType{p.from(t.Pos), elems}
	case p.is("{"):
		return p.objectType()
	}
	p.unexpected()
	return &OtherType{p.from(t.Pos)}
}

func (p *parser) namedType() Type {
	pos := p.tok.Pos
	switch {
	case p.isAny("true", "false"):
		value := p.word() == "true"
		return &LiteralType{p.from(pos), value}
	case p.is("null"):
		p.advance()
		return &LiteralType{p.from(pos), nil}
	case p.is("typeof"):
		p.advance()
		if p.is("import") {
			p.importType(pos)
			return &OtherType{p.from(pos)}
		}
		name := p.dotted()
		if p.is("<") && !p.tok.newline {
			p.typeArgs()
		}
		return &TypeOf{p.from(pos), name}
	case p.is("import"):
		return p.importType(pos)
	}
	name := p.dotted()
	var args []Type
	if p.isAny("<", "<<") && !p.tok.newline {
		args = p.typeArgs()
	}
	return &TypeRef{p.from(pos), name, args}
}

// dotted parses a.b.c.
func (p *parser) dotted() string {
	name := p.word()
	for p.is(".") {
		p.advance()
		if p.tok.kind == tPrivate {
			p.advance()
			continue
		}
		name += "." + p.word()
	}
	return name
}

// importType parses import('x').Y<T>.
func (p *parser) importType(pos int) Type {
	p.expect("import")
	p.arguments()
	for p.accept(".") {
		p.word()
	}
	if p.is("<") {
		p.typeArgs()
	}
	return &OtherType{p.from(pos)}
}

// templateType parses `a${B}`. Without a substitution, it is a literal.
func (p *parser) templateType() Type {
	pos := p.tok.Pos
	for first := true; ; first = false {
		cooked, _, last, ok := p.templatePart()
		if !ok {
			p.fail("unterminated template")
		}
		if last {
			p.tok.End = p.i
			p.advance()
			if first {
				return &LiteralType{p.from(pos), cooked}
			}
			return &OtherType{p.from(pos)}
		}
		p.advance()
		p.typ()
		if !p.is("}") {
			p.unexpected()
			return &OtherType{p.from(pos)}
		}
	}
}

// tupleElement parses T, T?, ...T, name: T, and name?: T.
func (p *parser) tupleElement() Type {
	p.accept("...")
	p.try(func() bool {
		p.word()
		p.accept("?")
		return p.accept(":")
	})
	t := p.typ()
	p.accept("?")
	return t
}

// objectType parses {a: T}, or a mapped type.
func (p *parser) objectType() Type {
	pos := p.tok.Pos
	if p.try(p.mappedType) {
		return &OtherType{p.from(pos)}
	}
	members := p.typeMembers()
	return &ObjectType{p.from(pos), members}
}

func (p *parser) mappedType() bool {
	p.expect("{")
	if p.isAny("+", "-") {
		p.advance()
	}
	p.accept("readonly")
	p.expect("[")
	p.word()
	p.expect("in")
	p.typ()
	if p.accept("as") {
		p.typ()
	}
	p.expect("]")
	if p.isAny("+", "-") {
		p.advance()
	}
	p.accept("?")
	if p.accept(":") {
		p.typ()
	}
	p.accept(";")
	p.accept(",")
	return p.accept("}")
}

func (p *parser) typeMembers() []*TypeMember {
	p.expect("{")
	var out []*TypeMember
	for !p.is("}") && p.tok.kind != tEnd {
		out = append(out, p.typeMember())
		if !p.accept(",") {
			p.semicolon()
		}
	}
	p.expect("}")
	return out
}

func (p *parser) typeMember() *TypeMember {
	pos := p.tok.Pos
	m := &TypeMember{}
	next := p.peek()
	switch {
	case p.isAny("(", "<"), p.is("new") && (next.text == "(" || next.text == "<"):
		p.accept("new")
		m.Type, m.Method = p.memberSignature(), true
		m.Span = p.from(pos)
		return m
	case p.isAny("readonly", "get", "set") && p.startsName(next) && !next.newline:
		p.advance()
	}
	if p.is("[") && p.indexSignature() {
		m.Span = p.from(pos)
		return m
	}
	m.Name = p.name()
	m.Optional = p.accept("?")
	if p.isAny("(", "<") {
		m.Type, m.Method = p.memberSignature(), true
	} else if p.accept(":") {
		m.Type = p.typ()
	}
	m.Span = p.from(pos)
	return m
}

func (p *parser) memberSignature() Type {
	f := &Function{}
	p.typeParams()
	p.signature(f)
	return f.Return
}

// typeParams parses <T extends A = B>, if present, and returns the names.
func (p *parser) typeParams() []string {
	if !p.accept("<") {
		return nil
	}
	return list(p, ">", func() string {
		for p.isAny("const", "in", "out") && p.peek().kind == tWord && p.peek().text != "extends" {
			p.advance()
		}
		name := p.word()
		if p.accept("extends") {
			p.typ()
		}
		if p.accept("=") {
			p.typ()
		}
		return name
	})
}

// typeArgs parses <A, B>.
func (p *parser) typeArgs() []Type {
	if p.is("<<") { // <<T>(a: T) => B>
		p.tok.text, p.tok.End = "<", p.tok.Pos+1
		p.i = p.tok.End
	}
	p.expect("<")
	return list(p, ">", p.typ)
}
