package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func ExampleWithProblemDetails() {
	gw := gateway.New("shop", gateway.WithLogger(slog.New(slog.DiscardHandler)), gateway.WithProblemDetails())
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/nothing", nil))
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Println(w.Body)
	// Output:
	// application/problem+json
	// {"type":"about:blank","title":"Not Found","status":404,"detail":"Cannot GET /nothing"}
}

// TestProblemDetails checks that the errors of every kind have the form of RFC 9457, and the same
// statuses as without it.
func TestProblemDetails(t *testing.T) {
	t.Parallel()
	type dto struct {
		Name string `json:"name" minLength:"2"`
	}
	s := echoServer()
	micro.HandleStream(s, micro.Cmd("broken"), func(context.Context, micro.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) { _ = yield(1, nil) && yield(0, micro.Errorf(409, "no more")) }
	})
	client := microtest.Serve(t, s)
	gw := gateway.New("test", gateway.WithLogger(quiet()), gateway.WithProblemDetails())
	open := gateway.WithPublic()
	gateway.Route(gw, "POST /closed", client, micro.NewMethod[dto, dto](echo))
	gateway.Route(gw, "POST /echo", client, micro.NewMethod[dto, dto](echo), open)
	gateway.Route(gw, "POST /fail", client, micro.NewMethod[json.RawMessage, micro.None](micro.Cmd("fail")), open)
	gateway.Route(gw, "GET /unhandled", client, micro.NewMethod[micro.None, micro.None](micro.Cmd("unhandled")), open)
	gateway.Stream(gw, "GET /broken", client, micro.NewMethod[micro.None, int](micro.Cmd("broken")), open)
	gateway.Operation(gw, huma.Operation{Method: "POST", Path: "/operation"}, func(context.Context, *struct{ Body dto }) (*struct{}, error) {
		return nil, huma.Error409Conflict("taken")
	}, open)
	h := gw.Handler()

	const invalid = `{"type":"about:blank","title":"Bad Request","status":400,"detail":"property x should not exist; name must be longer than or equal to 2 characters",` +
		`"errors":["property x should not exist","name must be longer than or equal to 2 characters"]}`
	for _, r := range []request{
		{"invalid", "POST", "/echo", `{"name":"a","x":1}`, nil, 400, invalid},
		{"one rule", "POST", "/echo", `{"name":"a"}`, nil, 400,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"name must be longer than or equal to 2 characters","errors":["name must be longer than or equal to 2 characters"]}`},
		{"no credentials", "POST", "/closed", `{"name":"ab"}`, nil, 401, `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Unauthorized"}`},
		{"no such method", "DELETE", "/echo", "", nil, 405, ""},
		{"error of the service", "POST", "/fail", `{"status":402,"message":"declined"}`, nil, 402,
			`{"type":"about:blank","title":"Payment Required","status":402,"detail":"declined"}`},
		{"list of the service", "POST", "/fail", `{"status":400,"message":["a","b"]}`, nil, 400,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"a; b","errors":["a","b"]}`},
		{"internal error", "POST", "/fail", `{"message":"secret"}`, nil, 500,
			`{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Internal server error"}`},
		{"unhandled", "GET", "/unhandled", "", nil, 501,
			`{"type":"about:blank","title":"Not Implemented","status":501,"detail":"The service does not handle this message"}`},
		{"stream", "GET", "/broken", "", nil, 409, `{"type":"about:blank","title":"Conflict","status":409,"detail":"no more"}`},
		{"operation", "POST", "/operation", `{"name":"ab"}`, nil, 409, `{"type":"about:blank","title":"Conflict","status":409,"detail":"taken"}`},
	} {
		w := r.send(t, h)
		got := strings.TrimSpace(w.Body.String())
		if w.Code != r.status || r.answer != "" && got != r.answer || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %s, want %d %s", r.name, w.Code, w.Header().Get("Content-Type"), got, r.status, r.answer)
		}
	}
	events := request{method: "GET", path: "/broken", header: map[string]string{"Accept": "text/event-stream"}}.send(t, h).Body.String()
	if !strings.Contains(events, `data: {"type":"about:blank","title":"Conflict","status":409,"detail":"no more"}`) {
		t.Error(events)
	}
	document := request{method: "GET", path: "/api-json"}.send(t, h).Body.String()
	if strings.Contains(document, "statusCode") || !strings.Contains(document, "application/problem+json") {
		t.Error(document)
	}
}
