package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

// fakeConn is a Conn that keeps what is sent and answers with values.
type fakeConn struct {
	sent   []string // packets' bodies without ids
	events int
	values []string // "" is undefined
	err    error
	closed bool
}

func (w *fakeConn) Exchange(_ context.Context, req *Request, reply Reply) error {
	w.keep(req)
	for i, v := range w.values {
		value := Value{Last: i == len(w.values)-1}
		if v != "" {
			value.Raw = []byte(v)
		}
		if err := reply.Send(value); err != nil {
			return err
		}
	}
	return w.err
}

func (w *fakeConn) Publish(_ context.Context, req *Request) error {
	w.events++
	w.keep(req)
	return w.err
}

func (w *fakeConn) keep(req *Request) {
	w.sent = append(w.sent, string(wire.AppendRequest(nil, req.Pattern.JSON(), req.Data, AppendMetadata(nil, req, time.Now()), nil)))
}

func (w *fakeConn) Close() error { w.closed = true; return nil }

func TestCall(t *testing.T) {
	remote := RemoteError([]byte(`{"status":404,"message":"none"}`))
	for _, c := range []struct {
		name   string
		values []string
		err    error
		want   string
		is     error
	}{
		{name: "one value", values: []string{`{"name":"a"}`}, want: "{a 0}"},
		{name: "the last of several, alone", values: []string{`{"name":"a","price":3}`, `{"name":"b"}`}, want: "{b 0}"},
		{name: "undefined between values", values: []string{`{"name":"a"}`, ""}, want: "{a 0}"},
		{name: "null", values: []string{"null"}, want: "{ 0}"},
		{name: "undefined", values: []string{""}, want: "{ 0}", is: ErrNoValue},
		{name: "nothing", want: "{ 0}", is: ErrNoValue},
		{name: "the peer's error", err: remote, want: "{ 0}", is: remote},
		{name: "time", err: ErrTimeout, want: "{ 0}", is: context.DeadlineExceeded},
	} {
		got, err := Call[item](t.Context(), NewClient(&fakeConn{values: c.values, err: c.err}), Cmd("x"), 1)
		if fmt.Sprint(got) != c.want || !errors.Is(err, c.is) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), `call {"cmd":"x"}: `) {
			t.Errorf("%s: the error does not say which call: %v", c.name, err)
		}
	}
	if _, err := Call[int](t.Context(), NewClient(&fakeConn{values: []string{`"text"`}}), Cmd("x"), 1); err == nil || !strings.Contains(err.Error(), "decode reply") {
		t.Errorf("a value of another type: %v", err)
	}
	if _, err := Call[None](t.Context(), NewClient(&fakeConn{values: []string{`"ignored"`}}), Cmd("x"), 1); err != nil {
		t.Errorf("an unused value: %v", err)
	}
	if _, err := Call[None](t.Context(), NewClient(&fakeConn{}), Cmd("x"), 1); err != nil {
		t.Errorf("no value, as wanted: %v", err)
	}
	if raw, err := Call[json.RawMessage](t.Context(), NewClient(&fakeConn{values: []string{`{ "a":1 }`}}), Cmd("x"), 1); err != nil || string(raw) != `{ "a":1 }` {
		t.Errorf("raw: %s, %v", raw, err)
	}
	var e *Error
	if _, err := Call[int](t.Context(), NewClient(&fakeConn{err: remote}), Cmd("x"), 1); !errors.As(err, &e) || e.Status != 404 || !e.Remote() {
		t.Errorf("the peer's error: %v", err)
	}
}

func TestStream(t *testing.T) {
	c := NewClient(&fakeConn{values: []string{"1", "", "2"}, err: ErrConnectionLost})
	var got []string
	for v, err := range Stream[*int](t.Context(), c, Name("s"), 1) {
		switch {
		case err != nil:
			got = append(got, err.Error())
		case v == nil:
			got = append(got, "undefined")
		default:
			got = append(got, fmt.Sprint(*v))
		}
	}
	if diff := cmp.Diff([]string{"1", "undefined", "2", "stream s: connection closed"}, got); diff != "" {
		t.Error(diff)
	}
	n := 0
	for range Stream[int](t.Context(), NewClient(&fakeConn{values: []string{"1", "2", "3"}}), Name("s"), 1) {
		if n++; n == 2 {
			break // nothing is yielded afterwards
		}
	}
	if n != 2 {
		t.Errorf("%d values after leaving at 2", n)
	}
	for _, c := range []struct {
		data   any
		values []string
	}{{make(chan int), nil}, {1, []string{`"text"`}}} {
		n = 0
		for _, err := range Stream[int](t.Context(), NewClient(&fakeConn{values: c.values}), Name("s"), c.data) {
			if n++; err == nil {
				t.Error("no error")
			}
		}
		if n != 1 {
			t.Errorf("%d pairs for one failure", n)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	w := &fakeConn{values: []string{"1"}}
	c := NewClient(w, quiet(), WithCodec(JSON()), WithTimeout(time.Hour), WithTimeout(-1))
	s := NewServer(quiet())
	Handle(s, Name("hop"), func(ctx context.Context, _ None) (int, error) {
		if err := c.Emit(ctx, Name("e"), nil); err != nil {
			return 0, err
		}
		if _, err := Call[int](ctx, c, Cmd("r"), json.RawMessage(nil)); err != nil {
			return 0, err
		}
		return 0, c.Do(ctx, &Request{Pattern: Name("own"), Event: true, Attempt: 2, Metadata: RequestFromContext(ctx).Metadata.Clone()}, nil)
	})
	got := send(t, s, `{"pattern":"hop","data":1,"metadata":{"correlation-id":"c","traceparent":"00-1","other":"o","attempt":"7"},"id":"1"}`)
	if !strings.HasPrefix(got[0], `{"response":0`) {
		t.Fatalf("hop: %s", got)
	}
	want := []string{
		`{"pattern":"e","data":null,"metadata":{"traceparent":"00-1","correlation-id":"c"}}`, // no deadline: no caller waits
		`{"pattern":{"cmd":"r"},"data":null,"metadata":{"traceparent":"00-1","correlation-id":"c","timeout-ms":"T"}}`,
		`{"pattern":"own","data":{},"metadata":{"correlation-id":"c","traceparent":"00-1","other":"o","attempt":"2"}}`,
	}
	if diff := cmp.Diff(want, hideTimeout(w.sent)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	w.sent = nil
	req := &Request{Pattern: Name("x"), Deadline: time.Now().Add(-time.Second)}
	_ = c.Do(t.Context(), req, ReplyFunc(func(Value) error { return nil }))
	if !strings.Contains(w.sent[0], `"timeout-ms":"0"`) || req.CorrelationID() == "" {
		t.Errorf("sent %s", w.sent[0])
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req = &Request{Pattern: Name("x"), Deadline: time.Now().Add(time.Hour)}
	_ = c.Do(ctx, req, ReplyFunc(func(Value) error { return nil }))
	if d, _ := ctx.Deadline(); !req.Deadline.Equal(d) {
		t.Errorf("deadline %v, the context's is %v", req.Deadline, d)
	}
	if one, other := NewCorrelationID(), NewCorrelationID(); one == other {
		t.Error("two correlation ids are equal")
	}
}

func hideTimeout(packets []string) []string {
	var out []string
	for _, p := range packets {
		if before, rest, ok := strings.Cut(p, `"timeout-ms":"`); ok {
			_, after, _ := strings.Cut(rest, `"`)
			p = before + `"timeout-ms":"T"` + after
		}
		out = append(out, p)
	}
	return out
}

func TestNotSent(t *testing.T) {
	w := &fakeConn{}
	c := NewClient(w)
	null, _ := ParsePattern("null")
	for _, err := range []error{
		c.Emit(t.Context(), Pattern{}, 1),
		c.Emit(t.Context(), null, 1),
		c.Emit(t.Context(), Name("x"), make(chan int)),
		c.Emit(t.Context(), Name("x"), json.RawMessage(`{"a":`)),
		c.Emit(t.Context(), Name("x"), &[]json.RawMessage{json.RawMessage(`}`)}[0]),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if _, err := Call[int](t.Context(), c, Name("x"), func() {}); err == nil {
		t.Error("a function was sent")
	}
	mine := errors.New("the user has left")
	left, leave := context.WithCancelCause(t.Context())
	leave(mine)
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for ctx, want := range map[context.Context]error{left: mine, past: ErrTimeout} {
		if err := c.Emit(ctx, Name("x"), 1); !errors.Is(err, want) {
			t.Errorf("an event: %v, want %v", err, want)
		}
		if _, err := Call[int](ctx, c, Name("x"), 1); !errors.Is(err, want) {
			t.Errorf("a call: %v, want %v", err, want)
		}
	}
	if len(w.sent) != 0 {
		t.Errorf("sent %s", w.sent)
	}
	w.err = ErrUnreachable
	if err := c.Emit(t.Context(), Name("x"), 1); !errors.Is(err, ErrUnreachable) || err.Error() != "emit x: unreachable" {
		t.Errorf("got %v", err)
	}
	if _ = c.Close(); !w.closed {
		t.Error("not closed")
	}
}

// blockedConn is a Conn that holds every message until release is closed.
type blockedConn struct {
	fakeConn
	entered, release chan struct{}
}

func (b *blockedConn) Exchange(context.Context, *Request, Reply) error {
	b.entered <- struct{}{}
	<-b.release
	return nil
}

func (b *blockedConn) Publish(ctx context.Context, req *Request) error {
	return b.Exchange(ctx, req, nil)
}

func TestClientMaxInFlight(t *testing.T) {
	conn := &blockedConn{entered: make(chan struct{}), release: make(chan struct{})}
	c := NewClient(conn, WithMaxInFlight(2))
	done := make(chan error, 2)
	go func() {
		_, err := Call[None](t.Context(), c, Name("x"), 1)
		done <- err
	}()
	go func() { done <- c.Emit(t.Context(), Name("x"), 1) }()
	<-conn.entered
	<-conn.entered

	_, err := Call[None](t.Context(), c, Name("x"), 1)
	if !errors.Is(err, ErrShed) || err.Error() != "call x: not sent: 2 messages are already in flight" {
		t.Errorf("a call at the limit: %v", err)
	}
	if err := c.Emit(t.Context(), Name("x"), 1); !errors.Is(err, ErrShed) {
		t.Errorf("an event at the limit: %v", err)
	}

	close(conn.release)
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("a message below the limit: %v", err)
		}
	}
	go func() { <-conn.entered }()
	if _, err := Call[None](t.Context(), c, Name("x"), 1); err != nil {
		t.Errorf("a call after others have finished: %v", err)
	}
}

func TestMaxInFlightDefaults(t *testing.T) {
	for _, n := range []int{0, -1} {
		s, c := NewServer(WithMaxInFlight(7), WithMaxInFlight(n)), NewClient(&fakeConn{}, WithMaxInFlight(7), WithMaxInFlight(n))
		if s.maxInFlight != 16384 || c.maxInFlight != 65536 {
			t.Errorf("WithMaxInFlight(%d): server %d, client %d", n, s.maxInFlight, c.maxInFlight)
		}
	}
}

// BenchmarkCall measures a call without a transport: encoding, metadata, the limit
// of messages in flight, and decoding.
func BenchmarkCall(b *testing.B) {
	type data struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	c := NewClient(replyConn(`{"id":7,"name":"cup"}`))
	ctx, pattern, in := b.Context(), Cmd("items.get"), data{7, "cup"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Call[data](ctx, c, pattern, in); err != nil {
			b.Fatal(err)
		}
	}
}

// replyConn is a Conn that replies to each request with the same value.
type replyConn string

func (r replyConn) Exchange(_ context.Context, _ *Request, reply Reply) error {
	return reply.Send(Value{Raw: json.RawMessage(r), Last: true})
}

func (replyConn) Publish(context.Context, *Request) error { return nil }
func (replyConn) Close() error                            { return nil }

func TestClientInterceptors(t *testing.T) {
	var trail []string
	mark := func(name string) Interceptor {
		return func(next Handler) Handler {
			return func(ctx context.Context, req *Request, reply Reply) error {
				trail = append(trail, name)
				req.Metadata.Set("by", req.Metadata.Get("by")+name)
				return next(ctx, req, reply)
			}
		}
	}
	w := &fakeConn{values: []string{"1"}}
	c := NewClient(w, WithInterceptors(mark("a"), mark("b")), WithInterceptors(mark("c")))
	if _, err := Call[int](t.Context(), c, Name("x"), 1); err != nil {
		t.Fatal(err)
	}
	if strings.Join(trail, "") != "abc" || !strings.Contains(w.sent[0], `"by":"abc"`) {
		t.Errorf("%s, %s", trail, w.sent)
	}
}

func TestMetadata(t *testing.T) {
	m := Metadata{raw: []byte(`{"a":"1","b":{"x":2},"\u0063":"\u00e9\n","a":"2","d":3}`)}
	for key, want := range map[string]string{"a": "2", "b": `{"x":2}`, "c": "é\n", "d": "3", "none": ""} {
		if got := m.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	c := m.Clone()
	c.Set("b", "mine")
	c.Set("new", "n")
	c.Set("new", "n2")
	all := map[string]string{}
	for k, v := range c.All() {
		all[k] = v
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "mine", "c": "é\n", "d": "3", "new": "n2"}, all); diff != "" {
		t.Error(diff)
	}
	m.Set("a", "hides")
	n := 0
	for k, v := range m.All() {
		if k == "a" && v != "hides" {
			t.Errorf("a is %q", v)
		}
		if n++; n == 3 {
			break
		}
	}
	for range m.All() {
		break
	}
	if got := m.Get("b"); got != `{"x":2}` {
		t.Errorf("the clone's change shows: %s", got)
	}
	if got := AppendMetadata([]byte("x"), &Request{}, time.Now()); string(got) != "x" {
		t.Errorf("no metadata is %s", got)
	}
}

// TestAddedCorrelationID: the ID that a client adds is sent, but is not part of the metadata
// that its caller set. A received message that is sent on keeps its own.
func TestAddedCorrelationID(t *testing.T) {
	for name, tt := range map[string]struct {
		req, handled *Request
		want         string // "" for a new one
	}{
		"new":                      {req: &Request{}},
		"set":                      {req: withCorrelation("mine"), want: "mine"},
		"set while handling":       {req: withCorrelation("mine"), handled: &Request{id: []byte(`"7"`)}, want: "mine"},
		"of the message handled":   {req: &Request{}, handled: &Request{id: []byte(`"7"`)}, want: "7"},
		"of the event handled":     {req: &Request{}, handled: &Request{correlation: "event"}, want: "event"},
		"of the message passed on": {req: &Request{id: []byte(`"8"`)}, want: "8"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tt.handled != nil {
				ctx = context.WithValue(ctx, requestKey{}, tt.handled)
			}
			var sent map[string]string
			c := NewClient(nil, WithInterceptors(func(Handler) Handler {
				return func(_ context.Context, req *Request, _ Reply) error {
					sent = maps.Collect(SentMetadata(req, time.Now()))
					return nil
				}
			}))
			tt.req.Pattern = Name("x")
			if err := c.Do(ctx, tt.req, nil); err != nil {
				t.Fatal(err)
			}
			got := sent[MetaCorrelationID]
			if got == "" || tt.want != "" && got != tt.want || tt.want == "" && len(got) < 16 {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
			if got != tt.req.CorrelationID() {
				t.Errorf("the message's ID is %q, but %q was sent", tt.req.CorrelationID(), got)
			}
			if all := maps.Collect(tt.req.Metadata.All()); len(all) > 0 {
				t.Errorf("the metadata has %v", all)
			}
		})
	}
}

func withCorrelation(id string) *Request {
	req := &Request{}
	req.SetCorrelationID(id)
	return req
}
