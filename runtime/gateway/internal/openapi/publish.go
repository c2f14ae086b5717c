package openapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/yaml"
)

// schemaPrefix begins the references to schemas.
const schemaPrefix = "#/components/schemas/"

// JSON returns the document as it is published: paths have OpenAPI's syntax instead of that of
// http.ServeMux, null is a type of the values that may be null and of no others, and schemas
// that nothing refers to are left out. The document itself does not change, because huma
// validates requests with its schemas.
func JSON(doc *huma.OpenAPI) ([]byte, error) {
	public := *doc
	public.Paths = paths(doc.Paths)
	text, err := json.Marshal(&public)
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var tree node
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	components := tree.member("components")
	p := pruner{schemas: components.member("schemas"), used: map[string]*node{}}
	addNull(p.schemas, doc.Components.Schemas)
	delete(components.members, "schemas")
	p.visit(&tree, false)
	components.members["schemas"] = &node{members: p.used}
	if text, err = json.Marshal(&tree); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return text, nil
}

// YAML converts a document that [JSON] has returned.
func YAML(text []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := yaml.Convert(&out, bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return out.Bytes(), nil
}

// paths returns the operations by their paths in OpenAPI's syntax. http.ServeMux's {name...} and
// {$} are not part of it.
func paths(all map[string]*huma.PathItem) map[string]*huma.PathItem {
	out := map[string]*huma.PathItem{}
	for path, item := range all {
		path = strings.ReplaceAll(strings.TrimSuffix(path, "{$}"), "...}", "}")
		if out[path] == nil {
			out[path] = &huma.PathItem{}
		}
		merge(out[path], item)
	}
	return out
}

// merge adds the operations of a path to those of another one.
func merge(to, from *huma.PathItem) {
	target, source := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range source.NumField() {
		if !source.Field(i).IsZero() {
			target.Field(i).Set(source.Field(i))
		}
	}
}

// addNull lets members be null that refer to an object and are encoded even if there is none.
// huma does this for all other types.
func addNull(schemas *node, registry huma.Registry) {
	nullable := pointers(registry)
	for name, schema := range registry.Map() {
		properties := schemas.member(name).member("properties")
		for property, s := range schema.Properties {
			published := properties.member(property)
			if !nullable[s] || published == nil {
				continue
			}
			published.members["anyOf"] = &node{items: []*node{
				{members: map[string]*node{"$ref": published.members["$ref"]}},
				{members: map[string]*node{"type": {raw: json.RawMessage(`"null"`)}}},
			}}
			delete(published.members, "$ref")
		}
	}
}

// pointers returns the schemas of the struct fields that point to an object and are never
// omitted.
func pointers(registry huma.Registry) map[*huma.Schema]bool {
	all := map[*huma.Schema]bool{}
	for name, schema := range registry.Map() {
		t := registry.TypeFromRef(schemaPrefix + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			s := schema.Properties[cmp.Or(name, f.Name)]
			if s != nil && s.Ref != "" && f.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omit") {
				all[s] = true
			}
		}
	}
	return all
}

// pruner collects the schemas that a document refers to, directly or through other schemas.
type pruner struct {
	schemas *node
	used    map[string]*node
}

// visit reads a part of the document. In an object with named entries, no name is a keyword.
func (p *pruner) visit(n *node, named bool) {
	if n == nil { // null
		return
	}
	for _, item := range n.items {
		p.visit(item, false)
	}
	if !named {
		p.keywords(n)
	}
	for key, child := range n.members {
		switch {
		case named || !slices.Contains([]string{"example", "examples", "default", "enum"}, key):
			p.visit(child, !named && key == "properties")
		case child != nil:
			child.members, child.items = nil, nil // it stays as it is, in its order
		}
	}
}

// keywords follows the reference of a schema. An array is never null: an empty one is encoded
// as [].
func (p *pruner) keywords(n *node) {
	var ref string
	if r := n.member("$ref"); r != nil && json.Unmarshal(r.raw, &ref) == nil {
		name, isSchema := strings.CutPrefix(ref, schemaPrefix)
		if isSchema && p.used[name] == nil && p.schemas.member(name) != nil {
			p.used[name] = p.schemas.member(name)
			p.visit(p.used[name], false)
		}
	}
	if t := n.member("type"); t != nil && string(t.raw) == `["array","null"]` {
		n.members["type"] = &node{raw: json.RawMessage(`"array"`)}
	}
}

// node is a JSON value. raw is its text, which is used if it has no members or items.
type node struct {
	raw     json.RawMessage
	members map[string]*node
	items   []*node
}

func (n *node) UnmarshalJSON(text []byte) error {
	n.raw = slices.Clone(text)
	switch text[0] {
	case '{':
		return json.Unmarshal(text, &n.members)
	case '[':
		return json.Unmarshal(text, &n.items)
	}
	return nil
}

func (n *node) MarshalJSON() ([]byte, error) {
	switch {
	case n.members != nil:
		return json.Marshal(n.members)
	case n.items != nil:
		return json.Marshal(n.items)
	}
	return n.raw, nil
}

// member returns a member of an object, or nil.
func (n *node) member(name string) *node {
	if n == nil {
		return nil
	}
	return n.members[name]
}
