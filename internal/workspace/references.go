package workspace

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// references replaces ${NAME} and ${NAME:-default} in texts by the values of variables. A
// default also takes the place of an empty value. $${ is the text ${.
type references struct {
	lookup    func(name string) (string, bool)
	unset     []string // variables without a value and a default
	malformed []string // texts that begin like a reference
	names     []string // all variables
}

func (r *references) expand(text string) string {
	var b strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			return b.String() + text
		}
		if at > 0 && text[at-1] == '$' {
			b.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		b.WriteString(text[:at])
		end := strings.IndexByte(text[at:], '}')
		inner := text[at+2:]
		if end >= 0 {
			inner = text[at+2 : at+end]
		}
		name, preset, hasPreset := strings.Cut(inner, ":-")
		if end < 0 || !envPattern.MatchString(name) || strings.ContainsAny(preset, "{") {
			r.malformed = append(r.malformed, "${"+inner)
			b.WriteString("${")
			text = text[at+2:]
			continue
		}
		r.names = append(r.names, name)
		value, ok := r.lookup(name)
		switch {
		case value == "" && hasPreset:
			value = preset
		case !ok:
			r.unset = append(r.unset, name)
		}
		b.WriteString(value)
		text = text[at+end+1:]
	}
}

// notSet describes a missing variable.
func notSet(name string) string {
	return fmt.Sprintf("the variable %s is not set: set it in the environment, .env.local, or .env, or add a default: ${%s:-…}", name, name)
}

// malformed describes a text that begins like a reference.
func malformed(text string) string {
	return fmt.Sprintf("%q is not a reference, and stays as it is: use ${NAME} or ${NAME:-default}, and $${ for the text ${", text)
}

// expand replaces the references in the value of a key that every command needs. ok is
// false if that is not possible: after a problem, or if no environment is known.
func (c *checker) expand(m member, text string) (value string, ok bool) {
	r := references{lookup: c.lookup}
	if c.lookup == nil {
		r.lookup = func(string) (string, bool) { return "", false }
	}
	value = r.expand(text)
	c.ignore(m.value, r.malformed)
	if c.lookup != nil {
		for _, name := range r.unset {
			c.fail(m.value, "%s", notSet(name))
		}
	}
	return value, len(r.unset) == 0
}

// expandEnv replaces the references in an entry of the `env` of a service, or of the
// workspace if service is empty.
func (c *checker) expandEnv(entry member, service, text string) string {
	if c.lookup == nil || !strings.Contains(text, "${") {
		return text
	}
	r := references{lookup: func(name string) (string, bool) {
		if value, ok := c.lookup(name); ok {
			return value, true
		}
		value, ok := c.shared[name]
		return value, ok
	}}
	value := r.expand(text)
	c.ignore(entry.value, r.malformed)
	for _, name := range r.unset {
		at := c.errorAt(position(entry.value), "%s", notSet(name))
		c.local.Unset = append(c.local.Unset, at)
	}
	for _, name := range r.names {
		if name == entry.name {
			if c.local.Extends == nil {
				c.local.Extends = map[string]bool{}
			}
			c.local.Extends[strings.TrimSpace(service+" "+name)] = true
		}
	}
	return value
}

func (c *checker) ignore(at ast.Node, texts []string) {
	for _, text := range texts {
		c.local.Ignored = append(c.local.Ignored, c.errorAt(position(at), "%s", malformed(text)))
	}
}
