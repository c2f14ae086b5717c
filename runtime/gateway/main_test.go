package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet keeps a server's log out of the test's.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// echo is the pattern of a handler that answers with its data.
var echo = micro.Cmd("echo")

// echoServer answers echo with its data, and fail with the data as an error's payload.
func echoServer() *micro.Server {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.Handle(s, echo, func(_ context.Context, data json.RawMessage) (json.RawMessage, error) { return data, nil })
	micro.Handle(s, micro.Cmd("fail"), func(_ context.Context, data json.RawMessage) (micro.None, error) {
		return micro.None{}, micro.NewError(data)
	})
	return s
}

// request is one request and what is wanted of the response.
type request struct {
	name, method, path, body string
	header                   map[string]string
	status                   int
	answer                   string
}

// send sends the request to h.
func (r request) send(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader(r.body))
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// run sends requests and compares.
func run(t *testing.T, h http.Handler, requests []request) {
	t.Helper()
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			res := r.send(t, h)
			if got := responseTime.ReplaceAllString(res.Body.String(), ""); res.Code != r.status || got != r.answer {
				t.Errorf("%s %s %s\n got %d %s\nwant %d %s", r.method, r.path, r.body, res.Code, got, r.status, r.answer)
			}
		})
	}
}

// responseTime is what differs from one health check to the next.
var responseTime = regexp.MustCompile(`"responseTime":\d+,`)

// lines is a log whose lines can be looked at.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// all returns the lines as objects.
func (l *lines) all(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]any
	for line := range strings.Lines(l.text.String()) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		out = append(out, object)
	}
	return out
}

// newGateway returns a gateway without authentication.
func newGateway(opts ...gateway.Option) *gateway.Gateway {
	return gateway.New("test", append([]gateway.Option{gateway.WithLogger(quiet()), gateway.WithPublic()}, opts...)...)
}

// overEcho is a gateway and a client of an echo server.
func overEcho(t *testing.T, opts ...gateway.Option) (*gateway.Gateway, *micro.Client) {
	t.Helper()
	return newGateway(opts...), microtest.Serve(t, echoServer())
}
