package openapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/gateway/webhook"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

type address struct {
	City string `json:"city" minLength:"1" example:"Paris"`
}

type item struct {
	ID      int64             `json:"id" example:"7"`
	Name    string            `json:"name" example:"Cup"`
	Price   *float64          `json:"price"`
	Tags    []string          `json:"tags"`
	From    *address          `json:"from"`
	Parts   []*item           `json:"parts,omitempty"`
	Added   time.Time         `json:"added"`
	Labels  map[string]string `json:"labels"`
	OldName string            `json:"oldName,omitempty" deprecated:"true"`
}

type newItem struct {
	Name   string   `json:"name" minLength:"2" maxLength:"20" example:"Cup"`
	Kind   string   `json:"kind" enum:"toy,book"`
	Size   int      `json:"size,omitempty" default:"3"`
	Tags   []string `json:"tags" maxItems:"3" example:"[\"garden\"]"`
	From   *address `json:"from"`
	Seller string   `json:"seller" format:"email"`
}

type changes struct {
	ID    int64   `json:"id" path:"id" minimum:"1" doc:"The item's ID" example:"7"`
	Force bool    `json:"force,omitempty" query:"force"`
	Name  *string `json:"name,omitempty" minLength:"1" example:"Mug"`
}

type filter struct {
	Search string   `json:"search,omitempty" query:"q" maxLength:"5"`
	Tags   []string `json:"tags,omitempty" query:"tag"`
}

type file struct {
	Path string `json:"path" path:"path"`
}

type code struct {
	Code string `json:"code" path:"code" pattern:"^[A-Z]{3}$"`
}

type unlikely struct {
	Code string `json:"code" pattern:"^[A-Z]{3}$" example:"abc"`
}

// everything is a gateway with each kind of route.
func everything(t *testing.T) *gateway.Gateway {
	t.Helper()
	tokens, err := auth.NewTokens(auth.TokenConfig{Issuer: "https://login.example", Audience: "shop", Secrets: [][]byte{[]byte(strings.Repeat("s", 32))}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewAPIKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := micro.NewClient(nowhere{})
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithVersion("1.2.3", "*All* of it: \"yes\"\n"),
		gateway.WithServers("https://api.example"), gateway.WithAuthentication(tokens, keys))
	gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, item](micro.Cmd("createItem")), gateway.WithScopes("items:write"))
	gateway.Route(gw, "GET /items", c, micro.NewMethod[filter, []item](micro.Cmd("findAllItems")), gateway.WithPublic())
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[changes, item](micro.Cmd("updateItem")), gateway.WithRoles("admin"))
	gateway.Route(gw, "PUT /items/{id}", c, micro.NewMethod[changes, item](micro.Cmd("updateItem")), gateway.WithDeprecated())
	gateway.Route(gw, "PUT /items/id", c, micro.NewMethod[newItem, *item](micro.Cmd("updateItem")), gateway.WithContentTypes("application/vnd.api+json", "application/json"))
	gateway.Route(gw, "GET /files/{path...}", c, micro.NewMethod[file, json.RawMessage](micro.Cmd("file")))
	gateway.Route(gw, "GET /codes/{code}", c, micro.NewMethod[code, string](micro.Cmd("code")))
	gateway.Route(gw, "GET /{$}", c, micro.NewMethod[micro.None, map[string]int](micro.Name("root")), gateway.WithPublic())
	gateway.Route(gw, "POST /raw", c, micro.NewMethod[json.RawMessage, micro.None](micro.Name("raw")))
	gateway.Route(gw, "POST /list", c, micro.NewMethod[[]address, [][]string](micro.Name("list")), gateway.WithUnknown(validate.Strip))
	gateway.Route(gw, "POST /unlikely", c, micro.NewMethod[unlikely, micro.None](micro.Name("unlikely")))
	gateway.Stream(gw, "GET /items/changes", c, micro.NewMethod[filter, item](micro.Name("item.v1.watch")))
	gateway.Event(gw, "POST /items/{id}/views", c, micro.NewTopic[changes](micro.Name("item.v1.viewed")))
	github, err := webhook.GitHub(strings.Repeat("s", 16))
	if err != nil {
		t.Fatal(err)
	}
	gateway.Webhook(gw, "POST /webhooks/github", c, micro.NewTopic[json.RawMessage](micro.Name("github")), github)
	gateway.WebhookRoute(gw, "POST /webhooks/items", c, micro.NewMethod[newItem, item](micro.Cmd("createItem")), github)
	type login struct {
		Body struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}
	}
	type session struct {
		Body struct {
			Token string `json:"token"`
		}
	}
	gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/login", OperationID: "login", Errors: []int{409}},
		func(context.Context, *login) (*session, error) { return &session{}, nil }, gateway.WithPublic())
	return gw
}

// nowhere is a connection that the documentation does not use.
type nowhere struct{}

func (nowhere) Exchange(context.Context, *micro.Request, micro.Reply) error {
	return micro.ErrUnreachable
}
func (nowhere) Publish(context.Context, *micro.Request) error { return micro.ErrUnreachable }
func (nowhere) Close() error                                  { return nil }

func get(t *testing.T, gw *gateway.Gateway, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	if w.Code != 200 {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// document is the part of an OpenAPI document that the tests read.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]schema
		Responses map[string]response
	}
}

type operation struct {
	OperationID string
	Deprecated  bool
	Parameters  []struct {
		Name, In string
		Example  json.RawMessage
	}
	RequestBody struct{ Content map[string]media }
	Responses   map[string]response
}

type response struct {
	Ref     string `json:"$ref"`
	Headers map[string]json.RawMessage
	Content map[string]media
}

type media struct {
	Schema   json.RawMessage
	Example  json.RawMessage
	Examples map[string]struct{ Value json.RawMessage }
}

type schema struct {
	Properties map[string]json.RawMessage
	Required   []string
}

// TestDocument: the document of a gateway is valid in both forms, and so are its examples.
func TestDocument(t *testing.T) {
	t.Parallel()
	gw := everything(t)
	inJSON, inYAML := get(t, gw, "/api-json"), get(t, gw, "/api-yaml")
	for name, text := range map[string][]byte{"JSON": inJSON, "YAML": inYAML} {
		if err := Check(t.Context(), text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Same(inJSON, inYAML); err != nil {
		t.Error(err)
	}
	if again := get(t, everything(t), "/api-json"); string(again) != string(inJSON) {
		t.Errorf("a second gateway has another document:\n%s\n%s", inJSON, again)
	}
}

func read(t *testing.T, gw *gateway.Gateway) document {
	t.Helper()
	var doc document
	if err := json.Unmarshal(get(t, gw, "/api-json"), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestStatuses: each operation lists the statuses that it can return, and each of them has a
// body in NestJS's form.
func TestStatuses(t *testing.T) {
	t.Parallel()
	doc := read(t, everything(t))
	got := map[string]string{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			var statuses []string
			for status, r := range op.Responses {
				statuses = append(statuses, status)
				if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
					r = doc.Components.Responses[name]
				}
				if r.Headers["X-Correlation-Id"] == nil && op.OperationID != "login" {
					t.Errorf("%s %s: %s has no correlation ID", method, path, status)
				}
				if status < "400" || op.OperationID == "login" && status == "default" {
					continue
				}
				bodies := []json.RawMessage{r.Content["application/json"].Example}
				for _, example := range r.Content["application/json"].Examples {
					bodies = append(slices.DeleteFunc(bodies, func(b json.RawMessage) bool { return b == nil }), example.Value)
				}
				for _, body := range bodies {
					var nest struct {
						StatusCode int
						Message    any
					}
					if err := json.Unmarshal(body, &nest); err != nil || nest.StatusCode < 400 || nest.Message == nil {
						t.Errorf("%s %s: the example of %s is %s", method, path, status, body)
					}
				}
			}
			slices.Sort(statuses)
			got[method+" "+path+" "+op.OperationID] = strings.Join(statuses, " ")
		}
	}
	want := map[string]string{
		"post /items createItem":                 "201 400 401 403 408 413 415 500 501 503 default",
		"get /items findAllItems":                "200 304 400 500 501 503 default",
		"patch /items/{id} updateItem":           "200 400 401 403 408 413 415 500 501 503 default",
		"put /items/{id} putItemsId":             "200 400 401 408 413 415 500 501 503 default",
		"put /items/id putItemsId2":              "200 400 401 408 413 415 500 501 503 default",
		"get /files/{path} file":                 "200 304 401 500 501 503 default",
		"get /codes/{code} code":                 "200 304 400 401 500 501 503 default",
		"get / root":                             "200 304 500 501 503 default",
		"post /webhooks/github github":           "200 400 401 408 409 413 415 500 501 503 default",
		"post /webhooks/items postWebhooksItems": "200 400 401 408 409 413 415 500 501 503 default",
		"post /raw raw":                          "201 400 401 408 413 415 500 501 503 default",
		"post /list list":                        "201 400 401 408 413 415 500 501 503 default",
		"post /unlikely unlikely":                "201 400 401 408 413 415 500 501 503 default",
		"get /items/changes itemV1Watch":         "200 304 400 401 500 501 503 default",
		"post /items/{id}/views itemV1Viewed":    "202 400 401 408 413 415 500 501 503 default",
		"post /login login":                      "200 408 409 413 422 500 default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !doc.Paths["/items/{id}"]["put"].Deprecated || doc.Paths["/items/{id}"]["patch"].Deprecated {
		t.Error("deprecated")
	}
	for _, header := range []string{"ETag", "X-Correlation-Id"} {
		if doc.Paths["/items"]["get"].Responses["200"].Headers[header] == nil {
			t.Errorf("GET /items has no header %s", header)
		}
	}
	if doc.Components.Responses["ServiceUnavailable"].Headers["Retry-After"] == nil || doc.Components.Responses["Unauthorized"].Headers["WWW-Authenticate"] == nil {
		t.Errorf("responses %v", doc.Components.Responses)
	}
}

// TestExamples: the examples of errors are what the route answers, and those of bodies what it
// accepts.
func TestExamples(t *testing.T) {
	t.Parallel()
	gw := everything(t)
	doc := read(t, gw)
	bad := func(path, method string) string {
		return string(doc.Paths[path][method].Responses["400"].Content["application/json"].Example)
	}
	for _, tt := range []struct{ path, method, want string }{
		{"/items", "post", `{"message":["name must be shorter than or equal to 20 characters","name must be longer than or equal to 2 characters",`},
		{"/items", "get", `"search must be shorter than or equal to 5 characters"`},
		{"/items/{id}", "patch", `"property unexpected should not exist"`},
		{"/codes/{code}", "get", `"code must match /^[A-Z]{3}$/ regular expression"`},
		{"/raw", "post", `The body is not valid JSON`},
		{"/list", "post", `the data must be an array`},
	} {
		if got := bad(tt.path, tt.method); !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
	for _, tt := range []struct{ path, method, kind, want string }{
		{"/items", "post", "application/json", `{"from":{"city":"Paris"},"kind":"toy","name":"Cup","seller":"ada@example.com","tags":["garden"]}`},
		{"/items/{id}", "patch", "application/json", `{"name":"Mug"}`},
		{"/items/id", "put", "application/vnd.api+json", `{"from":{"city":"Paris"},"kind":"toy","name":"Cup","seller":"ada@example.com","tags":["garden"]}`},
		{"/unlikely", "post", "application/json", ``}, // the gateway would reject it
		{"/raw", "post", "application/json", ``},
	} {
		if got := string(doc.Paths[tt.path][tt.method].RequestBody.Content[tt.kind].Example); got != tt.want {
			t.Errorf("%s %s: example %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
	patch := doc.Paths["/items/{id}"]["patch"]
	if len(patch.Parameters) != 2 || string(patch.Parameters[0].Example) != "7" || patch.Parameters[1].Example != nil {
		t.Errorf("parameters %v", patch.Parameters)
	}
	stream := doc.Paths["/items/changes"]["get"].Responses["200"].Content
	if one := string(stream["application/x-ndjson"].Example); !strings.HasPrefix(one, `{"added":`) || string(stream["application/json"].Example) != "["+one+"]" {
		t.Errorf("stream %s", one)
	}
}

// TestSchemas: schemas have stable names, none is unused, and null is a type of those values
// that can be null.
func TestSchemas(t *testing.T) {
	t.Parallel()
	doc := read(t, everything(t))
	var names []string
	for name := range doc.Components.Schemas {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"Address", "Error", "Item", "ItemV1ViewedBody", "LoginBody", "NewItem", "PutItemsIdBody", "SessionBody", "Unlikely", "UpdateItemBody"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ schema, property, want string }{
		{"Item", "price", `{"format":"double","type":["number","null"]}`},
		{"Item", "tags", `{"items":{"type":"string"},"type":"array"}`},
		{"Item", "from", `{"anyOf":[{"$ref":"#/components/schemas/Address"},{"type":"null"}]}`},
		{"Item", "parts", `{"items":{"$ref":"#/components/schemas/Item"},"type":"array"}`},
		{"Item", "labels", `{"additionalProperties":{"type":"string"},"type":"object"}`},
		{"Item", "oldName", `{"deprecated":true,"type":"string"}`},
		{"NewItem", "kind", `{"enum":["toy","book"],"type":"string"}`},
		{"UpdateItemBody", "name", `{"examples":["Mug"],"minLength":1,"type":"string"}`},
	} {
		if got := string(doc.Components.Schemas[tt.schema].Properties[tt.property]); got != tt.want {
			t.Errorf("%s.%s: %s, want %s", tt.schema, tt.property, got, tt.want)
		}
	}
}

// TestCheck: mistakes in a document are found.
func TestCheck(t *testing.T) {
	t.Parallel()
	const good = `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"responses":{"200":{"description":"d",` +
		`"content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"},"example":7}}}}}}},"components":{"schemas":{"A":{"type":"integer"}}}}`
	if err := Check(t.Context(), []byte(good)); err != nil {
		t.Error(err)
	}
	for name, replace := range map[string][2]string{
		"a reference that leads nowhere": {"schemas/A", "schemas/B"},
		"an unknown type":                {`"type":"integer"`, `"type":"intger"`},
		"a wrong example":                {`"example":7`, `"example":"x"`},
		"no responses":                   {`"responses"`, `"response"`},
		"an undeclared parameter":        {`"/a"`, `"/a/{id}"`},
	} {
		if err := Check(t.Context(), []byte(strings.Replace(good, replace[0], replace[1], 1))); err == nil {
			t.Errorf("%s: valid", name)
		}
	}
}
