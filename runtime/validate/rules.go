package validate

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Rules are the constraints of a Go type on the JSON that it is decoded from. They are
// immutable and safe for concurrent use.
type Rules struct{ root *rule }

type kind uint8

const (
	kindAny kind = iota
	kindString
	kindBool
	kindInt
	kindNumber
	kindArray
	kindMap
	kindObject
)

// rule holds the constraints of one value.
type rule struct {
	kind     kind
	nullable bool
	items    *rule   // of arrays and maps
	members  *object // of objects; shared by the copies of a rule, and filled last where types are recursive

	format               string
	pattern              *regexp.Regexp
	enum                 []string
	minLength, maxLength *int
	minItems, maxItems   *int
	minimum, maximum     *float64
	// minimumGiven and maximumGiven are set for bounds of a tag, and not for those of a Go type.
	minimumGiven, maximumGiven bool
	multipleOf                 *float64
}

// object holds the members of an object.
type object struct{ fields []Field }

// Field is one member of an object.
type Field struct {
	// Name is the member's name in JSON.
	Name string
	// Path, Query, Header, and Claim are the values of the tags of these names: where a
	// gateway finds the member in a request, or in the token of its caller. They are empty
	// without the tag.
	Path, Query, Header, Claim string
	// Body reports whether the member is the whole body of a request: the tag in:"body".
	Body bool
	// Type is the type of the Go field.
	Type reflect.Type
	// Required reports whether the member must be present.
	Required bool

	rule   *rule
	preset json.RawMessage // of the tag default
}

// For returns the rules of type t. The error names the invalid tag.
func For(t reflect.Type) (*Rules, error) {
	b := builder{known: map[reflect.Type]*rule{}}
	root := b.typeRule(t)
	if b.err != nil {
		return nil, fmt.Errorf("rules of %s: %w", t, b.err)
	}
	return &Rules{root}, nil
}

// Object reports whether the type is a struct, whose members are checked.
func (r *Rules) Object() bool { return r.root.kind == kindObject }

// Fields returns the members of an object in the order of the Go fields. The caller
// owns the slice.
func (r *Rules) Fields() []Field {
	if r.root.members == nil {
		return nil
	}
	return slices.Clone(r.root.members.fields)
}

// Check is [Rules.Check] for the value of one member, which its messages name.
func (f Field) Check(v any, unknown Unknown) []string {
	c := checker{unknown: unknown}
	c.value(f.rule, subject{f.Name, f.Name + "."}, v)
	return c.texts()
}

// Rules returns the rules of the member's value alone, whose messages do not name the member.
func (f Field) Rules() *Rules { return &Rules{f.rule} }

// Without returns the rules of an object without one member, which they do not know.
func (r *Rules) Without(name string) *Rules {
	root := *r.root
	root.members = &object{slices.DeleteFunc(r.Fields(), func(f Field) bool { return f.Name == name })}
	return &Rules{&root}
}

// builder creates rules from types. known holds existing rules, for recursive types.
type builder struct {
	known map[reflect.Type]*rule
	err   error
}

func (b *builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

func (b *builder) typeRule(t reflect.Type) *rule {
	if t.Kind() == reflect.Pointer {
		r := *b.typeRule(t.Elem())
		r.nullable = true
		return &r
	}
	if t == reflect.TypeFor[time.Time]() {
		return &rule{kind: kindString, format: "date-time"}
	}
	pointer := reflect.PointerTo(t)
	if pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return typedRule(micro.JSONTypeOf(t))
	}
	if pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return &rule{kind: kindString}
	}
	switch t.Kind() {
	case reflect.String:
		return &rule{kind: kindString}
	case reflect.Bool:
		return &rule{kind: kindBool}
	case reflect.Float32, reflect.Float64:
		return &rule{kind: kindNumber}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &rule{kind: kindString, format: "byte"}
		}
		return &rule{kind: kindArray, items: b.typeRule(t.Elem())}
	case reflect.Map:
		return &rule{kind: kindMap, items: b.typeRule(t.Elem())}
	case reflect.Struct:
		return b.structRule(t)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integerRule(t)
	}
	return &rule{nullable: true}
}

// typedRule returns the rule of a type with its own JSON encoding. If it does not state its
// type, its own method decides what it accepts.
func typedRule(jsonType string) *rule {
	switch jsonType {
	case "string":
		return &rule{kind: kindString}
	case "number":
		return &rule{kind: kindNumber}
	case "integer":
		return &rule{kind: kindInt}
	case "boolean":
		return &rule{kind: kindBool}
	}
	return &rule{nullable: true}
}

// integerRule limits an integer to the range of its type.
func integerRule(t reflect.Type) *rule {
	r := &rule{kind: kindInt}
	switch bits := t.Bits(); {
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		zero := 0.0
		r.minimum = &zero
		if bits < 64 {
			most := math.Pow(2, float64(bits)) - 1
			r.maximum = &most
		}
	case bits < 64:
		least, most := -math.Pow(2, float64(bits-1)), math.Pow(2, float64(bits-1))-1
		r.minimum, r.maximum = &least, &most
	}
	return r
}

func (b *builder) structRule(t reflect.Type) *rule {
	if r := b.known[t]; r != nil {
		return r
	}
	r := &rule{kind: kindObject, members: &object{}}
	b.known[t] = r
	b.addFields(r.members, t)
	return r
}

// addFields adds the fields of struct t. Fields of embedded structs count as its own,
// unless it has a field of the same name.
func (b *builder) addFields(to *object, t reflect.Type) {
	var embedded []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case name == "-":
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			embedded = append(embedded, inner)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			b.addField(to, f, name, options)
		}
	}
	for _, inner := range embedded {
		b.addFields(to, inner)
	}
}

func (b *builder) addField(to *object, f reflect.StructField, name, options string) {
	if slices.ContainsFunc(to.fields, func(other Field) bool { return other.Name == name }) {
		return
	}
	own := *b.typeRule(f.Type)
	field := Field{
		Name: name, Path: f.Tag.Get("path"), Query: f.Tag.Get("query"), Header: f.Tag.Get("header"), Claim: f.Tag.Get("claim"),
		Type: f.Type, rule: &own,
	}
	if where, ok := f.Tag.Lookup("in"); ok {
		if field.Body = where == "body"; !field.Body {
			b.fail("field %s: tag in: %q must be \"body\"", f.Name, where)
		}
	}
	field.Required = !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero")
	if text, ok := f.Tag.Lookup("required"); ok {
		field.Required = text == "true"
	}
	if text, ok := f.Tag.Lookup("default"); ok {
		field.preset = b.preset(&own, f.Name, text)
		field.Required = false
	}
	if !field.Required {
		own.nullable = true
	}
	b.constrain(&own, f)
	to.fields = append(to.fields, field)
}

// preset returns the text of a tag default as JSON.
func (b *builder) preset(r *rule, field, text string) json.RawMessage {
	if r.kind == kindString {
		quoted, err := json.Marshal(text)
		if err != nil {
			b.fail("field %s: tag default: %w", field, err)
		}
		return quoted
	}
	if !json.Valid([]byte(text)) {
		b.fail("field %s: tag default: %q is not JSON", field, text)
	}
	return json.RawMessage(text)
}

// constrain reads the constraints in a field's tag. Those of an array other
// than minItems and maxItems are for its items, as in the OpenAPI document.
func (b *builder) constrain(r *rule, f reflect.StructField) {
	r.minItems = number(b, f, "minItems", strconv.Atoi)
	r.maxItems = number(b, f, "maxItems", strconv.Atoi)
	if r.kind == kindArray {
		items := *r.items
		r.items = &items
		r = &items
	}
	if v := f.Tag.Get("format"); v != "" {
		r.format = v
	}
	if v := f.Tag.Get("enum"); v != "" {
		r.enum = strings.Split(v, ",")
	}
	if v := f.Tag.Get("pattern"); v != "" {
		var err error
		if r.pattern, err = regexp.Compile(v); err != nil {
			b.fail("field %s: tag pattern: %w", f.Name, err)
		}
	}
	r.minLength = number(b, f, "minLength", strconv.Atoi)
	r.maxLength = number(b, f, "maxLength", strconv.Atoi)
	if v := number(b, f, "minimum", parseFloat); v != nil {
		r.minimum, r.minimumGiven = v, true
	}
	if v := number(b, f, "maximum", parseFloat); v != nil {
		r.maximum, r.maximumGiven = v, true
	}
	r.multipleOf = number(b, f, "multipleOf", parseFloat)
	if r.multipleOf != nil && *r.multipleOf <= 0 {
		b.fail("field %s: tag multipleOf: must be greater than 0", f.Name)
	}
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func number[T any](b *builder, f reflect.StructField, tag string, parse func(string) (T, error)) *T {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	n, err := parse(text)
	if err != nil {
		b.fail("field %s: tag %s: %q is not a number", f.Name, tag, text)
		return nil
	}
	return &n
}
