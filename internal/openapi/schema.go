package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// schema returns a schema in the form that services describe their types in. within are the names
// of the schemas around it. What has no equivalent accepts any value.
func (r *reader) schema(v any, within []string) *micro.Schema {
	m, ok := v.(map[string]any)
	if r.schemas--; !ok || r.schemas < 0 || len(within) > 50 {
		return &micro.Schema{}
	}
	if ref, ok := m["$ref"].(string); ok {
		return r.referred(ref, within)
	}
	inner := deeper(within, "")
	if one := r.only(m); one != nil {
		return r.schema(one, inner)
	}
	s := &micro.Schema{Type: typeOf(m), Title: text(m["title"]), Description: text(m["description"]), Format: text(m["format"])}
	values, _ := m["enum"].([]any)
	for _, value := range values {
		if value == nil {
			value = "null"
		}
		s.Enum = append(s.Enum, fmt.Sprint(value))
	}
	required, _ := m["required"].([]any)
	for _, name := range required {
		s.Required = append(s.Required, text(name))
	}
	if m["items"] != nil {
		s.Items = r.schema(m["items"], inner)
	}
	if values, ok := m["additionalProperties"].(map[string]any); ok {
		s.AdditionalProperties = r.schema(values, inner)
	}
	r.properties(s, m, inner)
	return s
}

// referred returns the schema that a reference leads to. Its name is the last part.
func (r *reader) referred(ref string, within []string) *micro.Schema {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	target := r.at(ref)
	if slices.Contains(within, ref) || target == nil {
		return &micro.Schema{Type: "object", Title: name} // recursive, or of another document
	}
	s := r.schema(target, deeper(within, ref))
	if s.Type == "object" {
		s.Title = name
	}
	return s
}

// deeper adds a level, which has the name of a schema or none.
func deeper(within []string, name string) []string {
	return append(within[:len(within):len(within)], name)
}

// properties adds the members of an object, including those of its parts.
func (r *reader) properties(s *micro.Schema, m map[string]any, within []string) {
	members, _ := m["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		s.Properties = append(s.Properties, micro.Property{Name: name, Schema: r.schema(members[name], within)})
	}
	parts, _ := m["allOf"].([]any)
	for _, part := range parts {
		p := r.schema(part, within)
		s.Properties = append(s.Properties, p.Properties...)
		s.Required = append(s.Required, p.Required...)
	}
	if len(s.Properties) > 0 && s.Type == "" {
		s.Type = "object"
	}
}

// only returns the one alternative of a schema apart from null, or the one part of it, or nil.
func (r *reader) only(m map[string]any) any {
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		list, _ := m[key].([]any)
		list = slices.DeleteFunc(slices.Clone(list), func(v any) bool {
			alternative, _ := v.(map[string]any)
			return alternative["type"] == "null"
		})
		if len(list) == 1 && m["properties"] == nil {
			return list[0]
		}
	}
	return nil
}

// typeOf returns the type of a schema apart from null; "" for several.
func typeOf(m map[string]any) string {
	switch t := m["type"].(type) {
	case string:
		return t
	case []any:
		rest := slices.DeleteFunc(slices.Clone(t), func(v any) bool { return v == "null" })
		if len(rest) == 1 {
			return text(rest[0])
		}
	}
	return ""
}
