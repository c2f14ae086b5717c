package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// members returns a packet's members as text, without absent ones.
func members(p *Packet) map[string]string {
	m := map[string]string{}
	for name, v := range map[string][]byte{"pattern": p.Pattern, "data": p.Data, "metadata": p.Metadata, "id": p.ID, "response": p.Response, "err": p.Err, "isDisposed": p.IsDisposed, "status": p.Status} {
		if v != nil {
			m[name] = string(v)
		}
	}
	return m
}

func TestParse(t *testing.T) {
	for body, want := range map[string]map[string]string{
		`{}`: {},
		`{"pattern":{"cmd":"x"},"data":[1,"}"],"metadata":{"a":"b"},"id":"1"}`: {"pattern": `{"cmd":"x"}`, "data": `[1,"}"]`, "metadata": `{"a":"b"}`, "id": `"1"`},
		" { \"id\" : 0 , \"data\" : null } ":                                   {"id": "0", "data": "null"},
		`{"id":1,"id":2,"id":3}`:                                               {"id": "3"}, // the last one wins
		`{"\u0069d":1,"d\u0061ta":2}`:                                          {"id": "1", "data": "2"},
		`{"a\"b":1,"id\\":2,"ID":3,"id ":4}`:                                   {},
		`{"response":1,"err":null,"isDisposed":true,"status":"error","id":""}`: {"response": "1", "err": "null", "isDisposed": "true", "status": `"error"`, "id": `""`},
		`{"__proto__":1,"constructor":2}`:                                      {},
		`null`:                                                                 {}, `[{"id":1}]`: {}, `"id"`: {}, ` 42 `: {},
	} {
		p, err := Parse([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, members(&p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	for _, body := range []string{``, ` `, `{`, `{"id"}`, `{"id":}`, `{"id":1`, `{"id":1,}`, `{"id":1}x`, `{}}`, `{"id":1 "a":2}`, `{'id':1}`, `nul`, `1 2`, `{"\uZZZZ":1}`} {
		if p, err := Parse([]byte(body)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", body, members(&p), err)
		}
	}
}

// TestReply checks the rules of docs/wire.md 1.3.
func TestReply(t *testing.T) {
	type reply struct {
		value, err string
		disposed   bool
	}
	for body, want := range map[string]reply{
		`{"response":1,"id":"x"}`:                               {value: "1"},
		`{"response":1,"isDisposed":true,"id":"x"}`:             {value: "1", disposed: true},
		`{"isDisposed":true,"id":"x"}`:                          {disposed: true},
		`{"response":null,"isDisposed":1,"id":"x"}`:             {value: "null", disposed: true},
		`{"response":1,"isDisposed":0,"id":"x"}`:                {value: "1"},
		`{"id":"x"}`:                                            {},
		`{"err":{"status":"error"},"isDisposed":true,"id":"x"}`: {err: `{"status":"error"}`, disposed: true},
		`{"err":"text","response":1,"id":"x"}`:                  {err: `"text"`, disposed: true},
		`{"err":"","response":1,"isDisposed":true,"id":"x"}`:    {value: "1", disposed: true},
		`{"err":0,"isDisposed":true,"id":"x"}`:                  {disposed: true},
		`{"err":null,"id":"x"}`:                                 {},
		`{"err":false,"id":"x"}`:                                {},
		`{"id":"x","status":"error","err":"none"}`:              {err: `"none"`, disposed: true},
		`{"status":1,"id":"x"}`:                                 {},
		`{"response":1,"extra":2,"id":"x"}`:                     {value: `{"response":1,"extra":2,"id":"x"}`, disposed: true},
		`{"err":"e","extra":2,"id":"x"}`:                        {value: `{"err":"e","extra":2,"id":"x"}`, disposed: true},
		`{"pattern":"p","data":1,"id":"x"}`:                     {value: `{"pattern":"p","data":1,"id":"x"}`, disposed: true},
		`{}`:                                                    {value: `{}`, disposed: true},
		`[1]`:                                                   {value: `[1]`, disposed: true},
		`"s"`:                                                   {value: `"s"`, disposed: true},
		`null`:                                                  {value: `null`, disposed: true},
	} {
		p, err := Parse([]byte(body))
		if err != nil {
			t.Fatal(body, err)
		}
		v, e, disposed := p.Reply()
		if got := (reply{string(v), string(e), disposed}); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}

func TestReplySize(t *testing.T) {
	texts := [][]byte{nil, []byte(`null`), []byte(`"é😀"`), []byte(strings.Repeat("1", 100))}
	for _, id := range texts[1:] {
		for _, response := range texts {
			for _, failed := range texts {
				for n := range 4 {
					p := Reply{ID: id, Response: response, Err: failed, Disposed: n&1 != 0, NoHandler: n&2 != 0}
					if failed != nil {
						p.Response = nil
					}
					body := p.Append(nil)
					if p.Size() != len(body) {
						t.Errorf("Size is %d, Append gave %d: %s", p.Size(), len(body), body)
					}
					if back, err := Parse(body); err != nil || string(back.ID) != string(id) || back.foreign {
						t.Errorf("%s comes back as %v, %v", body, members(&back), err)
					}
				}
			}
		}
	}
}

func TestAppendRequest(t *testing.T) {
	for want, args := range map[string][3]string{
		`{"pattern":{"cmd":"x"},"data":1,"metadata":{"a":"b"},"id":"1"}`: {"1", `{"a":"b"}`, `"1"`},
		`{"pattern":{"cmd":"x"},"data":1,"id":"1"}`:                      {"1", "", `"1"`},
		`{"pattern":{"cmd":"x"},"data":1,"metadata":{"a":"b"}}`:          {"1", `{"a":"b"}`, ""},
		`{"pattern":{"cmd":"x"}}`:                                        {"", "", ""},
	} {
		var texts [3][]byte
		for i, arg := range args {
			if arg != "" {
				texts[i] = []byte(arg)
			}
		}
		if got := AppendRequest(nil, `{"cmd":"x"}`, texts[0], texts[1], texts[2]); string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func ExampleParse() {
	p, err := Parse([]byte(`{"pattern":{"cmd":"sum"},"data":[1,2],"id":"7f"}`))
	fmt.Printf("%s %s %s %v\n", p.Pattern, p.Data, p.ID, err)
	// Output: {"cmd":"sum"} [1,2] "7f" <nil>
}

func TestReplyWithoutID(t *testing.T) {
	tests := []struct {
		packet Reply
		want   string
	}{
		{Reply{Response: []byte("3"), Disposed: true}, `{"response":3,"isDisposed":true}`},
		{Reply{Response: []byte("null"), Disposed: true}, `{"response":null,"isDisposed":true}`},
		{Reply{Response: []byte("3")}, `{"response":3}`},
		{Reply{Disposed: true}, `{"isDisposed":true}`},
		{Reply{}, `{"isDisposed":false}`},
		{Reply{Err: []byte(`"no"`), Disposed: true}, `{"err":"no","isDisposed":true}`},
		{Reply{Err: []byte(`"no"`), Response: []byte("3")}, `{"err":"no","isDisposed":true}`},
		{Reply{NoHandler: true}, `{"id":"7f","err":"` + NoHandlerMessage + `","status":"error"}`},
	}
	for _, tt := range tests {
		tt.packet.ID = []byte(`"7f"`)
		if diff := cmp.Diff("> "+tt.want, string(tt.packet.AppendWithoutID([]byte("> ")))); diff != "" {
			t.Error(diff)
		}
	}
}

func ExampleReply_Append() {
	fmt.Printf("%s\n", Reply{ID: []byte(`"7f"`), Response: []byte("3"), Disposed: true}.Append(nil))
	// Output: {"response":3,"isDisposed":true,"id":"7f"}
}

// FuzzParse checks that Parse does not panic, accepts the same texts as encoding/json apart
// from deeper nesting, and finds the same members.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{`null`, `[1,2,{"a":"b"}]`, `{"a":1,"a":{"b":[]}}`, `"\u0041\ud83d"`, ` 1e5 `, `{"a"`, `[}`} {
		f.Add([]byte(doc))
		f.Add([]byte(`{"data":` + doc + `,"id":"1"}`))
	}
	f.Add([]byte(`{"\u0069d":1,"pattern":"p","data":{"a":"b"},"isDisposed":0,"err":"x","status":1,"response":[],"metadata":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Parse(body)
		if valid := json.Valid(body); valid != (err == nil) && strings.Count(string(body), "{")+strings.Count(string(body), "[") < 10000 {
			t.Fatalf("error %v, valid for encoding/json: %v", err, valid)
		}
		if err != nil {
			return
		}
		p.Reply()
		var want map[string]json.RawMessage
		if !utf8.Valid(body) || json.Unmarshal(body, &want) != nil {
			return
		}
		got := members(&p)
		for name, v := range got {
			if strings.TrimSpace(string(want[name])) != v {
				t.Errorf("%s is %s, %s for encoding/json", name, v, want[name])
			}
		}
		for _, name := range []string{"pattern", "data", "metadata", "id", "response", "err", "isDisposed", "status"} {
			if _, there := got[name]; there != (want[name] != nil) {
				t.Errorf("%s: found %v, encoding/json has %q", name, there, want[name])
			}
		}
	})
}
