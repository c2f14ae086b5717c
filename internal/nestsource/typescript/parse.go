package typescript

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Limits of a source. Handwritten sources stay far below them.
const (
	maxDepth = 400    // nesting of expressions, statements, and types
	maxTries = 50_000 // places where the parser had to try two readings
)

// parser is a recursive-descent parser. After an error, the current token is tEnd, so that
// every loop ends; the list of statements recovers.
type parser struct {
	lexer
	tok       token
	last      int // where the previous token ended
	start     int // where the current statement of the file starts
	depth     int
	tries     int
	err       *Problem
	jsx       bool // <a> is an element, not a type assertion
	noIn      bool // `in` ends the expression: the head of a for statement
	noArrowTo bool // in a ? b : c, before the colon: (b): c => d is not an arrow function
	noIndex   bool // [ does not continue the expression: it starts the name after a decorator
}

// Parse parses a file. It never fails: what it cannot parse is in Problems. The name
// decides whether the source may contain JSX.
func Parse(name string, source []byte) *File {
	source = bytes.ToValidUTF8(source, []byte("\ufffd"))
	f := &File{Name: name, Source: string(source), lines: []int{0}}
	for i, c := range source {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	p := &parser{lexer: lexer{source: f.Source}, jsx: strings.HasSuffix(name, "x") || strings.HasSuffix(name, "js")}
	p.advance()
	for {
		f.Body = append(f.Body, p.statements()...)
		if p.err == nil && p.tok.kind == tEnd {
			return f
		}
		f.Problems = append(f.Problems, p.recover())
	}
}

// Line returns the line of a position, from 1.
func (f *File) Line(pos int) int {
	return sort.SearchInts(f.lines, pos+1)
}

// recover ends the state of an error and continues with the next line that starts, in
// the first column, like a declaration. The problem spans the statement.
func (p *parser) recover() Problem {
	problem := Problem{Span: p.tok.Span, Reason: "unexpected " + p.tok.describe()}
	if p.err != nil {
		problem = *p.err
	}
	p.err, p.depth, p.noIn, p.noArrowTo, p.noIndex = nil, 0, false, false, false
	problem.Line = strings.Count(p.source[:problem.Pos], "\n") + 1
	i := problem.Pos
	if i == p.start {
		i++ // a statement must not fail twice
	}
	for i < len(p.source) && !(i > 0 && p.source[i-1] == '\n' && startsDeclaration(p.source[i:])) {
		i += lineLength(p.source[i:]) + 1
	}
	i = min(i, len(p.source))
	p.i, p.last, problem.Span = i, i, Span{p.start, i}
	p.tok = token{Span: Span{i, i}}
	p.advance()
	return problem
}

func startsDeclaration(line string) bool {
	word := line
	if n := strings.IndexFunc(line, func(r rune) bool { return !isWordRune(r, true) }); n >= 0 {
		word = line[:n]
	}
	return strings.HasPrefix(line, "@") || slices.Contains([]string{
		"import", "export", "class", "abstract", "const", "let", "var", "function", "async", "enum", "interface", "type", "namespace", "declare",
	}, word)
}

func (t token) describe() string {
	switch t.kind {
	case tEnd:
		return "end of file"
	case tString, tNumber, tBigint:
		return "literal"
	case tBacktick:
		return "template"
	}
	return fmt.Sprintf("%q", t.text)
}

// advance reads the next token.
func (p *parser) advance() {
	p.last = p.tok.End
	if p.err == nil {
		p.tok = p.next()
	}
}

// fail records the first error. The current token becomes tEnd.
func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = &Problem{Span: p.tok.Span, Reason: reason}
	}
	p.tok = token{Span: Span{p.tok.Pos, p.tok.Pos}}
}

// unexpected fails at the current token.
func (p *parser) unexpected() { p.fail("unexpected " + p.tok.describe()) }

// deeper counts the nesting: use it as `defer p.deeper()()`.
func (p *parser) deeper() func() {
	p.depth++
	if p.depth > maxDepth {
		p.fail("nested too deeply")
	}
	return func() { p.depth-- }
}

// try runs parse, and restores the state if it fails or returns false.
func (p *parser) try(parse func() bool) bool {
	if p.err != nil {
		return false
	}
	if p.tries++; p.tries > maxTries {
		p.fail("too ambiguous")
		return false
	}
	saved := *p
	if parse() && p.err == nil {
		return true
	}
	tries := p.tries
	*p = saved
	p.tries = tries
	return false
}

// peek returns the token after the current one.
func (p *parser) peek() token {
	if p.err != nil {
		return p.tok
	}
	saved := p.i
	t := p.next()
	p.i = saved
	return t
}

// is reports whether the current token is a punctuator or a keyword.
func (p *parser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tPunct || p.tok.kind == tWord && !p.tok.escaped)
}

// isAny reports whether the current token is one of several.
func (p *parser) isAny(texts ...string) bool { return slices.ContainsFunc(texts, p.is) }

// accept skips the current token if it is text.
func (p *parser) accept(text string) bool {
	if !p.is(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.unexpected()
	}
}

// semicolon accepts the end of a statement, which a line break may imply.
func (p *parser) semicolon() {
	if !p.accept(";") && !p.is("}") && p.tok.kind != tEnd && !p.tok.newline {
		p.unexpected()
	}
}

// word parses a name.
func (p *parser) word() string {
	if p.tok.kind != tWord {
		p.unexpected()
		return ""
	}
	text := p.tok.text
	p.advance()
	return text
}

// from returns the span that starts at pos and ends with the previous token.
func (p *parser) from(pos int) Span { return Span{pos, max(pos, p.last)} }

// list parses items up to the token that closes the list, which it skips.
func list[T any](p *parser, closing string, item func() T) []T {
	var out []T
	for !p.is(closing) && p.tok.kind != tEnd {
		out = append(out, item())
		if !p.accept(",") && !p.is(closing) {
			p.unexpected()
		}
	}
	p.expect(closing)
	return out
}
