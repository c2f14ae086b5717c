package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

// capture registers a handler that hands its context to look.
func capture(s *Server, look func(ctx context.Context, req *Request)) {
	Handle(s, Name("look"), func(ctx context.Context, _ None) (None, error) {
		look(ctx, RequestFromContext(ctx))
		return None{}, nil
	})
	HandleEvent(s, Name("looked"), func(ctx context.Context, _ None) error {
		look(ctx, RequestFromContext(ctx))
		return nil
	})
}

// TestMaxInFlight: past the limit Receive waits until a message has finished, or
// its connection ends.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(quiet(), WithMaxInFlight(2))
		defer s.workers.close()
		release := make(chan struct{})
		capture(s, func(context.Context, *Request) { <-release })
		to := &answers{}
		receive := func(ctx context.Context) *Inbound {
			p, _ := wire.Parse([]byte(`{"pattern":"look","data":1,"id":"1"}`))
			return s.Deliver(ctx, Delivery{Packet: &p, To: to})
		}
		for range 2 {
			receive(t.Context()).Go()
		}
		if !s.Full() {
			t.Error("not full")
		}
		third := make(chan *Inbound)
		go func() { third <- receive(t.Context()) }()
		conn, closeConn := context.WithCancel(t.Context())
		go func() { third <- receive(conn) }()
		synctest.Wait()
		select {
		case <-third:
			t.Fatal("a third message is taken")
		default:
		}
		closeConn()
		if in := <-third; in != nil {
			t.Error("a message of a connection that has ended is taken")
		}
		if err := s.Wait(conn); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait: %v", err)
		}
		close(release)
		in := <-third
		in.Go()
		if err := s.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if got := to.all(); len(got) != 3 {
			t.Errorf("answers: %s", got)
		}
		synctest.Wait()
	})
}

// TestGoCopies: the transport may use the packet's memory again after Go.
func TestGoCopies(t *testing.T) {
	s := NewServer(quiet())
	defer s.workers.close()
	release := make(chan struct{})
	Handle(s, Name("echo"), func(ctx context.Context, in json.RawMessage) (string, error) {
		<-release
		req := RequestFromContext(ctx)
		return string(in) + req.CorrelationID() + string(req.Data), nil
	})
	to := &answers{}
	for _, id := range []string{`"an id"`, `"\u0061n id"`} {
		body := []byte(`{"pattern":"echo","data":"text","metadata":{"correlation-id":"c"},"id":` + id + `}`)
		p, _ := wire.Parse(body)
		s.Deliver(t.Context(), Delivery{Packet: &p, To: to}).Go()
		for i := range body {
			body[i] = 'X'
		}
	}
	close(release)
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `{"response":"\"text\"c\"text\"","isDisposed":true,"id":"an id"}`
	if diff := cmp.Diff([]string{want, want}, to.all()); diff != "" {
		t.Error(diff)
	}
}

// TestWorkersAreReused: goroutines are kept for the next message, up to a bound.
func TestWorkersAreReused(t *testing.T) {
	s := NewServer(quiet())
	gate := make(chan struct{})
	capture(s, func(context.Context, *Request) { <-gate })
	to := &answers{}
	for range maxIdleWorkers + 100 {
		p, _ := wire.Parse([]byte(`{"pattern":"look","data":1,"id":"1"}`))
		s.Deliver(t.Context(), Delivery{Packet: &p, To: to}).Go()
	}
	close(gate)
	_ = s.Wait(t.Context())
	for n := -1; n != maxIdleWorkers; {
		s.workers.mu.Lock()
		n = len(s.workers.idle)
		s.workers.mu.Unlock()
		runtime.Gosched()
	}
	s.workers.close()
	s.workers.close()
}

func TestLog(t *testing.T) {
	var log testenv.Log
	s := NewServer(WithLogger(log.Logger()))
	allForms(s)
	line := func(word string) string {
		for l := range strings.SplitSeq(log.String(), "\n") {
			if strings.Contains(l, word) {
				return l
			}
		}
		t.Errorf("no line with %q in\n%s", word, log.String())
		return ""
	}
	meta := `,"metadata":{"correlation-id":"corr","attempt":"2"}`
	for _, name := range []string{"echo", "error", "plain error", "panic", "channel", "broken"} {
		send(t, s, `{"pattern":{"cmd":"`+name+`"},"data":{}`+meta+`,"id":"1"}`)
	}
	send(t, s, `{"pattern":"unserved","data":1`+meta+`}`)
	for word, more := range map[string][]string{
		"msg=handled": {"level=DEBUG", "echo"}, "answered with an error": {"level=INFO", "no item"}, "error=secret": {"level=ERROR", "plain error"},
		"panic: secret": {"level=ERROR", "stack="}, "chan int": {"level=ERROR", "channel"}, "not valid JSON": {"level=ERROR", "broken"}, "no handler for the event": {"level=ERROR", "unserved"},
	} {
		l := line(word)
		for _, part := range append(more, "correlation_id=corr") {
			if !strings.Contains(l, part) {
				t.Errorf("no %q in %s", part, l)
			}
		}
		if strings.Contains(l, "msg=handled") && !strings.Contains(l, "attempt=2") {
			t.Errorf("no attempt in %s", l)
		}
	}
}

// TestLongError checks that a peer cannot fill the log with a text that an error repeats.
func TestLongError(t *testing.T) {
	var log testenv.Log
	s := NewServer(WithLogger(log.Logger()))
	Handle(s, Cmd("long"), func(context.Context, None) (None, error) {
		return None{}, Errorf(404, "Item with ID x%s not found", strings.Repeat("é", 1<<20))
	})
	send(t, s, `{"pattern":{"cmd":"long"},"data":{},"id":"1"}`)
	if text := log.String(); len(text) > 2*4<<10 || !strings.Contains(text, "é…") || !utf8.ValidString(text) {
		t.Errorf("%d bytes are logged, which end with %q", len(text), text[max(0, len(text)-100):])
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testenv.Log
		s := NewServer(WithLogger(log.Logger()))
		for range 1000 {
			send(t, s, `{"pattern":"unserved","data":1}`)
		}
		if n := strings.Count(log.String(), "no handler"); n != linesPerSecond {
			t.Errorf("%d lines for 1000 events", n)
		}
		<-time.After(time.Second)
		send(t, s, `"foreign"`)
		if !strings.Contains(log.String(), "suppressed=990") || !strings.Contains(log.String(), "pattern=undefined") {
			t.Errorf("the last line does not report the suppressed lines:\n%s", log.String())
		}
	})
}

func TestDescribeAndHealth(t *testing.T) {
	var asked []string
	s := NewServer(quiet(), WithName("items", "1.2"),
		WithHealthCheck("db", func(context.Context) error { asked = append(asked, "db"); return nil }),
		WithHealthCheck("queue", func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a check without a deadline")
			}
			return errors.New("full")
		}),
		WithHealthCheck("broken", func(context.Context) error { panic("check") }))
	decode := func(replies []string, to any) {
		t.Helper()
		p, err := wire.Parse([]byte(replies[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(p.Response, to); err != nil {
			t.Fatalf("%s: %v", replies, err)
		}
	}
	var d Description
	empty := send(t, s, `{"pattern":"msctl.describe","data":{},"id":"1"}`)
	if decode(empty, &d); !strings.Contains(empty[0], `"handlers":[]`) {
		t.Errorf("without handlers: %s", empty)
	}
	Handle(s, Cmd("create"), func(_ context.Context, in item) (*item, error) { return nil, errors.New("x") }, WithDoc("Creates."))
	HandleEvent(s, Name("seen"), func(context.Context, item) error { return nil })
	for range 4 {
		send(t, s, request("create", "{}"))
	}
	decode(send(t, s, `{"pattern":"msctl.describe","data":"","id":"1"}`), &d)
	if d.Name != "items" || d.Version != "1.2" || d.Instance == "" || d.InFlight != 1 || d.Started.IsZero() || len(d.Handlers) != 2 {
		t.Fatalf("described as %+v", d)
	}
	create := d.Handlers[0]
	if create.P50 <= 0 || create.P99 < create.P50 {
		t.Errorf("latencies %v and %v", create.P50, create.P99)
	}
	create.P50, create.P99 = 0, 0
	schema := &Schema{Type: "object", Title: "item", Properties: Properties{{"name", &Schema{Type: "string"}}, {"price", &Schema{Type: "integer"}}}, Required: []string{"name"}}
	want := HandlerInfo{Pattern: json.RawMessage(`{"cmd":"create"}`), Route: `{"cmd":"create"}`, Kind: "message", Doc: "Creates.", Data: schema, Reply: schema, Calls: 4, Errors: 4}
	if diff := cmp.Diff(want, create); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if seen := d.Handlers[1]; seen.Kind != "event" || seen.Reply != nil || seen.Data == nil {
		t.Errorf("the event handler: %+v", seen)
	}
	var h Health
	decode(send(t, s, `{"pattern":"msctl.health","data":{},"id":"1"}`), &h)
	if diff := cmp.Diff(map[string]string{"db": "ok", "queue": "full", "broken": "panic: check"}, h.Checks); diff != "" || h.Status != "error" || h.Instance != d.Instance {
		t.Errorf("health %+v\n%s", h, diff)
	}
	well := NewServer(quiet(), WithoutDescribe())
	if got := send(t, well, `{"pattern":"msctl.describe","data":{},"id":"1"}`); !strings.Contains(got[0], wire.NoHandlerMessage) {
		t.Errorf("describe although it is switched off: %s", got)
	}
	if decode(send(t, well, `{"pattern":"msctl.health","data":{},"id":"1"}`), &h); h.Status != "ok" {
		t.Errorf("health %+v", h)
	}
}

// listener is a Listener with the behavior of the test.
type listener func(ctx context.Context, s *Server) error

func (l listener) Serve(ctx context.Context, s *Server) error { return l(ctx, s) }

func TestServe(t *testing.T) {
	s := NewServer(quiet(), WithDrainTimeout(time.Minute))
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), "k", "v")) //nolint:staticcheck // a key of a test
	var both sync.WaitGroup
	both.Add(2)
	ends := func(ctx context.Context, s *Server) error {
		both.Done()
		<-ctx.Done()
		if s.Context().Err() != nil || s.Context().Value("k") != "v" {
			t.Error("the handlers' context ends with Serve's, not before, and has its values")
		}
		if s.DrainTimeout() != time.Minute || s.Logger() == nil {
			t.Error("drain timeout or logger")
		}
		return nil
	}
	done := make(chan error)
	go func() { done <- s.Serve(ctx, listener(ends), listener(ends)) }()
	both.Wait()
	if err := s.Serve(ctx); err == nil || !strings.Contains(err.Error(), "called twice") {
		t.Errorf("served twice: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.Context().Err() == nil {
		t.Error("the handlers' context has not ended")
	}

	failed := errors.New("port taken")
	both.Add(1)
	err := NewServer(quiet()).Serve(t.Context(), listener(func(context.Context, *Server) error { return failed }), listener(func(ctx context.Context, _ *Server) error {
		both.Done()
		<-ctx.Done() // one listener's failure ends the others
		return errors.New("afterwards")
	}))
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

func TestHandleAfterServe(t *testing.T) {
	s := NewServer(quiet())
	if err := s.Serve(t.Context()); err != nil { // no listeners: it returns at once
		t.Fatal(err)
	}
	pass := func(context.Context, *Request, Reply) error { return nil }
	for name, register := range map[string]func(){
		"Handle":        func() { Handle(s, Name("x"), func(context.Context, None) (None, error) { return None{}, nil }) },
		"HandleEvent":   func() { HandleEvent(s, Name("x"), func(context.Context, None) error { return nil }) },
		"HandleFunc":    func() { HandleFunc(s, Name("x"), pass) },
		"HandleUnknown": func() { HandleUnknown(s, pass) },
	} {
		if got, want := panicOf(register), "micro: handler registered after Serve: register all handlers first"; got != want {
			t.Errorf("%s after Serve: panic %v, want %q", name, got, want)
		}
	}
}

func TestReplacedHandler(t *testing.T) {
	var log testenv.Log
	s := NewServer(WithLogger(log.Logger()))
	handler := func(n int) func(context.Context, None) (int, error) {
		return func(context.Context, None) (int, error) { return n, nil }
	}
	Handle(s, Cmd("x"), handler(1))
	HandleEvent(s, Cmd("x"), func(context.Context, None) error { return nil })
	HandleEvent(s, Cmd("x"), func(context.Context, None) error { return nil })
	if got := log.String(); got != "" {
		t.Errorf("one message handler and two event handlers logged: %s", got)
	}
	Handle(s, Cmd("x"), handler(2))
	if got := log.String(); !strings.Contains(got, `level=WARN msg="message handler replaced: another one was registered for the same pattern" pattern="{\"cmd\":\"x\"}"`) {
		t.Errorf("log: %s", got)
	}
	if got := send(t, s, `{"pattern":{"cmd":"x"},"data":1,"id":"1"}`); !slices.Equal(got, []string{last("2")}) {
		t.Errorf("got %s, want the reply of the last handler", got)
	}
}

// TestSpellings checks that every spelling of a pattern finds its handler, and that peers
// cannot make the server's memory grow without limit.
func TestSpellings(t *testing.T) {
	s := NewServer(quiet())
	Handle(s, Fields(map[string]any{"a": 1, "b": 2}), func(context.Context, None) (int, error) { return 1, nil })
	for range 2 {
		for _, spelling := range []string{`{"a":1,"b":2}`, `{"b":2,"a":1}`, `{ "b" : 2.0, "a" : 1e0 }`, `"{\"b\":2,\"a\":1}"`} {
			if got := send(t, s, `{"pattern":`+spelling+`,"data":1,"id":"1"}`); !slices.Equal(got, []string{last("1")}) {
				t.Errorf("%s: %s", spelling, got)
			}
		}
	}
	for n := range maxCachedPatterns + 1000 {
		s.lookup(fmt.Appendf(nil, `{"a":1,%*s:2%*s}`, n/100+3, `"b"`, n%100, ""))
	}
	if n := s.patterns.size(); n > maxCachedPatterns+2*len(s.routes) {
		t.Errorf("%d spellings are remembered", n)
	}
}
