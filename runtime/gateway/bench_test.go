package gateway_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

// BenchmarkRoute is one request through everything, and its message in memory.
func BenchmarkRoute(b *testing.B) {
	gw := newGateway()
	c := microtest.Serve(b, echoServer())
	gateway.Route(gw, "POST /items", c, micro.NewMethod[newItem, newItem](echo))
	h := gw.Handler()
	const body = `{"name":"Widget","price":9.99,"tags":["garden","tool"],"kind":"toy"}`
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest("POST", "/items", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 201 {
			b.Fatal(w.Code, w.Body)
		}
	}
}
