package workspace

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// references replaces ${NAME} and ${NAME:-default} in texts by the values of variables. A
// default also takes the place of an empty value, and may contain references and balanced
// braces. $${ is the text ${.
type references struct {
	lookup    func(name string) (string, bool)
	unset     []string // variables without a value and a default
	malformed []string // texts that begin like a reference
	keep      bool     // references to variables without a value and a default stay as they are
	unclosed  string   // the variable of a reference without its closing brace
	names     []string // all variables that have an effect
}

// opening matches what follows the ${ of a reference. At the end of the text, it is not closed.
var opening = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(:-|\}|$)`)

// Expand replaces the references in a text, as in msctl.yaml. Those to variables without a
// value and a default stay as they are.
func Expand(text string, lookup func(name string) (string, bool)) string {
	r := references{lookup: lookup, keep: true}
	return r.expand(text)
}

func (r *references) expand(text string) string {
	value, _, _ := r.scan(text, false, true)
	return value
}

// scan replaces the references in a text or, if it is a default, up to the brace that closes
// it. In a default that is not used, no variable is looked up.
func (r *references) scan(text string, isDefault, used bool) (value, rest string, closed bool) {
	var b strings.Builder
	depth := 0
	for text != "" {
		var found []string
		if after, ok := strings.CutPrefix(text, "${"); ok {
			found = opening.FindStringSubmatch(after)
		}
		switch {
		case strings.HasPrefix(text, "$${"):
			b.WriteString("${")
			text = text[len("$${"):]
			depth++
		case found != nil:
			value, text = r.reference(found, text[len("${")+len(found[0]):], used)
			b.WriteString(value)
		case isDefault && text[0] == '}' && depth == 0:
			return b.String(), text[1:], true
		default:
			if strings.HasPrefix(text, "${") && used {
				inner, _, _ := strings.Cut(text, "}")
				r.malformed = append(r.malformed, inner)
			}
			switch text[0] {
			case '{':
				depth++
			case '}':
				depth--
			}
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String(), "", !isDefault
}

// reference returns the value of a reference, of which found has been read and text follows.
func (r *references) reference(found []string, text string, used bool) (value, rest string) {
	name, hasDefault, closed := found[1], found[2] == ":-", found[2] == "}"
	ok := true
	if used {
		r.names = append(r.names, name)
		value, ok = r.lookup(name)
	}
	if hasDefault {
		var preset string
		preset, text, closed = r.scan(text, true, used && value == "")
		if value == "" {
			value = preset
		}
	}
	switch {
	case !closed && r.unclosed == "":
		r.unclosed = name
	case closed && !ok && !hasDefault:
		r.unset = append(r.unset, name)
		if r.keep {
			value = "${" + name + "}"
		}
	}
	return value, text
}

// notSet describes a missing variable.
func notSet(name string) string {
	return fmt.Sprintf("the variable %s is not set: set it in the environment, .env.local, or .env, or add a default: ${%s:-…}", name, name)
}

// notClosed describes a reference without its closing brace. It omits the default, which
// may be a secret.
func notClosed(name string) string {
	return fmt.Sprintf("the reference ${%s is not closed: add the missing }, or use $${ for the text ${", name)
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
	if r.unclosed != "" {
		c.fail(m.value, "%s", notClosed(r.unclosed))
	}
	return value, len(r.unset) == 0 && r.unclosed == ""
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
	if r.unclosed != "" {
		c.local.Unset = append(c.local.Unset, c.errorAt(position(entry.value), "%s", notClosed(r.unclosed)))
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
