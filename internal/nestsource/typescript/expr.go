package typescript

import "slices"

// fresh resets what the place of an expression forbids. Inside brackets, nothing is forbidden:
// use it as `defer p.fresh()()`.
func (p *parser) fresh() func() {
	noIn, noArrowTo, noIndex := p.noIn, p.noArrowTo, p.noIndex
	p.noIn, p.noArrowTo, p.noIndex = false, false, false
	return func() { p.noIn, p.noArrowTo, p.noIndex = noIn, noArrowTo, noIndex }
}

// expression parses an expression, including the comma operator.
func (p *parser) expression() Expr {
	pos := p.tok.Pos
	x := p.assign()
	for p.accept(",") {
		x = &Binary{Op: ",", L: x, R: p.assign(), Span: p.from(pos)}
	}
	return x
}

var assignments = []string{"=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "&&=", "||=", "??="}

// assign parses an expression without the comma operator.
func (p *parser) assign() Expr {
	defer p.deeper()()
	pos := p.tok.Pos
	if f := p.arrow(); f != nil {
		return f
	}
	if p.is("yield") && p.startsOperand(p.peek()) {
		p.advance()
		p.accept("*")
		if !p.tok.newline && p.startsOperand(p.tok) {
			p.assign()
		}
		return &Other{p.from(pos), "yield"}
	}
	x := p.conditional()
	p.joinGreater()
	if p.tok.kind == tPunct && slices.Contains(assignments, p.tok.text) {
		op := p.tok.text
		p.advance()
		right := p.assign()
		return &Binary{p.from(pos), op, x, right}
	}
	return x
}

// startsOperand reports whether a token after yield or await starts their operand.
func (p *parser) startsOperand(t token) bool {
	switch t.kind {
	case tEnd:
		return false
	case tPunct:
		return slices.Contains([]string{"(", "[", "{", "+", "-", "!", "~", "/", "<", "++", "--", "*", "@"}, t.text)
	case tWord:
		return t.text != "in" && t.text != "of" && t.text != "instanceof" && t.text != "as"
	}
	return true
}

func (p *parser) conditional() Expr {
	pos := p.tok.Pos
	test := p.binary(0)
	if !p.accept("?") {
		return test
	}
	noIn, noArrowTo := p.noIn, p.noArrowTo
	p.noIn, p.noArrowTo = false, true
	then := p.assign()
	p.noIn, p.noArrowTo = noIn, noArrowTo
	p.expect(":")
	otherwise := p.assign()
	return &Cond{p.from(pos), test, then, otherwise}
}

var precedences = map[string]int{
	"??": 1, "||": 2, "&&": 3, "|": 4, "^": 5, "&": 6,
	"==": 7, "!=": 7, "===": 7, "!==": 7,
	"<": 8, ">": 8, "<=": 8, ">=": 8, "instanceof": 8, "in": 8, "as": 8, "satisfies": 8,
	"<<": 9, ">>": 9, ">>>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11, "**": 12,
}

// operator returns the precedence of the current token as a binary operator, or 0.
func (p *parser) operator() int {
	p.joinGreater()
	if p.tok.kind != tPunct && p.tok.kind != tWord || p.tok.escaped {
		return 0
	}
	switch p.tok.text {
	case "as", "satisfies":
		if p.tok.newline {
			return 0
		}
	case "in":
		if p.noIn {
			return 0
		}
	}
	return precedences[p.tok.text]
}

// joinGreater makes one token of the characters of an operator that starts with >.
func (p *parser) joinGreater() {
	if p.tok.kind != tPunct || p.tok.text != ">" {
		return
	}
	end := p.tok.Pos + 1
	for end < len(p.source) && end < p.tok.Pos+3 && p.source[end] == '>' {
		end++
	}
	if end < len(p.source) && p.source[end] == '=' {
		end++
	}
	p.tok.text, p.tok.End, p.i = p.source[p.tok.Pos:end], end, end
}

// binary parses operators of a higher precedence than least.
func (p *parser) binary(least int) Expr {
	pos := p.tok.Pos
	x := p.unary()
	for {
		precedence := p.operator()
		if precedence <= least {
			return x
		}
		op := p.tok.text
		p.advance()
		switch op {
		case "as", "satisfies":
			if op == "as" && p.is("const") {
				p.advance()
				x = &Assert{p.from(pos), x, nil, true}
				continue
			}
			t := p.typ()
			x = &Assert{p.from(pos), x, t, false}
		case "**":
			right := p.binary(precedence - 1)
			x = &Binary{p.from(pos), op, x, right}
		default:
			right := p.binary(precedence)
			x = &Binary{p.from(pos), op, x, right}
		}
	}
}

func (p *parser) unary() Expr {
	defer p.deeper()()
	pos := p.tok.Pos
	switch {
	case p.tok.kind == tPunct && slices.Contains([]string{"!", "~", "+", "-", "++", "--"}, p.tok.text),
		p.isAny("typeof", "void", "delete"), p.is("await") && p.startsOperand(p.peek()):
		op := p.tok.text
		p.advance()
		x := p.unary()
		return &Unary{p.from(pos), op, x}
	case p.is("<") && !p.jsx:
		p.advance()
		constant := p.is("const")
		t := p.typ()
		p.expect(">")
		x := p.unary()
		return &Assert{p.from(pos), x, t, constant}
	}
	x := p.chain(pos, p.primary(), true)
	if p.isAny("++", "--") && !p.tok.newline {
		op := p.tok.text
		p.advance()
		return &Unary{p.from(pos), op, x}
	}
	return x
}

// chain parses what follows an operand: members, calls, and templates. Without calls, it
// ends before the arguments, as after new.
func (p *parser) chain(pos int, x Expr, calls bool) Expr {
	for {
		switch {
		case p.is("."):
			p.advance()
			x = p.member(pos, x, false)
		case p.is("?.") && calls:
			p.advance()
			x = p.optional(pos, x)
		case p.is("[") && !p.noIndex:
			x = p.index(pos, x, false)
		case p.is("!") && !p.tok.newline:
			p.advance()
		case p.is("(") && calls:
			args := p.arguments()
			x = &Call{Span: p.from(pos), Callee: x, Args: args}
		case p.tok.kind == tBacktick:
			t := p.template(pos)
			t.Tag = x
			x = t
		case p.isAny("<", "<<"):
			next, ok := p.instantiation(pos, x, calls)
			if !ok {
				return x
			}
			x = next
		default:
			return x
		}
	}
}

func (p *parser) member(pos int, x Expr, optional bool) Expr {
	name := p.tok.text
	if p.tok.kind == tPrivate {
		name = "#" + name
		p.advance()
	} else {
		p.word()
	}
	return &Member{p.from(pos), x, name, optional}
}

func (p *parser) optional(pos int, x Expr) Expr {
	var types []Type
	if p.is("<") {
		types = p.typeArgs()
	}
	switch {
	case p.is("("):
		args := p.arguments()
		return &Call{Span: p.from(pos), Callee: x, TypeArgs: types, Args: args, Optional: true}
	case p.is("["):
		return p.index(pos, x, true)
	}
	return p.member(pos, x, true)
}

func (p *parser) index(pos int, x Expr, optional bool) Expr {
	defer p.fresh()()
	p.expect("[")
	i := p.expression()
	p.expect("]")
	return &Index{p.from(pos), x, i, optional}
}

// instantiation parses f<T>, with the arguments that may follow. A < that does not start
// type arguments is an operator.
func (p *parser) instantiation(pos int, x Expr, calls bool) (Expr, bool) {
	var types []Type
	ok := p.try(func() bool {
		types = p.typeArgs()
		if p.is("(") || p.tok.kind == tBacktick {
			return true
		}
		// What follows must not be an operand: a < b > c is a comparison.
		if p.isAny("<", ">", "+", "-", "{") {
			return false
		}
		return p.tok.newline || p.tok.kind == tEnd || p.operator() > 0 ||
			p.tok.kind == tPunct && slices.Contains([]string{")", "]", "}", ",", ";", ":", ".", "?.", "?", "!", "="}, p.tok.text)
	})
	if !ok {
		return nil, false
	}
	if p.is("(") && calls {
		args := p.arguments()
		return &Call{Span: p.from(pos), Callee: x, TypeArgs: types, Args: args}, true
	}
	return x, true
}

func (p *parser) arguments() []Expr {
	defer p.fresh()()
	p.expect("(")
	return list(p, ")", p.element)
}

// element parses an argument or an element of an array.
func (p *parser) element() Expr {
	pos := p.tok.Pos
	if p.accept("...") {
		x := p.assign()
		return &Spread{p.from(pos), x}
	}
	return p.assign()
}
