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

// Parse reads one JSON text as a tree that [Rules.Check] takes: objects are
// map[string]any, numbers json.Number. The error contains the position of the
// problem, but nothing of the text, which may be a secret.
func Parse(text []byte) (any, error) {
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

// firstOffset returns the offset of the first byte in encoding/json's errors: 0 if it
// is built on encoding/json/v2, and 1 otherwise.
func firstOffset() int64 {
	var syntax *json.SyntaxError
	errors.As(json.NewDecoder(bytes.NewReader([]byte("x"))).Decode(new(any)), &syntax)
	return syntax.Offset
}

// Check returns all problems of v, a tree that [Parse] returned, in the order of the
// Go fields, unknown members first; nil means none. It strips unknown members and
// fills in defaults in place, so v must not be shared.
func (r *Rules) Check(v any, unknown Unknown) []string {
	c := checker{unknown: unknown}
	if r.root.kind == kindObject {
		members, ok := v.(map[string]any)
		if !ok {
			return []string{"the data must be a JSON object"}
		}
		c.object(r.root, "", members)
		return c.problems
	}
	c.value(r.root, subject{label: "the data"}, v)
	return c.problems
}

// checker collects problems.
type checker struct {
	unknown  Unknown
	problems []string
}

// maxProblems limits the number of problems reported for one message.
const maxProblems = 100

func (c *checker) fail(text string) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, text)
	}
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
	slices.Sort(names)
	for _, name := range names {
		if c.unknown == Strip {
			delete(members, name)
			continue
		}
		c.fail(path + "property " + shown(name) + " should not exist")
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
	case kindString:
		if text, ok := v.(string); ok {
			c.text(r, s, text)
			return
		}
		c.fail(s.label + stringMessage(r))
	case kindBool:
		if _, ok := v.(bool); !ok {
			c.fail(s.label + " must be a boolean value")
		}
	case kindInt, kindNumber:
		c.number(r, s, v)
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

// stringMessage returns the problem of a value that is not a string.
func stringMessage(r *rule) string {
	if r.format == "date-time" {
		return formatMessage(r.format)
	}
	return " must be a string"
}

func (c *checker) array(r *rule, s subject, v any) {
	list, ok := v.([]any)
	if !ok {
		c.fail(s.label + " must be an array")
		return
	}
	if r.minItems != nil && len(list) < *r.minItems {
		c.fail(fmt.Sprintf("%s must contain at least %d elements", s.label, *r.minItems))
	}
	if r.maxItems != nil && len(list) > *r.maxItems {
		c.fail(fmt.Sprintf("%s must contain no more than %d elements", s.label, *r.maxItems))
		return
	}
	for i, item := range list {
		before := len(c.problems)
		place := s.path + strconv.Itoa(i)
		if r.items.kind == kindObject || r.items.kind == kindMap || r.items.kind == kindArray {
			c.value(r.items, subject{place, place + "."}, item)
			continue
		}
		c.value(r.items, subject{"each value in " + s.label, ""}, item)
		if len(c.problems) > before {
			return // the others would repeat the message
		}
	}
}
