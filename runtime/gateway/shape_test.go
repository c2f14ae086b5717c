package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// updateItem is the message that NestJS teams send most: the parameter and the DTO.
type updateItem struct {
	ID            int64   `json:"id" path:"id" minimum:"1"`
	UpdateItemDto newItem `json:"updateItemDto" in:"body"`
	Force         bool    `json:"force,omitempty" query:"force"`
	Tenant        string  `json:"tenant,omitempty" header:"X-Tenant" maxLength:"8"`
	UserID        string  `json:"userId,omitempty" claim:"sub"`
}

// claimants authenticates callers by claims in the header X-Claims.
type claimants struct{}

func (claimants) Scheme() (string, *huma.SecurityScheme) {
	return "claims", &huma.SecurityScheme{Type: "apiKey", In: "header", Name: "X-Claims"}
}

func (claimants) Authenticate(req *http.Request) (*principal.Principal, error) {
	switch claims := req.Header.Get("X-Claims"); claims {
	case "":
		return nil, gateway.ErrNoCredentials
	case "key":
		return &principal.Principal{Subject: "robot", Scopes: []string{"a", "b"}, Roles: []string{"admin"}}, nil
	default:
		return &principal.Principal{Subject: "u-7", Claims: json.RawMessage(claims)}, nil
	}
}

// TestBodyAsOneMember checks that a message is built from a parameter and a DTO: the rules of the
// DTO are those of the body, in the words of a ValidationPipe on the body alone.
func TestBodyAsOneMember(t *testing.T) {
	gw, c := overEcho(t)
	type optional struct {
		ID      string   `json:"id" path:"id"`
		Changes *newItem `json:"changes,omitempty" in:"body"`
	}
	type list struct {
		Items []newItem `json:"items" in:"body"`
	}
	type checked struct {
		ID    string `json:"id" path:"id"`
		Range picky  `json:"range" in:"body"`
	}
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[updateItem, json.RawMessage](echo))
	gateway.Route(gw, "PATCH /stripped/{id}", c, micro.NewMethod[updateItem, json.RawMessage](echo), gateway.WithUnknown(validate.Strip))
	gateway.Route(gw, "PATCH /allowed/{id}", c, micro.NewMethod[updateItem, json.RawMessage](echo), gateway.WithUnknown(validate.Allow))
	gateway.Route(gw, "PUT /optional/{id}", c, micro.NewMethod[optional, json.RawMessage](echo))
	gateway.Route(gw, "POST /list", c, micro.NewMethod[list, json.RawMessage](echo))
	gateway.Route(gw, "PUT /checked/{id}", c, micro.NewMethod[checked, json.RawMessage](echo))
	bad := func(messages string) string {
		return `{"message":[` + messages + `],"error":"Bad Request","statusCode":400}`
	}
	const cup, sentCup = `{"name":"Cup","price":1}`, `{"kind":"toy","name":"Cup","price":1}`
	run(t, gw.Handler(), []request{
		{name: "a DTO", method: "PATCH", path: "/items/7?force=1", body: cup, header: map[string]string{"X-Tenant": "acme"},
			status: 200, answer: `{"force":true,"id":7,"tenant":"acme","updateItemDto":` + sentCup + `}`},
		{name: "the rules", method: "PATCH", path: "/items/x", body: `{"zoo":1,"name":7,"foo":2,"price":-1}`, header: map[string]string{"X-Tenant": "too long!"},
			status: 400, answer: bad(`"id must not be less than 1","id must be an integer number","tenant must be shorter than or equal to 8 characters",` +
				`"property zoo should not exist","property foo should not exist","name must be a string","price must not be less than 0"`)},
		{name: "members of the message are no members of the DTO", method: "PATCH", path: "/items/7", body: `{"id":8,"userId":"root","updateItemDto":{},"name":"Cup","price":1}`,
			status: 400, answer: bad(`"property id should not exist","property userId should not exist","property updateItemDto should not exist"`)},
		{name: "strip", method: "PATCH", path: "/stripped/7", body: `{"userId":"root","name":"Cup","price":1}`, status: 200, answer: `{"id":7,"updateItemDto":` + sentCup + `}`},
		{name: "allow", method: "PATCH", path: "/allowed/7", body: `{"userId":"root","name":"Cup","price":1}`,
			status: 200, answer: `{"id":7,"updateItemDto":{"kind":"toy","name":"Cup","price":1,"userId":"root"}}`},
		{name: "no body", method: "PATCH", path: "/items/7",
			status: 400, answer: bad(`"name should not be empty","name must be a string","price must not be less than 0","price must be a number conforming to the specified constraints"`)},
		{name: "no object", method: "PATCH", path: "/items/7", body: `[]`, status: 400, answer: bad(`"the data must be a JSON object"`)},
		{name: "no JSON", method: "PATCH", path: "/items/7", body: `{`, status: 400, answer: `{"message":"The body cannot be read: unexpected end of the JSON","error":"Bad Request","statusCode":400}`},
		{name: "optional", method: "PUT", path: "/optional/7", status: 200, answer: `{"id":"7"}`},
		{name: "optional and given", method: "PUT", path: "/optional/7", body: cup, status: 200, answer: `{"changes":` + sentCup + `,"id":"7"}`},
		{name: "optional and wrong", method: "PUT", path: "/optional/7", body: `{"name":""}`, status: 400,
			answer: bad(`"name should not be empty","price must not be less than 0","price must be a number conforming to the specified constraints"`)},
		{name: "a list", method: "POST", path: "/list", body: `[` + cup + `]`, status: 201, answer: `{"items":[` + sentCup + `]}`},
		{name: "no list", method: "POST", path: "/list", body: cup, status: 400, answer: bad(`"the data must be an array"`)},
		{name: "a DTO that checks itself", method: "PUT", path: "/checked/7", body: `{"from":2,"to":1}`, status: 400, answer: bad(`"from must not be after to","to must not be before from"`)},
	})
}

// TestClaims checks that claims become members, and that nothing else can set them.
func TestClaims(t *testing.T) {
	type create struct {
		Name   string   `json:"name,omitempty"`
		Owner  string   `json:"owner" claim:"sub"`
		Tenant string   `json:"tenant" claim:"https://shop.example/tenant" maxLength:"5"`
		Scopes []string `json:"scopes,omitempty" claim:"scope"`
		Level  int      `json:"level,omitempty" claim:"level"`
	}
	type find struct {
		Owner string `json:"owner" claim:"sub"`
		Limit int    `json:"limit,omitempty"`
	}
	type roles struct {
		Owner  string   `json:"owner,omitempty" claim:"sub"`
		Roles  []string `json:"roles,omitempty" claim:"roles"`
		Scopes []string `json:"scopes,omitempty" claim:"scope"`
	}
	_, c := overEcho(t)
	gw := gateway.New("shop", gateway.WithLogger(quiet()), gateway.WithAuthentication(claimants{}))
	gateway.Route(gw, "POST /items", c, micro.NewMethod[create, json.RawMessage](echo))
	gateway.Route(gw, "POST /allowed", c, micro.NewMethod[create, json.RawMessage](echo), gateway.WithUnknown(validate.Allow))
	gateway.Route(gw, "POST /stripped", c, micro.NewMethod[create, json.RawMessage](echo), gateway.WithUnknown(validate.Strip))
	gateway.Route(gw, "GET /items", c, micro.NewMethod[find, json.RawMessage](echo))
	gateway.Route(gw, "GET /public", c, micro.NewMethod[find, json.RawMessage](echo), gateway.WithPublic())
	gateway.Route(gw, "GET /roles", c, micro.NewMethod[roles, json.RawMessage](echo), gateway.WithPublic())
	as := func(claims string) map[string]string { return map[string]string{"X-Claims": claims} }
	const acme = `{"https://shop.example/tenant":"acme","scope":"items:read items:write","level":3}`
	const sent = `"level":3,"owner":"u-7","scopes":["items:read","items:write"],"tenant":"acme"}`
	const forbidden = `{"message":"Forbidden resource","error":"Forbidden","statusCode":403}`
	run(t, gw.Handler(), []request{
		{name: "claims", method: "POST", path: "/items", body: `{"name":"Cup"}`, header: as(acme), status: 201, answer: `{` + sent[:9] + `,"name":"Cup"` + sent[9:]},
		{name: "no body", method: "POST", path: "/items", header: as(acme), status: 201, answer: `{` + sent},
		{name: "in the body", method: "POST", path: "/items", body: `{"owner":"root","Tenant":"evil"}`, header: as(acme), status: 400,
			answer: `{"message":["property owner should not exist","property Tenant should not exist"],"error":"Bad Request","statusCode":400}`},
		{name: "in the body, stripped", method: "POST", path: "/stripped", body: `{"owner":"root","TENANT":"evil"}`, header: as(acme), status: 201, answer: `{` + sent},
		{name: "in the body, allowed", method: "POST", path: "/allowed", body: `{"owner":"root","TENANT":"evil","\u017fcopes":["x"],"other":1}`, header: as(acme),
			status: 201, answer: `{` + strings.Replace(sent, `"owner"`, `"other":1,"owner"`, 1)},
		{name: "in the query", method: "GET", path: "/items?owner=root&sub=root&limit=2", header: as(acme), status: 200, answer: `{"limit":2,"owner":"u-7"}`},
		{name: "a claim is missing", method: "POST", path: "/items", body: `{}`, header: as(`{}`), status: 403, answer: forbidden},
		{name: "a claim has another type", method: "POST", path: "/items", body: `{}`, header: as(`{"https://shop.example/tenant":7}`), status: 403, answer: forbidden},
		{name: "a claim violates a rule", method: "POST", path: "/items", body: `{}`, header: as(`{"https://shop.example/tenant":"long tenant"}`), status: 403, answer: forbidden},
		{name: "no caller", method: "GET", path: "/items", status: 401, answer: `{"message":"Unauthorized","statusCode":401}`},
		{name: "no caller on a public route", method: "GET", path: "/public?owner=root", status: 401, answer: `{"message":"Unauthorized","statusCode":401}`},
		{name: "optional claims", method: "GET", path: "/roles?owner=root&roles=admin", status: 200, answer: `{}`},
		{name: "an API key", method: "GET", path: "/roles", header: as("key"), status: 200, answer: `{"owner":"robot","roles":["admin"],"scopes":["a","b"]}`},
	})
}

// TestHeaderMembers checks how header lines become members.
func TestHeaderMembers(t *testing.T) {
	type in struct {
		Tenant string   `json:"tenant" header:"x-tenant" minLength:"2"`
		Tags   []string `json:"tags,omitempty" header:"X-Tags"`
		Limit  int      `json:"limit,omitempty" header:"X-Limit"`
		Host   string   `json:"host,omitempty" header:"Host"`
	}
	gw, c := overEcho(t)
	gateway.Route(gw, "GET /h", c, micro.NewMethod[in, json.RawMessage](echo))
	for _, tt := range []struct {
		header []string
		want   string
	}{
		{[]string{"X-Tenant", "acme", "X-Limit", "3"}, `{"host":"example.com","limit":3,"tenant":"acme"}`},
		{[]string{"X-Tenant", "acme", "X-Tenant", "evil"}, `{"host":"example.com","tenant":"acme, evil"}`},
		{[]string{"X-Tenant", "acme", "X-Tags", "a , b", "X-Tags", "c"}, `{"host":"example.com","tags":["a","b","c"],"tenant":"acme"}`},
		{[]string{"X-Limit", "x"}, `{"message":["tenant must be longer than or equal to 2 characters","tenant must be a string","limit must be an integer number"],"error":"Bad Request","statusCode":400}`},
	} {
		if w := send(gw, "GET /h?tenant=query&host=query", tt.header...); w.Body.String() != tt.want {
			t.Errorf("%q: %s, want %s", tt.header, w.Body, tt.want)
		}
	}
}

// TestInputsThatMakeNoSense checks that tags that contradict each other are found when the route
// is added.
func TestInputsThatMakeNoSense(t *testing.T) {
	gw, c := overEcho(t)
	type untagged struct {
		ID   string  `json:"id"`
		Item newItem `json:"item" in:"body"`
	}
	type two struct {
		A newItem `json:"a" in:"body"`
		B newItem `json:"b" in:"body"`
	}
	type elsewhere struct {
		A newItem `json:"a" in:"cookie"`
	}
	type noPart struct {
		Location string `header:"Location"`
		Item     newItem
	}
	type badHeader struct {
		Item newItem `header:"X-Item"`
	}
	type badStatus struct {
		Status int `in:"status" enum:"404"`
	}
	text := micro.NewMethod[string, string](echo)
	for name, tt := range map[string]struct {
		add  func()
		want string
	}{
		"untagged":     {func() { gateway.Route(gw, "POST /a", c, micro.NewMethod[untagged, string](echo)) }, "id needs a tag"},
		"two bodies":   {func() { gateway.Route(gw, "POST /a", c, micro.NewMethod[two, string](echo)) }, "both a and b are the body"},
		"no body":      {func() { gateway.Route(gw, "GET /a/{id}", c, micro.NewMethod[updateItem, string](echo)) }, "a GET request does not have"},
		"another part": {func() { gateway.Route(gw, "POST /a", c, micro.NewMethod[elsewhere, string](echo)) }, `must be "body"`},
		"another input": {func() {
			gateway.Route(gw, "POST /a", c, text, gateway.WithInput(func(context.Context, newItem) (int, error) { return 0, nil }))
		}, "WithInput returns int"},
		"another output": {func() {
			gateway.Route(gw, "POST /a", c, text, gateway.WithOutput(func(context.Context, int) (int, error) { return 0, nil }))
		}, "WithOutput takes int"},
		"of an event": {func() {
			gateway.Event(gw, "POST /a", c, micro.NewTopic[string](echo), gateway.WithOutput(func(context.Context, string) (int, error) { return 0, nil }))
		}, "WithOutput takes string"},
		"no part": {func() {
			gateway.Route(gw, "POST /a", c, text, gateway.WithOutput(func(context.Context, string) (noPart, error) { return noPart{}, nil }))
		}, "field Item"},
		"a header": {func() {
			gateway.Route(gw, "POST /a", c, text, gateway.WithOutput(func(context.Context, string) (badHeader, error) { return badHeader{}, nil }))
		}, "a header cannot be"},
		"a status": {func() {
			gateway.Route(gw, "POST /a", c, text, gateway.WithOutput(func(context.Context, string) (badStatus, error) { return badStatus{}, nil }))
		}, "must be a status"},
		"a stream": {func() {
			gateway.Stream(gw, "POST /a", c, text, gateway.WithOutput(func(context.Context, string) (created, error) { return created{}, nil }))
		}, "the values of a stream"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if problem, _ := recover().(string); !strings.Contains(problem, tt.want) {
					t.Errorf("panic %q, want %q", problem, tt.want)
				}
			}()
			tt.add()
		})
	}
}

// created is the response to a new item.
type created struct {
	Location string   `header:"location" doc:"URL of the item"`
	Tags     []string `header:"X-Tag"`
	Count    int      `header:"X-Count"`
	Status   int      `in:"status" enum:"201,204"`
	Name     string   `in:"body"`
}

// TestWithInput checks that a route validates and documents its HTTP input, and sends another.
func TestWithInput(t *testing.T) {
	type buy struct {
		Item  string `json:"item" path:"item"`
		Count int    `json:"count" minimum:"1"`
	}
	type order struct {
		Lines []buy  `json:"lines"`
		By    string `json:"by"`
	}
	build := func(ctx context.Context, b buy) (order, error) {
		switch {
		case b.Count > 100:
			return order{}, micro.Errorf(422, "too many")
		case b.Count > 10:
			return order{}, errors.New("secret")
		}
		return order{[]buy{b}, principal.FromContext(ctx).Subject}, nil
	}
	_, c := overEcho(t)
	gw := gateway.New("shop", gateway.WithLogger(quiet()), gateway.WithAuthentication(claimants{}))
	gateway.Route(gw, "POST /buy/{item}", c, micro.NewMethod[order, order](echo), gateway.WithInput(build))
	as := map[string]string{"X-Claims": "key"}
	run(t, gw.Handler(), []request{
		{name: "built", method: "POST", path: "/buy/cup", body: `{"count":2}`, header: as, status: 201, answer: `{"lines":[{"item":"cup","count":2}],"by":"robot"}`},
		{name: "validated", method: "POST", path: "/buy/cup", body: `{"count":0,"by":"root"}`, header: as, status: 400,
			answer: `{"message":["property by should not exist","count must not be less than 1"],"error":"Bad Request","statusCode":400}`},
		{name: "an error with a status", method: "POST", path: "/buy/cup", body: `{"count":101}`, header: as, status: 422, answer: `{"statusCode":422,"message":"too many"}`},
		{name: "another error", method: "POST", path: "/buy/cup", body: `{"count":11}`, header: as, status: 500, answer: `{"statusCode":500,"message":"Internal server error"}`},
	})
	if doc := send(gw, "GET /api-json").Body.String(); !strings.Contains(doc, `"EchoBody":{"additionalProperties":false,"properties":{"count":{`) || !strings.Contains(doc, `"name":"item"`) {
		t.Errorf("the document is %s", doc)
	}
}

// TestWithOutput checks that a reply becomes a response with a status, a header, and a body.
func TestWithOutput(t *testing.T) {
	gw, c := overEcho(t, gateway.WithCORS("*"))
	item := micro.NewMethod[newItem, newItem](echo)
	gateway.Route(gw, "POST /created", c, item, gateway.WithOutput(func(_ context.Context, i newItem) (created, error) {
		switch i.Name {
		case "gone":
			return created{Status: 204, Name: "not sent"}, nil
		case "bad":
			return created{}, micro.Errorf(409, "taken")
		case "broken":
			return created{}, errors.New("secret")
		case "odd":
			return created{Status: 99}, nil
		}
		return created{Location: "/items/7", Tags: []string{"a", "b"}, Count: 2, Name: i.Name}, nil
	}))
	gateway.Route(gw, "GET /part", c, micro.NewMethod[filter, filter](echo), gateway.WithOutput(func(_ context.Context, f filter) ([]string, error) { return f.Tags, nil }))
	gateway.Route(gw, "POST /none", c, item, gateway.WithOutput(func(context.Context, newItem) (micro.None, error) { return micro.None{}, nil }), gateway.WithStatus(204))
	gateway.Stream(gw, "POST /stream", c, item, gateway.WithOutput(func(_ context.Context, i newItem) (string, error) { return i.Name, nil }))
	post := func(path, name string) request {
		return request{method: "POST", path: path, body: `{"name":"` + name + `","price":1}`}
	}
	w := post("/created", "Cup").send(t, gw.Handler())
	if h := w.Header(); w.Code != 201 || w.Body.String() != `"Cup"` || h.Get("Location") != "/items/7" || strings.Join(h.Values("X-Tag"), " ") != "a b" || h.Get("X-Count") != "2" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	for _, tt := range []struct {
		request
		status int
		want   string
	}{
		{post("/created", "gone"), 204, ""},
		{post("/created", "bad"), 409, `{"statusCode":409,"message":"taken"}`},
		{post("/created", "broken"), 500, `{"statusCode":500,"message":"Internal server error"}`},
		{post("/created", "odd"), 500, `{"statusCode":500,"message":"Internal server error"}`},
		{request{method: "GET", path: "/part?tag=a,b"}, 200, `["a","b"]`},
		{request{method: "GET", path: "/part"}, 200, `[]`},
		{post("/none", "Cup"), 204, ""},
		{post("/stream", "Cup"), 200, `["Cup"]`},
	} {
		if w := tt.send(t, gw.Handler()); w.Code != tt.status || w.Body.String() != tt.want {
			t.Errorf("%s %s: %d %s, want %d %s", tt.path, tt.body, w.Code, w.Body, tt.status, tt.want)
		}
	}
	if w := send(gw, "GET /part?tag=a", "Origin", "https://shop.example"); w.Header().Get("ETag") == "" || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "Location") {
		t.Errorf("the header is %v", w.Header())
	}
}

// TestShapesAreDocumented checks the OpenAPI document of routes with shapes.
func TestShapesAreDocumented(t *testing.T) {
	gw, c := overEcho(t)
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[updateItem, newItem](micro.Cmd("updateItem")),
		gateway.WithOutput(func(context.Context, newItem) (created, error) { return created{}, nil }))
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []struct{ Name, In string }
			RequestBody struct {
				Required bool
				Content  map[string]struct{ Schema map[string]any }
			}
			Responses map[string]struct {
				Headers map[string]struct {
					Description string
					Schema      map[string]any
				}
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(send(gw, "GET /api-json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/items/{id}"]["patch"]
	var where []string
	for _, p := range op.Parameters {
		where = append(where, p.In+" "+p.Name)
	}
	if got := strings.Join(where, ", "); got != "path id, query force, header X-Tenant" {
		t.Errorf("the parameters are %s", got)
	}
	if ref := op.RequestBody.Content["application/json"].Schema["$ref"]; ref != "#/components/schemas/NewItem" || !op.RequestBody.Required {
		t.Errorf("the body is %v", op.RequestBody)
	}
	if doc.Components.Schemas["NewItem"] == nil || doc.Components.Schemas["UpdateItem"] != nil {
		t.Errorf("the schemas are %v", doc.Components.Schemas)
	}
	if r := op.Responses["201"]; r.Headers["Location"].Description != "URL of the item" || r.Headers["X-Count"].Schema["type"] != "integer" || r.Content["application/json"].Schema["type"] != "string" {
		t.Errorf("201 is %+v", r)
	}
	if r, there := op.Responses["204"]; !there || r.Content != nil {
		t.Errorf("204 is %+v", r)
	}
	if _, there := op.Responses["200"]; there {
		t.Error("200 is documented")
	}
	if _, there := op.Responses["403"]; !there {
		t.Error("403 is not documented, although a claim may be missing")
	}
}
