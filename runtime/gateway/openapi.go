package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

const (
	errorSchema = "Error"
	mediaJSON   = "application/json"
)

// humaConfig is huma's configuration without the parts we do not use: pages, links in
// bodies, and error bodies that repeat the input.
func (g *Gateway) humaConfig() huma.Config {
	config := huma.DefaultConfig(g.name, g.version)
	config.Info.Description = g.description
	config.CreateHooks = nil
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.Transformers = []huma.Transformer{g.errorBody}
	config.Formats = map[string]huma.Format{mediaJSON: asMessages, "json": asMessages}
	g.names = namer{errorSchema: nil}
	config.Components.Schemas = huma.NewMapRegistry(schemaRef, g.names.name)
	for _, method := range g.authenticators {
		name, scheme := method.Scheme()
		if config.Components.SecuritySchemes == nil {
			config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
		}
		config.Components.SecuritySchemes[name] = scheme
	}
	for _, url := range g.servers {
		config.Servers = append(config.Servers, &huma.Server{URL: url})
	}
	config.Components.Schemas.Map()[errorSchema] = g.errors.schema()
	return config
}

// namer names the schemas of Go types, and holds the type of each name. Types of different
// packages may have the same name: all but the first get the name of their package, too.
type namer map[string]reflect.Type

func (n namer) name(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if t.Kind() != reflect.Struct || t.Name() == "" {
		return name
	}
	for {
		switch known, taken := n[name]; {
		case !taken:
			n[name] = t
			return name
		case known == t:
			return name
		}
		name = upperFirst(camel(path.Base(t.PkgPath()))) + name
	}
}

// describe registers the types in t that have their own JSON encoding and state what it is.
func (g *Gateway) describe(t reflect.Type, seen map[reflect.Type]bool) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	if plain := goType(micro.JSONTypeOf(t)); plain != nil {
		g.api.OpenAPI().Components.Schemas.RegisterTypeAlias(t, plain)
		return
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		g.describe(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			g.describe(t.Field(i).Type, seen)
		}
	}
}

// goType returns Go's type for a type of JSON.
func goType(jsonType string) reflect.Type {
	switch jsonType {
	case "string":
		return reflect.TypeFor[string]()
	case "number":
		return reflect.TypeFor[float64]()
	case "integer":
		return reflect.TypeFor[int64]()
	case "boolean":
		return reflect.TypeFor[bool]()
	}
	return nil
}

// asMessages encodes the bodies of huma's own operations like messages: a nil slice is [].
var asMessages = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		text, err := micro.JSON().Append(nil, v)
		if err != nil {
			return fmt.Errorf("encode the response: %w", err)
		}
		_, err = w.Write(append(text, '\n'))
		return err
	},
	Unmarshal: huma.DefaultJSONFormat.Unmarshal,
}

// errorBody gives the errors of huma's own operations the form of the gateway's.
func (g *Gateway) errorBody(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	ctx.SetHeader("Content-Type", g.errors.contentType())
	if len(e.Errors) == 0 {
		return json.RawMessage(g.errors.body(newProblem(e.Status, e.Detail))), nil
	}
	list := make([]string, len(e.Errors))
	for i, detail := range e.Errors {
		list[i] = strings.TrimPrefix(detail.Location, "body.") + ": " + detail.Message // without detail.Value, which may be a secret
	}
	p := badRequest(list)
	p.status, p.title = e.Status, http.StatusText(e.Status)
	return json.RawMessage(g.errors.body(p)), nil
}

// document adds the route to the OpenAPI document.
func (g *Gateway) document(r *route) {
	op := r.op
	g.describe(r.in, map[reflect.Type]bool{})
	g.describe(r.out, map[reflect.Type]bool{})
	if op.OperationID == "" {
		op.OperationID = g.freeID(operationID(r.pattern), r)
	}
	full := g.api.OpenAPI().Components.Schemas.Schema(r.in, false, "")
	for _, f := range r.input.path {
		op.Parameters = append(op.Parameters, g.parameter("path", f.Path, f, full, true))
	}
	for _, f := range r.input.query {
		op.Parameters = append(op.Parameters, g.parameter("query", queryName(f), f, full, f.Required))
	}
	for _, f := range r.input.header {
		p := g.parameter("header", f.Header, f, full, f.Required)
		if readsVersion(f) {
			versionParameter(p)
		}
		op.Parameters = append(op.Parameters, p)
	}
	if r.input.body {
		schema := g.bodySchema(r, full)
		required := schema.Ref != "" || len(full.Required) > 0
		if whole := r.input.whole; whole != nil {
			required = whole.Required
		}
		op.RequestBody = &huma.RequestBody{Required: required, Content: map[string]*huma.MediaType{}}
		media := &huma.MediaType{Schema: schema, Example: g.bodyExample(r, schema)}
		for _, kind := range r.types {
			op.RequestBody.Content[kind] = media
		}
	}
	op.Responses = g.responses(r)
	op.Security = g.security(r.access)
	g.api.OpenAPI().AddOperation(op)
}

func (g *Gateway) parameter(where, name string, f validate.Field, full *huma.Schema, required bool) *huma.Param {
	schema := full.Properties[f.Name]
	p := &huma.Param{Name: name, In: where, Required: required, Schema: schema}
	if schema != nil {
		plain := *schema
		plain.Nullable = false // a URL cannot contain null
		plain.Description = ""
		p.Schema, p.Description, p.Deprecated = &plain, schema.Description, schema.Deprecated
		if required { // an example of an optional one would narrow what Try it out returns
			p.Example = g.example(&plain)
		}
	}
	return p
}

// bodySchema returns the schema of the body: the whole input, one of its members, or the
// members that are nowhere else.
func (g *Gateway) bodySchema(r *route, full *huma.Schema) *huma.Schema {
	if full == nil || r.in == reflect.TypeFor[json.RawMessage]() {
		return &huma.Schema{}
	}
	components := g.api.OpenAPI().Components.Schemas
	if r.input.whole != nil {
		return components.Schema(r.input.whole.Type, true, upperFirst(r.op.OperationID)+"Body")
	}
	elsewhere := r.input.elsewhere()
	if len(elsewhere) == 0 {
		return components.Schema(r.in, true, upperFirst(r.op.OperationID)+"Body")
	}
	body := *full
	body.Properties = maps.Clone(full.Properties)
	body.Required = slices.Clone(full.Required)
	for _, f := range elsewhere {
		delete(body.Properties, f.Name)
		body.Required = slices.DeleteFunc(body.Required, func(name string) bool { return name == f.Name })
	}
	name := upperFirst(r.op.OperationID) + "Body"
	components.Map()[name] = &body
	return &huma.Schema{Ref: schemaRef + name}
}

func (g *Gateway) outSchema(r *route) *huma.Schema {
	if r.out == nil || r.out == reflect.TypeFor[micro.None]() || r.out == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	schema := g.api.OpenAPI().Components.Schemas.Schema(r.out, true, upperFirst(r.op.OperationID)+"Response")
	if schema != nil && schema.Type == huma.TypeArray {
		schema.Nullable = false
	}
	return schema
}

// operationID returns the name in a pattern: createItem for {"cmd":"createItem"}, and a
// string such as item.v1.viewed in camel case.
func operationID(p micro.Pattern) string {
	var members map[string]any
	name := p.Route()
	if json.Unmarshal([]byte(p.JSON()), &members) == nil {
		name, _ = members["cmd"].(string)
	}
	return camel(name)
}

// freeID returns id, or one derived from method and path if another operation has it.
func (g *Gateway) freeID(id string, r *route) string {
	if id != "" && !g.hasID(id) {
		return id
	}
	derived := camel(strings.ToLower(r.method) + " " + r.path)
	id = derived
	for n := 2; g.hasID(id); n++ {
		id = derived + strconv.Itoa(n)
	}
	return id
}

func (g *Gateway) hasID(id string) bool {
	for _, item := range g.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head, item.Options} {
			if op != nil && op.OperationID == id {
				return true
			}
		}
	}
	return false
}

func camel(text string) string {
	words := strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	for i := range words {
		if i > 0 {
			words[i] = upperFirst(words[i])
		}
	}
	return strings.Join(words, "")
}

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// defaultTags returns the first segment of the path.
func defaultTags(path string) []string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if first == "" || strings.HasPrefix(first, "{") {
		return nil
	}
	return []string{first}
}
