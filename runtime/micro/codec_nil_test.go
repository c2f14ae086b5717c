package micro

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inventory has a field that is not plain, so that the library encodes it.
type inventory struct {
	Items []string         `json:"items"`
	By    map[int][]string `json:"by"`
	Count int              `json:"count,string"`
}

type page struct {
	Items []string          `json:"items"`
	By    map[string]string `json:"by"`
	Any   any               `json:"any"`
	Raw   json.RawMessage   `json:"raw"`
	Next  *page             `json:"next"`
}

const (
	emptyPage      = `{"items":[],"by":{},"any":null,"raw":null,"next":null}`
	emptyInventory = `{"items":[],"by":{},"count":"0"}`
)

func replyWith[Out any](s *Server, name string, out Out) {
	Handle(s, Name(name), func(context.Context, None) (Out, error) { return out, nil })
}

// TestNilInReplies: what a service has none of arrives as [] or {}, as from a NestJS service,
// and not as null.
func TestNilInReplies(t *testing.T) {
	s := NewServer(quiet())
	replyWith[[]string](s, "list", nil)
	replyWith[map[string]any](s, "map", nil)
	replyWith(s, "page", page{})
	replyWith(s, "inventory", inventory{})
	replyWith(s, "pointer", &inventory{})
	replyWith[any](s, "any", []int(nil))
	replyWith[any](s, "nothing", nil)
	replyWith[*page](s, "null pointer", nil)
	replyWith[[]byte](s, "bytes", nil)
	replyWith[json.RawMessage](s, "raw", nil)
	replyWith[*json.RawMessage](s, "raw pointer", nil)
	Handle(s, Name("error"), func(context.Context, None) (None, error) {
		return None{}, NewError(map[string]any{"message": "no", "details": []string(nil), "page": page{}})
	})
	for name, want := range map[string]string{
		"list": `[]`, "map": `{}`, "page": emptyPage, "inventory": emptyInventory, "pointer": emptyInventory, "any": `[]`,
		"nothing": `null`, "null pointer": `null`, "bytes": `null`, "raw": `null`, "raw pointer": `null`,
	} {
		got := send(t, s, fmt.Sprintf(`{"pattern":%q,"data":{},"id":"1"}`, name))
		if diff := cmp.Diff([]string{`{"response":` + want + `,"isDisposed":true,"id":"1"}`}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := send(t, s, `{"pattern":"error","data":{},"id":"1"}`)
	if diff := cmp.Diff([]string{`{"err":{"details":[],"message":"no","page":` + emptyPage + `},"isDisposed":true,"id":"1"}`}, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// TestNilInStreamsAndData is TestNilInReplies for the values of a stream, and for the data of
// requests and events.
func TestNilInStreamsAndData(t *testing.T) {
	s := NewServer(quiet())
	HandleStream(s, Name("stream"), func(context.Context, None) iter.Seq2[[]string, error] {
		return func(yield func([]string, error) bool) { _ = yield(nil, nil) && yield([]string{"a"}, nil) }
	})
	got := send(t, s, `{"pattern":"stream","data":{},"id":"1"}`)
	want := []string{`{"response":[],"id":"1"}`, `{"response":["a"],"id":"1"}`, `{"isDisposed":true,"id":"1"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		data any
		want string
	}{
		{[]string(nil), `[]`}, {map[string]int(nil), `{}`}, {page{}, emptyPage}, {&inventory{}, emptyInventory},
		{nil, `null`}, {json.RawMessage(nil), `null`}, {(*json.RawMessage)(nil), `null`}, {(*page)(nil), `null`},
	} {
		var sent []string
		c := NewClient(nil, WithInterceptors(func(Handler) Handler {
			return func(_ context.Context, req *Request, _ Reply) error {
				sent = append(sent, string(req.Data))
				return nil
			}
		}))
		if _, err := Call[None](t.Context(), c, Name("x"), tt.data); err != nil {
			t.Fatal(err)
		}
		if err := c.Emit(t.Context(), Name("x"), tt.data); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{tt.want, tt.want}, sent); diff != "" {
			t.Errorf("%T (-want +got):\n%s", tt.data, diff)
		}
	}
}
