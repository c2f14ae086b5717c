package openapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
)

// inDocument returns a document with the paths and components.
func inDocument(paths, components string) string {
	return `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":` + paths + `,"components":` + components + `}`
}

// withSchema returns a document whose only response is of the schema A.
func withSchema(schemas string) string {
	return inDocument(`{"/a":{"get":{"responses":{"200":{"description":"","content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}}}}}}`, `{"schemas":`+schemas+`}`)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	deepFlow := "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", " \n", "empty"},
		{"too large", strings.Repeat(" ", MaxSize+1), "larger than 16 MiB"},
		{"a list", "[]", "not an OpenAPI document: a list instead of an object"},
		{"a word", "hello", "not an OpenAPI document: a string instead of an object"},
		{"no version", "{}", "not an OpenAPI document: the member openapi is missing"},
		{"a later version", `{"openapi":"4.0.0"}`, `openapi: version "4.0.0" is not supported: use 3.0, 3.1, or 3.2`},
		{"a similar version", "openapi: 3.10.0", `openapi: version "3.10.0" is not supported: use 3.0, 3.1, or 3.2`},
		{"no info", `{"openapi":"3.1.0"}`, "info is missing"},
		{"no paths", `{"openapi":"3.1.0","info":{}}`, "paths is missing"},
		{"paths", inDocument("[]", "{}"), "paths: a list instead of an object"},
		{"an operation", inDocument(`{"/a":{"get":7}}`, "{}"), "paths./a.get: a number instead of an object"},
		{"security", inDocument(`{"/a":{"get":{"security":true}}}`, "{}"), "paths./a.get.security: a boolean instead of a list"},
		{"a requirement", inDocument(`{"/a":{"get":{"security":["x"]}}}`, "{}"), "paths./a.get.security[0]: a string instead of an object"},
		{"parameters", inDocument(`{"/a":{"get":{"parameters":{}}}}`, "{}"), "paths./a.get.parameters: an object instead of a list"},
		{"parameters of a path", inDocument(`{"/a":{"parameters":[{}],"get":{}}}`, "{}"), "paths./a.parameters[0]: name or in is missing"},
		{"a circle", inDocument(`{"/a":{"$ref":"#/paths/~1a"}}`, "{}"), "paths./a: $ref leads to itself"},
		{"another document", inDocument(`{"/a":{"$ref":"other.json#/a"}}`, "{}"), `paths./a: $ref "other.json#/a" leads nowhere`},
		{"a body", inDocument(`{"/a":{"post":{"requestBody":{"content":[]}}}}`, "{}"), "paths./a.post.requestBody.content: a list instead of an object"},
		{"JSON", "{\n\n x}", "invalid JSON in line 3, column 2"},
		{"JSON that ends", `{"openapi":`, "invalid JSON: unexpected end"},
		{"more JSON", `{} {}`, "invalid JSON: unexpected data after the document"},
		{"deep JSON", `{"a":` + strings.Repeat("[", 1<<20), "invalid JSON"},
		{"YAML", "a: [1\nb: 2", "invalid YAML: line"},
		{"deep YAML", deepFlow, "invalid YAML in line 1: nested too deep"},
		{"deep lists", "x: 1\n" + strings.Repeat("- ", 1<<20) + "x", "invalid YAML in line 2: nested too deep"},
		{"aliases", bomb, "invalid YAML: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// TestSchemas: types of any document have a form of limited size.
func TestSchemas(t *testing.T) {
	t.Parallel()
	wide := `{"A":{"properties":{"a":{"$ref":"#/components/schemas/B0"}}}`
	for i := range 30 { // 10^30 parts
		members := strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`"m%%d":{"$ref":"#/components/schemas/B%d"},`, i+1), 10), ",")
		wide += fmt.Sprintf(`,"B%d":{"properties":{`+members+`}}`, i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	}
	wide += `,"B30":{"type":"string"}}`
	for _, tt := range []struct {
		name, schemas string
		want          *micro.Schema // nil: only its size matters
	}{
		{"recursive", `{"A":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/A"}}}}`, &micro.Schema{
			Type: "object", Title: "A", Properties: micro.Properties{{Name: "a", Schema: &micro.Schema{Type: "object", Title: "A"}}},
		}},
		{"itself", `{"A":{"$ref":"#/components/schemas/A"}}`, &micro.Schema{Type: "object", Title: "A"}},
		{"two", `{"A":{"allOf":[{"$ref":"#/components/schemas/B"}]},"B":{"oneOf":[{"$ref":"#/components/schemas/A"},{"type":"null"}]}}`, &micro.Schema{Type: "object", Title: "A"}},
		{"missing", `{}`, &micro.Schema{Type: "object", Title: "A"}},
		{"parts", `{"A":{"allOf":[{"required":["a"],"properties":{"a":{"type":"string","format":"date"}}},{"properties":{"b":{"enum":[1,null]}}}]}}`, &micro.Schema{
			Type: "object", Title: "A", Required: []string{"a"},
			Properties: micro.Properties{{Name: "a", Schema: &micro.Schema{Type: "string", Format: "date"}}, {Name: "b", Schema: &micro.Schema{Enum: []string{"1", "null"}}}},
		}},
		{"values", `{"A":{"type":"object","additionalProperties":{"type":["integer","null"]}}}`, &micro.Schema{Type: "object", Title: "A", AdditionalProperties: &micro.Schema{Type: "integer"}}},
		{"booleans", `{"A":true}`, &micro.Schema{}},
		{"exponential", wide, nil},
		{"deep", `{"A":` + strings.Repeat(`{"items":`, 5000) + "{}" + strings.Repeat("}", 5000) + "}", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := Read(strings.NewReader(withSchema(tt.schemas)))
			if err != nil {
				t.Fatal(err)
			}
			got := doc.Routes[0].Output
			if diff := cmp.Diff(tt.want, got); tt.want != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestYAML: a status is a number in YAML, aliases are resolved, and the order is that of paths.
func TestYAML(t *testing.T) {
	t.Parallel()
	doc, err := Read(strings.NewReader("\ufeff" + `
openapi: 3.0.3
info: {title: Shop 7, version: 2}
x-response: &created {description: ok, content: {text/plain: {schema: {type: string}}}}
paths:
  /b: {put: {responses: {201: *created, default: {description: no}}}, get: {responses: {}}}
  /a: {trace: {tags: [1, x], responses: {"2XX": {description: ok}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Document{Title: "Shop 7", Version: "2", OpenAPI: "3.0.3", Routes: []Route{
		{Method: "TRACE", Path: "/a", Tags: []string{"1", "x"}, Status: "2XX", Statuses: []string{"2XX"}},
		{Method: "GET", Path: "/b"},
		{Method: "PUT", Path: "/b", Status: "201", Output: &micro.Schema{Type: "string"}, Statuses: []string{"201", "default"}},
	}}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
}

// TestManyRoutes: the types of a route do not depend on how large those of earlier routes are.
func TestManyRoutes(t *testing.T) {
	t.Parallel()
	paths := `{"/z":{"get":{"responses":{"200":{"$ref":"#/components/responses/Small"}}}}`
	for i := range 3 {
		paths += fmt.Sprintf(`,"/a%d":{"get":{"responses":{"200":{"$ref":"#/components/responses/Large"}}}}`, i)
	}
	var large strings.Builder
	large.WriteString(`{"type":"object","properties":{"m":{"type":"string"}`)
	for i := range 2 * maxRouteSchemas {
		fmt.Fprintf(&large, `,"m%d":{"type":"string"}`, i)
	}
	large.WriteString("}}")
	response := func(schema string) string {
		return `{"description":"","content":{"application/json":{"schema":` + schema + `}}}`
	}
	doc, err := Read(strings.NewReader(inDocument(paths+"}", `{"responses":{"Large":`+response(large.String())+`,"Small":`+response(`{"type":"string"}`)+`}}`)))
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.Routes[3]; got.Path != "/z" || got.Output.Type != "string" {
		t.Errorf("%+v", got)
	}
	known := 0
	for _, p := range doc.Routes[0].Output.Properties {
		if p.Schema.Type != "" {
			known++
		}
	}
	if known >= maxRouteSchemas || known < maxRouteSchemas/2 {
		t.Errorf("%d members have a type", known)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(withSchema(`{"A":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/A"}}}}`))
	f.Add("openapi: 3.1.0\ninfo: {title: a, version: 1}\npaths: {/a: {get: {parameters: [{name: a, in: query}]}}}\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = Read(strings.NewReader(text))
	})
}
