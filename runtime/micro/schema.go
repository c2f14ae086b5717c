package micro

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/internal/js"
)

// Schema is the JSON Schema (2020-12) of a handler's data or reply, derived from its Go
// type. Struct fields are named by their json tag and are required unless the tag has
// omitempty or omitzero. The tags doc, format, enum (comma-separated words), minLength,
// maxLength, minimum, maximum, multipleOf, and pattern set the keywords of these names.
type Schema struct {
	Type        string     `json:"type,omitempty"`
	Title       string     `json:"title,omitempty"` // the Go type's name
	Description string     `json:"description,omitempty"`
	Format      string     `json:"format,omitempty"`
	Enum        []string   `json:"enum,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	MinLength   *int       `json:"minLength,omitempty"`
	MaxLength   *int       `json:"maxLength,omitempty"`
	Minimum     *float64   `json:"minimum,omitempty"`
	Maximum     *float64   `json:"maximum,omitempty"`
	MultipleOf  *float64   `json:"multipleOf,omitempty"`
	Properties  Properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
	Items       *Schema    `json:"items,omitempty"`
	// AdditionalProperties describes the values of a map.
	AdditionalProperties *Schema `json:"additionalProperties,omitempty"`
}

// JSONTyper is implemented by a type with its own JSON encoding to state what its values
// are in JSON: "string", "number", "integer", or "boolean". Schemas and validation then
// treat it like Go's types. Without it, they accept any value.
type JSONTyper interface{ JSONType() string }

// JSONTypeOf returns the result of the method JSONType of type t or of a pointer to it, or
// "" if it has none.
func JSONTypeOf(t reflect.Type) string {
	if typer, ok := reflect.New(t).Interface().(JSONTyper); ok {
		return typer.JSONType()
	}
	return ""
}

// Properties are an object's members in the order of the Go fields.
type Properties []Property

// Property is one member of an object.
type Property struct {
	Name   string
	Schema *Schema
}

// MarshalJSON writes the properties as one object, in order.
func (p Properties) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range p {
		if i > 0 {
			out = append(out, ',')
		}
		schema, err := json.Marshal(m.Schema)
		if err != nil {
			return nil, err
		}
		out = append(append(js.AppendString(out, m.Name), ':'), schema...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads the members of an object, keeping their order.
func (p *Properties) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	*p = nil
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		m := Property{Schema: new(Schema)}
		m.Name, _ = name.(string)
		if err := dec.Decode(m.Schema); err != nil {
			return err
		}
		*p = append(*p, m)
	}
	return nil
}

// schemaOf returns t's schema, or nil if t is nil, None, or raw JSON.
func schemaOf(t reflect.Type) *Schema {
	if t == nil || t == reflect.TypeFor[None]() || t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	return schemaFor(t, nil)
}

// schemaFor returns t's schema. parents are the structs that contain it, which are used to
// detect recursive types.
func schemaFor(t reflect.Type, parents []reflect.Type) *Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return &Schema{}
	case implements(t, reflect.TypeFor[json.Marshaler]()):
		return &Schema{Type: JSONTypeOf(t), Title: t.Name()}
	case implements(t, reflect.TypeFor[encoding.TextMarshaler]()):
		return &Schema{Type: "string", Title: t.Name()}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", Format: "byte"}
		}
		return &Schema{Type: "array", Items: schemaFor(t.Elem(), parents)}
	case reflect.Map:
		return &Schema{Type: "object", AdditionalProperties: schemaFor(t.Elem(), parents)}
	case reflect.Struct:
		return structSchema(t, parents)
	case reflect.Interface:
		return &Schema{}
	}
	return &Schema{Type: "integer"}
}

// implements reports whether t or a pointer to it has i's methods. Both count, because
// encoded values are addressable.
func implements(t, i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }

func structSchema(t reflect.Type, parents []reflect.Type) *Schema {
	s := &Schema{Type: "object", Title: t.Name()}
	for _, p := range parents {
		if p == t {
			s.Description = "recursive: as above"
			return s
		}
	}
	s.addFields(t, append(parents[:len(parents):len(parents)], t))
	return s
}

// addFields adds the fields of struct t, including those of embedded structs.
func (s *Schema) addFields(t reflect.Type, parents []reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if embedded := structOf(f); embedded != nil && name == "" {
			if !slices.Contains(parents, embedded) {
				s.addFields(embedded, append(parents[:len(parents):len(parents)], embedded))
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		field := schemaFor(f.Type, parents)
		field.constrain(f.Tag)
		s.Properties = append(s.Properties, Property{name, field})
		if !strings.Contains(rest, "omitempty") && !strings.Contains(rest, "omitzero") {
			s.Required = append(s.Required, name)
		}
	}
}

// structOf returns the struct type that f embeds, directly or by pointer, or nil if f is
// another kind of field.
func structOf(f reflect.StructField) reflect.Type {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !f.Anonymous || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// constrain sets the keywords that a field's tag specifies.
func (s *Schema) constrain(tag reflect.StructTag) {
	s.Description = tag.Get("doc")
	s.Pattern = tag.Get("pattern")
	if v := tag.Get("format"); v != "" {
		s.Format = v
	}
	if v := tag.Get("enum"); v != "" {
		s.Enum = strings.Split(v, ",")
	}
	s.MinLength = tagNumber(tag, "minLength", strconv.Atoi)
	s.MaxLength = tagNumber(tag, "maxLength", strconv.Atoi)
	s.Minimum = tagNumber(tag, "minimum", parseFloat)
	s.Maximum = tagNumber(tag, "maximum", parseFloat)
	s.MultipleOf = tagNumber(tag, "multipleOf", parseFloat)
}

func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func tagNumber[T any](tag reflect.StructTag, name string, parse func(string) (T, error)) *T {
	text, ok := tag.Lookup(name)
	if !ok {
		return nil
	}
	n, err := parse(text)
	if err != nil {
		return nil
	}
	return &n
}
