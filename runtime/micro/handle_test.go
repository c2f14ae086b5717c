package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

type item struct {
	Name  string `json:"name"`
	Price int    `json:"price,omitempty"`
}

// Validate is on the pointer.
func (i *item) Validate() error {
	if i.Name == "bad" {
		return errors.New("name must not be bad")
	}
	if i.Price < 0 {
		return Errorf(422, "price is negative")
	}
	return nil
}

func request(name, data string) string {
	return `{"pattern":{"cmd":"` + name + `"},"data":` + data + `,"id":"1"}`
}

// panics cannot be encoded.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("marshal") }

// allForms registers a handler of every form.
func allForms(s *Server) {
	Handle(s, Cmd("echo"), func(_ context.Context, in item) (item, error) { return in, nil })
	Handle(s, Cmd("pointer"), func(_ context.Context, in *item) (*item, error) { return in, nil })
	Handle(s, Cmd("none"), func(context.Context, None) (None, error) { return None{}, nil })
	Handle(s, Cmd("raw"), func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	Handle(s, Cmd("broken"), func(context.Context, None) (json.RawMessage, error) { return json.RawMessage(`{"a":`), nil })
	Handle(s, Cmd("channel"), func(context.Context, None) (any, error) { return make(chan int), nil })
	Handle(s, Cmd("any"), func(_ context.Context, in any) (any, error) { return in, nil })
	Handle(s, Cmd("text"), func(context.Context, None) (string, error) { return "<a&b>\u2028😀", nil })
	Handle(s, Cmd("error"), func(context.Context, None) (int, error) { return 1, Errorf(404, "no %s", "item") })
	Handle(s, Cmd("wrapped"), func(context.Context, None) (int, error) { return 1, fmt.Errorf("in my words: %w", NewError("text")) })
	Handle(s, Cmd("plain error"), func(context.Context, None) (int, error) { return 1, errors.New("secret") })
	Handle(s, Cmd("panic"), func(context.Context, None) (int, error) { panic("secret") })
	HandleStream(s, Cmd("stream"), func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	HandleStream(s, Cmd("stream fails"), func(context.Context, None) iter.Seq2[json.RawMessage, error] {
		return func(yield func(json.RawMessage, error) bool) {
			_ = yield(json.RawMessage("1"), nil) && yield(nil, nil) && yield(nil, Errorf(409, "enough"))
		}
	})
	HandleStream(s, Cmd("stream none"), func(context.Context, None) iter.Seq2[None, error] {
		return func(yield func(None, error) bool) { yield(None{}, nil) }
	})
	HandleStream(s, Cmd("stream broken"), func(context.Context, None) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) { _ = yield(1, nil) && yield(make(chan int), nil) && yield(2, nil) }
	})
	Handle(s, Cmd("nil error"), func(context.Context, None) (int, error) { return 1, (*Error)(nil) })
	Handle(s, Cmd("payload"), func(context.Context, None) (int, error) { return 1, &Error{Payload: []byte("{oops")} })
	Handle(s, Cmd("marshal"), func(context.Context, None) (any, error) { return panics{}, nil })
	HandleFunc(s, Cmd("func"), func(_ context.Context, req *Request, reply Reply) error {
		for _, v := range []Value{{Raw: req.Data, Last: true}, {Any: 2}, {}} { // only the last one ends the answer
			if err := reply.Send(v); err != nil {
				return err
			}
		}
		return nil
	})
	HandleFunc(s, Cmd("last then error"), func(_ context.Context, _ *Request, reply Reply) error {
		_ = reply.Send(Value{Any: 1, Last: true})
		return NewError("after all")
	})
	HandleFunc(s, Cmd("nothing"), func(context.Context, *Request, Reply) error { return nil })
}

const (
	internalReply = `{"err":{"status":"error","message":"Internal server error"},"isDisposed":true,"id":"1"}`
	endReply      = `{"isDisposed":true,"id":"1"}`
)

func value(v string) string { return `{"response":` + v + `,"id":"1"}` }
func last(v string) string  { return `{"response":` + v + `,"isDisposed":true,"id":"1"}` }
func failure(v string) string {
	return `{"err":` + v + `,"isDisposed":true,"id":"1"}`
}

func TestHandlers(t *testing.T) {
	s := NewServer(quiet())
	allForms(s)
	for _, c := range []struct {
		body string
		want []string
	}{
		{request("echo", `{"name":"a"}`), []string{last(`{"name":"a"}`)}},
		{request("echo", `null`), []string{last(`{"name":""}`)}},
		{`{"pattern":{"cmd":"echo"},"id":"1"}`, []string{last(`{"name":""}`)}}, // undefined is the zero value
		{request("echo", `{"name":"bad"}`), []string{failure(`{"status":400,"message":"name must not be bad"}`)}},
		{request("echo", `{"name":"a","price":-1}`), []string{failure(`{"status":422,"message":"price is negative"}`)}},
		{request("pointer", `null`), []string{last(`null`)}}, // null is a value
		{`{"pattern":{"cmd":"pointer"},"id":"1"}`, []string{last(`null`)}},
		{request("pointer", `{"name":"bad"}`), []string{failure(`{"status":400,"message":"name must not be bad"}`)}},
		{request("none", `{"a":1}`), []string{endReply}}, // undefined is none
		{request("raw", `{ "a" : "\ud83d" }`), []string{last(`{ "a" : "\ud83d" }`)}},
		{`{"pattern":{"cmd":"raw"},"id":"1"}`, []string{last(`null`)}},
		{request("broken", `1`), []string{internalReply}},
		{request("channel", `1`), []string{internalReply}},
		{request("any", `[1,null]`), []string{last(`[1,null]`)}},
		{request("any", `null`), []string{last(`null`)}},
		{request("text", `1`), []string{last("\"<a&b>\u2028😀\"")}},
		{request("error", `1`), []string{failure(`{"status":404,"message":"no item"}`)}},
		{request("wrapped", `1`), []string{failure(`{"status":"error","message":"text"}`)}},
		{request("plain error", `1`), []string{internalReply}},
		{request("panic", `1`), []string{internalReply}},
		{request("nil error", `1`), []string{internalReply}},
		{request("payload", `1`), []string{internalReply}},
		{request("marshal", `1`), []string{internalReply}},
		{request("stream", `3`), []string{value("0"), value("1"), value("2"), endReply}},
		{request("stream", `0`), []string{endReply}},
		{request("stream fails", `1`), []string{value("1"), value("null"), failure(`{"status":409,"message":"enough"}`)}},
		{request("stream none", `1`), []string{`{"id":"1"}`, endReply}},
		{request("stream broken", `1`), []string{value("1"), internalReply}},
		{request("func", `"x"`), []string{value(`"x"`), value("2"), `{"id":"1"}`, endReply}},
		{request("last then error", `1`), []string{failure(`{"status":"error","message":"after all"}`)}},
		{request("nothing", `1`), []string{endReply}},
		{request("unknown", `1`), []string{`{"id":"1","status":"error","err":"` + wire.NoHandlerMessage + `"}`}},
		{`{"pattern":{"cmd":"echo"},"data":{"name":"a"}}`, nil}, // an event to a message handler: nothing is sent
		{`{"pattern":{"cmd":"panic"},"data":1}`, nil},
		{`{"pattern":{"cmd":"stream"},"data":2}`, nil},
		{`{"pattern":"unknown","data":1}`, nil},
		{`{"id":"1"}`, nil}, // foreign
		{`[1]`, nil},
		{`{"pattern":{"cmd":"any"},"data":1,"id":1.0}`, []string{`{"response":1,"isDisposed":true,"id":1}`}},
		{`{"pattern":{"cmd":"any"},"data":1,"id":null}`, []string{`{"response":1,"isDisposed":true,"id":null}`}},
		{`{"pattern":{"cmd":"any"},"data":1,"id":"\u0041"}`, []string{`{"response":1,"isDisposed":true,"id":"A"}`}},
		{`{"pattern":{"cmd":"any"},"data":1,"id":12345678901234567890}`, []string{`{"response":1,"isDisposed":true,"id":12345678901234567000}`}},
		{`{"data":1,"id":{"b":[ ]}}`, []string{`{"id":{"b":[]},"status":"error","err":"` + wire.NoHandlerMessage + `"}`}},
	} {
		if diff := cmp.Diff(c.want, send(t, s, c.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
	}
	bad := send(t, s, request("echo", `"text"`))
	if len(bad) != 1 || !strings.HasPrefix(bad[0], `{"err":{"status":400,"message":"data of {\"cmd\":\"echo\"}: `) {
		t.Errorf("data of another type: %s", bad)
	}
}

func TestEventHandlers(t *testing.T) {
	s := NewServer(quiet())
	var got []string
	for _, name := range []string{"first", "second", "third"} {
		HandleEvent(s, Name("seen"), func(_ context.Context, in item) error {
			got = append(got, name+" "+in.Name)
			switch name {
			case "first":
				return errors.New("does not keep the others from it")
			case "second":
				panic("neither does this")
			}
			return nil
		})
	}
	HandleEvent(s, Name("single"), func(context.Context, None) error { return nil })
	HandleEvent(s, Name("failing"), func(context.Context, None) error { return Errorf(400, "no") })
	for range 2 {
		HandleEvent(s, Name("twice"), func(context.Context, None) error { return nil })
	}
	HandleEvent(s, Cmd("both"), func(context.Context, None) error { got = append(got, "event"); return nil })
	Handle(s, Cmd("both"), func(context.Context, None) (int, error) { got = append(got, "message"); return 1, nil })

	if replies := send(t, s, `{"pattern":"seen","data":{"name":"a"}}`); replies != nil {
		t.Errorf("an event is answered with %s", replies)
	}
	if diff := cmp.Diff([]string{"first a", "second a", "third a"}, got); diff != "" {
		t.Errorf("handlers (-want +got):\n%s", diff)
	}
	got = nil
	for body, want := range map[string][]string{
		`{"pattern":"single","data":1,"id":"1"}`:  {endReply},   // undefined
		`{"pattern":"twice","data":1,"id":"1"}`:   {last(`{}`)}, // undefined vanishes from the object
		`{"pattern":"failing","data":1,"id":"1"}`: {failure(`{"status":400,"message":"no"}`)},
		`{"pattern":"seen","data":{},"id":"1"}`:   {internalReply},
	} {
		if diff := cmp.Diff(want, send(t, s, body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	got = nil
	send(t, s, `{"pattern":{"cmd":"both"},"data":1}`)
	send(t, s, `{"pattern":{"cmd":"both"},"data":1,"id":"1"}`)
	if diff := cmp.Diff([]string{"event", "message"}, got); diff != "" {
		t.Errorf("a pattern with both (-want +got):\n%s", diff)
	}
}

// TestOrder: filter(guard(interceptor(pipe(handler)))), the server's before the
// handler's except for filters.
func TestOrder(t *testing.T) {
	var trail []string
	mark := func(s string) { trail = append(trail, s) }
	interceptor := func(name string) Interceptor {
		return func(next Handler) Handler {
			return func(ctx context.Context, req *Request, reply Reply) error {
				mark(name + " in")
				err := next(ctx, req, reply)
				mark(name + " out")
				return err
			}
		}
	}
	guard := func(name string) Guard {
		return func(_ context.Context, req *Request) (bool, error) {
			mark(name)
			switch string(req.Data) {
			case `"no"`:
				return false, nil
			case `"error"`:
				return true, Errorf(401, "who are you")
			case `"panic"`:
				panic("guard")
			}
			return true, nil
		}
	}
	pipe := func(name string) Pipe {
		return func(_ context.Context, _ *Request, dto any) error {
			s := dto.(*string)
			mark(name + " " + *s)
			*s += "!"
			if strings.HasPrefix(*s, "pipe") {
				return Errorf(400, "pipe")
			}
			return nil
		}
	}
	filter := func(name string) Filter {
		return func(_ context.Context, _ *Request, err error) error {
			mark(name + ": " + err.Error())
			if strings.Contains(err.Error(), "forgive") {
				return nil
			}
			return err
		}
	}
	s := NewServer(quiet(), WithInterceptors(interceptor("i1")), WithGuards(guard("g1")), WithPipes(pipe("p1")), WithFilters(filter("f1")))
	Handle(s, Name("do"), func(_ context.Context, in string) (string, error) {
		mark("handler " + in)
		if strings.HasPrefix(in, "forgive") {
			return "", errors.New("forgive me")
		}
		return in, nil
	}, WithInterceptors(interceptor("i2"), interceptor("i3")), WithGuards(guard("g2")), WithPipes(pipe("p2")), WithFilters(filter("f2")), WithDoc("does"))

	for _, c := range []struct {
		data, reply string
		trail       []string
	}{
		{`"a"`, last(`"a!!"`), []string{"g1", "g2", "i1 in", "i2 in", "i3 in", "p1 a", "p2 a!", "handler a!!", "i3 out", "i2 out", "i1 out"}},
		{`"no"`, failure(ForbiddenResource), []string{"g1", "f2: Forbidden resource", "f1: Forbidden resource"}},
		{`"error"`, failure(`{"status":401,"message":"who are you"}`), []string{"g1", "f2: who are you (status 401)", "f1: who are you (status 401)"}},
		{`"panic"`, internalReply, []string{"g1", "f2: panic: guard", "f1: panic: guard"}},
		{`"pipe"`, failure(`{"status":400,"message":"pipe"}`), []string{"g1", "g2", "i1 in", "i2 in", "i3 in", "p1 pipe", "i3 out", "i2 out", "i1 out", "f2: pipe (status 400)", "f1: pipe (status 400)"}},
		{`"forgive"`, endReply, []string{"g1", "g2", "i1 in", "i2 in", "i3 in", "p1 forgive", "p2 forgive!", "handler forgive!!", "i3 out", "i2 out", "i1 out", "f2: forgive me"}},
	} {
		trail = nil
		reply := send(t, s, `{"pattern":"do","data":`+c.data+`,"id":"1"}`)
		if diff := cmp.Diff([]string{c.reply}, reply); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.data, diff)
		}
		if diff := cmp.Diff(c.trail, trail); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.data, diff)
		}
	}
	trail = nil // what the user put around handlers is not around the reserved ones
	if reply := send(t, s, `{"pattern":"msctl.health","data":{},"id":"1"}`); len(reply) != 1 || len(trail) != 0 {
		t.Errorf("health: %s, by way of %s", reply, trail)
	}
}

// TestCallerGone checks that a stream is stopped when its caller has gone, which is not a
// failure of the handler.
func TestCallerGone(t *testing.T) {
	var log testenv.Log
	s := NewServer(WithLogger(log.Logger()))
	stopped := false
	HandleStream(s, Name("endless"), func(context.Context, None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := 0; ; i++ {
				if !yield(i, nil) {
					stopped = true
					return
				}
			}
		}
	})
	p, _ := wire.Parse([]byte(`{"pattern":"endless","data":1,"id":"1"}`))
	s.Deliver(t.Context(), Delivery{Packet: &p, To: &answers{gone: true}}).Run()
	if !stopped {
		t.Error("the stream was not stopped")
	}
	if strings.Contains(log.String(), "failed") {
		t.Errorf("logged:\n%s", log.String())
	}
}

func TestSendAfterLast(t *testing.T) {
	s := NewServer(quiet())
	var late error
	HandleFunc(s, Name("late"), func(_ context.Context, _ *Request, reply Reply) error {
		_ = reply.Send(Value{Any: make(chan int)}) // cannot be encoded: the answer ends with an error
		late = reply.Send(Value{Any: 1})
		return nil
	})
	if got := send(t, s, `{"pattern":"late","data":1,"id":"1"}`); !slices.Equal(got, []string{internalReply}) {
		t.Errorf("got %s", got)
	}
	if late == nil {
		t.Error("a value after the end was taken")
	}
}

func TestLastHandlerWins(t *testing.T) {
	s := NewServer(quiet())
	for i := range 3 {
		Handle(s, Cmd("same"), func(context.Context, None) (int, error) { return i, nil })
	}
	if got := send(t, s, request("same", "1")); !slices.Equal(got, []string{last("2")}) {
		t.Errorf("got %s", got)
	}
	d, _ := s.describe(t.Context(), None{})
	if len(d.Handlers) != 1 {
		t.Errorf("%d handlers are described", len(d.Handlers))
	}
	defer func() {
		if recover() == nil {
			t.Error("a handler without a pattern was taken")
		}
	}()
	Handle(s, Pattern{}, func(context.Context, None) (None, error) { return None{}, nil })
}
