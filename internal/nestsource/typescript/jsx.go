package typescript

import "strings"

// jsxElement parses an element. It only finds its end.
func (p *parser) jsxElement(pos int) Expr {
	defer p.fresh()()
	p.jsxTag()
	p.expect(">")
	return &Other{p.from(pos), "jsx"}
}

// jsxTag parses an element up to its last >, which stays the current token, because what
// follows may be text.
func (p *parser) jsxTag() {
	defer p.deeper()()
	p.advance()
	p.jsxName()
	if p.is("<") {
		p.typeArgs()
	}
	for !p.isAny(">", "/") && p.tok.kind != tEnd {
		p.jsxAttribute()
	}
	if p.accept("/") {
		if !p.is(">") {
			p.unexpected()
		}
		return
	}
	p.jsxChildren()
}

// jsxName parses a name such as a-b, a.b, or a:b, or the empty name of a fragment.
func (p *parser) jsxName() {
	for p.tok.kind == tWord {
		p.advance()
		if !p.isAny("-", ".", ":") {
			return
		}
		p.advance()
	}
}

func (p *parser) jsxAttribute() {
	if p.accept("{") {
		p.accept("...")
		p.expression()
		p.expect("}")
		return
	}
	if p.tok.kind != tWord {
		p.unexpected()
	}
	p.jsxName()
	if !p.accept("=") {
		return
	}
	switch {
	case p.tok.kind == tString:
		p.advance()
	case p.is("<"):
		p.jsxTag()
		p.expect(">")
	default:
		p.expect("{")
		p.expression()
		p.expect("}")
	}
}

// jsxChildren parses text, expressions, and elements, and the closing tag.
func (p *parser) jsxChildren() {
	for p.is(">") || p.is("}") {
		p.i = p.tok.End
		n := strings.IndexAny(p.source[p.i:], "<{")
		if n < 0 {
			break
		}
		p.i += n
		p.advance()
		switch {
		case p.accept("{"):
			if !p.is("}") {
				p.accept("...")
				p.expression()
			}
		case p.peek().text == "/":
			p.advance()
			p.advance()
			p.jsxName()
			if !p.is(">") {
				p.unexpected()
			}
			return
		default:
			p.jsxTag()
		}
	}
	p.unexpected()
}
