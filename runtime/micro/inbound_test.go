package micro

import (
	"testing"

	"github.com/msctl/msctl/runtime/wire"
)

// TestRebase: parts of a copied body are the same parts of the copy.
func TestRebase(t *testing.T) {
	body := append(make([]byte, 0, 100), `{"pattern":"p","data":"d","id":"i"}`...)
	p, err := wire.Parse(body[:len(body):len(body)])
	if err != nil {
		t.Fatal(err)
	}
	to := append([]byte(nil), p.Body()...)
	for _, part := range [][]byte{p.Pattern, p.Data, p.ID} {
		moved := rebase(part, p.Body(), to)
		if string(moved) != string(part) || &moved[0] == &part[0] {
			t.Errorf("%s became %s", part, moved)
		}
	}
	if rebase(nil, p.Body(), to) != nil {
		t.Error("an absent part became one")
	}
}

func TestCanonicalID(t *testing.T) {
	for id, want := range map[string]string{
		`"abc"`: `"abc"`, `"\u0041\/"`: `"A/"`, `"\ud83d"`: `"\ud83d"`, `1.0`: `1`, `1e3`: `1000`, `12345678901234567890`: `12345678901234567000`,
		`null`: `null`, `-0`: `0`, `false`: `false`, `{ "b" : 1, "1": [ ] }`: `{"1":[],"b":1}`, `""`: `""`, `"é"`: `"é"`,
	} {
		if got := canonicalID([]byte(id)); string(got) != want {
			t.Errorf("canonicalID(%s) = %s, want %s", id, got, want)
		}
	}
}

func TestRouteJSON(t *testing.T) {
	if got, want := Cmd("x").RouteJSON(), `"{\"cmd\":\"x\"}"`; got != want {
		t.Errorf("RouteJSON %s, want %s", got, want)
	}
}

// FuzzMessage: no packet makes reading its ID and metadata panic.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"id":"1","metadata":{"timeout-ms":"5","attempt":2,"a":"\ud83d"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := wire.Parse(body)
		if err != nil {
			return
		}
		if p.ID != nil {
			canonicalID(p.ID)
		}
		m := Metadata{raw: p.Metadata}
		m.delivery()
		for k, v := range m.All() {
			_, _ = k, v
		}
	})
}
