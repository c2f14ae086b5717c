package gateway_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

// packed compresses text.
func packed(t *testing.T, text string, pack func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := pack(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(w io.Writer) io.WriteCloser  { return gzip.NewWriter(w) }
func deflated(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

// items is a gateway with routes that answer with their input.
func items(t *testing.T, opts ...gateway.Option) *gateway.Gateway {
	t.Helper()
	gw, client := overEcho(t, opts...)
	gateway.Route(gw, "POST /items", client, micro.NewMethod[newItem, newItem](echo))
	gateway.Route(gw, "GET /items", client, micro.NewMethod[filter, filter](echo))
	gateway.Route(gw, "PATCH /items/{id}", client, micro.NewMethod[itemChanges, itemChanges](echo))
	gateway.Route(gw, "POST /api-items", client, micro.NewMethod[newItem, newItem](echo), gateway.WithContentTypes("application/vnd.api+json"))
	gateway.Route(gw, "GET /strict", client, micro.NewMethod[filter, filter](echo), gateway.WithUnknownQuery(validate.Forbid))
	type name struct {
		Name string `json:"name" path:"name"`
	}
	gateway.Route(gw, "GET /Files/{name}/Content", client, micro.NewMethod[name, name](echo))
	return gw
}

// TestBodies checks the media types, charsets, and encodings of bodies.
func TestBodies(t *testing.T) {
	t.Parallel()
	gw := items(t, gateway.WithBodyLimit(1000))
	const item, created = `{"name":"Cup","price":1}`, `{"kind":"toy","name":"Cup","price":1}`
	bomb := `{"name":"` + strings.Repeat("x", 1<<20) + `","price":1}`
	for _, c := range []struct {
		name, path, kind, encoding, body string
		status                           int
		want                             string // part of the body
	}{
		{"utf-8", "/items", "application/json; charset=UTF-8", "", item, 201, created},
		{"iso-8859-1", "/items", "application/json; charset=iso-8859-1", "", item, 415, `unsupported charset \"ISO-8859-1\"`},
		{"utf-16", "/items", "application/json;charset=utf-16le", "", item, 415, "unsupported charset"},
		{"gzip", "/items", "application/json", "gzip", packed(t, item, gzipped), 201, created},
		{"deflate", "/items", "application/json", "deflate", packed(t, item, deflated), 201, created},
		{"identity", "/items", "application/json", "identity", item, 201, created},
		{"a byte order mark", "/items", "application/json", "", "\ufeff" + item, 201, created},
		{"br", "/items", "application/json", "br", item, 415, `unsupported content encoding \"br\"`},
		{"two encodings", "/items", "application/json", "gzip, gzip", packed(t, item, gzipped), 415, "unsupported content encoding"},
		{"not gzip", "/items", "application/json", "gzip", item, 400, "could not be read"},
		{"truncated gzip", "/items", "application/json", "gzip", packed(t, item, gzipped)[:20], 400, "could not be read"},
		{"a bomb", "/items", "application/json", "gzip", packed(t, bomb, gzipped), 413, "too large"},
		{"too large", "/items", "application/json", "", bomb, 413, "too large"},
		{"no type", "/items", "", "", item, 415, "send Content-Type: application/json"},
		{"a type of JSON", "/items", "application/vnd.api+json", "", item, 415, "send Content-Type: application/json"},
		{"the type of the route", "/api-items", "application/vnd.api+json", "", item, 201, created},
		{"not the type of the route", "/api-items", "application/json", "", item, 415, "send Content-Type: application/vnd.api+json"},
		{"too deep", "/items", "application/json", "", strings.Repeat("[", 500) + strings.Repeat("]", 500), 400, "more than 200 nested levels"},
	} {
		req := httptest.NewRequest("POST", c.path, strings.NewReader(c.body))
		if c.kind != "" {
			req.Header.Set("Content-Type", c.kind)
		}
		if c.encoding != "" {
			req.Header.Set("Content-Encoding", c.encoding)
		}
		w := httptest.NewRecorder()
		gw.Handler().ServeHTTP(w, req)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, w.Code, w.Body, c.status, c.want)
		}
	}
}

// TestPaths checks which paths and methods match a route.
func TestPaths(t *testing.T) {
	t.Parallel()
	lenient, strict := items(t), items(t, gateway.WithStrictPaths())
	for _, c := range []struct {
		target          string
		lenient, strict int
		want            string // the body of a lenient gateway
	}{
		{"GET /items", 200, 200, `{}`},
		{"GET /items/", 200, 404, `{}`},
		{"GET /ITEMS", 200, 404, `{}`},
		{"GET /Items/?limit=2", 200, 404, `{"limit":2}`},
		{"GET /files/ReadMe%2Ftxt/content/", 200, 404, `{"name":"ReadMe/txt"}`},
		{"GET /HEALTH/live", 200, 404, `{"status":"ok"}`},
		{"GET /items//", 404, 404, `{"message":"Cannot GET /items//","error":"Not Found","statusCode":404}`},
		{"GET //items", 404, 404, `{"message":"Cannot GET //items","error":"Not Found","statusCode":404}`},
		{"GET /items/../items", 404, 404, `{"message":"Cannot GET /items/../items","error":"Not Found","statusCode":404}`},
		{"GET /items?utm_source=x", 200, 200, `{}`},
		{"GET /strict?utm_source=x", 400, 400, `{"message":["property utm_source should not exist"],"error":"Bad Request","statusCode":400}`},
		{"DELETE /Items/", 405, 404, `{"message":"Cannot DELETE /Items/","error":"Method Not Allowed","statusCode":405}`},
		{"OPTIONS /items", 204, 204, ``},
		{"OPTIONS /nowhere", 404, 404, `{"message":"Cannot OPTIONS /nowhere","error":"Not Found","statusCode":404}`},
	} {
		w := send(lenient, c.target)
		if w.Code != c.lenient || w.Body.String() != c.want {
			t.Errorf("%s: %d %s, want %d %s", c.target, w.Code, w.Body, c.lenient, c.want)
		}
		if w := send(strict, c.target); w.Code != c.strict {
			t.Errorf("%s, strictly: %d, want %d", c.target, w.Code, c.strict)
		}
	}
	if allow := send(lenient, "OPTIONS /items").Header().Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", allow)
	}
}

// TestETags checks that a client that has a response already does not get it again.
func TestETags(t *testing.T) {
	t.Parallel()
	gw := items(t)
	first := send(gw, "GET /items?limit=2")
	tag := first.Header().Get("ETag")
	if tag != `W/"b-uLDz4id2e7cvd4JAFVvN5Ga2NiE"` { // Express's for {"limit":2}
		t.Errorf("the tag of %s is %s", first.Body, tag)
	}
	for _, c := range []struct {
		target, given string
		status        int
	}{
		{"GET /items?limit=2", tag, 304},
		{"HEAD /items?limit=2", tag, 304},
		{"GET /items?limit=2", strings.TrimPrefix(tag, "W/"), 304},
		{"GET /items?limit=2", `"x", ` + tag, 304},
		{"GET /items?limit=2", "*", 304},
		{"GET /items?limit=3", tag, 200},
		{"GET /items?limit=2", `"x"`, 200},
	} {
		w := send(gw, c.target, "If-None-Match", c.given)
		if w.Code != c.status || w.Code == 304 && (w.Body.Len() > 0 || w.Header().Get("ETag") != tag) {
			t.Errorf("%s with %s: %d %s %s", c.target, c.given, w.Code, w.Header().Get("ETag"), w.Body)
		}
	}
	if w := send(gw, "GET /items?limit=2", "If-None-Match", tag, "Cache-Control", "no-cache"); w.Code != 200 {
		t.Errorf("%d for a client that reloads", w.Code)
	}
	if w := send(gw, "GET /items?limit=x"); w.Header().Get("ETag") != "" {
		t.Error("an error has a tag")
	}
}

// TestHead checks that HEAD has the header of GET, whatever serves it, and no body.
func TestHead(t *testing.T) {
	t.Parallel()
	gw := items(t)
	_, client := overEcho(t)
	gateway.Stream(gw, "GET /stream", client, micro.NewMethod[filter, filter](echo))
	type output struct{ Body string }
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/operation"}, func(context.Context, *struct{}) (*output, error) { return &output{"x"}, nil })
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	get := func(method, path string) (status int, header http.Header, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		res.Header.Del("Date")
		res.Header.Del("X-Correlation-Id")
		return res.StatusCode, res.Header, string(text)
	}
	for _, path := range []string{
		"/items?limit=2", "/items?limit=x", "/stream", "/operation", "/health", "/health/live", "/api", "/api-json", "/api-yaml", "/api/start.js", "/api/favicon.png", "/nowhere",
	} {
		status, header, body := get("GET", path)
		headStatus, headHeader, headBody := get("HEAD", path)
		want := header.Clone()
		if path == "/nowhere" { // the message has the method
			want.Del("Content-Length")
			headHeader.Del("Content-Length")
		}
		if diff := cmp.Diff(want, headHeader); headStatus != status || body == "" || headBody != "" || diff != "" {
			t.Errorf("%s: %d and %q, but %d and %q: %s", path, status, body, headStatus, headBody, diff)
		}
	}
}

// TestCORSOptions checks what pages of other origins may do.
func TestCORSOptions(t *testing.T) {
	t.Parallel()
	preflight := func(gw *gateway.Gateway, origin, header string) (allowed, headers, credentials string) {
		h := send(gw, "OPTIONS /items", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", header).Header()
		return h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Headers"), h.Get("Access-Control-Allow-Credentials")
	}
	const shop, other = "https://shop.example", "https://other.example"
	named := items(t, gateway.WithCORS(shop), gateway.WithCORSHeaders("X-Tenant"), gateway.WithCORSCredentials())
	anyHeader := items(t, gateway.WithCORS("*"), gateway.WithCORSHeaders("*"))
	for _, c := range []struct {
		name           string
		gw             *gateway.Gateway
		origin, header string
		want           [3]string
	}{
		{"none", items(t), shop, "authorization", [3]string{}},
		{"named", named, shop, "authorization", [3]string{shop, "authorization", "true"}},
		{"another header", named, shop, "x-tenant", [3]string{shop, "x-tenant", "true"}},
		{"unknown header", named, shop, "x-other", [3]string{}},
		{"another origin", named, other, "authorization", [3]string{}},
		{"a similar origin", named, shop + ".evil.example", "authorization", [3]string{}},
		{"any header", anyHeader, other, "x-anything", [3]string{"*", "x-anything", ""}},
	} {
		var got [3]string
		got[0], got[1], got[2] = preflight(c.gw, c.origin, c.header)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("credentials are allowed for all origins")
		}
	}()
	items(t, gateway.WithCORS("*"), gateway.WithCORSCredentials()).Handler()
}

// TestHeaders checks the headers that protect browsers, on every kind of response.
func TestHeaders(t *testing.T) {
	t.Parallel()
	gw := items(t)
	for _, target := range []string{"GET /items", "GET /nowhere", "GET /health", "GET /api-json", "OPTIONS /items"} {
		h := send(gw, target).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
			"Strict-Transport-Security": "max-age=31536000; includeSubDomains", "Referrer-Policy": "no-referrer", "X-Powered-By": "", "Server": "",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", target, name, h.Get(name), want)
			}
		}
	}
	if policy := send(gw, "GET /api").Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("the page's policy is %q", policy)
	}
}

// TestYAML checks that /api-yaml is the document of /api-json.
func TestYAML(t *testing.T) {
	t.Parallel()
	w := send(items(t), "GET /api-yaml")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/yaml; charset=utf-8" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	for _, want := range []string{"openapi: 3.1.0", "/items/{id}:", "title: test"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the document does not contain %q", want)
		}
	}
}

// TestResponseTime checks that the health of each service contains the time of its answer.
func TestResponseTime(t *testing.T) {
	t.Parallel()
	_, client := overEcho(t)
	var report struct {
		Details map[string]struct{ ResponseTime *int64 }
	}
	if err := json.Unmarshal(send(newGateway(gateway.WithHealth("items", client)), "GET /health").Body.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if took := report.Details["items"].ResponseTime; took == nil || *took < 0 {
		t.Errorf("%+v", report)
	}
}
