package gateway_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/validate"
	"github.com/msctl/msctl/runtime/wire"
)

// TestCorrelation: the id of a request, and its trace, are those of its message,
// its response and its log line.
func TestCorrelation(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, echo, func(ctx context.Context, _ micro.None) (map[string]string, error) {
		req := micro.RequestFromContext(ctx)
		return map[string]string{"id": req.CorrelationID(), "trace": req.Metadata.Get(micro.MetaTraceparent)}, nil
	})
	log := &lines{}
	gw := newGateway(gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	gateway.Route(gw, "GET /ids", microtest.Serve(t, s), micro.NewMethod[micro.None, json.RawMessage](echo))
	for i, test := range []struct{ id, trace, wantID, wantTrace string }{
		{"order-7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "order-7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"", "", "", ""},
		{"evil\nline", `"x`, "", ""},
		{strings.Repeat("x", 129), "", "", ""},
	} {
		res := request{method: "GET", path: "/ids", header: map[string]string{"X-Correlation-Id": test.id, "Traceparent": test.trace}}.send(t, gw.Handler())
		id := res.Header().Get("X-Correlation-Id")
		if test.wantID != "" && id != test.wantID || id == "" || id == test.id && test.wantID == "" {
			t.Errorf("id %q for %q", id, test.id)
		}
		want := `{"id":"` + id + `","trace":"` + test.wantTrace + `"}`
		if got := res.Body.String(); got != want {
			t.Errorf("message %s, want %s", got, want)
		}
		if line := log.all(t)[i]; line["correlation_id"] != id || line["route"] != "GET /ids" || line["status"] != float64(200) || line["bytes"] != float64(len(want)) {
			t.Errorf("log line %v", line)
		}
	}
}

// TestOnlyGivenMetadata: with a client that adds no metadata, a service sees what the HTTP
// client sent, and nothing of the gateway's.
func TestOnlyGivenMetadata(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, echo, func(ctx context.Context, _ micro.None) (map[string]string, error) {
		return maps.Collect(micro.RequestFromContext(ctx).Metadata.All()), nil
	})
	client := microtest.Serve(t, s, micro.WithoutMetadata())
	gw := newGateway()
	gateway.Route(gw, "GET /metadata", client, micro.NewMethod[micro.None, json.RawMessage](echo))
	for _, tt := range []struct{ id, want string }{{"", `{}`}, {"order-7", `{"correlation-id":"order-7"}`}} {
		res := request{method: "GET", path: "/metadata", header: map[string]string{"X-Correlation-Id": tt.id}}.send(t, gw.Handler())
		if got := res.Body.String(); got != tt.want || res.Header().Get("X-Correlation-Id") == "" {
			t.Errorf("ID %q: metadata %s, want %s; response header %q", tt.id, got, tt.want, res.Header().Get("X-Correlation-Id"))
		}
	}
}

// TestLog: causes are in the log and not in the answer, and a long one is shortened; pages and
// health are not logged at all at this level.
func TestLog(t *testing.T) {
	log := &lines{}
	gw := newGateway(gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	gateway.Route(gw, "GET /broken", micro.NewClient(failing{errors.New("the cause")}), micro.NewMethod[micro.None, micro.None](echo))
	gateway.Route(gw, "GET /panic", micro.NewClient(failing{}), micro.NewMethod[micro.None, micro.None](echo))
	for path, cause := range map[string]error{"/late": micro.ErrTimeout, "/down": micro.ErrUnreachable, "/long": micro.Errorf(404, "%s", strings.Repeat("é", 1<<20))} {
		gateway.Route(gw, "GET "+path, micro.NewClient(failing{cause}), micro.NewMethod[micro.None, micro.None](echo))
	}
	for _, path := range []string{"/health", "/health/live", "/api", "/broken", "/panic", "/late", "/down", "/long", "/nowhere"} {
		request{method: "GET", path: path}.send(t, gw.Handler())
	}
	type seen struct {
		Level, Path, Error string
		Stack              bool
	}
	var got []seen
	for _, line := range log.all(t) {
		cause, _ := line["error"].(string)
		_, stack := line["stack"]
		got = append(got, seen{line["level"].(string), line["path"].(string), cause, stack})
	}
	want := []seen{
		{"ERROR", "/broken", "the cause", false}, {"ERROR", "/panic", "panic: secret", true},
		{"ERROR", "/late", "no answer in time", false}, {"ERROR", "/down", "unreachable", false},
		{"INFO", "/long", strings.Repeat("é", 2<<10) + "…", false}, {"INFO", "/nowhere", "", false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPanicInTheMiddle checks that the connection is cut after half a response, so that
// no client treats it as complete.
func TestPanicInTheMiddle(t *testing.T) {
	gw := newGateway()
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/half"}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			_, _ = ctx.BodyWriter().Write([]byte("half"))
			panic("in the middle")
		}}, nil
	})
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	res, err := server.Client().Get(server.URL + "/half")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the answer looks whole")
	}
}

// TestHumaOperations: operations that are no messages have the same errors, and
// repeat nothing of what was sent.
func TestHumaOperations(t *testing.T) {
	gw := newGateway()
	type input struct {
		Body struct {
			Name string `json:"name"`
		}
	}
	gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/login"}, func(ctx context.Context, in *input) (*struct{}, error) {
		if gateway.CorrelationID(ctx) == "" {
			return nil, huma.Error500InternalServerError("no correlation id")
		}
		return nil, huma.Error403Forbidden("who are you?")
	})
	type lists struct {
		Body struct {
			Items []string       `json:"items"`
			By    map[string]int `json:"by"`
			One   *string        `json:"one"`
		}
	}
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/lists"}, func(context.Context, *struct{}) (*lists, error) { return &lists{}, nil })
	run(t, gw.Handler(), []request{
		{name: "nil slices and maps", method: "GET", path: "/lists", status: 200, answer: `{"items":[],"by":{},"one":null}` + "\n"},
		{name: "its own error", method: "POST", path: "/login", body: `{"name":"Ada"}`, status: 403,
			answer: `{"message":"who are you?","error":"Forbidden","statusCode":403}` + "\n"},
		{name: "validation", method: "POST", path: "/login", body: `{"name":7,"password":"secret"}`, status: 422,
			answer: `{"message":["name: expected string","password: unexpected property"],"error":"Unprocessable Entity","statusCode":422}` + "\n"},
	})
	res := request{method: "POST", path: "/login", body: `{"name":"Ada"}`}.send(t, gw.Handler())
	if kind := res.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" {
		t.Errorf("the media type of an error is %s", kind)
	}
	if id := gateway.CorrelationID(t.Context()); id != "" {
		t.Errorf("correlation id %q of no request", id)
	}
}

func TestCORS(t *testing.T) {
	for _, test := range []struct {
		origins []string
		origin  string
		want    string
	}{
		{nil, "https://shop.example", ""},
		{[]string{"*"}, "https://shop.example", "*"},
		{[]string{"https://shop.example"}, "https://shop.example", "https://shop.example"},
		{[]string{"https://shop.example"}, "https://evil.example", ""},
	} {
		gw, c := overEcho(t, gateway.WithCORS(test.origins...))
		gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, newItem](echo))
		res := request{method: "OPTIONS", path: "/items", header: map[string]string{
			"Origin": test.origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type",
		}}.send(t, gw.Handler())
		if got := res.Header().Get("Access-Control-Allow-Origin"); got != test.want {
			t.Errorf("%q for %q: %q, want %q", test.origins, test.origin, got, test.want)
		}
		if test.want != "" && (res.Code != http.StatusNoContent || !strings.Contains(res.Header().Get("Access-Control-Allow-Headers"), "content-type")) {
			t.Errorf("preflight %d %v", res.Code, res.Header())
		}
	}
}

func TestHealth(t *testing.T) {
	well := microtest.Serve(t, micro.NewServer(micro.WithLogger(quiet())))
	checked := func(err error) *micro.Client {
		return microtest.Serve(t, micro.NewServer(micro.WithLogger(quiet()), micro.WithHealthCheck("database", func(context.Context) error { return err })))
	}
	// NestJS's reply to an unknown pattern.
	foreign := micro.NewClient(failing{micro.RemoteError([]byte(`"` + wire.NoHandlerMessage + `"`))})
	up := `{"status":"ok","info":{"a":{"status":"up"}},"error":{},"details":{"a":{"status":"up"}}}`
	down := func(what string) string {
		return `{"status":"error","info":{},"error":{"a":{"status":"down",` + what + `}},"details":{"a":{"status":"down",` + what + `}}}`
	}
	for _, test := range []struct {
		name   string
		client *micro.Client
		status int
		answer string
	}{
		{"well", well, 200, up},
		{"another framework", foreign, 200, up},
		{"checks", checked(nil), 200, strings.ReplaceAll(up, `"up"`, `"up","checks":{"database":"ok"}`)},
		{"a check fails", checked(errors.New("disk full")), 503, down(`"message":"the service reports that it is not well","checks":{"database":"disk full"}`)},
		{"unreachable", micro.NewClient(failing{micro.ErrUnreachable}), 503, down(`"message":"unreachable"`)},
		{"lost", micro.NewClient(failing{micro.ErrConnectionLost}), 503, down(`"message":"connection lost"`)},
		{"late", micro.NewClient(failing{micro.ErrTimeout}), 503, down(`"message":"no answer in time"`)},
		{"error", micro.NewClient(failing{micro.RemoteError([]byte(`{"message":"no"}`))}), 503, down(`"message":"the service answered with an error: no"`)},
		{"other", micro.NewClient(failing{errors.New("10.0.0.1 is odd")}), 503, down(`"message":"the health answer could not be had"`)},
	} {
		gw := newGateway(gateway.WithHealth("a", test.client))
		run(t, gw.Handler(), []request{
			{name: test.name, method: "GET", path: "/health", status: test.status, answer: test.answer},
			{name: test.name + ", live", method: "GET", path: "/health/live", status: 200, answer: `{"status":"ok"}`},
			{name: test.name + ", ready", method: "GET", path: "/health/ready", status: 200, answer: `{"status":"ok"}`},
		})
	}
	gw := newGateway(gateway.WithHealth("a", well), gateway.WithHealth("b", micro.NewClient(failing{micro.ErrUnreachable})))
	run(t, gw.Handler(), []request{{name: "one of two", method: "GET", path: "/health", status: 503,
		answer: `{"status":"error","info":{"a":{"status":"up"}},"error":{"b":{"status":"down","message":"unreachable"}},"details":{"a":{"status":"up"},"b":{"status":"down","message":"unreachable"}}}`}})
}

// sharing is the connection to a broker that services share: those it names are
// there.
type sharing struct {
	failing
	names []string
}

func (s sharing) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if slices.ContainsFunc(s.names, func(name string) bool { return req.Pattern.Route() == micro.HealthOf(name).Route() }) {
		return reply.Send(micro.Value{Raw: json.RawMessage(`{"status":"ok"}`), Last: true})
	}
	return s.failing.Exchange(ctx, req, reply)
}

// TestHealthOf: no other service answers for one that is down.
func TestHealthOf(t *testing.T) {
	broker := micro.NewClient(sharing{failing{micro.ErrUnreachable}, []string{"a"}})
	gw := newGateway(gateway.WithHealthOf("a", broker), gateway.WithHealthOf("b", broker))
	run(t, gw.Handler(), []request{{name: "b is down", method: "GET", path: "/health", status: 503,
		answer: `{"status":"error","info":{"a":{"status":"up"}},"error":{"b":{"status":"down","message":"unreachable"}},"details":{"a":{"status":"up"},"b":{"status":"down","message":"unreachable"}}}`}})
}

// TestDocs: the page and all it loads come from the gateway itself.
func TestDocs(t *testing.T) {
	gw := gateway.New("Tom & Jerry's", gateway.WithLogger(quiet()))
	page := request{method: "GET", path: "/api"}.send(t, gw.Handler()).Body.String()
	if !strings.Contains(page, "<title>Tom &amp; Jerry&#39;s API</title>") || strings.Contains(page, "//") {
		t.Errorf("page %s", page)
	}
	for _, word := range strings.FieldsFunc(page, func(c rune) bool { return c == '"' }) {
		if !strings.HasPrefix(word, "api/") {
			continue
		}
		plain := request{method: "GET", path: "/" + word}.send(t, gw.Handler()).Body.String()
		packed := request{method: "GET", path: "/" + word, header: map[string]string{"Accept-Encoding": "gzip, br"}}.send(t, gw.Handler())
		text := io.Reader(packed.Body)
		if packed.Header().Get("Content-Encoding") == "gzip" {
			var err error
			if text, err = gzip.NewReader(packed.Body); err != nil {
				t.Fatal(err)
			}
		}
		unpacked, err := io.ReadAll(text)
		if err != nil || len(plain) < 100 || string(unpacked) != plain {
			t.Errorf("%s: %d bytes, %d packed, %v", word, len(plain), len(unpacked), err)
		}
	}
	if license := (request{method: "GET", path: "/api/LICENSE"}).send(t, gw.Handler()).Body.String(); !strings.Contains(license, "Apache License") {
		t.Error("no license")
	}
	if res := (request{method: "GET", path: "/api/"}).send(t, gw.Handler()); res.Code != 301 || res.Header().Get("Location") != "../api" {
		t.Errorf("%d %q", res.Code, res.Header().Get("Location"))
	}
}

func TestWithoutDocs(t *testing.T) {
	gw := newGateway(gateway.WithoutDocs())
	for _, path := range []string{"/api", "/api-json", "/openapi.json", "/api/swagger-ui.css"} {
		if res := (request{method: "GET", path: path}).send(t, gw.Handler()); res.Code != 404 {
			t.Errorf("GET %s: %d", path, res.Code)
		}
	}
}

// TestOwnTargets: the list contains each route that a gateway has from the start.
func TestOwnTargets(t *testing.T) {
	gw := newGateway()
	for _, target := range gateway.OwnTargets() {
		method, path, _ := strings.Cut(strings.TrimSuffix(target, "{$}"), " ")
		if res := (request{method: method, path: path}).send(t, gw.Handler()); res.Code == 404 || res.Code == 405 {
			t.Errorf("%s: %d", target, res.Code)
		}
	}
	for _, target := range []string{"GET /health", "GET /health/live", "GET /api", "GET /api-json", "GET /openapi.json"} {
		if !slices.Contains(gateway.OwnTargets(), target) {
			t.Errorf("%s is missing", target)
		}
	}
}

// TestHealthSummary: the report names no service, and the log does.
func TestHealthSummary(t *testing.T) {
	var logged lines
	_, up := overEcho(t)
	down := micro.NewClient(failing{micro.ErrUnreachable})
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.NewJSONHandler(&logged, nil))), gateway.WithHealthSummary(),
		gateway.WithHealth("items", up), gateway.WithHealth("orders", down))
	res := request{method: "GET", path: "/health"}.send(t, gw.Handler())
	if want := `{"status":"error","info":{},"error":{},"details":{}}`; res.Code != 503 || res.Body.String() != want {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	if all := logged.all(t); len(all) == 0 || all[0]["to"] != "orders" || all[0]["message"] != "unreachable" {
		t.Errorf("logged %v", all)
	}
}

// Health has the name of a type of another package.
type Health struct {
	Pulse int `json:"pulse"`
}

// cents has an encoding of its own, and states that it is a number.
type cents int64

func (c cents) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(c)/100, 'f', -1, 64), nil
}
func (c *cents) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, new(float64)) }
func (cents) JSONType() string                   { return "number" }

// TestSchemas: types with the same name do not collide, and a type with its own encoding has
// the schema that it states.
func TestSchemas(t *testing.T) {
	type priced struct {
		Price *cents `json:"price,omitempty" minimum:"0" multipleOf:"0.01" example:"9.99"`
	}
	gw, c := overEcho(t)
	gateway.Route(gw, "GET /a", c, micro.NewMethod[micro.None, micro.Health](micro.Cmd("a")))
	gateway.Route(gw, "GET /b", c, micro.NewMethod[micro.None, Health](micro.Cmd("b")))
	gateway.Route(gw, "GET /c", c, micro.NewMethod[micro.None, []Health](micro.Cmd("c")))
	gateway.Route(gw, "POST /price", c, micro.NewMethod[priced, priced](micro.Cmd("echo")))
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]map[string]any }
		}
	}
	text := request{method: "GET", path: "/api-json"}.send(t, gw.Handler()).Body.Bytes()
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc.Components.Schemas
	if schemas["Health"].Properties["uptimeSeconds"] == nil || schemas["GatewayTestHealth"].Properties["pulse"] == nil {
		t.Errorf("schemas %v", schemas)
	}
	price := schemas["Priced"].Properties["price"]
	if diff := cmp.Diff("number 0 0.01 [9.99]\n", fmt.Sprintln(price["type"], price["minimum"], price["multipleOf"], price["examples"])); diff != "" {
		t.Error(diff)
	}
	run(t, gw.Handler(), []request{
		{name: "a number", method: "POST", path: "/price", body: `{"price":9.99}`, status: 201, answer: `{"price":9.99}`},
		{name: "a string", method: "POST", path: "/price", body: `{"price":"9.99"}`, status: 400,
			answer: `{"message":["price must not be less than 0","price must be a number conforming to the specified constraints"],"error":"Bad Request","statusCode":400}`},
		{name: "too small", method: "POST", path: "/price", body: `{"price":-1}`, status: 400,
			answer: `{"message":["price must not be less than 0"],"error":"Bad Request","statusCode":400}`},
	})
}

func TestOpenAPI(t *testing.T) {
	gw, c := overEcho(t, gateway.WithVersion("1.2.3", "All of it."), gateway.WithServers("https://api.example"))
	gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, newItem](micro.Cmd("createItem")), gateway.WithSummary("Create"), gateway.WithDescription("At length."))
	gateway.Route(gw, "GET /items", c, micro.NewMethod[filter, []newItem](micro.Cmd("findItems")), gateway.WithTags("search"))
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[itemChanges, newItem](micro.Cmd("updateItem")))
	gateway.Route(gw, "PUT /items/{id}", c, micro.NewMethod[itemChanges, newItem](micro.Cmd("updateItem")))
	gateway.Stream(gw, "GET /stream", c, micro.NewMethod[filter, newItem](micro.Name("item.v1.watch")))
	gateway.Event(gw, "POST /items/{id}/seen", c, micro.NewTopic[itemChanges](micro.Fields(map[string]any{"n": 1})))
	gateway.Route(gw, "POST /raw", c, micro.NewMethod[json.RawMessage, json.RawMessage](micro.Cmd("raw")), gateway.WithOperationID("anything"))
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version, Description string }
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID, Summary, Description string
			Tags                              []string
			Parameters                        []struct {
				Name, In string
				Required bool
				Schema   map[string]any
			}
			RequestBody *struct {
				Required bool
				Content  map[string]struct{ Schema map[string]any }
			}
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	first := request{method: "GET", path: "/api-json"}.send(t, gw.Handler()).Body.String()
	if err := json.Unmarshal([]byte(first), &doc); err != nil {
		t.Fatal(err)
	}
	if second := (request{method: "GET", path: "/openapi.json"}).send(t, gw.Handler()).Body.String(); second != first {
		t.Error("/openapi.json differs from /api-json")
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" || doc.Info.Description != "All of it." || doc.Servers[0].URL != "https://api.example" {
		t.Errorf("head %+v", doc.Info)
	}
	ids := map[string]string{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			ids[method+" "+path] = op.OperationID
		}
	}
	wantIDs := map[string]string{
		"post /items": "createItem", "get /items": "findItems", "patch /items/{id}": "updateItem", "put /items/{id}": "putItemsId",
		"get /stream": "itemV1Watch", "post /items/{id}/seen": "postItemsIdSeen", "post /raw": "anything",
	}
	if diff := cmp.Diff(wantIDs, ids); diff != "" {
		t.Error(diff)
	}
	create, find, patch := doc.Paths["/items"]["post"], doc.Paths["/items"]["get"], doc.Paths["/items/{id}"]["patch"]
	if create.Summary != "Create" || create.Description != "At length." || cmp.Diff([]string{"items"}, create.Tags) != "" || cmp.Diff([]string{"search"}, find.Tags) != "" {
		t.Errorf("create %+v, find %+v", create, find)
	}
	if ref := create.RequestBody.Content["application/json"].Schema["$ref"]; ref != "#/components/schemas/NewItem" {
		t.Errorf("body %v", ref)
	}
	if len(find.Parameters) != 4 || find.Parameters[0].Name != "q" || find.Parameters[0].In != "query" || find.Parameters[0].Required || find.RequestBody != nil {
		t.Errorf("parameters %+v", find.Parameters)
	}
	if len(patch.Parameters) != 2 || patch.Parameters[0].In != "path" || !patch.Parameters[0].Required || patch.Parameters[0].Schema["minimum"] != float64(1) {
		t.Errorf("parameters %+v", patch.Parameters)
	}
	if got := string(doc.Components.Schemas["UpdateItemBody"]); strings.Contains(got, `"id"`) || !strings.Contains(got, `"name"`) {
		t.Errorf("UpdateItemBody %s", got)
	}
	for _, name := range []string{"Error", "NewItem", "UpdateItemBody", "PutItemsIdBody"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
	if doc.Components.Schemas["ItemChanges"] != nil {
		t.Error("a schema that nothing uses")
	}
	if got := doc.Paths["/stream"]["get"].Responses["200"].Content; got["application/x-ndjson"].Schema == nil || got["application/json"].Schema["type"] != "array" {
		t.Errorf("stream %v", got)
	}
	if _, ok := doc.Paths["/items/{id}/seen"]["post"].Responses["202"]; !ok {
		t.Error("event without 202")
	}
}

func TestUnknownMembersOfAll(t *testing.T) {
	gw, c := overEcho(t, gateway.WithUnknown(validate.Strip))
	gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, newItem](echo))
	gateway.Route(gw, "PATCH /items/{id}", c, micro.NewMethod[itemChanges, newItem](echo))
	gateway.Route(gw, "GET /{$}", c, micro.NewMethod[micro.None, newItem](echo), gateway.WithOperationID("root"))
	long := "/" + strings.Repeat("x", 100)
	run(t, gw.Handler(), []request{
		{name: "body", method: "POST", path: "/items", body: `{"name":"Cup","price":1,"foo":2}`, status: 201, answer: `{"kind":"toy","name":"Cup","price":1}`},
		{name: "query", method: "PATCH", path: "/items/7?foo=1", body: `{"id":8}`, status: 200, answer: `{"id":7}`},
		{name: "root", method: "GET", path: "/?foo=1", status: 200, answer: `{}`},
		{name: "long", method: "GET", path: long, status: 404, answer: `{"message":"Cannot GET ` + long[:64] + `…","error":"Not Found","statusCode":404}`},
	})
}
