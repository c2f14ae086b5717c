package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

// TestReportedRequests checks what a gateway reports of requests, and that their contexts carry their
// spans, along with those of another observer.
func TestReportedRequests(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reporter, err := tap.Parse("tcp://gateway:secret@" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	other := func(req *http.Request) (context.Context, func(string, int)) {
		if tap.FromContext(req.Context()).IsZero() == (req.URL.Path != "/health/live") {
			t.Errorf("%s: the span is missing, or there is one", req.URL.Path)
		}
		return req.Context(), func(string, int) { ends++ }
	}
	for _, next := range []observer{nil, other} {
		observe := reported(reporter, next)
		for _, tt := range []struct {
			target, route string
			status        int
		}{{"/items/7?token=x", "GET /items/{id}", 200}, {"/none", "", 404}, {"/items/8", "GET /items/{id}", 0}, {"/health/live", "GET /health/live", 200}} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, nil)
			req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			_, end := observe(req)
			end(tt.route, tt.status)
		}
	}
	reporter.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	type told struct {
		Pattern, Path, Trace string
		Outcome              tap.Outcome
		Status               int
	}
	var got []told
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var r tap.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Error(err)
		}
		if r.Kind == tap.HTTP && !r.Open {
			got = append(got, told{r.Pattern, r.Path, r.Trace, r.Outcome, r.Status})
		}
	}
	const trace = "0af7651916cd43dd8448eb211c80319c"
	once := []told{
		{"GET /items/{id}", "/items/7", trace, tap.OK, 200},
		{"GET /none", "/none", trace, tap.Failed, 404},
		{"GET /items/{id}", "/items/8", trace, tap.Abandoned, 0},
	}
	if diff := cmp.Diff(append(once, once...), got); diff != "" || ends != 4 {
		t.Errorf("%d ends\n%s", ends, diff)
	}
}
