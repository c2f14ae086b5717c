package nestsource

import (
	"encoding/json"
	"fmt"
	"strings"
)

// parser parses the tokens of one file.
type parser struct {
	file      string
	source    string
	tokens    []token
	i         int
	constants map[string]string // name, or Name.member, to JSON
	handlers  []Handler
	unread    []Unread
}

// at returns the token n places ahead, or one of kind end after the last.
func (p *parser) at(n int) token {
	if p.i+n >= 0 && p.i+n < len(p.tokens) {
		return p.tokens[p.i+n]
	}
	return token{start: len(p.source), stop: len(p.source)}
}

func (p *parser) kindAt(n int) kind { return p.at(n).kind }

// is reports whether the current token is a given word or symbol, and not a string.
func (p *parser) is(what string) bool {
	t := p.at(0)
	return t.text == what && (t.kind == word || t.kind == symbol)
}

// decorator parses @MessagePattern(…) or @EventPattern(…), starting at the @, and the name
// of the method that follows.
func (p *parser) decorator(class string) {
	line, event := p.at(0).line, p.at(1).text == "EventPattern"
	p.i += 3
	first, start := p.i, p.at(0).start
	patterns, err := p.patterns()
	if err != nil || !p.is(",") && !p.is(")") {
		if err == nil {
			err = fmt.Errorf("it is computed")
		}
		p.i = first
		stop := p.close()
		p.unread = append(p.unread, Unread{p.file, line, shorten(p.source[start:stop]), err.Error()})
		return
	}
	p.close()
	method := p.method()
	for _, pattern := range patterns {
		p.handlers = append(p.handlers, Handler{Pattern: pattern, Event: event, Class: class, Method: method, File: p.file, Line: line})
	}
}

// patterns parses the argument: one pattern, or an array of patterns.
func (p *parser) patterns() ([]string, error) {
	if !p.is("[") {
		one, err := p.value(0)
		return []string{one}, err
	}
	var out []string
	for p.i++; !p.is("]"); {
		one, err := p.value(0)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
		if p.is(",") {
			p.i++
		} else if !p.is("]") {
			return nil, fmt.Errorf("it is computed")
		}
	}
	p.i++
	return out, nil
}

// value parses a literal or the name of a constant and returns its JSON.
func (p *parser) value(depth int) (string, error) {
	t := p.at(0)
	switch {
	case depth > 20:
		return "", fmt.Errorf("it is nested too deeply")
	case t.kind == text:
		p.i++
		p.cast()
		return quote(t.text), nil
	case t.kind == template:
		return "", fmt.Errorf("a template with ${…} is computed")
	case t.kind == number:
		p.i++
		if !json.Valid([]byte(t.text)) {
			return "", fmt.Errorf("the number %s is not valid in JSON", t.text)
		}
		p.cast()
		return t.text, nil
	case p.is("true"), p.is("false"), p.is("null"):
		p.i++
		return t.text, nil
	case p.is("{"):
		return p.object(depth)
	case t.kind == word:
		return p.constant()
	}
	return "", fmt.Errorf("it is computed")
}

func (p *parser) object(depth int) (string, error) {
	var members []string
	for p.i++; !p.is("}"); {
		key := p.at(0)
		if key.kind != word && key.kind != text && key.kind != number {
			return "", fmt.Errorf("a key is computed")
		}
		p.i++
		var value string
		var err error
		if p.is(":") {
			p.i++
			value, err = p.value(depth + 1)
		} else { // { cmd } is short for { cmd: cmd }
			p.i--
			value, err = p.constant()
		}
		if err != nil {
			return "", err
		}
		members = append(members, quote(key.text)+":"+value)
		if p.is(",") {
			p.i++
		} else if !p.is("}") {
			return "", fmt.Errorf("a value is computed")
		}
	}
	p.i++
	p.cast()
	return "{" + strings.Join(members, ",") + "}", nil
}

// cast skips `as const` and `as SomeType`.
func (p *parser) cast() {
	if p.is("as") && p.kindAt(1) == word {
		p.i += 2
	}
}

// constant parses NAME or NAME.MEMBER and looks it up in the file.
func (p *parser) constant() (string, error) {
	name := p.at(0).text
	p.i++
	for p.is(".") && p.kindAt(1) == word {
		name += "." + p.at(1).text
		p.i += 2
	}
	value, ok := p.constants[name]
	if !ok {
		return "", fmt.Errorf("%s is not a literal in this file", name)
	}
	p.cast()
	return value, nil
}

// close skips the rest of the arguments, including the closing parenthesis, and returns
// the position of the parenthesis.
func (p *parser) close() (stop int) {
	for depth := 0; p.kindAt(0) != end; p.i++ {
		switch {
		case p.is("("), p.is("["), p.is("{"):
			depth++
		case p.is(")") && depth == 0:
			stop = p.at(0).start
			p.i++
			return stop
		case p.is(")"), p.is("]"), p.is("}"):
			depth--
		}
	}
	return len(p.source)
}

// method returns the name of the method of a decorator. Other decorators and modifiers
// may precede the name.
func (p *parser) method() string {
	defer func() { p.i-- }() // the caller's loop advances
	for p.kindAt(0) != end {
		switch {
		case p.is("@"):
			for p.i += 2; p.is("."); p.i += 2 {
			}
			if p.is("(") {
				p.i++
				p.close()
			}
		case p.kindAt(0) == word && (p.at(1).text == "(" || p.at(1).text == "<"):
			return p.at(0).text
		case p.kindAt(0) == word:
			p.i++
		default:
			return ""
		}
	}
	return ""
}

// quote returns a JSON string.
func quote(value string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func shorten(source string) string {
	source = strings.Join(strings.Fields(source), " ")
	if runes := []rune(source); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return source
}
