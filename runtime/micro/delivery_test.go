package micro

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

// replies is a Responder that keeps the packets as text.
type replies []string

func (r *replies) Respond(_ context.Context, p wire.Reply) error {
	*r = append(*r, string(p.Append(nil)))
	return nil
}

// deliverTo runs one message and returns what Done heard.
func deliverTo(t *testing.T, s *Server, body string, d Delivery) (packets replies, outcome error) {
	t.Helper()
	p, err := wire.Parse([]byte(body))
	if err != nil {
		p = wire.Text([]byte(body))
	}
	told := 0
	d.Packet, d.To = &p, &packets
	d.Done = func(err error) { told++; outcome = err }
	if in := s.Deliver(t.Context(), d); in != nil {
		in.Run()
	}
	if told != 1 {
		t.Errorf("Done was called %d times", told)
	}
	return packets, outcome
}

func TestDeliverOutcome(t *testing.T) {
	boom := errors.New("boom")
	s := NewServer(quiet())
	Handle(s, Name("ok"), func(context.Context, None) (int, error) { return 1, nil })
	Handle(s, Name("fails"), func(context.Context, None) (int, error) { return 0, boom })
	Handle(s, Name("panics"), func(context.Context, None) (int, error) { panic(boom) })
	HandleEvent(s, Name("two"), func(context.Context, None) error { return nil })
	HandleEvent(s, Name("two"), func(context.Context, None) error { return boom })
	tests := []struct {
		body string
		want error
	}{
		{`{"pattern":"ok","data":1,"id":"1"}`, nil},
		{`{"pattern":"ok","data":1}`, nil},
		{`{"pattern":"fails","data":1,"id":"1"}`, boom},
		{`{"pattern":"fails","data":1}`, boom},
		{`{"pattern":"two","data":1}`, boom},
		{`{"pattern":"two","data":1,"id":"1"}`, boom},
		{`{"pattern":"unserved","data":1,"id":"1"}`, ErrNoHandler},
		{`{"pattern":"unserved","data":1}`, ErrNoHandler},
		{`{"pattern":"ok","data":1,"id":"1","metadata":{"timeout-ms":"0"}}`, ErrExpired},
		{`{"foo":1}`, ErrNoHandler},
		{`42`, ErrNoHandler},
		{`not JSON`, ErrNoHandler},
	}
	for _, tt := range tests {
		if _, got := deliverTo(t, s, tt.body, Delivery{}); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.body, got, tt.want)
		}
	}
	_, got := deliverTo(t, s, `{"pattern":"panics","data":1}`, Delivery{})
	if got == nil {
		t.Error("a panic counts as done")
	}
}

// TestDeliverByAddress: where the address decides, the packet's pattern does not
// matter, and any body is an event at least (docs/wire.md 1.6).
func TestDeliverByAddress(t *testing.T) {
	s := NewServer(quiet())
	var events []string
	HandleFunc(s, Name("here"), func(_ context.Context, req *Request, reply Reply) error {
		if req.Event {
			events = append(events, string(req.Data))
		}
		return reply.Send(Value{Raw: req.Data, Last: true})
	})
	tests := []struct{ body, event, reply string }{
		{`{"pattern":"elsewhere","data":1,"id":"1"}`, "", `{"response":1,"isDisposed":true,"id":"1"}`},
		{`{"data":1,"id":"1"}`, "", `{"response":1,"isDisposed":true,"id":"1"}`},
		{`{"data":1}`, "1", ""},
		{`{"foo":1,"id":"1"}`, `{"foo":1,"id":"1"}`, ""},
		{`{}`, `{}`, ""},
		{`42`, `42`, ""},
		{`no "JSON"`, `"no \"JSON\""`, ""},
		{"\xff", `"` + "\uFFFD" + `"`, ""},
		{``, `""`, ""},
	}
	for _, tt := range tests {
		events = nil
		got, err := deliverTo(t, s, tt.body, Delivery{Route: s.RouteAt("here")})
		if err != nil {
			t.Errorf("%q: %v", tt.body, err)
		}
		if reply := fmt.Sprint([]string(got)); reply != "["+tt.reply+"]" {
			t.Errorf("%q: replied %s, want %s", tt.body, reply, tt.reply)
		}
		if event := fmt.Sprint(events); event != "["+tt.event+"]" {
			t.Errorf("%q: event %s, want %s", tt.body, event, tt.event)
		}
	}
	got, err := deliverTo(t, s, `{"pattern":"here","data":1,"id":"1"}`, Delivery{Route: s.RouteAt("elsewhere")})
	want := wire.Reply{ID: []byte(`"1"`), NoHandler: true}
	if len(got) != 1 || got[0] != string(want.Append(nil)) || !errors.Is(err, ErrNoHandler) {
		t.Errorf("at an address without a handler: %s, %v", got, err)
	}
}

func TestRoutes(t *testing.T) {
	type key struct{}
	s := NewServer(WithName("items", "1"))
	Handle(s, Cmd("a"), func(context.Context, None) (int, error) { return 1, nil }, WithExtra(key{}, "one"))
	HandleEvent(s, Name("b"), func(context.Context, None) error { return nil })
	HandleEvent(s, Name("b"), func(context.Context, None) error { return nil }, WithExtra(key{}, "two"))
	Handle(s, Cmd("a"), func(context.Context, None) (int, error) { return 2, nil }, WithExtra(key{}, "three"))
	var got []string
	for r := range s.Routes() {
		got = append(got, fmt.Sprintln(r.Address(), r.Message(), r.Event(), r.Extra(key{})))
	}
	slices.Sort(got)
	want := []string{
		"b false true two\n",
		"msctl.describe true false <nil>\n", "msctl.describe.items true false <nil>\n",
		"msctl.health true false <nil>\n", "msctl.health.items true false <nil>\n",
		"{\"cmd\":\"a\"} true false three\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r := s.RouteAt("unserved"); !r.IsZero() || r.Address() != "unserved" || r.Message() || r.Event() || r.Extra(key{}) != nil {
		t.Errorf("the empty route: %+v", r)
	}
	if r := s.RouteAt(`{ "cmd": "a" }`); r.IsZero() {
		t.Error("an address is read as JSON")
	}
}

// TestHeaders checks that metadata in headers takes precedence over metadata in the packet.
func TestHeaders(t *testing.T) {
	s := NewServer(quiet())
	var got *Request
	HandleFunc(s, Name("x"), func(_ context.Context, req *Request, _ Reply) error {
		copied := *req
		got = &copied
		return nil
	})
	var headers Metadata
	headers.Set(MetaCorrelationID, "from the header")
	headers.Set(MetaAttempt, "3")
	headers.Set(MetaTimeout, "60000")
	body := `{"pattern":"x","data":1,"metadata":{"correlation-id":"from the packet","attempt":"2","timeout-ms":"1","other":"o"},"id":"1"}`
	if _, err := deliverTo(t, s, body, Delivery{Headers: headers, Details: 42}); err != nil {
		t.Fatal(err)
	}
	if got.CorrelationID() != "from the header" || got.Attempt != 3 || got.Metadata.Get("other") != "o" || got.Details != 42 {
		t.Errorf("%+v", got)
	}
	if left := time.Until(got.Deadline); left < 50*time.Second || left > time.Minute {
		t.Errorf("%v left", left)
	}
}
