package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

type observedKey struct{}

// spanHandler records whether each line has the observer's context.
type spanHandler struct {
	slog.Handler
	lines *[]any
}

func (h spanHandler) Handle(ctx context.Context, _ slog.Record) error {
	*h.lines = append(*h.lines, ctx.Value(observedKey{}))
	return nil
}

// TestObserver checks that an observer sees every request once, with its route and status, that
// its context is the request's and that of the log, and that what it sets as traceparent is sent.
func TestObserver(t *testing.T) {
	var seen []string
	var logged []any
	log := slog.New(spanHandler{slog.NewJSONHandler(&lines{}, nil), &logged})
	const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, micro.Cmd("trace"), func(ctx context.Context, _ micro.None) (string, error) {
		return micro.RequestFromContext(ctx).Metadata.Get(micro.MetaTraceparent), nil
	})
	client := microtest.Serve(t, s)
	gw := newGateway(gateway.WithLogger(log), gateway.WithObserver(func(req *http.Request) (context.Context, func(string, int)) {
		req.Header.Set("Traceparent", own)
		return context.WithValue(req.Context(), observedKey{}, req.URL.Path), func(route string, status int) {
			seen = append(seen, fmt.Sprintf("%s: %d", route, status))
		}
	}))
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/items/{id}"}, func(ctx context.Context, _ *struct {
		ID string `path:"id"`
	},
	) (*struct{}, error) {
		if ctx.Value(observedKey{}) == nil {
			t.Error("the handler's context is another one")
		}
		return &struct{}{}, nil
	})
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/panic"}, func(context.Context, *struct{}) (*struct{}, error) { panic("boom") })
	gateway.Operation(gw, huma.Operation{Method: "GET", Path: "/abort"}, func(context.Context, *struct{}) (*struct{}, error) { panic(http.ErrAbortHandler) })
	gateway.Route(gw, "GET /trace", client, micro.NewMethod[micro.None, string](micro.Cmd("trace")))
	run(t, gw.Handler(), []request{{name: "traceparent", method: "GET", path: "/trace", status: 200, answer: `"` + own + `"`}})
	seen = nil
	for _, target := range []string{"/items/7", "/ITEMS/7/", "/nothing", "//items/7", "/panic", "/health/live"} {
		gw.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", target, nil))
	}
	func() {
		defer func() { _ = recover() }()
		gw.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/abort", nil))
	}()
	want := []string{"GET /items/{id}: 204", ": 404", ": 404", "GET /panic: 500", "GET /health/live: 200", "GET /abort: 0"}
	if diff := cmp.Diff(append([]string{want[0]}, want...), seen); diff != "" {
		t.Error(diff)
	}
	for i, value := range logged {
		if value == nil {
			t.Errorf("line %d of the log lacks the observer's context", i)
		}
	}
}
