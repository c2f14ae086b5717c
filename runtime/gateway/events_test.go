package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/principal"
)

// acceptEvents is the header of a browser's EventSource.
var acceptEvents = map[string]string{"Accept": "text/event-stream"}

// TestEvents checks the form of server-sent events.
func TestEvents(t *testing.T) {
	s := micro.NewServer(micro.WithLogger(quiet()))
	micro.HandleStream(s, micro.Cmd("count"), count)
	c := microtest.Serve(t, s)
	gw := newGateway()
	method := micro.NewMethod[filter, int](micro.Cmd("count"))
	type named struct {
		ID    string `in:"id"`
		Event string `in:"event"`
		Value []int  `in:"body"`
	}
	gateway.Stream(gw, "GET /count", c, method)
	gateway.Stream(gw, "POST /count", c, method)
	gateway.Stream(gw, "GET /named", c, method, gateway.WithOutput(func(_ context.Context, n int) (named, error) {
		return named{"n" + strconv.Itoa(n), "count", []int{n}}, nil
	}))
	gateway.Stream(gw, "GET /spaced", micro.NewClient(values{"{\n\"a\":\r\n1}"}), method)
	const end, enough = "event: end\ndata: {}\n\n", `{"statusCode":409,"message":"enough"}`
	run(t, gw.Handler(), []request{
		{name: "values", method: "GET", path: "/count?limit=2", header: acceptEvents, status: 200, answer: "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n" + end},
		{name: "no value", method: "GET", path: "/count", header: acceptEvents, status: 200, answer: end},
		{name: "POST", method: "POST", path: "/count", body: `{"limit":1}`, header: acceptEvents, status: 200, answer: "id: 1\ndata: 1\n\n" + end},
		{name: "an error at once", method: "GET", path: "/count?q=err", header: acceptEvents, status: 409, answer: enough},
		{name: "an error at the end", method: "GET", path: "/count?q=err&limit=1", header: acceptEvents, status: 200, answer: "id: 1\ndata: 1\n\nevent: error\ndata: " + enough + "\n\n"},
		{name: "invalid", method: "GET", path: "/count?limit=x", header: acceptEvents, status: 400, answer: `{"message":["limit must not be less than 1","limit must be an integer number"],"error":"Bad Request","statusCode":400}`},
		{name: "named", method: "GET", path: "/named?limit=1", header: acceptEvents, status: 200, answer: "id: n1\nevent: count\ndata: [1]\n\n" + end},
		{name: "named, as an array", method: "GET", path: "/named?limit=1", status: 200, answer: "[[1]]"},
		{name: "several types", method: "GET", path: "/count", header: map[string]string{"Accept": "application/json, Text/Event-Stream;q=0.5"}, status: 200, answer: end},
		{name: "line breaks", method: "GET", path: "/spaced", header: acceptEvents, status: 200, answer: "id: 1\ndata: { \"a\":  1}\n\n" + end},
		{name: "line breaks in lines", method: "GET", path: "/spaced", header: map[string]string{"Accept": "application/x-ndjson"}, status: 200, answer: "{ \"a\":  1}\n"},
		{name: "HEAD", method: "HEAD", path: "/count", header: acceptEvents, status: 200, answer: ""},
	})
	for path, status := range map[string]int{"/count?limit=1": 200, "/count?q=err": 409} {
		h := request{method: "GET", path: path, header: acceptEvents}.send(t, gw.Handler()).Header()
		if stream := status == 200; stream != (h.Get("Content-Type") == "text/event-stream") || stream != (h.Get("X-Accel-Buffering") == "no") || h.Get("Vary") != "Accept" {
			t.Errorf("%s: %v", path, h)
		}
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
	}
	if err := json.Unmarshal(send(gw, "GET /api-json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if schema := doc.Paths["/count"]["get"].Responses["200"].Content["text/event-stream"].Schema; schema["type"] != "integer" {
		t.Errorf("the schema of an event is %v", schema)
	}
}

// values is a Conn that replies with JSON texts.
type values []string

func (v values) Exchange(_ context.Context, _ *micro.Request, reply micro.Reply) error {
	for i, text := range v {
		if err := reply.Send(micro.Value{Raw: json.RawMessage(text), Last: i == len(v)-1}); err != nil {
			return err
		}
	}
	return nil
}
func (values) Publish(context.Context, *micro.Request) error { return nil }
func (values) Close() error                                  { return nil }

// fountain is a Conn that replies until the caller leaves, and then reports what it sent.
type fountain struct {
	value string // empty for one value and then none
	ended chan int
}

func (f fountain) Exchange(ctx context.Context, _ *micro.Request, reply micro.Reply) error {
	sent := 0
	for {
		text := f.value
		if text == "" {
			text = "1"
		}
		if err := reply.Send(micro.Value{Raw: json.RawMessage(text)}); err != nil {
			f.ended <- sent
			return err
		}
		sent += len(text)
		if f.value != "" && ctx.Err() == nil {
			continue
		}
		<-ctx.Done()
		f.ended <- sent
		return context.Cause(ctx)
	}
}
func (fountain) Publish(context.Context, *micro.Request) error { return nil }
func (fountain) Close() error                                  { return nil }

// streaming serves a stream on a real socket.
func streaming(t *testing.T, from micro.Conn, opts ...gateway.Option) (address string, stop func(), done <-chan error) {
	t.Helper()
	gw := newGateway(opts...)
	gateway.Stream(gw, "GET /events", micro.NewClient(from), micro.NewMethod[micro.None, json.RawMessage](echo))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- gw.ServeListener(ctx, l) }()
	t.Cleanup(cancel)
	return l.Addr().String(), cancel, served
}

// connect requests the stream, with a small receive buffer.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readEvent reads up to the end of the first event.
func readEvent(t *testing.T, r *bufio.Reader) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "data: ") {
			return
		}
	}
}

// TestClientOfEventsLeaves checks that the exchange ends when the client does.
func TestClientOfEventsLeaves(t *testing.T) {
	source := fountain{ended: make(chan int, 1)}
	address, stop, done := streaming(t, source, gateway.WithDrain(0, time.Minute))
	conn := connect(t, address)
	readEvent(t, bufio.NewReader(conn))
	conn.Close()
	<-source.ended
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestClientOfEventsNeverReads checks that such a client does not let a fast service fill the
// memory of the gateway.
func TestClientOfEventsNeverReads(t *testing.T) {
	source := fountain{value: `"` + strings.Repeat("x", 1000) + `"`, ended: make(chan int, 1)}
	address, stop, done := streaming(t, source, gateway.WithDrain(0, time.Minute), gateway.WithEventStream(gateway.EventStream{Buffer: 64 << 10, Heartbeat: time.Minute}))
	connect(t, address)
	if sent := <-source.ended; sent > 32<<20 { // what the system buffers, and 64 KiB
		t.Errorf("%d bytes were accepted", sent)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDrainEndsEvents checks that streams do not delay a restart, and end without an event, so
// that clients connect again.
func TestDrainEndsEvents(t *testing.T) {
	source := fountain{ended: make(chan int, 1)}
	address, stop, done := streaming(t, source, gateway.WithDrain(0, time.Minute))
	r := bufio.NewReader(connect(t, address))
	readEvent(t, r)
	stop()
	<-source.ended
	rest, err := io.ReadAll(r)
	if err != nil || strings.Contains(string(rest), "event:") || !strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") {
		t.Errorf("%q %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLifetimeOfEvents checks when a stream ends whose service does not end it.
func TestLifetimeOfEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		expires time.Duration
		want    time.Duration
	}{"its lifetime": {0, time.Hour}, "the credentials end": {20 * time.Minute, 20 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			source := fountain{ended: make(chan int, 1)}
			start := time.Now()
			gw := gateway.New("shop", gateway.WithLogger(quiet()), gateway.WithAuthentication(expiring{start.Add(tt.expires), tt.expires > 0}))
			gateway.Stream(gw, "GET /events", micro.NewClient(source), micro.NewMethod[micro.None, json.RawMessage](echo),
				gateway.WithEventStream(gateway.EventStream{Lifetime: time.Hour, Heartbeat: 10 * time.Minute}))
			w := httptest.NewRecorder()
			req := httptest.NewRequestWithContext(t.Context(), "GET", "/events", nil)
			req.Header.Set("Accept", "text/event-stream")
			gw.Handler().ServeHTTP(w, req)
			if took := time.Since(start); took != tt.want || w.Code != 200 || strings.ReplaceAll(w.Body.String(), ":\n\n", "") != "id: 1\ndata: 1\n\n" || !strings.Contains(w.Body.String(), ":\n\n") {
				t.Errorf("%s: after %v: %d %q", name, took, w.Code, w.Body)
			}
		})
	}
}

// expiring authenticates every caller until a time.
type expiring struct {
	at  time.Time
	set bool
}

func (e expiring) Scheme() (string, *huma.SecurityScheme) { return names{"X-Api-Key"}.Scheme() }
func (e expiring) Authenticate(*http.Request) (*principal.Principal, error) {
	p := &principal.Principal{Subject: "u-7"}
	if e.set {
		p.Expires = e.at
	}
	return p, nil
}
