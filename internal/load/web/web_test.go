package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitLimit bounds the wait for events that must happen. It is long because the machine
// may be busy.
const waitLimit = 30 * time.Second

// serve runs a web server until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// dial returns a connection to a URL that is closed when the test ends.
func dial(t *testing.T, url string, opts web.Options) *web.Conn {
	t.Helper()
	c, err := web.Dial(url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// exchange sends one request and returns the response's body.
func exchange(t *testing.T, c *web.Conn, req *micro.Request) (string, error) {
	t.Helper()
	if req.Deadline.IsZero() {
		req.Deadline = time.Now().Add(waitLimit)
	}
	var body []byte
	err := c.Exchange(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error {
		if !v.Last {
			t.Error("the value is not the last")
		}
		body = append(body, v.Raw...)
		return nil
	}))
	return string(body), err
}

// respond returns a handler that responds with a status and a body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// redirect returns a handler that redirects every request.
func redirect(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	}
}

// TestOutcomes checks the outcome for each way in which a request can end.
func TestOutcomes(t *testing.T) {
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "not all")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	silent := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-never:
		case <-r.Context().Done():
		}
	}
	slowly := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		silent(w, r)
	}
	cases := []struct {
		name    string
		handler http.HandlerFunc
		want    load.ErrorCount // without a count; OK where it is zero
	}{
		{"200", respond(200, `{"id":1}`), load.ErrorCount{}},
		{"201 without a body", respond(201, ""), load.ErrorCount{}},
		{"304 is no success", respond(304, ""), load.ErrorCount{Outcome: load.Error, Status: 304, Text: "Not Modified"}},
		{"302 is a redirect", redirect(302, "/elsewhere"), load.ErrorCount{Outcome: load.Error, Status: 302, Text: "redirect to /elsewhere"}},
		{"404 of NestJS", respond(404, `{"message":"item 17 not found","error":"Not Found","statusCode":404}`), load.ErrorCount{Outcome: load.Error, Status: 404, Text: "item # not found"}},
		{"400 of NestJS's validation", respond(400, `{"message":["name must be a string","price must be positive"],"error":"Bad Request","statusCode":400}`),
			load.ErrorCount{Outcome: load.Error, Status: 400, Text: "name must be a string; price must be positive"}},
		{"404 as problem+json", respond(404, `{"type":"about:blank","title":"Not Found","status":404,"detail":"no such item"}`), load.ErrorCount{Outcome: load.Error, Status: 404, Text: "no such item"}},
		{"409 as problem+json without detail", respond(409, `{"title":"it is there"}`), load.ErrorCount{Outcome: load.Error, Status: 409, Text: "it is there"}},
		{"the body's status does not count", respond(502, `{"statusCode":200,"message":"odd"}`), load.ErrorCount{Outcome: load.Error, Status: 502, Text: "odd"}},
		{"503 in plain text", respond(503, "  too\n busy "), load.ErrorCount{Outcome: load.Error, Status: 503, Text: "too busy"}},
		{"500 without a body", respond(500, ""), load.ErrorCount{Outcome: load.Error, Status: 500, Text: "Internal Server Error"}},
		{"500 with JSON without a message", respond(500, `[1]`), load.ErrorCount{Outcome: load.Error, Status: 500, Text: "Internal Server Error"}},
		{"a status without a name", respond(499, ""), load.ErrorCount{Outcome: load.Error, Status: 499, Text: "status #"}},
		{"a long body", respond(500, strings.Repeat("é", 5000)), load.ErrorCount{Outcome: load.Error, Status: 500, Text: strings.Repeat("é", 80) + "…"}},
		{"closed before the answer", abort, load.ErrorCount{Outcome: load.Reset, Text: "connection closed: EOF"}},
		{"closed in the middle of the answer", half, load.ErrorCount{Outcome: load.Reset, Text: "connection closed: unexpected EOF"}},
		{"a response that is too large", respond(200, strings.Repeat("x", 2000)), load.ErrorCount{Outcome: load.Reset, Text: "connection closed: the response has more than 1000 bytes"}},
		{"no answer", silent, load.ErrorCount{Outcome: load.Timeout, Text: "no answer in time"}},
		{"no end of an answer", slowly, load.ErrorCount{Outcome: load.Timeout, Text: "no answer in time"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			timeout := waitLimit
			if c.want.Outcome == load.Timeout {
				timeout = 50 * time.Millisecond
			}
			check(t, dial(t, serve(t, c.handler).URL, web.Options{MaxBody: 1000}), timeout, c.want)
		})
	}
}

// check sends three requests and compares their outcomes.
func check(t *testing.T, conn micro.Conn, timeout time.Duration, want load.ErrorCount) {
	t.Helper()
	r, err := load.Start(t.Context(), load.Plan{
		Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Name("GET /")}},
		Policy:   policy.New(policy.WithTimeout(timeout)), Users: 1, Requests: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	res := r.Wait()
	if res.Totals.Outcomes[want.Outcome] != 3 {
		t.Errorf("outcomes %v, want 3 %s", res.Totals.Outcomes, want.Outcome)
	}
	if want == (load.ErrorCount{}) {
		return
	}
	want.Count = 3
	if diff := cmp.Diff([]load.ErrorCount{want}, res.Errors); diff != "" {
		t.Errorf("errors -want +got\n%s", diff)
	}
}

// TestUnreachable checks a port without a listener and a certificate for another host.
func TestUnreachable(t *testing.T) {
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	stranger := httptest.NewUnstartedServer(respond(200, ""))
	stranger.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	for _, url := range []string{"http://" + free.Addr().String(), stranger.URL} {
		if _, err := exchange(t, dial(t, url, web.Options{}), &micro.Request{}); !errors.Is(err, micro.ErrUnreachable) {
			t.Errorf("%s: %v, want unreachable", url, err)
		}
	}
}

// TestHTTPS checks a server with a trusted certificate.
func TestHTTPS(t *testing.T) {
	s := httptest.NewTLSServer(respond(200, `"safe"`))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	got, err := exchange(t, dial(t, s.URL, web.Options{TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}}), &micro.Request{})
	if got != `"safe"` || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// seen is what a server has received.
type seen struct {
	Method, URI, Host, Body string
	Length                  int64
	Header                  map[string]string
}

// TestRequests checks the requests on the wire.
func TestRequests(t *testing.T) {
	var got seen
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // an error shows in the comparison
		got = seen{r.Method, r.RequestURI, r.Host, string(body), r.ContentLength, map[string]string{}}
		for key := range r.Header {
			got.Header[key] = r.Header.Get(key)
		}
	})
	host := strings.TrimPrefix(s.URL, "http://")
	agent := "msctl"
	var metadata micro.Metadata
	metadata.Set(micro.MetaCorrelationID, "abc-1")
	metadata.Set("tenant", "t1")
	var added, both micro.Request
	added.SetCorrelationID("abc-2")
	both.SetCorrelationID("abc-2")
	both.Metadata.Set("tenant", "t1")
	cases := []struct {
		name string
		path string
		opts web.Options
		req  micro.Request
		want seen
	}{
		{"a get has no body", "/items?all=1&x=a%20b", web.Options{}, micro.Request{Data: []byte(`{}`)},
			seen{"GET", "/items?all=1&x=a%20b", host, "", 0, map[string]string{"User-Agent": agent}}},
		{"a post is JSON", "/items", web.Options{Method: "POST"}, micro.Request{Data: []byte(`{"n":1}`)},
			seen{"POST", "/items", host, `{"n":1}`, 7, map[string]string{"User-Agent": agent, "Content-Type": "application/json", "Content-Length": "7"}}},
		{"headers and metadata", "", web.Options{Header: http.Header{"X-Key": {"k"}}}, micro.Request{Metadata: metadata},
			seen{"GET", "/", host, "", 0, map[string]string{"User-Agent": agent, "X-Key": "k", "X-Correlation-Id": "abc-1", "Tenant": "t1"}}},
		{"an added ID", "", web.Options{}, added,
			seen{"GET", "/", host, "", 0, map[string]string{"User-Agent": agent, "X-Correlation-Id": "abc-2"}}},
		{"an added ID and a header of one's own", "", web.Options{Header: http.Header{"X-Correlation-Id": {"mine"}}}, both,
			seen{"GET", "/", host, "", 0, map[string]string{"User-Agent": agent, "X-Correlation-Id": "mine", "Tenant": "t1"}}},
		{"a content type of one's own", "", web.Options{Method: "PUT", Header: http.Header{"Content-Type": {"text/plain"}}}, micro.Request{Data: []byte("hello")},
			seen{"PUT", "/", host, "hello", 5, map[string]string{"User-Agent": agent, "Content-Type": "text/plain", "Content-Length": "5"}}},
		{"another host's name", "", web.Options{Header: http.Header{"Host": {"shop.example"}}}, micro.Request{},
			seen{"GET", "/", "shop.example", "", 0, map[string]string{"User-Agent": agent}}},
	}
	for _, c := range cases {
		if _, err := exchange(t, dial(t, s.URL+c.path, c.opts), &c.req); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
	named := dial(t, "http://me:secret@"+host, web.Options{})
	if _, err := exchange(t, named, &micro.Request{}); err != nil || got.Header["Authorization"] != "Basic bWU6c2VjcmV0" {
		t.Errorf("with a name in the URL: %v, %v", got, err)
	}
}

// TestConnectionsAreReused checks that sequential requests use one connection, whatever
// the status, and that ten concurrent requests use ten.
func TestConnectionsAreReused(t *testing.T) {
	var opened, answered atomic.Int64
	together := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" {
			if answered.Add(1) == 10 {
				close(together)
			}
			<-together
		}
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	for path, want := range map[string]int64{"/good": 1, "/bad": 1} {
		before := opened.Load()
		c := dial(t, s.URL+path, web.Options{})
		for range 50 {
			_, _ = exchange(t, c, &micro.Request{})
		}
		if got := opened.Load() - before; got != want {
			t.Errorf("%s: %d connections for 50 requests, want %d", path, got, want)
		}
	}
	before, c := opened.Load(), dial(t, s.URL+"/together", web.Options{})
	for range 2 {
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, _ = exchange(t, c, &micro.Request{}) })
		}
		wg.Wait()
	}
	if got := opened.Load() - before; got != 10 {
		t.Errorf("%d connections for ten requests at once, twice, want 10", got)
	}
}

// TestClose checks that requests in flight and later ones fail, and that nothing is left.
func TestClose(t *testing.T) {
	arrived := make(chan struct{}, 1000)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done() // the client's connection has gone
	})
	c := dial(t, s.URL, web.Options{})
	errs := make(chan error, 3)
	for range 3 {
		go func() {
			errs <- c.Exchange(t.Context(), &micro.Request{Deadline: time.Now().Add(waitLimit)}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		}()
	}
	for range 3 {
		<-arrived
	}
	_ = c.Close()
	for range 3 {
		if err := <-errs; !errors.Is(err, micro.ErrClosed) {
			t.Errorf("in flight: %v, want closed", err)
		}
	}
	for range 100 {
		if _, err := exchange(t, c, &micro.Request{}); !errors.Is(err, micro.ErrClosed) {
			t.Errorf("later: %v, want closed", err)
		}
	}
}

// TestDeadlines checks the end of the context and the request's deadline, whichever is
// earlier.
func TestDeadlines(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := dial(t, s.URL, web.Options{})
	why := errors.New("enough")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	late, stop := context.WithDeadline(t.Context(), time.Now())
	defer stop()
	for name, test := range map[string]struct {
		ctx      context.Context
		deadline time.Time
		want     error
	}{
		"canceled":      {ended, time.Now().Add(waitLimit), why},
		"the context's": {late, time.Now().Add(waitLimit), micro.ErrTimeout},
		"the request's": {t.Context(), time.Now().Add(10 * time.Millisecond), micro.ErrTimeout},
		"already over":  {t.Context(), time.Now().Add(-time.Second), micro.ErrTimeout},
	} {
		err := c.Exchange(test.ctx, &micro.Request{Deadline: test.deadline}, micro.ReplyFunc(func(micro.Value) error { return nil }))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestTrace checks that Wrote is called once, before the reply.
func TestTrace(t *testing.T) {
	s := serve(t, respond(200, `"ok"`))
	c := dial(t, s.URL, web.Options{Method: "POST"})
	for range 3 {
		var told []string
		start := time.Now()
		req := &micro.Request{Data: []byte(`1`), Deadline: start.Add(waitLimit), Trace: &micro.Trace{Wrote: func(at time.Time, packet []byte) {
			told = append(told, fmt.Sprintf("wrote %s %t", packet, at.Before(start)))
		}}}
		err := c.Exchange(t.Context(), req, micro.ReplyFunc(func(v micro.Value) error {
			told = append(told, "answer "+string(v.Raw))
			return nil
		}))
		if diff := cmp.Diff([]string{"wrote 1 false", `answer "ok"`}, told); diff != "" || err != nil {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	}
}

func TestDialErrors(t *testing.T) {
	for _, address := range []string{"", "localhost:3000", "ftp://x", "http://", "http://a b", "https:///path", "tcp://localhost:1"} {
		if c, err := web.Dial(address, web.Options{}); err == nil {
			_ = c.Close()
			t.Errorf("%q was accepted", address)
		}
	}
	c := dial(t, "http://localhost:1", web.Options{})
	if c.Publish(t.Context(), &micro.Request{}) == nil {
		t.Error("an event was sent over HTTP")
	}
}

// TestResponseBeforeTheRequest checks that a response is read although the server closes the
// connection without reading the whole request, so that writing it fails.
func TestResponseBeforeTheRequest(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 100))
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 13\r\n\r\n{\"message\":1}")
			_ = conn.Close() // with a reset, because not all has been read
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	data := []byte(`"` + strings.Repeat("x", 16<<20) + `"`)
	for range 20 {
		c := dial(t, "http://"+l.Addr().String(), web.Options{Method: http.MethodPost})
		_, err := exchange(t, c, &micro.Request{Data: data})
		var remote *micro.Error
		if !errors.As(err, &remote) || remote.Status != http.StatusRequestEntityTooLarge {
			t.Fatalf("got %v", err)
		}
	}
}
