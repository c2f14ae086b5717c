package micro

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/wire"
)

// TestHandleUnknown: whatever has no handler of its own reaches the one for the
// unknown, with the pattern it asked for. A request without a pattern does not.
func TestHandleUnknown(t *testing.T) {
	s := NewServer(quiet())
	var asked []string
	HandleUnknown(s, func(context.Context, *Request, Reply) error { return errors.New("replaced") })
	HandleUnknown(s, func(_ context.Context, req *Request, reply Reply) error {
		asked = append(asked, req.Pattern.JSON())
		return reply.Send(Value{Raw: req.Data, Last: true})
	})
	Handle(s, Cmd("known"), func(context.Context, None) (string, error) { return "known", nil })
	none := []string{`{"id":"1","status":"error","err":"` + wire.NoHandlerMessage + `"}`}
	for _, c := range []struct {
		body  string
		want  []string
		asked []string
	}{
		{request("known", `1`), []string{last(`"known"`)}, nil},
		{request("other", `1`), []string{last(`1`)}, []string{`{"cmd":"other"}`}},
		{`{"pattern":{"b":1,"a":2.0},"data":1,"id":"1"}`, []string{last(`1`)}, []string{`{"b":1,"a":2}`}},
		{`{"pattern":"item.viewed","data":1,"id":"1"}`, []string{last(`1`)}, []string{`"item.viewed"`}},
		{`{"pattern":"{\"cmd\":\"text\"}","data":1,"id":"1"}`, []string{last(`1`)}, []string{`{"cmd":"text"}`}}, // docs/wire.md 2.3
		{`{"pattern":"item.viewed","data":1}`, nil, []string{`"item.viewed"`}},
		{`{"pattern":null,"data":1,"id":"1"}`, none, nil},
		{`{"pattern":"null","data":1,"id":"1"}`, none, nil},
		{`{"data":1,"id":"1"}`, none, nil},
		{`{"sensor":4}`, nil, []string{""}}, // not a packet
		{`{"data":1}`, nil, []string{""}},
		{`{"pattern":{"cmd":1e999},"data":1,"id":"1"}`, none, nil},
	} {
		asked = nil
		if diff := cmp.Diff(c.want, send(t, s, c.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
		if diff := cmp.Diff(c.asked, asked); diff != "" {
			t.Errorf("%s: pattern (-want +got):\n%s", c.body, diff)
		}
	}
	d, err := s.describe(t.Context(), None{})
	if err != nil || len(d.Handlers) != 1 {
		t.Errorf("described are %+v, %v; want the known handler alone", d.Handlers, err)
	}
}

// TestUnknownExpires: a late message does not reach the handler for the unknown.
func TestUnknownExpires(t *testing.T) {
	s := NewServer(quiet())
	HandleUnknown(s, func(context.Context, *Request, Reply) error { return errors.New("it was started") })
	got := send(t, s, `{"pattern":"late","data":1,"id":"1","metadata":{"timeout-ms":"0"}}`)
	if want := []string{failure(`{"status":504,"message":"the deadline passed before the work was started"}`)}; !cmp.Equal(want, got) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}

// TestHandleRaw: messages without a pattern reach all handlers for them, with the whole
// body as the data unless the packet lacks only the pattern, and nothing else does.
func TestHandleRaw(t *testing.T) {
	s := NewServer(quiet())
	var got []string
	for _, name := range []string{"a", "b"} {
		HandleRaw(s, func(ctx context.Context, in json.RawMessage) error {
			if p := RequestFromContext(ctx).Pattern; !p.IsZero() {
				t.Errorf("the pattern is %s", p)
			}
			got = append(got, name+string(in))
			return nil
		})
	}
	HandleUnknown(s, func(context.Context, *Request, Reply) error { return errors.New("it was not raw") })
	for body, want := range map[string][]string{
		`{"sensor":4}`: {`a{"sensor":4}`, `b{"sensor":4}`}, `7`: {"a7", "b7"}, `{"id":"x"}`: {`a{"id":"x"}`, `b{"id":"x"}`},
		`{"data":[1]}`: {"a[1]", "b[1]"}, `{"pattern":null,"data":1}`: nil, `{"pattern":"other","data":1}`: nil,
	} {
		if got = nil; len(send(t, s, body)) > 0 {
			t.Errorf("%s has a reply", body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	// Like NestJS, a request that only lacks the pattern is answered.
	if diff := cmp.Diff([]string{last(`{}`)}, send(t, s, `{"data":1,"id":"1"}`)); diff != "" {
		t.Errorf("a request (-want +got):\n%s", diff)
	}
	if d, err := s.describe(t.Context(), None{}); err != nil || len(d.Handlers) != 0 {
		t.Errorf("described are %+v, %v", d.Handlers, err)
	}
}
