package gateway_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// unpacked returns a body without its content encoding.
func unpacked(t *testing.T, encoding string, body []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCompression checks which responses are compressed, for whom.
func TestCompression(t *testing.T) {
	t.Parallel()
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.HandleStream(s, micro.Cmd("count"), count)
	c := microtest.Serve(t, s)
	gw := newGateway(gateway.WithCompression(0))
	gateway.Stream(gw, "GET /count", c, micro.NewMethod[filter, int](micro.Cmd("count")))
	type output struct{ Body []string }
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/operation"}, func(context.Context, *struct{}) (*output, error) {
		return &output{[]string{strings.Repeat("x", 2000)}}, nil
	})
	page := func(path string, header map[string]string, body string) {
		gateway.Operation(gw, huma.Operation{Method: "GET", Path: path}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(ctx huma.Context) {
				for name, value := range header {
					ctx.SetHeader(name, value)
				}
				_, _ = io.WriteString(ctx.BodyWriter(), body)
			}}, nil
		})
	}
	long := strings.Repeat("y", 2000)
	page("/strong", map[string]string{"Content-Type": "text/plain", "ETag": `"v1"`}, long)
	page("/image", map[string]string{"Content-Type": "image/png"}, long)
	page("/untyped", nil, long)
	page("/fixed", map[string]string{"Content-Type": "text/plain", "Cache-Control": "public, no-transform"}, long)
	for _, tt := range []struct {
		target, accept string
		want           string // the encoding
		vary           bool
	}{
		{"GET /count?limit=1000", "gzip", "gzip", true},
		{"GET /count?limit=1000", "br, deflate", "deflate", true},
		{"GET /count?limit=1000", "deflate, gzip;q=0.5", "gzip", true},
		{"GET /count?limit=1000", "gzip;q=0, *", "deflate", true},
		{"GET /count?limit=1000", "*", "gzip", true},
		{"GET /count?limit=1000", "gzip;q=0", "", true},
		{"GET /count?limit=1000", "gzip;q=x", "", true},
		{"GET /count?limit=1000", "br", "", true},
		{"GET /count?limit=1000", "", "", true},
		{"GET /count?limit=10", "gzip", "", true},
		{"GET /operation", "gzip", "gzip", true},
		{"GET /api-json", "gzip", "gzip", true},
		{"GET /strong", "gzip", "gzip", true},
		{"GET /image", "gzip", "", false},
		{"GET /untyped", "gzip", "", false},
		{"GET /fixed", "gzip", "", false},
		{"GET /api/swagger-ui.css", "gzip", "gzip", true}, // compressed already
		{"GET /nowhere", "gzip", "", true},
	} {
		plain := send(gw, tt.target)
		w := send(gw, tt.target, "Accept-Encoding", tt.accept)
		encoding := w.Header().Get("Content-Encoding")
		if encoding != tt.want || w.Code != plain.Code || unpacked(t, encoding, w.Body.Bytes()) != plain.Body.String() {
			t.Errorf("%s with %q: %d, %q, %d bytes", tt.target, tt.accept, w.Code, encoding, w.Body.Len())
		}
		if vary := strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Accept-Encoding"); vary != tt.vary {
			t.Errorf("%s with %q: Vary is %q", tt.target, tt.accept, w.Header().Values("Vary"))
		}
		if length := w.Header().Get("Content-Length"); length != "" && length != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s with %q: %s of %d bytes", tt.target, tt.accept, length, w.Body.Len())
		}
	}
	if tag := send(gw, "GET /strong", "Accept-Encoding", "gzip").Header().Get("ETag"); tag != `W/"v1"` {
		t.Errorf("the strong tag becomes %s", tag)
	}
	tag := send(gw, "GET /count?limit=1000", "Accept-Encoding", "gzip").Header().Get("ETag")
	if w := send(gw, "GET /count?limit=1000", "Accept-Encoding", "gzip", "If-None-Match", tag); w.Code != 304 || w.Header().Get("Vary") == "" || w.Body.Len() > 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} {
		if w := send(gw, "GET /count?limit=1000", "Accept-Encoding", "gzip", "Accept", accept); w.Header().Get("Content-Encoding") != "" || !w.Flushed {
			t.Errorf("%s: %v", accept, w.Header())
		}
	}
	if w := send(items(t), "GET /api-json", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Header().Get("Vary") != "" {
		t.Errorf("without the option: %v", w.Header())
	}
}

// TestCompressionOverHTTP checks the length of a response over a real connection, and a panic.
func TestCompressionOverHTTP(t *testing.T) {
	t.Parallel()
	gw := newGateway(gateway.WithCompression(10), gateway.WithMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != "/panic" {
				next.ServeHTTP(w, req)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusOK) // not sent yet
			panic(errors.New("secret"))
		})
	}))
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	type response struct {
		status, length int
		encoding       string
	}
	get := func(method, path string) response {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || method == http.MethodHead && len(body) > 0 {
			t.Fatal(len(body), err)
		}
		return response{res.StatusCode, int(res.ContentLength), res.Header.Get("Content-Encoding")}
	}
	if got := get("GET", "/api-json"); got.status != 200 || got.encoding != "gzip" {
		t.Errorf("GET: %v", got)
	}
	if got := get("HEAD", "/api-json"); got != (response{200, -1, "gzip"}) { // the length is not that of the plain body
		t.Errorf("HEAD: %v", got)
	}
	if got := get("GET", "/panic"); got.status != 500 {
		t.Errorf("a panic: %v", got)
	}
}
