package openapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// Route is one operation of a document.
type Route struct {
	Method, Path string
	// OperationID, Summary, and Tags are empty if the document does not state them.
	OperationID, Summary string
	Tags                 []string
	Deprecated           bool
	Access               Access
	Parameters           []Parameter
	// Body is the JSON body, or the first one of another type; nil for none.
	Body *micro.Schema
	// Status is that of the response to a request that succeeds, such as "201"; "" if none is
	// stated. Output is its body; nil for none.
	Status string
	Output *micro.Schema
	// Statuses are those of all responses, sorted.
	Statuses []string
}

// Access is what a route requires of its caller.
type Access struct {
	// Stated is set if the document states anything about it.
	Stated bool
	// Public is set if a request without credentials is admitted.
	Public bool
	// AnyOf are the combinations of credentials of which one is enough.
	AnyOf [][]Credential
}

// Credential is one kind of credentials, with the scopes that it must have.
type Credential struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes,omitempty"`
}

// Parameter is a part of the path, the query, the header, or the cookies.
type Parameter struct {
	Name     string        `json:"name"`
	In       string        `json:"in"`
	Required bool          `json:"required,omitempty"`
	Schema   *micro.Schema `json:"schema,omitempty"`
}

var methods = []string{"get", "head", "post", "put", "patch", "delete", "options", "trace", "query"}

// reader reads a document. Its methods have the place of a value as an argument, for errors.
type reader struct {
	root map[string]any
	// schemas is how many parts of types may still be read for the current route, and total for
	// the routes after it.
	schemas, total int
}

// These limit the parts of the types of a route and of a document: types may refer to each other
// in ways that grow forever. Parts beyond accept any value.
const (
	maxSchemas      = 300_000
	maxRouteSchemas = 20_000
)

func newReader(root map[string]any) *reader { return &reader{root: root, total: maxSchemas} }

func (r *reader) document() (*Document, error) {
	version, _ := r.root["openapi"].(string)
	if n, ok := r.root["openapi"].(fmt.Stringer); ok {
		version = n.String()
	}
	switch old := r.root["swagger"]; {
	case version == "" && old != nil:
		return nil, fmt.Errorf("swagger: version %v is not supported: use OpenAPI 3.0 or later", old)
	case version == "":
		return nil, fmt.Errorf("not an OpenAPI document: the member openapi is missing")
	case version != "3" && !slices.ContainsFunc([]string{"3.0", "3.1", "3.2"}, func(v string) bool { return version == v || strings.HasPrefix(version, v+".") }):
		return nil, fmt.Errorf("openapi: version %.20q is not supported: use 3.0, 3.1, or 3.2", version)
	}
	doc := &Document{OpenAPI: version}
	info, err := r.object(r.root["info"], "info")
	if err != nil {
		return nil, err
	}
	doc.Title, doc.Version = text(info["title"]), text(info["version"])
	paths, err := r.object(r.root["paths"], "paths")
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if !strings.HasPrefix(path, "/") {
			continue // an extension
		}
		if err := r.pathItem(doc, path, paths[path]); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func (r *reader) pathItem(doc *Document, path string, v any) error {
	place := "paths." + path
	item, err := r.object(v, place)
	if err != nil {
		return err
	}
	for _, method := range methods {
		if item[method] == nil {
			continue
		}
		route, err := r.operation(item, item[method], place+"."+method)
		if err != nil {
			return err
		}
		route.Method, route.Path = strings.ToUpper(method), path
		doc.Routes = append(doc.Routes, route)
	}
	return nil
}

func (r *reader) operation(item map[string]any, v any, place string) (route Route, err error) {
	op, err := r.object(v, place)
	if err != nil {
		return route, err
	}
	given := min(r.total, maxRouteSchemas)
	r.schemas = given
	defer func() { r.total -= given - max(r.schemas, 0) }()
	route.OperationID, route.Summary = text(op["operationId"]), text(op["summary"])
	route.Deprecated, _ = op["deprecated"].(bool)
	tags, _ := op["tags"].([]any)
	for _, tag := range tags {
		route.Tags = append(route.Tags, text(tag))
	}
	if route.Access, err = r.access(op, place); err != nil {
		return route, err
	}
	for _, list := range []struct {
		v     any
		place string
	}{{item["parameters"], place[:strings.LastIndexByte(place, '.')]}, {op["parameters"], place}} {
		if err := r.parameters(&route, list.v, list.place+".parameters"); err != nil {
			return route, err
		}
	}
	if op["requestBody"] != nil {
		if route.Body, err = r.content(op["requestBody"], place+".requestBody"); err != nil {
			return route, err
		}
		route.Body = cmp.Or(route.Body, &micro.Schema{})
	}
	return route, r.responses(&route, op["responses"], place+".responses")
}

// access reads what an operation requires, or what the document requires of all.
func (r *reader) access(op map[string]any, place string) (a Access, err error) {
	v, own := op["security"]
	if !own {
		v, place = r.root["security"], ""
	}
	place = strings.TrimPrefix(place+".security", ".")
	if v == nil {
		return a, nil
	}
	list, ok := v.([]any)
	if !ok {
		return a, fmt.Errorf("%s: %s instead of a list", place, kindOf(v))
	}
	a.Stated, a.Public = true, len(list) == 0
	for i, v := range list {
		requirement, err := r.object(v, fmt.Sprintf("%s[%d]", place, i))
		if err != nil {
			return a, err
		}
		var all []Credential
		for _, name := range slices.Sorted(maps.Keys(requirement)) {
			c := Credential{Name: name}
			scopes, _ := requirement[name].([]any)
			for _, scope := range scopes {
				c.Scopes = append(c.Scopes, text(scope))
			}
			all = append(all, c)
		}
		if len(all) == 0 {
			a.Public = true
			continue
		}
		a.AnyOf = append(a.AnyOf, all)
	}
	return a, nil
}

// parameters adds parameters. Those of an operation replace those of its path.
func (r *reader) parameters(route *Route, v any, place string) error {
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%s: %s instead of a list", place, kindOf(v))
	}
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", place, i)
		m, err := r.object(v, at)
		if err != nil {
			return err
		}
		p := Parameter{Name: text(m["name"]), In: text(m["in"])}
		if p.Name == "" || p.In == "" {
			return fmt.Errorf("%s: name or in is missing", at)
		}
		p.Required, _ = m["required"].(bool)
		if m["schema"] != nil {
			p.Schema = r.schema(m["schema"], nil)
		} else if p.Schema, err = r.content(m, at); err != nil {
			return err
		}
		route.Parameters = slices.DeleteFunc(route.Parameters, func(other Parameter) bool { return other.Name == p.Name && other.In == p.In })
		route.Parameters = append(route.Parameters, p)
	}
	return nil
}

// responses reads the statuses, and the body of the first one that is a success.
func (r *reader) responses(route *Route, v any, place string) error {
	if v == nil {
		return nil
	}
	all, err := r.object(v, place)
	if err != nil {
		return err
	}
	for _, status := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		route.Statuses = append(route.Statuses, status)
		if route.Status != "" || !strings.HasPrefix(status, "2") {
			continue
		}
		route.Status = status
		if route.Output, err = r.content(all[status], place+"."+status); err != nil {
			return err
		}
	}
	return nil
}

// content returns the schema of a body: that of JSON, or the first one.
func (r *reader) content(v any, place string) (*micro.Schema, error) {
	holder, err := r.object(v, place)
	if err != nil || holder["content"] == nil {
		return nil, err
	}
	content, err := r.object(holder["content"], place+".content")
	if err != nil {
		return nil, err
	}
	kinds := slices.Sorted(maps.Keys(content))
	if len(kinds) == 0 {
		return nil, nil
	}
	kind := kinds[0]
	if i := slices.IndexFunc(kinds, func(kind string) bool { return strings.HasPrefix(kind, "application/json") }); i >= 0 {
		kind = kinds[i]
	}
	media, err := r.object(content[kind], place+".content."+kind)
	if err != nil {
		return nil, err
	}
	return r.schema(media["schema"], nil), nil
}

// object returns an object, or the one that it refers to.
func (r *reader) object(v any, place string) (map[string]any, error) {
	for range 10 {
		m, ok := v.(map[string]any)
		switch {
		case v == nil:
			return nil, fmt.Errorf("%s is missing", place)
		case !ok:
			return nil, fmt.Errorf("%s: %s instead of an object", place, kindOf(v))
		}
		ref, ok := m["$ref"].(string)
		if !ok {
			return m, nil
		}
		if v = r.at(ref); v == nil {
			return nil, fmt.Errorf("%s: $ref %.100q leads nowhere", place, ref)
		}
	}
	return nil, fmt.Errorf("%s: $ref leads to itself", place)
}

// at returns the value that a reference leads to, or nil. Other documents are not read.
func (r *reader) at(ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	var v any = r.root
	for key := range strings.SplitSeq(path, "/") {
		m, _ := v.(map[string]any)
		v = m[strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")]
	}
	return v
}

// text returns a string, or what stands for one.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case fmt.Stringer: // a number in YAML
		return v.String()
	}
	return ""
}
