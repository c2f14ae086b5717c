package probe_test

import (
	"context"
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

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

// part is a part of a program.
type part func(ctx context.Context) error

func (p part) Ready(ctx context.Context) error { return p(ctx) }

// listen opens a private port until the test ends, and returns its address.
func listen(t *testing.T, ctx context.Context, opts ...probe.Option) string {
	t.Helper()
	p, err := probe.Listen(ctx, ":0", append([]probe.Option{probe.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return addressOf(t, p)
}

func addressOf(t *testing.T, p *probe.Port) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	address, err := p.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return address.String()
}

// TestProbes follows the probes, and Check, through the life of a program.
func TestProbes(t *testing.T) {
	var problem atomic.Pointer[error]
	set := func(err error) { problem.Store(&err) }
	ctx, stop := context.WithCancel(t.Context())
	address := listen(t, ctx,
		probe.WithReady(part(func(context.Context) error { return nil }), part(func(context.Context) error { return *problem.Load() })),
		probe.WithHandler("GET /metrics", http.NotFoundHandler()))
	const ok = `{"status":"ok"}`
	for _, step := range []struct {
		change func()
		status int
		body   string
		check  string
	}{
		{func() { set(errors.New("the server has not been started")) }, 503, `{"message":"the server has not been started","status":"error"}`, "not ready: the server has not been started"},
		{func() { set(nil) }, 200, ok, ""},
		{func() { set(errors.New("check db: down\nagain")) }, 503, `{"message":"check db: down\nagain","status":"error"}`, "not ready: check db: down again"},
		{func() { set(nil) }, 200, ok, ""},
		{stop, 503, `{"status":"shutting_down"}`, "the program is shutting down"},
	} {
		step.change()
		wantReply(t, address, "GET /live", 200, ok)
		wantReply(t, address, "GET /ready", step.status, step.body)
		if err := probe.Check(t.Context(), address); fmt.Sprint(err) != cmpText(step.check) {
			t.Errorf("Check: %v, want %q", err, step.check)
		}
	}
	wantReply(t, address, "GET /", 404, "404 page not found")
	wantReply(t, address, "POST /live", 405, "Method Not Allowed")
}

// cmpText is the text of an error, or that of none.
func cmpText(problem string) string {
	if problem == "" {
		return "<nil>"
	}
	return problem
}

func wantReply(t *testing.T, address, request string, status int, body string) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || strings.TrimSpace(string(text)) != body {
		t.Errorf("%s: %d %s %v, want %d %s", request, resp.StatusCode, text, err, status, body)
	}
}

// TestShutdownDuringCheck checks that a program that begins to shut down during a check is not
// ready, whatever the check finds.
func TestShutdownDuringCheck(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	address := listen(t, ctx, probe.WithReady(part(func(context.Context) error {
		stop()
		return nil
	})))
	wantReply(t, address, "GET /ready", 503, `{"status":"shutting_down"}`)
}

// TestOneCheckAtATime checks that requests do not multiply the checks of a part.
func TestOneCheckAtATime(t *testing.T) {
	var running, most atomic.Int64
	address := listen(t, t.Context(), probe.WithReady(part(func(context.Context) error {
		defer running.Add(-1)
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		return nil
	})))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { wantReply(t, address, "GET /ready", 200, `{"status":"ok"}`) })
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d checks at once", most.Load())
	}
}

// TestSharedCheck checks that requests share a check, and that none waits for it longer than its
// own caller.
func TestSharedCheck(t *testing.T) {
	begun, end := make(chan struct{}, 10), make(chan struct{})
	address := listen(t, t.Context(), probe.WithReady(part(func(context.Context) error {
		begun <- struct{}{}
		<-end
		return errors.New("down")
	})))
	results := make(chan error, 1)
	go func() { results <- probe.Check(t.Context(), address) }()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- probe.Check(ctx, address) }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled check: %v", err)
	}
	close(end)
	if err := <-results; err == nil || err.Error() != "not ready: down" {
		t.Errorf("the first check: %v", err)
	}
}

// TestPanic checks that a part that panics is not ready, and is asked again.
func TestPanic(t *testing.T) {
	var asked atomic.Bool
	address := listen(t, t.Context(), probe.WithReady(part(func(context.Context) error {
		if !asked.Swap(true) {
			panic("boom")
		}
		return nil
	})))
	if err := probe.Check(t.Context(), address); err == nil {
		t.Error("ready after a panic")
	}
	if err := probe.Check(t.Context(), address); err != nil {
		t.Errorf("the next check: %v", err)
	}
}

// TestAddress checks which addresses Listen accepts, and that one without a host is not
// reachable from outside.
func TestAddress(t *testing.T) {
	for _, address := range []string{"9464", "127.0.0.1:x", "192.0.2.1:0"} {
		if p, err := probe.Listen(t.Context(), address); err == nil {
			p.Close()
			t.Errorf("%s: no error", address)
		}
	}
	host, port, err := net.SplitHostPort(listen(t, t.Context()))
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("listens on %s: %v", host, err)
	}
	for _, address := range []string{":" + port, "0.0.0.0:" + port} {
		if err := probe.Check(t.Context(), address); err != nil {
			t.Errorf("Check %s: %v", address, err)
		}
	}
}

// TestNoAddress checks that the empty address opens nothing, and leaves nothing for Check to ask.
func TestNoAddress(t *testing.T) {
	p, err := probe.Listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if address, err := p.Addr(t.Context()); err == nil {
		t.Errorf("open at %s", address)
	}
	p.Close()
	if err := probe.Check(t.Context(), ""); err == nil {
		t.Error("Check has no error")
	}
}

// TestPortInUse checks that a port is opened as soon as the previous process has freed it.
func TestPortInUse(t *testing.T) {
	var config net.ListenConfig
	previous, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log testenv.Log
	option := probe.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	p, err := probe.Listen(t.Context(), previous.Addr().String(), option)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	never, err := probe.Listen(t.Context(), previous.Addr().String(), option)
	if err != nil {
		t.Fatal(err)
	}
	never.Close() // while it is trying
	if _, err := never.Addr(t.Context()); err == nil {
		t.Error("a closed port has an address")
	}
	if err := previous.Close(); err != nil {
		t.Fatal(err)
	}
	addressOf(t, p)
	if got := strings.Count(log.String(), "in use"); got != 2 { // one line of each
		t.Errorf("log:\n%s", log.String())
	}
}

// TestStrangers sends malformed and oversized requests, and checks that each connection is closed, and that
// the probes respond afterwards.
func TestStrangers(t *testing.T) {
	address := listen(t, t.Context())
	for name, test := range map[string]struct {
		sent string
		want string // the status line, or "" for none
	}{
		"a body":         {"POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx", "HTTP/1.1 400 Bad Request"},
		"an endless one": {"GET /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "HTTP/1.1 400 Bad Request"},
		"a long header":  {"GET /live HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "HTTP/1.1 431 Request Header Fields Too Large"},
		"not HTTP":       {"HELO\r\n\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, address)
			if _, err := io.WriteString(c, test.sent); err != nil {
				t.Logf("the connection was closed: %v", err)
			}
			reply, err := io.ReadAll(c) // until the port closes the connection
			first, _, _ := strings.Cut(string(reply), "\r\n")
			if first != test.want {
				t.Errorf("got %q, %v, want %q", first, err, test.want)
			}
		})
	}
	wantReply(t, address, "GET /live", 200, `{"status":"ok"}`)
}

// TestManyConnections checks that the number of connections is bounded, and that they are free
// again when they are closed.
func TestManyConnections(t *testing.T) {
	address := listen(t, t.Context())
	const request, most = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n", 256
	var open []net.Conn
	for range most {
		c := dial(t, address)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if _, err := dial(t, address).Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more connection is not closed: %v", err)
	}
	for _, c := range open {
		_ = c.Close()
	}
	for deadline := time.Now().Add(soon); probe.Check(t.Context(), address) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the connections are not free again")
		}
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCheckOfOther checks that what is not a private port is never ready.
func TestCheckOfOther(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"another server":     {200, "<html>"},
		"a redirect":         {302, ""},
		"JSON":               {200, "{}"},
		"an endless body":    {200, strings.Repeat(" ", 1<<20)},
		"ok, but with a 503": {503, `{"status":"ok"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/live")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer s.Close()
			address := s.Listener.Addr().String()
			want := fmt.Sprintf("%s is not the private port of a program: it responds with status %d", address, test.status)
			if err := probe.Check(t.Context(), address); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	for _, address := range []string{"9464", "127.0.0.1:1"} {
		if err := probe.Check(t.Context(), address); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
