package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/principal"
)

// names authenticates callers by their names alone: by the bearer token, or by an API key.
type names struct{ header string }

func (n names) Scheme() (string, *huma.SecurityScheme) {
	if n.header == "Authorization" {
		return "bearer", &huma.SecurityScheme{Type: "http", Scheme: "bearer"}
	}
	return "apiKey", &huma.SecurityScheme{Type: "apiKey", In: "header", Name: n.header}
}

func (n names) Authenticate(req *http.Request) (*principal.Principal, error) {
	switch name := strings.TrimPrefix(req.Header.Get(n.header), "Bearer "); name {
	case "":
		return nil, gateway.ErrNoCredentials
	case "alice":
		return &principal.Principal{Subject: "alice", Scopes: []string{"items:read", "items:write"}}, nil
	case "bob":
		return &principal.Principal{Subject: "bob", Roles: []string{"admin"}}, nil
	case "unavailable":
		return nil, gateway.ErrAuthentication
	default:
		return nil, errors.New("secret reason")
	}
}

var whoami = micro.NewMethod[micro.None, string](micro.Cmd("whoami"))

// callers is a gateway with one route of each kind of access.
func callers(t *testing.T, opts ...gateway.Option) *gateway.Gateway {
	t.Helper()
	key, err := principal.NewKey([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	s := micro.NewServer(principal.Accept(key), micro.WithLogger(quiet()))
	whoami.Handle(s, func(ctx context.Context, _ micro.None) (string, error) {
		if p := principal.FromContext(ctx); p != nil {
			return p.Subject, nil
		}
		return "anonymous", nil
	})
	viewed := micro.NewTopic[micro.None](micro.Name("viewed"))
	viewed.Handle(s, func(context.Context, micro.None) error { return nil })
	client := microtest.Serve(t, s)
	gw := gateway.New("shop", slices.Concat([]gateway.Option{
		gateway.WithLogger(quiet()), gateway.WithPrincipals(key),
		gateway.WithAuthentication(names{"Authorization"}, names{"X-Api-Key"}),
	}, opts)...)
	gateway.Route(gw, "GET /closed", client, whoami)
	gateway.Route(gw, "GET /open", client, whoami, gateway.WithPublic())
	gateway.Route(gw, "GET /scope", client, whoami, gateway.WithScopes("items:read", "items:write"))
	gateway.Route(gw, "GET /role", client, whoami, gateway.WithRoles("admin", "owner"))
	gateway.Stream(gw, "GET /stream", client, whoami)
	gateway.Event(gw, "POST /event", client, viewed)
	type output struct{ Body string }
	operation := func(path string, opts ...gateway.OperationOption) {
		gateway.Operation(gw, huma.Operation{Method: "GET", Path: path, OperationID: strings.Trim(path, "/")}, func(ctx context.Context, _ *struct{}) (*output, error) {
			if p := principal.FromContext(ctx); p != nil {
				return &output{p.Subject}, nil
			}
			return &output{"anonymous"}, nil
		}, opts...)
	}
	operation("/operation")
	operation("/open-operation", gateway.WithPublic())
	operation("/scope-operation", gateway.WithScopes("items:read"))
	return gw
}

func send(gw *gateway.Gateway, target string, header ...string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(target, " ")
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	return w
}

// TestAccess checks who may use which route, and what the service learns about the caller.
func TestAccess(t *testing.T) {
	t.Parallel()
	gw := callers(t)
	const unauthorized = `{"message":"Unauthorized","statusCode":401}`
	const forbidden = `{"message":"Forbidden resource","error":"Forbidden","statusCode":403}`
	for _, c := range []struct {
		target, caller string
		status         int
		body           string
	}{
		{"GET /closed", "", 401, unauthorized},
		{"GET /closed", "mallory", 401, unauthorized},
		{"GET /closed", "alice", 200, `"alice"`},
		{"GET /closed", "unavailable", 503, `{"message":"Credentials cannot be checked at the moment","error":"Service Unavailable","statusCode":503}`},
		{"GET /open", "", 200, `"anonymous"`},
		{"GET /open", "alice", 200, `"alice"`},
		{"GET /open", "mallory", 200, `"anonymous"`},
		{"GET /open", "unavailable", 200, `"anonymous"`},
		{"GET /scope", "", 401, unauthorized},
		{"GET /scope", "alice", 200, `"alice"`},
		{"GET /scope", "bob", 403, forbidden},
		{"GET /role", "bob", 200, `"bob"`},
		{"GET /role", "alice", 403, forbidden},
		{"GET /stream", "", 401, unauthorized},
		{"GET /stream", "alice", 200, `["alice"]`},
		{"POST /event", "", 401, unauthorized},
		{"POST /event", "alice", 202, ``},
		{"HEAD /closed", "", 401, unauthorized},
		{"GET /operation", "", 401, unauthorized},
		{"GET /operation", "bob", 200, `"bob"`},
		{"GET /open-operation", "", 200, `"anonymous"`},
		{"GET /scope-operation", "bob", 403, forbidden},
		{"GET /scope-operation", "alice", 200, `"alice"`},
	} {
		for _, header := range []string{"Authorization", "X-Api-Key"} {
			var credentials []string
			if c.caller != "" {
				credentials = []string{header, c.caller}
			}
			w := send(gw, c.target, credentials...)
			if body := strings.TrimSpace(w.Body.String()); w.Code != c.status || body != c.body {
				t.Errorf("%s as %q by %s: %d %s, want %d %s", c.target, c.caller, header, w.Code, body, c.status, c.body)
			}
			challenge := w.Header().Get("WWW-Authenticate")
			if (w.Code == 401) != strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("%s as %q: WWW-Authenticate is %q", c.target, c.caller, challenge)
			}
		}
	}
	if w := send(gw, "GET /closed", "Authorization", "mallory", "X-Api-Key", "bob"); w.Code != 200 {
		t.Errorf("an invalid token hides a valid key: %d", w.Code)
	}
}

// TestAccessIsDocumented checks that the OpenAPI document contains what each operation requires.
func TestAccessIsDocumented(t *testing.T) {
	t.Parallel()
	var document struct {
		Components struct {
			SecuritySchemes map[string]struct{ Type string }
		}
		Paths map[string]map[string]struct {
			Security  []map[string][]string
			Responses map[string]any
		}
	}
	if err := json.Unmarshal(send(callers(t), "GET /api-json").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if s := document.Components.SecuritySchemes; s["bearer"].Type != "http" || s["apiKey"].Type != "apiKey" {
		t.Errorf("the schemes are %v", s)
	}
	for path, want := range map[string]string{
		"/closed": `[{"bearer":[]},{"apiKey":[]}]`, "/open": `[]`, "/scope": `[{"bearer":["items:read","items:write"]},{"apiKey":["items:read","items:write"]}]`,
		"/operation": `[{"bearer":[]},{"apiKey":[]}]`, "/open-operation": `[]`, "/scope-operation": `[{"bearer":["items:read"]},{"apiKey":["items:read"]}]`,
	} {
		got, err := json.Marshal(document.Paths[path]["get"].Security)
		if err != nil || string(got) != want {
			t.Errorf("%s requires %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string][2]bool{"/closed": {true, false}, "/open": {false, false}, "/role": {true, true}} {
		responses := document.Paths[path]["get"].Responses
		if got := [2]bool{responses["401"] != nil, responses["403"] != nil}; got != want {
			t.Errorf("%s documents 401 and 403: %v, want %v", path, got, want)
		}
	}
}

// TestMiddleware checks that middleware covers everything that a gateway serves.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	var order []string
	record := func(name string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				order = append(order, name)
				if req.Header.Get("X-Stop") == name {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				next.ServeHTTP(w, req)
			})
		}
	}
	gw := callers(t, gateway.WithMiddleware(record("first")), gateway.WithMiddleware(record("second")))
	for _, target := range []string{
		"GET /closed", "GET /open", "GET /stream", "POST /event", "GET /operation", "GET /open-operation", "GET /api", "GET /api-json",
		"GET /health", "GET /health/live", "GET /nothing", "PUT /open", "GET //open",
	} {
		order = nil
		send(gw, target)
		if !slices.Equal(order, []string{"first", "second"}) {
			t.Errorf("%s passes %v", target, order)
		}
		if w := send(gw, target, "X-Stop", "second"); w.Code != http.StatusTeapot || w.Header().Get("X-Correlation-Id") == "" {
			t.Errorf("%s: %d, with a correlation ID: %q", target, w.Code, w.Header().Get("X-Correlation-Id"))
		}
	}
}
