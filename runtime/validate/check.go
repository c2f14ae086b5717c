package validate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Unknown defines how members that the type does not have are handled.
type Unknown uint8

const (
	// Forbid reports each of them as a problem, as NestJS's whitelist with
	// forbidNonWhitelisted does. It is the zero value.
	Forbid Unknown = iota
	// Strip removes them, as NestJS's whitelist alone does.
	Strip
	// Allow keeps them.
	Allow
)

// maxDepth limits how deep values are nested. No contract needs more, and the places of deep
// values in messages are long.
const maxDepth = 200

// Parse reads one JSON text as a tree that [Rules.Check] takes: objects are
// map[string]any, numbers json.Number. It rejects values that are nested more than 200 levels
// deep. The error contains the position of the problem, but nothing of the text, which may be a
// secret.
func Parse(text []byte) (any, error) {
	if at := tooDeep(text); at >= 0 {
		return nil, fmt.Errorf("more than %d nested levels at byte %d", maxDepth, at)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	if err == nil {
		end := dec.InputOffset()
		if _, more := dec.Token(); more != io.EOF {
			return nil, fmt.Errorf("unexpected data after the JSON value at byte %d", end)
		}
		return v, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("invalid JSON at byte %d", syntax.Offset-firstOffset()+1)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("unexpected end of the JSON")
	}
	return nil, errors.New("invalid JSON")
}

// tooDeep returns the place of the first value that is nested too deep, or -1.
func tooDeep(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return i
			}
		case '}', ']':
			depth--
		}
	}
	return -1
}

// firstOffset returns the offset of the first byte in encoding/json's errors: 0 if it
// is built on encoding/json/v2, and 1 otherwise.
func firstOffset() int64 {
	var syntax *json.SyntaxError
	errors.As(json.NewDecoder(bytes.NewReader([]byte("x"))).Decode(new(any)), &syntax)
	return syntax.Offset
}

// Check returns all problems of v, a tree that [Parse] returned, in the order of the
// Go fields, and those of a field in the order of class-validator; nil means none. Unknown
// members come first, in the order in which sent has them, the text of v, or sorted if it is
// nil. Check strips unknown members and fills in defaults in place, so v must not be shared.
func (r *Rules) Check(v any, sent []byte, unknown Unknown) []string {
	c := checker{unknown: unknown}
	if r.root.kind == kindObject {
		members, ok := v.(map[string]any)
		if !ok {
			return []string{"the data must be a JSON object"}
		}
		c.object(r.root, "", members)
	} else {
		c.value(r.root, subject{label: "the data"}, v)
	}
	if len(c.strange) > 0 && sent != nil {
		arrange(c.strange, sent)
	}
	return c.texts()
}

// checker collects problems.
type checker struct {
	unknown  Unknown
	problems []problem
	strange  []*strangers
	room     [8]string // for the messages of one value
}

// problem is a message, or several for the unknown members of an object.
type problem struct {
	text    string
	strange *strangers
}

// strangers are the unknown members of an object at a path.
type strangers struct {
	path  string
	names []string
}

// maxProblems limits the number of problems reported for one message.
const maxProblems = 100

func (c *checker) fail(text string) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, problem{text: text})
	}
}

// texts returns the messages of all problems.
func (c *checker) texts() (all []string) {
	for _, p := range c.problems {
		if p.strange == nil {
			all = append(all, p.text)
			continue
		}
		for _, name := range p.strange.names[:min(len(p.strange.names), maxProblems)] {
			all = append(all, p.strange.path+"property "+shown(name)+" should not exist")
		}
	}
	return all[:min(len(all), maxProblems)]
}

// subject names a value in messages: "name", "each value in tags", and in
// "address.street" path "address.street.".
type subject struct{ label, path string }

func (c *checker) object(r *rule, path string, members map[string]any) {
	if c.unknown != Allow && len(members) > 0 {
		c.strangers(r, path, members)
	}
	for i := range r.members.fields {
		f := &r.members.fields[i]
		v, there := members[f.Name]
		if !there && f.preset != nil {
			if fill, err := Parse(f.preset); err == nil {
				members[f.Name], v, there = fill, fill, true
			}
		}
		if there || f.Required {
			name := path + f.Name
			c.value(f.rule, subject{name, name + "."}, v)
		}
	}
}

// strangers handles the members that the type does not have.
func (c *checker) strangers(r *rule, path string, members map[string]any) {
	var names []string
	for name := range maps.Keys(members) {
		if !slices.ContainsFunc(r.members.fields, func(f Field) bool { return f.Name == name }) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
	case c.unknown == Strip:
		for _, name := range names {
			delete(members, name)
		}
	case len(c.problems) < maxProblems:
		slices.Sort(names)
		all := &strangers{path, names}
		c.problems, c.strange = append(c.problems, problem{strange: all}), append(c.strange, all)
	}
}

// shown truncates a name chosen by the client.
func shown(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}

// value checks one value. A missing value is nil, like null.
func (c *checker) value(r *rule, s subject, v any) {
	if v == nil && r.nullable {
		return
	}
	switch r.kind {
	case kindString, kindBool, kindInt, kindNumber:
		c.failEach(s.label, r.violated(c.room[:0], v))
	case kindArray:
		c.array(r, s, v)
	case kindMap:
		members, ok := v.(map[string]any)
		if !ok {
			c.fail(s.label + " must be an object")
			return
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			c.value(r.items, subject{s.path + shown(name), s.path + shown(name) + "."}, members[name])
		}
	case kindObject:
		members, ok := v.(map[string]any)
		if !ok {
			c.fail(s.label + " must be an object")
			return
		}
		c.object(r, s.path, members)
	}
}

func (c *checker) failEach(label string, messages []string) {
	for _, message := range messages {
		if message != "" {
			c.fail(label + message)
		}
	}
}

func (c *checker) array(r *rule, s subject, v any) {
	list, ok := v.([]any)
	plain := !r.items.nested()
	if plain {
		c.each(r.items, s, v)
	}
	if r.maxItems != nil && (!ok || len(list) > *r.maxItems) {
		c.fail(fmt.Sprintf("%s must contain no more than %d elements", s.label, *r.maxItems))
	}
	if r.minItems != nil && (!ok || len(list) < *r.minItems) {
		c.fail(fmt.Sprintf("%s must contain at least %d elements", s.label, *r.minItems))
	}
	if !ok {
		c.fail(s.label + " must be an array")
	}
	if plain || r.maxItems != nil && len(list) > *r.maxItems {
		return
	}
	for i, item := range list {
		place := s.path + strconv.Itoa(i)
		c.value(r.items, subject{place, place + "."}, item)
	}
}

// each checks the elements of a list, and reports each violated rule once. Like class-validator,
// it applies the rules to a value that is no list, too.
func (c *checker) each(r *rule, s subject, v any) {
	list, ok := v.([]any)
	if !ok {
		if v == nil {
			return
		}
		list = []any{v}
	}
	var violated []string
	for _, item := range list {
		if item == nil && r.nullable {
			continue
		}
		found := r.violated(c.room[:0], item)
		if violated == nil {
			violated = make([]string, len(found))
		}
		for i, message := range found {
			if violated[i] == "" {
				violated[i] = message
			}
		}
	}
	c.failEach("each value in "+s.label, violated)
}

// nested reports whether a value has parts with places of their own.
func (r *rule) nested() bool {
	return r.kind == kindObject || r.kind == kindMap || r.kind == kindArray
}
