package payload

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// source returns the Source of a template, built as the command line does.
func source(t *testing.T, data string, opts Options) (*Source, error) {
	t.Helper()
	var text Text
	cut, err := text.Cut(data)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(cut)) {
		t.Fatalf("%s without its expressions is not JSON: %s", data, cut)
	}
	return New([]byte(cut), text, opts)
}

func TestTemplates(t *testing.T) {
	rows := []json.RawMessage{[]byte(`{"id":7,"name":"a \"b\" <é>","tags":["x"]}`), []byte(`{"id":12345678901234567890,"name":"c","tags":[]}`)}
	cases := []struct{ data, want string }{
		{`{"a":1}`, `^\{"a":1\}$`},
		{`{"id":{{.id}}}`, `^\{"id":(7|12345678901234567890)\}$`},
		{`{"n":"item {{.name}}!","t":{{.tags}}}`, `^\{"n":"item a \\"b\\" <é>!","t":\["x"\]\}$`},
		{`{"name":{{.name}}}`, `^\{"name":"a \\"b\\" <é>"\}$`},
		{`{{seq}}`, `^0$`},
		{`"{{seq}}-{{seq}}"`, `^"0-0"$`},
		{`{"u":"{{uuid}}"}`, `^\{"u":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"\}$`},
		{`{"n":{{int 5 6}},"f":{{float 0 1}}}`, `^\{"n":[56],"f":0\.\d+\}$`},
		{`{"p":{{pick "a" "b"}},"q":"{{pick 1 2}}"}`, `^\{"p":"[ab]","q":"[12]"\}$`},
		{`{"at":"{{now}}"}`, `^\{"at":"\d{4}-\d\d-\d\dT[0-9:.]+Z"\}$`},
		{`{"a":{"b":{"c":{{seq}}}}}`, `^\{"a":\{"b":\{"c":0\}\}\}$`},
		{`"a \" b {{seq}}"`, `^"a \\" b 0"$`},
	}
	for _, c := range cases {
		s, err := source(t, c.data, Options{Rows: rows, Seed: 1})
		if err != nil {
			t.Errorf("%s: %v", c.data, err)
			continue
		}
		if got := string(s.Make(0)); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s: %s, want %s", c.data, got, c.want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	cases := []struct{ data, want string }{
		{`{"a":{{nothing}}}`, `{{nothing}}: function "nothing" not defined`},
		{`{"a":{{}}}`, `{{}}: empty expression`},
		{`{"a":"{{seq"}`, `{{seq"}: missing }}`},
		{`{"a":{{.id}}}`, `fill in the data (row 2): {{.id}}: map has no entry for key "id"`},
		{`{"a":{{int 3 1}}}`, `fill in the data (row 1): {{int 3 1}}: int 3 1 is an empty range`},
	}
	for _, c := range cases {
		_, err := source(t, c.data, Options{Rows: []json.RawMessage{[]byte(`{"id":1}`), []byte(`{}`)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.data, err, c.want)
		}
	}
}

// TestRows checks that rows are used in turn or drawn repeatably.
func TestRows(t *testing.T) {
	var rows []json.RawMessage
	for i := range 10 {
		rows = append(rows, json.RawMessage(fmt.Sprint(i)))
	}
	inTurn, err := New(nil, Text{}, Options{Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	random := func(seed uint64) string {
		s, err := New(nil, Text{}, Options{Rows: rows, Random: true, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i := range uint64(50) {
			b.Write(s.Make(i))
		}
		return b.String()
	}
	for i := range uint64(25) {
		if got := string(inTurn.Make(i)); got != fmt.Sprint(i%10) {
			t.Errorf("request %d has row %s", i, got)
		}
	}
	if one := random(1); one != random(1) || one == random(2) {
		t.Error("rows drawn at random do not follow the seed")
	}
}

// TestConcurrentUse checks that concurrent requests do not see each other's numbers.
func TestConcurrentUse(t *testing.T) {
	s, err := source(t, `{"a":{{seq}},"b":{{int 1 1000000}}}`, Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]string, 500)
	for i := range want {
		want[i] = string(s.Make(uint64(i)))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range want {
				if got := string(s.Make(uint64(i))); got != want[i] {
					t.Errorf("request %d: %s, want %s", i, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{"a":{{seq}},"b":"{{.x}}"}`)
	f.Add(`"{{"`)
	f.Add(`{"a":"\{{int 1 2}}"}`)
	f.Fuzz(func(t *testing.T, data string) {
		if strings.Contains(data, "range") || strings.Contains(data, "printf") || strings.Contains(data, "repeat") || strings.Contains(data, "template") {
			return
		}
		var text Text
		cut, err := text.Cut(data)
		if err != nil || !json.Valid([]byte(cut)) {
			return
		}
		s, err := New([]byte(cut), text, Options{Rows: []json.RawMessage{[]byte(`{"x":"y"}`)}})
		if err != nil {
			return
		}
		if out := s.Make(0); !json.Valid(out) {
			t.Errorf("%q makes %q", data, out)
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	var text Text
	cut, err := text.Cut(`{"id":{{.id}},"name":"w-{{seq}}"}`)
	if err != nil {
		b.Fatal(err)
	}
	s, err := New([]byte(cut), text, Options{Rows: []json.RawMessage{[]byte(`{"id":1}`)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range uint64(b.N) {
		s.Make(i)
	}
}

// TestLines evaluates templates of URLs and headers, with the row and the draws of the
// data.
func TestLines(t *testing.T) {
	rows := []json.RawMessage{json.RawMessage(`{"id":"a/b c","n":1}`), json.RawMessage(`{"id":"x","n":2}`)}
	s, err := source(t, `{"u":"{{uuid}}","id":{{.id}}}`, Options{Rows: rows, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	line := func(text string) (func(uint64, *micro.Request) string, error) {
		var cut Text
		marked, err := cut.Cut(text)
		if err != nil {
			return nil, err
		}
		return s.Line(marked, cut, url.PathEscape)
	}
	each, err := line("/items/{{.id}}?n={{.n}}&seq={{seq}}&a={{attempt}}&u={{uuid}}&{")
	if err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]string{0: "/items/a%2Fb%20c?n=1&seq=0&a=2&u=", 3: "/items/x?n=2&seq=3&a=2&u="} {
		var data struct{ U string }
		if err := json.Unmarshal(s.Make(seq), &data); err != nil {
			t.Fatal(err)
		}
		if got := each(seq, &micro.Request{Attempt: 2}); got != want+data.U+"&{" {
			t.Errorf("request %d: %s, want %s%s", seq, got, want, data.U)
		}
	}
	fixed, err := line("plain }} text")
	if err != nil || fixed(0, nil) != "plain }} text" {
		t.Errorf("without a template: %v", err)
	}
	looked, err := s.Line("{{not a template}}"+mark(0), Text{[]string{"seq"}}, url.PathEscape)
	if err != nil || looked(7, &micro.Request{}) != "{{not a template}}7" {
		t.Errorf("braces of a value that was looked up: %v", err)
	}
	for text, want := range map[string]string{
		"{{.missing}}": `fill in the data (row 1): {{.missing}}: map has no entry for key "missing"`, "{{nope}}": `{{nope}}: function "nope" not defined`,
		"{{": "{{: missing }}",
	} {
		if _, err := line(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
