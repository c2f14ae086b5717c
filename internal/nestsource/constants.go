package nestsource

// collect finds the named literals of a file: constants, the members of constant objects,
// enums, and static members of classes. Later ones may refer to earlier ones.
func (p *parser) collect() map[string]string {
	p.constants = map[string]string{}
	var class string
	for p.i = 0; p.i < len(p.tokens); p.i++ {
		switch {
		case p.is("class") && p.kindAt(1) == word:
			class = p.at(1).text
		case (p.is("const") || p.is("let") || p.is("var")) && p.kindAt(1) == word && p.at(1).text != "enum":
			p.i++
			p.named(p.at(0).text)
		case p.is("enum") && p.kindAt(1) == word && p.at(2).text == "{":
			p.enum()
		case (p.is("static") || p.is("readonly")) && p.kindAt(1) == word && p.at(1).text != "readonly" && class != "":
			p.i++
			p.named(class + "." + p.at(0).text)
		}
	}
	return p.constants
}

// named parses `NAME = value` or `NAME: Type = value`, starting at the name, and stores the
// value under name if it is a literal.
func (p *parser) named(name string) {
	if p.at(1).text == ":" && p.kindAt(2) == word && p.at(3).text == "=" {
		p.i += 2
	}
	if p.at(1).text != "=" {
		return
	}
	p.i += 2
	p.keep(name)
	p.i-- // the loop advances
}

// keep parses a value and stores it. It also stores the members of an object.
func (p *parser) keep(name string) {
	start := p.i
	if value, err := p.value(0); err == nil {
		p.constants[name] = value
	}
	stop := p.i
	p.i = start
	if p.is("{") {
		p.keepMembers(name)
	}
	p.i = max(stop, p.i)
}

// keepMembers stores the members of an object that are literals.
func (p *parser) keepMembers(name string) {
	for p.i++; p.kindAt(0) != end && !p.is("}"); {
		key := p.at(0)
		if (key.kind == word || key.kind == text) && p.at(1).text == ":" && p.kindAt(1) == symbol {
			p.i += 2
			p.keep(name + "." + key.text)
		}
		p.nextMember()
	}
}

// nextMember advances past the next comma at this depth, or to the closing brace.
func (p *parser) nextMember() {
	for depth := 0; p.kindAt(0) != end; p.i++ {
		switch {
		case p.is("("), p.is("["), p.is("{"):
			depth++
		case depth == 0 && p.is(","):
			p.i++
			return
		case depth == 0 && p.is("}"):
			return
		case p.is(")"), p.is("]"), p.is("}"):
			depth--
		}
	}
}

// enum parses `enum NAME { A = 'a', … }` and ignores members without a value.
func (p *parser) enum() {
	name := p.at(1).text
	for p.i += 3; p.kindAt(0) != end && !p.is("}"); {
		if key := p.at(0); (key.kind == word || key.kind == text) && p.at(1).text == "=" {
			p.i += 2
			if value, err := p.value(0); err == nil {
				p.constants[name+"."+key.text] = value
			}
		}
		p.nextMember()
	}
}
