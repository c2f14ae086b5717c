package micro

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

// tapped returns a reporter, and a function that ends it and returns what it has reported.
func tapped(t *testing.T) (r *tap.Reporter, records func() []tap.Record) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if r, err = tap.Parse("tcp://test:secret@" + l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return r, func() (all []tap.Record) {
		r.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			var record tap.Record
			if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
				t.Error(err)
			}
			if record.Span != "" && !record.Open {
				all = append(all, record)
			}
		}
		return all
	}
}

// TestReportedMessages checks what a server reports of messages of every kind and outcome, and that
// what a handler sends is caused by its message.
func TestReportedMessages(t *testing.T) {
	r, records := tapped(t)
	conn := &fakeConn{}
	c := NewClient(conn)
	c.tap = r
	s := NewServer(quiet())
	s.tap = r
	Handle(s, Cmd("get"), func(ctx context.Context, in string) (any, error) {
		switch in {
		case "boom":
			return nil, errors.New("boom")
		case "remote":
			return nil, fmt.Errorf("call x: %w", &Error{Status: 404, Message: "none", remote: true})
		}
		if err := c.Emit(ctx, Name("got"), in); err != nil {
			t.Error(err)
		}
		return in, nil
	})
	const cause = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
	for _, body := range []string{
		`{"pattern":{"cmd":"get"},"data":"x","id":"1","metadata":{"msctl-tap":"` + cause + `"}}`,
		`{"pattern":{"cmd":"get"},"data":"boom","id":"2","metadata":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`,
		`{"pattern":{"cmd":"get"},"data":"remote","id":"3"}`,
		`{"pattern":{"cmd":"get"},"id":"4","metadata":{"timeout-ms":"0"}}`,
		`{"pattern":"unknown","data":{"password":"x"},"id":"5"}`,
		`{"pattern":"msctl.health","data":{},"id":"6"}`,
	} {
		_, _ = deliverTo(t, s, body, Delivery{})
	}
	var got []string
	all := records()
	for _, record := range all {
		text := fmt.Sprintf("%s %s %s %s", record.Kind, record.Pattern, string(record.Data), record.Outcome)
		if record.Error != nil {
			text += fmt.Sprintf(" %s %d own=%t", record.Error.Message, record.Error.Status, record.Error.Own)
		}
		got = append(got, text)
	}
	want := []string{
		`emit "got" "x" ok`,
		`handle {"cmd":"get"} "x" ok`,
		`handle {"cmd":"get"} "boom" error boom 0 own=true`,
		`handle {"cmd":"get"} "remote" error call x: none (status 404) 404 own=false`,
		`handle {"cmd":"get"}  expired`,
		`handle "unknown" {"password":"***"} no handler There is no matching message handler defined in the remote service. 0 own=true`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	trace, span, _ := strings.Cut(cause, "-")
	emitted, handled := all[0], all[1]
	if handled.Trace != trace || handled.Parent != span || emitted.Trace != trace || emitted.Parent != handled.Span {
		t.Errorf("the event is not in the tree of its cause: %+v, %+v", handled, emitted)
	}
	if all[2].Trace != trace || all[2].Parent != "" {
		t.Errorf("the trace of a caller that reports nothing is not continued: %+v", all[2])
	}
	if want := trace + "-" + emitted.Span; !strings.Contains(strings.Join(conn.sent, ""), want) {
		t.Errorf("the event does not carry its span %s: %s", want, conn.sent)
	}
}

// TestReportedRaw checks that a message without a packet is reported with its body by its sender and
// by its handler alike, as JSON.
func TestReportedRaw(t *testing.T) {
	for _, test := range []struct{ body, want string }{
		{`{"sensor":4,"password":"x"}`, `{"sensor":4,"password":"***"}`},
		{`[1,2]`, `[1,2]`},
		{`null`, `null`},
		{`plain "text"`, `"plain \"text\""`},
		{``, `""`},
		{"\xff\x00", "\"\uFFFD\\u0000\""},
		{"\xEF\xBB\xBF7", `7`},
	} {
		r, records := tapped(t)
		c := NewClient(&fakeConn{})
		c.tap = r
		s := NewServer(quiet())
		s.tap = r
		HandleRaw(s, func(context.Context, json.RawMessage) error { return nil })
		if err := c.EmitRaw(t.Context(), Name("data"), []byte(test.body)); err != nil {
			t.Fatal(err)
		}
		_, _ = deliverTo(t, s, strings.TrimPrefix(test.body, "\xEF\xBB\xBF"), Delivery{})
		var got []string
		for _, record := range records() {
			got = append(got, string(record.Kind)+" "+string(record.Data))
		}
		if diff := cmp.Diff([]string{"emit " + test.want, "handle " + test.want}, got); diff != "" {
			t.Errorf("%q: %s", test.body, diff)
		}
	}
}

// TestReportedAttempts checks that each attempt of a request is a span, and that they share a call.
func TestReportedAttempts(t *testing.T) {
	r, records := tapped(t)
	again := func(next Handler) Handler {
		return func(ctx context.Context, req *Request, reply Reply) error {
			for n := range 3 {
				attempt := *req
				attempt.Attempt = n + 1
				if err := next(ctx, &attempt, reply); err != nil {
					return err
				}
			}
			return nil
		}
	}
	c := NewClient(replyConn(`{"token":"t"}`), WithInterceptors(again))
	c.tap = r
	for range 2 {
		if _, err := Call[any](t.Context(), c, Cmd("get"), 1); err != nil {
			t.Fatal(err)
		}
	}
	calls, spans := map[string]int{}, map[string]bool{}
	var attempts []int
	for _, record := range records() {
		calls[record.Call]++
		spans[record.Span] = true
		attempts = append(attempts, record.Attempt)
		if string(record.Reply) != `{"token":"***"}` {
			t.Errorf("reply %s", record.Reply)
		}
	}
	if diff := cmp.Diff([]int{0, 2, 3, 0, 2, 3}, attempts); diff != "" || len(calls) != 2 || len(spans) != 6 || calls[""] > 0 {
		t.Errorf("%d calls, %d spans, attempts: %s", len(calls), len(spans), diff)
	}
}

func TestSentOutcome(t *testing.T) {
	for err, want := range map[error]tap.Outcome{
		nil: tap.OK, errStop: tap.OK, ErrTimeout: tap.TimedOut, context.DeadlineExceeded: tap.TimedOut, context.Canceled: tap.Abandoned,
		ErrShed: tap.Shed, ErrUnreachable: tap.Unreachable, ErrConnectionLost: tap.Unreachable, ErrClosed: tap.Unreachable,
		ErrNoHandler: tap.NoHandler, Errorf(400, "no"): tap.Failed, errors.New("x"): tap.Failed,
	} {
		if got, _ := sentOutcome(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"msctl.health": true, "msctl.health.items": true, "msctl.describe": true, "msctl.describe.items": true,
		"msctl.healthy": false, "msctl": false, "items.msctl.health": false,
	} {
		if got := reserved(Name(name)); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
