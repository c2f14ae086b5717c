package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

type versioned struct {
	ID      string `json:"id"`
	Version int64  `json:"version,omitzero"`
	Views   int    `json:"views"`
	Text    string `json:"text,omitempty"`
}

type change struct {
	ID      string `json:"id" path:"id"`
	Version int64  `json:"version,omitzero" header:"If-Match" minimum:"1" doc:"Change this version only"`
	Changes struct {
		Text string `json:"text"`
	} `json:"changes" in:"body"`
}

// versions starts a gateway in front of a service with one item of version 3, whose views each GET
// increases, and with one item without a version.
func versions(t *testing.T) *gateway.Gateway {
	t.Helper()
	type id struct {
		ID string `json:"id" path:"id"`
	}
	s := micro.NewServer(micro.WithLogger(quiet()))
	find, update := micro.NewMethod[id, versioned](micro.Cmd("find")), micro.NewMethod[change, versioned](micro.Cmd("update"))
	views := 0
	find.Handle(s, func(_ context.Context, in id) (versioned, error) {
		if in.ID == "plain" {
			return versioned{ID: in.ID}, nil
		}
		item := versioned{ID: in.ID, Version: 3, Text: strings.Repeat("long ", 400)}
		if in.ID == "viewed" {
			views++
			item.Views = views
		}
		return item, nil
	})
	update.Handle(s, func(_ context.Context, in change) (versioned, error) {
		if in.Version != 0 && in.Version != 3 {
			return versioned{}, micro.Errorf(409, "the current version is 3")
		}
		return versioned{ID: in.ID, Version: 4, Text: in.Changes.Text}, nil
	})
	c := microtest.Serve(t, s)
	gw := newGateway(gateway.WithCompression(0))
	tag := gateway.WithVersionTag(func(v versioned) int64 { return v.Version })
	gateway.Route(gw, "GET /items/{id}", c, find, tag)
	gateway.Route(gw, "PATCH /items/{id}", c, update, tag)
	return gw
}

// sendJSON sends a request with a body.
func sendJSON(gw *gateway.Gateway, target, body string, header ...string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(target, " ")
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	gw.Handler().ServeHTTP(w, req)
	return w
}

// TestVersionTag: the ETag of a response is the If-Match of the next request, also if compression
// has weakened it, and still suits If-None-Match.
func TestVersionTag(t *testing.T) {
	t.Parallel()
	gw := versions(t)
	get := send(gw, "GET /items/7")
	tag := get.Header().Get("ETag")
	if !strings.HasPrefix(tag, `"3-`) || !strings.HasSuffix(tag, `"`) {
		t.Fatalf("the tag is %s", tag)
	}
	if again := send(gw, "GET /items/7", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("the same body: %d", again.Code)
	}
	first, second := send(gw, "GET /items/viewed").Header().Get("ETag"), send(gw, "GET /items/viewed").Header().Get("ETag")
	if first == second || first[:3] != second[:3] {
		t.Errorf("other bodies of one version have the tags %s and %s", first, second)
	}
	packed := send(gw, "GET /items/7", "Accept-Encoding", "gzip")
	if weak := packed.Header().Get("ETag"); packed.Header().Get("Content-Encoding") != "gzip" || weak != "W/"+tag {
		t.Errorf("compressed, the tag is %s", weak)
	}
	for _, match := range []string{tag, "W/" + tag, `"3"`, ` "3-x" `, "*"} {
		w := sendJSON(gw, "PATCH /items/7", `{"text":"new"}`, "If-Match", match)
		if next := w.Header().Get("ETag"); w.Code != http.StatusOK || !strings.HasPrefix(next, `"4-`) {
			t.Errorf("If-Match: %s: %d %s, tag %s", match, w.Code, w.Body, next)
		}
	}
	if w := sendJSON(gw, "PATCH /items/7", `{"text":"new"}`, "If-Match", `"2-abc"`); w.Code != http.StatusConflict || w.Header().Get("ETag") != "" {
		t.Errorf("a stale version: %d %s", w.Code, w.Body)
	}
	if plain := send(gw, "GET /items/plain").Header().Get("ETag"); !strings.HasPrefix(plain, `W/"`) {
		t.Errorf("without a version, the tag is %s", plain)
	}
}

func TestInvalidIfMatch(t *testing.T) {
	t.Parallel()
	gw := versions(t)
	for _, match := range []string{"3", `"`, `""`, `"x"`, `"3`, `3"`, `"3", "4"`, `"0"`, `"-1"`, `"+3"`, `"03"`, `"3 4"`, `w/"3"`, `W/3`, `"*"`, "**", `"99999999999999999999"`, `"3""`} {
		w := sendJSON(gw, "PATCH /items/7", `{"text":"new"}`, "If-Match", match)
		const want = `{"message":["If-Match must be * or the ETag of one earlier response"],"error":"Bad Request","statusCode":400}`
		if w.Code != http.StatusBadRequest || w.Body.String() != want {
			t.Errorf("If-Match: %s: %d %s", match, w.Code, w.Body)
		}
	}
	if w := sendJSON(gw, "PATCH /items/7", `{"text":"new"}`, "If-Match", `"3"`, "If-Match", `"3"`); w.Code != http.StatusBadRequest {
		t.Errorf("two lines: %d %s", w.Code, w.Body)
	}
	if w := sendJSON(gw, "PATCH /items/7", `{"text":"new","version":3}`); w.Code != http.StatusBadRequest {
		t.Errorf("a version in the body: %d %s", w.Code, w.Body)
	}
}

func TestVersionDocument(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In, Description string
				Schema                struct{ Type string }
			}
			Responses map[string]struct {
				Headers map[string]struct{ Example any }
			}
		}
	}
	if err := json.Unmarshal(send(versions(t), "GET /api-json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	patch := doc.Paths["/items/{id}"]["patch"]
	if p := patch.Parameters[1]; p.Name != "If-Match" || p.In != "header" || p.Schema.Type != "string" || p.Description != "Change this version only" {
		t.Errorf("If-Match is %+v", p)
	}
	if _, ok := patch.Responses["409"]; !ok || patch.Responses["200"].Headers["ETag"].Example == nil || doc.Paths["/items/{id}"]["get"].Responses["200"].Headers["ETag"].Example == nil {
		t.Errorf("the responses are %+v", patch.Responses)
	}
}

func TestVersionTagOfAnotherType(t *testing.T) {
	t.Parallel()
	defer func() {
		if problem, _ := recover().(string); !strings.Contains(problem, "WithVersionTag takes") {
			t.Errorf("another type: %q", problem)
		}
	}()
	m := micro.NewMethod[micro.None, string](micro.Cmd("text"))
	gateway.Route(newGateway(), "GET /text", microtest.Serve(t, micro.NewServer(micro.WithLogger(quiet()))), m, gateway.WithVersionTag(func(versioned) int64 { return 1 }))
}
