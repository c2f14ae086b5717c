package micro

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/wire"

	"github.com/google/go-cmp/cmp"
)

// patternVector is one line of testdata/wire/patterns.jsonl, recorded from
// NestJS 12: a pattern, its route, and the route a server finds for it when it
// comes in a request (serverRoute) or in an event over TCP (emitServerRoute).
type patternVector struct {
	Note              string
	PatternJSON       string
	Route             json.RawMessage
	ServerRoute       json.RawMessage
	EmitServerRoute   json.RawMessage
	MatchesOwnHandler bool
	EmitMatches       bool `json:"emitMatchesOwnHandler"`
}

func patternVectors(t testing.TB) []patternVector {
	t.Helper()
	file, err := os.ReadFile("../../testdata/wire/patterns.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []patternVector
	for line := range bytes.Lines(file) {
		var v patternVector
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, v)
	}
	return out
}

// found is a route and whether a string handler can have it.
type found struct {
	Route string
	OK    bool
}

// recorded reads a route of a vector: a string, or a bare word.
func recorded(raw json.RawMessage) found {
	if raw[0] == '"' {
		return found{string(js.Decode(raw)), true}
	}
	return found{string(raw), false}
}

func lookedUp(raw []byte) found {
	route, ok := wire.Route(raw)
	return found{route, ok}
}

func TestPatternVectors(t *testing.T) {
	vectors := patternVectors(t)
	if len(vectors) < 90 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Note, func(t *testing.T) {
			p, err := ParsePattern(v.PatternJSON)
			if err != nil {
				t.Fatal(err)
			}
			emitted := []byte(p.JSON())
			if p.RouteIsString() {
				emitted = js.AppendString(nil, p.Route())
			}
			type facts struct {
				JSON            string
				Own, Sent, Emit found
				Matches, EMatch bool
			}
			own, sent, emit := found{p.Route(), p.RouteIsString()}, lookedUp([]byte(p.JSON())), lookedUp(emitted)
			got := facts{p.JSON(), own, sent, emit, own == sent, own == emit}
			want := facts{v.PatternJSON, recorded(v.Route), recorded(v.ServerRoute), recorded(v.EmitServerRoute), v.MatchesOwnHandler, v.EmitMatches}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-recorded +ours\n%s", diff)
			}
		})
	}
}

func TestPatternConstructors(t *testing.T) {
	type facts struct{ JSON, Route, String string }
	tests := map[string]struct {
		p    Pattern
		want facts
	}{
		"cmd":                 {Cmd("sum"), facts{`{"cmd":"sum"}`, `{"cmd":"sum"}`, `{"cmd":"sum"}`}},
		"cmd with quotes":     {Cmd("a\"\\\n"), facts{`{"cmd":"a\"\\\n"}`, "{\"cmd\":\"a\\\"\\\\\n\"}", "{\"cmd\":\"a\\\"\\\\\n\"}"}},
		"cmd, malformed":      {Cmd("a\xff"), facts{`{"cmd":"a�"}`, `{"cmd":"a�"}`, `{"cmd":"a�"}`}},
		"name":                {Name("item.viewed"), facts{`"item.viewed"`, "item.viewed", "item.viewed"}},
		"name, malformed":     {Name("\xed\xa0\xbd"), facts{`"���"`, "���", "���"}},
		"name that is JSON":   {Name("1e3"), facts{`"1e3"`, "1e3", "1e3"}},
		"empty name":          {Name(""), facts{`""`, "", ""}},
		"fields, nil":         {Fields(nil), facts{`{}`, `{}`, `{}`}},
		"fields":              {Fields(map[string]any{"B": 1, "a": []int{1, 2}, "b": nil, "_": "<&>\u2028"}), facts{"{\"_\":\"<&>\u2028\",\"a\":[1,2],\"b\":null,\"B\":1}", "{\"_\":\"<&>\u2028\",\"a\":{\"0\":1,\"1\":2},\"b\":null,\"B\":1}", "{\"_\":\"<&>\u2028\",\"a\":{\"0\":1,\"1\":2},\"b\":null,\"B\":1}"}},
		"fields, nested":      {Fields(map[string]any{"x": map[string]any{"b": 1, "B": 2, "a": 3, "é": 4, "f": 5}}), facts{`{"x":{"a":3,"b":1,"B":2,"é":4,"f":5}}`, `{"x":{"a":3,"b":1,"B":2,"é":4,"f":5}}`, `{"x":{"a":3,"b":1,"B":2,"é":4,"f":5}}`}},
		"fields, integers":    {Fields(map[string]any{"10": 1, "2": 2, "_": 3}), facts{`{"2":2,"10":1,"_":3}`, `{"_":3,"10":1,"2":2}`, `{"_":3,"10":1,"2":2}`}},
		"fields, big integer": {Fields(map[string]any{"n": int64(9007199254740993)}), facts{`{"n":9007199254740992}`, `{"n":9007199254740992}`, `{"n":9007199254740992}`}},
		"none":                {Pattern{}, facts{"", "", "(no pattern)"}},
		"lone surrogate":      {must(ParsePattern(`"\ud83d"`)), facts{`"\ud83d"`, "\xed\xa0\xbd", "\uFFFD"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := facts{test.p.JSON(), test.p.Route(), test.p.String()}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if test.p.IsZero() != (name == "none") || test.p.RouteIsString() == (name == "none") {
				t.Errorf("IsZero %t, RouteIsString %t", test.p.IsZero(), test.p.RouteIsString())
			}
		})
	}
	if Cmd("x") != Fields(map[string]any{"cmd": "x"}) || Cmd("x") != must(ParsePattern(`{ "cmd" : "\u0078" }`)) {
		t.Error("equal patterns differ")
	}
}

func must(p Pattern, err error) Pattern {
	if err != nil {
		panic(err)
	}
	return p
}

func TestFieldsPanicsOnWhatIsNotJSON(t *testing.T) {
	for name, v := range map[string]any{"channel": make(chan int), "function": func() {}, "infinite": json.Number("1e400"), "no number": json.Number("x")} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, _ := recover().(string); !strings.HasPrefix(r, "micro: the fields of a pattern must be JSON: ") {
					t.Errorf("panicked with %q", r)
				}
			}()
			t.Errorf("no panic but %v", Fields(map[string]any{"a": v}))
		})
	}
}

func TestParsePatternErrors(t *testing.T) {
	tests := map[string]PatternError{
		``:                          {0, `unexpected end of the text, expected a JSON value`},
		`  `:                        {2, `unexpected end of the text, expected a JSON value`},
		`hello`:                     {0, `unexpected 'h', expected a JSON value`},
		`éa`:                        {0, `unexpected 'é', expected a JSON value`},
		`nul`:                       {0, `unexpected 'n', expected a JSON value`},
		`{"cmd":"x"`:                {10, `unexpected end of the text, expected "," or "}"`},
		`{"cmd":"x`:                 {9, `unexpected end of the text, expected a closing '"'`},
		`{"cmd" "x"}`:               {7, `unexpected '"', expected ":"`},
		`{cmd:"x"}`:                 {1, `unexpected 'c', expected a key in double quotes or "}"`},
		`{"a":1,}`:                  {7, `unexpected '}', expected a key in double quotes`},
		`{"a":1]`:                   {6, `unexpected ']', expected "," or "}"`},
		`{"a":}`:                    {5, `unexpected '}', expected a JSON value`},
		`{"a":[1,]}`:                {8, `unexpected ']', expected a JSON value`},
		`[1 2]`:                     {3, `unexpected '2', expected "," or "]"`},
		`[,]`:                       {1, `unexpected ',', expected a value or "]"`},
		`[[]]]`:                     {4, `unexpected ']', expected the end of the text`},
		`{"cmd":"x"} y`:             {12, `unexpected 'y', expected the end of the text`},
		"\"tab\t\"":                 {4, `unescaped '\t' in a string`},
		`"\x"`:                      {1, `invalid escape sequence`},
		`[true,false,null,"\n",x]`:  {22, `unexpected 'x', expected a JSON value`},
		`01`:                        {1, `unexpected '1', expected the end of the text`},
		`[-]`:                       {1, `unexpected '-', expected a value or "]"`},
		`[1.]`:                      {1, `unexpected '1', expected a value or "]"`},
		`[1e400]`:                   {1, `the number is beyond the range of a double`},
		`{"a":"1e400","b": -1e999}`: {18, `the number is beyond the range of a double`},
	}
	if _, err := ParsePattern("{"); err == nil || err.Error() != `parse pattern: at byte 1: unexpected end of the text, expected a key in double quotes or "}"` {
		t.Errorf("got %v", err)
	}
	for text, want := range tests {
		p, err := ParsePattern(text)
		var e *PatternError
		if !errors.As(err, &e) || !p.IsZero() {
			t.Errorf("%q: got %v, %v", text, p, err)
			continue
		}
		if diff := cmp.Diff(want, *e); diff != "" {
			t.Errorf("%q: -want +got\n%s", text, diff)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, v := range patternVectors(f) {
		f.Add(v.PatternJSON)
	}
	f.Add("\"\xed\xa0\xbd\\ud83d\"")
	f.Add(`{"1\u0001":1,"1":{"é":1,"e\u0301":2,"一":"\ude00"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(text)
		route, ok := wire.Route(raw)
		if again, ok2 := wire.Route(raw); again != route || ok2 != ok || string(raw) != text {
			t.Fatalf("routeOfWire is not deterministic: %q %t, %q %t", route, ok, again, ok2)
		}
		p, err := ParsePattern(text)
		if err != nil {
			var e *PatternError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again, err := ParsePattern(p.JSON()); again != p || err != nil {
			t.Fatalf("%q came back as %q: %v", p.JSON(), again.JSON(), err)
		}
		if canonical := string(js.Canonical([]byte(p.JSON()))); canonical != p.JSON() {
			t.Fatalf("%q is not canonical: %q", p.JSON(), canonical)
		}
		isText := p.JSON()[0] == '"'
		if !isText || !js.Valid([]byte(p.Route())) {
			// All but strings that are JSON reach the handler of their own pattern.
			if got, want := lookedUp([]byte(p.JSON())), (found{p.Route(), p.RouteIsString()}); got != want {
				t.Fatalf("%s goes to %+v, its route is %+v", p.JSON(), got, want)
			}
		}
		if !isText && ok {
			// A route that is sent as a string leads to itself.
			if got := lookedUp(js.AppendString(nil, route)); got != (found{route, true}) {
				t.Fatalf("route %q leads to %+v", route, got)
			}
		}
	})
}
