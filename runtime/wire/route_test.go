package wire

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/js/nodetest"
)

// found is a route, and whether a handler with a string route can match it.
type found struct {
	Route string
	OK    bool
}

// recorded reads the route of a vector: a string, or an unquoted word.
func recorded(raw json.RawMessage) found {
	if raw[0] == '"' {
		return found{string(js.Decode(raw)), true}
	}
	return found{string(raw), false}
}

func lookedUp(raw []byte) found {
	route, ok := Route(raw)
	return found{route, ok}
}

// TestRoute checks rules of docs/wire.md 2.3 that the vectors do not contain.
func TestRoute(t *testing.T) {
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

// TestHugePatterns would hang or crash if time were quadratic or nesting used
// the stack.
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
	if got := string(js.Canonical([]byte(deepObjects))); got != deepObjects {
		t.Errorf("nested objects: got %.80q", got)
	}
}

// TestAgainstNode compares the canonical form and the route of random JSON with those that
// Node.js computes with JavaScript's own objects, keys, and collation.
func TestAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var texts []string
	for range 2_000 * nodetest.Repeat() {
		text := string(randomJSON(nil, random, 0))
		texts = append(texts, text)
		if random.IntN(4) == 0 {
			texts = append(texts, string(js.AppendString(nil, text)))
		}
	}
	want := strings.Split(nodetest.Run(t, `
const esc = s => s.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
function member(v, depth) {
  if (typeof v === "string") return '"' + esc(v) + '"';
  if (typeof v !== "object" || v === null) return String(v);
  if (depth > 5) return "[MAX_DEPTH_REACHED]";
  const keys = Object.keys(v);
  if (keys.length > 20) return "[TOO_MANY_KEYS]";
  keys.sort((a, b) => a.localeCompare(b));
  return "{" + keys.map(k => '"' + esc(k) + '":' + member(v[k], depth + 1)).join(",") + "}";
}
function route(p) {
  const s = typeof p === "string" ? p : JSON.stringify(p);
  let v;
  try { v = JSON.parse(s); } catch { v = s; }
  return v === null || typeof v === "boolean" ? v : typeof v === "string" ? v : member(v, 0);
}
console.log(input.map(t => { const v = JSON.parse(t); return JSON.stringify(v) + "\n" + JSON.stringify(route(v)); }).join("\n"));`,
		nodetest.Strings(texts)), "\n")
	if len(want) != 2*len(texts) {
		t.Fatalf("node printed %d lines, want %d", len(want), 2*len(texts))
	}
	icu := nodetest.ICU(t)
	for i, text := range texts {
		if got := string(js.Canonical([]byte(text))); got != want[2*i] {
			t.Fatalf("%s\nbecame %s\nwant   %s", text, got, want[2*i])
		}
		if got, want := lookedUp([]byte(text)), recorded([]byte(want[2*i+1])); got != want && icu == nodetest.TableICU {
			t.Fatalf("%s\nhas route %+v\nwant      %+v", text, got, want)
		}
	}
}

// randomJSON appends a JSON text with all the special cases that the rules cover.
func randomJSON(dst []byte, random *rand.Rand, depth int) []byte {
	choice := random.IntN(10)
	if depth == 0 || depth < 8 && random.IntN(3) == 0 {
		choice = random.IntN(3)
	}
	n := random.IntN(4)
	if random.IntN(20) == 0 {
		n = 19 + random.IntN(4)
	}
	switch choice {
	case 0, 1:
		dst = append(dst, '{')
		for i := range n {
			if i > 0 {
				dst = append(dst, "  "[:random.IntN(3)]...)
				dst = append(dst, ',')
			}
			dst = append(randomString(dst, random), ": "[:1+random.IntN(2)]...)
			dst = randomJSON(dst, random, depth+1)
		}
		return append(dst, '}')
	case 2:
		dst = append(dst, '[')
		for i := range n {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = randomJSON(dst, random, depth+1)
		}
		return append(dst, ']')
	case 3, 4, 5:
		return randomString(dst, random)
	case 6:
		return append(dst, []string{"true", "false", "null", "-0", "1e400", "-1e400", "1.50", "1E3"}[random.IntN(8)]...)
	case 7:
		return strconv.AppendInt(dst, random.Int64()>>random.IntN(64), 10)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], random.Uint64())
	f := math.Float64frombits(binary.LittleEndian.Uint64(b[:]))
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0.1
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

func randomString(dst []byte, random *rand.Rand) []byte {
	parts := []string{"a", "A", "b", "aa", "1", "2", "10", "01", "4294967294", "4294967295", "_", "-", ".", "é", "e\u0301", "ß", "ss", "中", "あ", "ア", "😀",
		`\ud83d`, `\ude00`, `\u0001`, `\n`, `\"`, `\\`, `\/`, `\u0041`, "__proto__", "\u2028", "\uFEFF", "{", "true"}
	dst = append(dst, '"')
	for range random.IntN(4) {
		dst = append(dst, parts[random.IntN(len(parts))]...)
	}
	return append(dst, '"')
}
