package micro

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

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
		return found{string(decoded(raw)), true}
	}
	return found{string(raw), false}
}

func lookedUp(raw []byte) found {
	route, ok := routeOfWire(raw)
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
				emitted = appendJSONString(nil, p.Route())
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

// TestRouteOfWire names the rules of docs/wire.md 2.3 that the vectors do not.
func TestRouteOfWire(t *testing.T) {
	tests := map[string]struct {
		raw  string
		want found
	}{
		"missing":                           {"", found{}},
		"no JSON":                           {`{"a"`, found{}},
		"two values":                        {`1 2`, found{}},
		"white space around":                {" {\"a\" :\n1 } ", found{`{"a":1}`, true}},
		"number in three forms":             {`4.20e1`, found{"42", true}},
		"number as a string":                {`"4.2e1"`, found{"42", true}},
		"number with white space":           {`" 42 "`, found{"42", true}},
		"octal is no JSON":                  {`"007"`, found{"007", true}},
		"infinite number":                   {`1e400`, found{"null", false}},
		"infinite number as a string":       {`"-1e400"`, found{"-Infinity", true}},
		"infinite number inside":            {`{"a":1e400}`, found{`{"a":null}`, true}},
		"infinite number inside a string":   {`"{\"a\":-1e400}"`, found{`{"a":-Infinity}`, true}},
		"true":                              {`true`, found{"true", false}},
		"false as a string":                 {`"false"`, found{"false", false}},
		"object as a string, other order":   {`"{ \"b\":1, \"a\":2 }"`, found{`{"a":2,"b":1}`, true}},
		"quoted string in a string":         {`"\"echo\""`, found{"echo", true}},
		"twice quoted string":               {`"\"\\\"echo\\\"\""`, found{`"echo"`, true}},
		"empty string":                      {`""`, found{"", true}},
		"empty string in a string":          {`"\"\""`, found{"", true}},
		"equal keys":                        {`{"a":1,"b":2,"a":{"x":3}}`, found{`{"a":{"x":3},"b":2}`, true}},
		"equal keys, one escaped":           {`{"a":1,"\u0061":2}`, found{`{"a":2}`, true}},
		"21 equal keys are one":             {`{` + strings.Repeat(`"a":1,`, 20) + `"a":2}`, found{`{"a":2}`, true}},
		"newline stays raw":                 {`{"a":"x\ny"}`, found{"{\"a\":\"x\ny\"}", true}},
		"route with a raw newline":          {`"{\"a\":\"x\ny\"}"`, found{"{\"a\":\"x\ny\"}", true}},
		"cut route comes back":              {`"{\"a\":[TOO_MANY_KEYS]}"`, found{`{"a":[TOO_MANY_KEYS]}`, true}},
		"malformed UTF-8":                   {"\"a\xff\xed\xa0\xbdb\"", found{"a\uFFFD\uFFFD\uFFFD\uFFFDb", true}},
		"lone surrogate":                    {`"\ud83d"`, found{"\xed\xa0\xbd", true}},
		"pair from two escapes":             {`"\ud83d\ude00"`, found{"😀", true}},
		"pair put together at second sight": {`"\"\ud83d\\ude00\""`, found{"😀", true}},
		"pair, low half raw":                {`"\"\\ud83d\ude00\""`, found{"😀", true}},
		"surrogates the wrong way round":    {`{"k":"\ude00\ud83d"}`, found{"{\"k\":\"\xed\xb8\x80\xed\xa0\xbd\"}", true}},
		"byte order mark is no white space": {`"\ufeff42"`, found{"\uFEFF42", true}},
		"integer-like keys that tie":        {`{"1\u0001":"b","1":"a"}`, found{"{\"1\":\"a\",\"1\u0001\":\"b\"}", true}},
		"largest index that ties":           {`{"4294967294\u0001":1,"4294967294":2}`, found{"{\"4294967294\":2,\"4294967294\u0001\":1}", true}},
		"too large for an index":            {`{"4294967295\u0001":1,"4294967295":2}`, found{"{\"4294967295\u0001\":1,\"4294967295\":2}", true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, lookedUp([]byte(test.raw))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestHugePatterns would hang or crash if time were quadratic or nesting went
// on the stack.
func TestHugePatterns(t *testing.T) {
	const n = 1 << 20
	cut := `{"0":{"0":{"0":{"0":{"0":{"0":[MAX_DEPTH_REACHED]}}}}}}`
	deep := strings.Repeat("[", n) + strings.Repeat("]", n)
	deepObjects := strings.Repeat(`{"1":`, n) + "1" + strings.Repeat("}", n)
	manyMarks := `{"a` + strings.Repeat("\u0301\u0327", n/8) + `":1,"a":2,"é":3}`
	contracting := `{"` + strings.Repeat("\u0f71", n/8) + strings.Repeat("\u0f72", n/8) + `":1,"a":2}`
	tests := map[string]struct {
		raw  string
		want found
	}{
		"20,000 nested arrays":    {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), found{cut, true}},
		"nested arrays":           {deep, found{cut, true}},
		"nested arrays, as text":  {`"` + deep + `"`, found{cut, true}},
		"never closed":            {deep[:n], found{}},
		"never closed, as text":   {`"` + deep[:n] + `"`, found{deep[:n], true}},
		"nested objects":          {deepObjects, found{strings.ReplaceAll(cut, "0", "1"), true}},
		"a million elements":      {"[" + strings.Repeat("0,", n) + "0]", found{"[TOO_MANY_KEYS]", true}},
		"a million equal keys":    {"{" + strings.Repeat(`"a":0,`, n) + `"a":1}`, found{`{"a":1}`, true}},
		"a long number":           {strings.Repeat("1", n), found{"null", false}},
		"a key of many marks":     {manyMarks, lookedUp([]byte(manyMarks))},
		"a key of contractions":   {contracting, lookedUp([]byte(contracting))},
		"a string of a megabyte":  {`"` + strings.Repeat("é", n/2) + `"`, found{strings.Repeat("é", n/2), true}},
		"a string of backslashes": {`"` + strings.Repeat(`\\`, n/2) + `"`, found{strings.Repeat(`\`, n/2), true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := lookedUp([]byte(test.raw)); got != test.want {
				t.Errorf("got %.80q %t, want %.80q %t", got.Route, got.OK, test.want.Route, test.want.OK)
			}
		})
	}
	if got := string(canonicalJSON([]byte(deepObjects))); got != deepObjects {
		t.Errorf("nested objects: got %.80q", got)
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
		``:                          {0, `the text ends, want a JSON value`},
		`  `:                        {2, `the text ends, want a JSON value`},
		`hello`:                     {0, `found 'h', want a JSON value`},
		`éa`:                        {0, `found 'é', want a JSON value`},
		`nul`:                       {0, `found 'n', want a JSON value`},
		`{"cmd":"x"`:                {10, `the text ends, want "," or "}"`},
		`{"cmd":"x`:                 {9, `the text ends, want the closing '"'`},
		`{"cmd" "x"}`:               {7, `found '"', want ":"`},
		`{cmd:"x"}`:                 {1, `found 'c', want a key in double quotes or "}"`},
		`{"a":1,}`:                  {7, `found '}', want a key in double quotes`},
		`{"a":1]`:                   {6, `found ']', want "," or "}"`},
		`{"a":}`:                    {5, `found '}', want a JSON value`},
		`{"a":[1,]}`:                {8, `found ']', want a JSON value`},
		`[1 2]`:                     {3, `found '2', want "," or "]"`},
		`[,]`:                       {1, `found ',', want a value or "]"`},
		`[[]]]`:                     {4, `found ']', want the end of the text`},
		`{"cmd":"x"} y`:             {12, `found 'y', want the end of the text`},
		"\"tab\t\"":                 {4, `found '\t' in a string, want it escaped`},
		`"\x"`:                      {1, `found a backslash that starts no escape of JSON`},
		`[true,false,null,"\n",x]`:  {22, `found 'x', want a JSON value`},
		`01`:                        {1, `found '1', want the end of the text`},
		`[-]`:                       {1, `found '-', want a value or "]"`},
		`[1.]`:                      {1, `found '1', want a value or "]"`},
		`[1e400]`:                   {1, `the number is beyond the range of a double`},
		`{"a":"1e400","b": -1e999}`: {18, `the number is beyond the range of a double`},
	}
	if _, err := ParsePattern("{"); err == nil || err.Error() != `parse pattern: at byte 1: the text ends, want a key in double quotes or "}"` {
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
		route, ok := routeOfWire(raw)
		if again, ok2 := routeOfWire(raw); again != route || ok2 != ok || string(raw) != text {
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
		if canonical := string(canonicalJSON([]byte(p.JSON()))); canonical != p.JSON() {
			t.Fatalf("%q is not canonical: %q", p.JSON(), canonical)
		}
		isText := p.JSON()[0] == '"'
		if !isText || !validJSON([]byte(p.Route())) {
			// All but strings that are JSON reach the handler of their own pattern.
			if got, want := lookedUp([]byte(p.JSON())), (found{p.Route(), p.RouteIsString()}); got != want {
				t.Fatalf("%s goes to %+v, its route is %+v", p.JSON(), got, want)
			}
		}
		if !isText && ok {
			// A route that is sent as a string leads to itself.
			if got := lookedUp(appendJSONString(nil, route)); got != (found{route, true}) {
				t.Fatalf("route %q leads to %+v", route, got)
			}
		}
	})
}
