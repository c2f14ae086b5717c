package tap

import (
	"bufio"
	"encoding/json"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// collector accepts one connection, and returns its lines when it has ended.
func collector(t *testing.T) (r *Reporter, lines func() (Hello, []map[string]any)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if r, err = Parse("tcp://items:s3cret@" + l.Addr().String() + "?body=64"); err != nil {
		t.Fatal(err)
	}
	r.due = true // nothing is written in between, however slow the test is
	return r, func() (hello Hello, records []map[string]any) {
		r.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		scanner := bufio.NewScanner(conn)
		for first := true; scanner.Scan(); first = false {
			if first {
				if err := json.Unmarshal(scanner.Bytes(), &hello); err != nil {
					t.Error(err)
				}
				continue
			}
			record := map[string]any{}
			if err := json.Unmarshal(scanner.Bytes(), &record); err != nil {
				t.Errorf("%s: %v", scanner.Bytes(), err)
			}
			delete(record, "start")
			delete(record, "took")
			records = append(records, record)
		}
		return hello, records
	}
}

func TestRecords(t *testing.T) {
	r, lines := collector(t)
	cause := next(Ref{})
	s := r.Start(&Span{
		Kind: Send, Pattern: `{"cmd":"a"}`, Call: "c1", Attempt: 2, Transport: "tcp", Correlation: "x-1",
		Data:     []byte(`{"password":"p","n":1}`),
		Metadata: func(yield func(k, v string) bool) { _ = yield("authorization", "Bearer x") && yield("lang", `"en"`) },
	}, cause)
	s.Reply([]byte(`1`))
	s.Reply([]byte("{\n\"token\":\"t\"}"))
	s.End(OK, nil)
	long := r.Start(&Span{Kind: Handle, Pattern: "b", Event: true, ID: []byte(`"7"`), Data: []byte(`"` + strings.Repeat("ä", 50) + `"`)}, Ref{})
	long.End(Failed, &Error{Message: "no \"item\"\n", Status: 404, Own: true})
	web := r.Start(&Span{Kind: HTTP, Pattern: "GET /items/7", Path: "/items/7"}, TraceOf("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	web.Route, web.Status = "GET /items/{id}", 200
	web.End(OK, nil)
	hello, records := lines()
	hello.PID = 0
	if diff := cmp.Diff(Hello{Tap: 1, Secret: "s3cret", Service: "items", Runtime: "go"}, hello); diff != "" {
		t.Error(diff)
	}
	trace, parent, _ := strings.Cut(cause.String(), "-")
	text := func(r Ref) (trace, span string) {
		trace, span, _ = strings.Cut(r.String(), "-")
		return trace, span
	}
	_, first := text(s.Ref())
	secondTrace, second := text(long.Ref())
	_, third := text(web.Ref())
	want := []map[string]any{
		{
			"kind": "send", "trace": trace, "span": first, "parent": parent, "pattern": `{"cmd":"a"}`, "call": "c1", "attempt": 2.0,
			"transport": "tcp", "correlation": "x-1", "outcome": "ok", "values": 2.0, "in": 22.0, "out": 15.0,
			"data": map[string]any{"password": "***", "n": 1.0}, "reply": map[string]any{"token": "***"},
			"metadata": map[string]any{"authorization": "***", "lang": `"en"`},
		},
		{
			"kind": "handle", "trace": secondTrace, "span": second, "pattern": "b", "event": true, "id": "7", "outcome": "error",
			"in": 102.0, "data": `"` + strings.Repeat("ä", 31), "cut": true,
			"error": map[string]any{"message": "no \"item\"\n", "status": 404.0, "own": true},
		},
		{
			"kind": "http", "trace": "0af7651916cd43dd8448eb211c80319c", "span": third, "pattern": "GET /items/{id}", "path": "/items/7",
			"outcome": "ok", "status": 200.0,
		},
	}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Error(diff)
	}
}

// TestOpenSpans checks that what has not ended is reported as open, once, and again when it ends.
func TestOpenSpans(t *testing.T) {
	r, lines := collector(t)
	s := r.Start(&Span{Kind: Send, Pattern: "a"}, Ref{})
	s.start = s.start.Add(-time.Second)
	r.flushDue()
	r.flushDue()
	s.End(TimedOut, &Error{Message: "timeout"})
	_, records := lines()
	var got []any
	for _, record := range records {
		got = append(got, record["open"], record["outcome"])
	}
	if diff := cmp.Diff([]any{true, nil, nil, "timeout"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoCollector checks that a reporter without a collector counts what it drops.
func TestNoCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	r, err := Parse("tcp://a:b@" + address)
	if err != nil {
		t.Fatal(err)
	}
	r.due = true // only Flush writes
	r.Start(&Span{Kind: Emit, Pattern: "a"}, Ref{}).End(OK, nil)
	r.Flush()
	if r.Recording() {
		t.Error("it records without a collector")
	}
	if dropped := r.dropped.Load(); dropped != 2 {
		t.Errorf("%d dropped records were counted, want 2", dropped)
	}
}

// TestBounds checks that records that are not taken do not pile up, and that all of them are counted.
func TestBounds(t *testing.T) {
	r := &Reporter{address: "127.0.0.1:1", body: DefaultBody}
	r.due = true // no flush
	const spans = 600
	data := []byte(`"` + strings.Repeat("x", DefaultBody-2) + `"`)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range spans / 4 {
				r.Start(&Span{Kind: Emit, Pattern: "a", Data: data}, Ref{}).End(OK, nil)
			}
		})
	}
	wait.Wait()
	kept := countLines(r.buffer)
	if len(r.buffer) > maxBuffer || kept+int(r.dropped.Load()) != spans {
		t.Errorf("%d bytes, %d records, %d dropped", len(r.buffer), kept, r.dropped.Load())
	}
	if r.first != nil || r.last != nil {
		t.Error("a span that has ended is still in the list")
	}
}

func TestParse(t *testing.T) {
	for _, value := range []string{
		"", "x", "tcp://127.0.0.1:1", "http://a:b@127.0.0.1:1", "tcp://a:s3cret@192.0.2.1:1", "tcp://a:s3cret@localhost:1",
		"tcp://a:s3cret@127.0.0.1:1?body=-1", "tcp://a:s3cret@127.0.0.1:1?body=x", "tcp://a:s3cret@%zz",
	} {
		_, err := Parse(value)
		if err == nil {
			t.Errorf("%q: no error", value)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error contains the secret: %v", value, err)
		}
	}
}

func TestRef(t *testing.T) {
	r := next(next(Ref{}))
	if got, ok := ParseRef(r.String()); !ok || got != r {
		t.Errorf("%v became %v", r, got)
	}
	for _, text := range []string{
		"", "x", r.String()[1:], r.String() + "0", strings.Replace(r.String(), "-", "_", 1), strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16),
		strings.Repeat("g", 32) + "-" + strings.Repeat("0", 16), strings.Repeat("1", 32) + "-" + strings.Repeat("g", 16),
	} {
		if _, ok := ParseRef(text); ok {
			t.Errorf("%q was accepted", text)
		}
	}
	if FromContext(NewContext(t.Context(), r)) != r || !FromContext(t.Context()).IsZero() {
		t.Error("the context loses the span")
	}
}

// BenchmarkSpan is one record, with or without a body of 1 KB, up to the buffer.
func BenchmarkSpan(b *testing.B) {
	for name, data := range map[string][]byte{"bare": nil, "1 KB": []byte(`{"name":"` + strings.Repeat("abcdefgh", 120) + `","price":9.99,"tags":["a","b"]}`)} {
		b.Run(name, func(b *testing.B) {
			r := &Reporter{body: DefaultBody, due: true}
			b.ReportAllocs()
			for b.Loop() {
				s := r.Start(&Span{Kind: Send, Pattern: `{"cmd":"createItem"}`, Call: "c1", Transport: "tcp", Correlation: "0123456789abcdef1", Data: data}, Ref{})
				s.Reply(data)
				s.End(OK, nil)
				r.buffer = r.buffer[:0]
			}
		})
	}
}
