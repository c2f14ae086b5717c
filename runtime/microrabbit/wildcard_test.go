package microrabbit

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// TestMatches checks the matcher against the results of NestJS 12 (docs/wire.md 4.4).
func TestMatches(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{"orders.*", []string{"orders.created", "orders.*", "orders.é"}, []string{"orders", "orders.", "orders.a.b", "order.created", ".created", ""}},
		{"*.created", []string{"orders.created"}, []string{".created", "created", "orders.created.x"}},
		{"*", []string{"orders", "#"}, []string{"", ".", "a.b"}},
		{"*.*", []string{"a.b"}, []string{"a", "a.", ".b", "a.b.c"}},
		{"logs.#", []string{"logs", "logs.", "logs.a", "logs.a.b.c"}, []string{"log", "logsa", ""}},
		{"#", []string{"", "a", "a.b", ".", ".."}, nil},
		{"*.#", []string{"a", "a.b", "a."}, []string{"", ".", ".b"}},
		{"a.#.b", nil, []string{"a.b", "a.x.b", "a.x.y.b", "a.#.b", "a"}},
		{"#.b", nil, []string{"b", "a.b", "#.b"}},
		{"a..#", []string{"a.", "a..", "a..b", "a"}, []string{"a.b"}}, // a missing word counts as an empty one
		{"a..*", []string{"a..b"}, []string{"a.b", "a.."}},
		{"a*", nil, []string{"ab", "a"}},
		{`{"cmd":"*"}`, nil, []string{`{"cmd":"x"}`}},
	}
	for _, tt := range tests {
		for _, text := range tt.yes {
			if !matches(tt.pattern, text) {
				t.Errorf("%q does not match %q", tt.pattern, text)
			}
		}
		for _, text := range tt.no {
			if matches(tt.pattern, text) {
				t.Errorf("%q matches %q", tt.pattern, text)
			}
		}
	}
}

// FuzzMatches compares the matcher with regular expressions for patterns and texts without
// empty words. For these the rules are those of RabbitMQ, except that # is supported only
// at the end.
func FuzzMatches(f *testing.F) {
	for _, seed := range []string{"a.*", "a.#", "*", "#", "a.b"} {
		f.Add(seed, "a.b")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		got := matches(pattern, text)
		for _, s := range []string{pattern, text} {
			if s == "" || strings.Contains("."+s+".", "..") || strings.ContainsAny(s, "\n") {
				return
			}
		}
		parts := strings.Split(pattern, ".")
		last := len(parts) - 1
		expr := ""
		for i, part := range parts {
			switch {
			case part == "#" && i == last && i == 0:
				expr += ".*"
			case part == "#" && i == last:
				expr += `(\..*)?`
			case part == "#":
				if got {
					t.Fatalf("%q matches %q", pattern, text)
				}
				return
			case part == "*":
				expr += `\.[^.]+`
			default:
				expr += `\.` + regexp.QuoteMeta(part)
			}
		}
		re, err := regexp.Compile("^(?s:" + strings.TrimPrefix(expr, `\.`) + ")$")
		if err != nil {
			return // a text that is not UTF-8
		}
		if want := re.MatchString(text); got != want {
			t.Fatalf("%q and %q: %v, want %v by %s", pattern, text, got, want, re)
		}
	})
}

func TestPatternText(t *testing.T) {
	tests := []struct {
		raw, text string
		defined   bool
	}{
		{`"a.b"`, "a.b", true},
		{`"a\u002eb"`, "a.b", true},
		{`{"b":1, "a":2}`, `{"b":1,"a":2}`, true},
		{`42.0`, `42`, true},
		{`""`, "", true},
		{``, "", false},
		{`{`, "", false},
	}
	for _, tt := range tests {
		var raw []byte
		if tt.raw != "" {
			raw = []byte(tt.raw)
		}
		if text, defined := patternText(raw); text != tt.text || defined != tt.defined {
			t.Errorf("%s: %q, %v", tt.raw, text, defined)
		}
	}
}

// TestRoute checks that an exact match comes before wildcards, and that of these the first
// registered is used.
func TestRoute(t *testing.T) {
	s := quietServer()
	for _, name := range []string{"a.*", "#", "a.b", "a.#"} {
		micro.HandleFunc(s, micro.Name(name), nil)
	}
	l := Listen("amqp://localhost", "q", WithTopology(Topology{Wildcards: true}))
	l.server = s
	tests := map[string]string{
		`{"pattern":"a.b","data":1}`:   "", // the server looks it up
		`{"pattern":"a.c","data":1}`:   "a.*",
		`{"pattern":"a","data":1}`:     "#",
		`{"pattern":"a.#","data":1}`:   "",
		`{"pattern":{"a":1},"data":1}`: "#",
		`{"data":1}`:                   "#",
		`5`:                            "#",
	}
	for body, want := range tests {
		p, err := wire.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.route(&p).Address()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}
