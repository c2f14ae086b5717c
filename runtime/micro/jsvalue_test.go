package micro

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppendJSONString(t *testing.T) {
	tests := map[string]string{
		"":                          `""`,
		"plain é 😀 <>&\u2028\x7f":   "\"plain é 😀 <>&\u2028\x7f\"",
		"\"\\/":                     `"\"\\/"`,
		"\b\f\n\r\t\x00\x0b\x1f":    `"\b\f\n\r\t\u0000\u000b\u001f"`,
		"a\xffb":                    "\"a\uFFFDb\"",
		"\xf0\x9f\x98b":             "\"\uFFFDb\"",
		"\xf0\x9f\x98":              "\"\uFFFD\"",
		"\xed\xa0":                  "\"\uFFFD\uFFFD\"",
		"\xed\xa0\xbdx\xed\xb8\x80": `"\ud83dx\ude00"`,
		"\uFFFD":                    "\"\uFFFD\"",
	}
	for in, want := range tests {
		if diff := cmp.Diff(`x`+want, string(appendJSONString([]byte("x"), in))); diff != "" {
			t.Errorf("%q: -want +got\n%s", in, diff)
		}
	}
}

func TestAppendCanonicalJSON(t *testing.T) {
	tests := map[string]string{
		` null `:                                 `null`,
		`-0`:                                     `0`,
		`1.0`:                                    `1`,
		`1E2`:                                    `100`,
		`9007199254740993`:                       `9007199254740992`,
		`1e400`:                                  `null`,
		`[-1e400]`:                               `[null]`,
		`"\b\f\n\r\t\"\\"`:                       `"\b\f\n\r\t\"\\"`,
		`"\u0041\/\ud83d\u001f"`:                 `"A/\ud83d\u001f"`,
		`"\ud83d\ude00"`:                         `"😀"`,
		`[ ]`:                                    `[]`,
		`{ }`:                                    `{}`,
		`[ [ ] , { } , 1 , "a" , false ]`:        `[[],{},1,"a",false]`,
		`{"b":1,"a":2}`:                          `{"b":1,"a":2}`,
		`{"b":1,"10":2,"9":3,"01":4,"":5}`:       `{"9":3,"10":2,"b":1,"01":4,"":5}`,
		`{"4294967295":1,"4294967294":2}`:        `{"4294967294":2,"4294967295":1}`,
		`{"a":1,"b":2,"\u0061":[3]}`:             `{"a":[3],"b":2}`,
		`{"a":{"a":1,"a":{"2":0,"1":{}}}}`:       `{"a":{"a":{"1":{},"2":0}}}`,
		`{"__proto__":{"x":1},"a":[{"b":[{}]}]}`: `{"__proto__":{"x":1},"a":[{"b":[{}]}]}`,
		"\"a\xed\xa0\xbd\"":                      "\"a\uFFFD\uFFFD\uFFFD\"",
	}
	for in, want := range tests {
		if diff := cmp.Diff(want, string(canonicalJSON([]byte(in)))); diff != "" {
			t.Errorf("%s: -want +got\n%s", in, diff)
		}
	}
}

func TestNumbersAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var numbers []float64
	for len(numbers) < 10_000 {
		f := math.Float64frombits(random.Uint64())
		switch len(numbers) % 4 {
		case 1:
			f = float64(random.Int64N(1 << 60))
		case 2:
			f = float64(random.Int64N(1e7)) / math.Pow10(random.IntN(14))
		case 3:
			f = math.Pow10(random.IntN(60)-30) * float64(1+random.IntN(9))
		}
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, f)
		}
	}
	numbers = append(numbers, 0, math.Copysign(0, -1), 1e21, 1e21-131072, 1e-6, 9.9e-7, 5e-324, math.MaxFloat64)
	var bits []string
	for _, f := range numbers {
		bits = append(bits, fmt.Sprintf("%016x", math.Float64bits(f)))
	}
	want := strings.Split(askNode(t, `const b = Buffer.alloc(8);
console.log(input.map(x => { b.write(x, "hex"); return String(b.readDoubleBE()); }).join("\n"));`, jsonStrings(bits)), "\n")
	if len(want) != len(numbers) {
		t.Fatalf("node printed %d numbers, want %d", len(want), len(numbers))
	}
	for i, f := range numbers {
		if got := string(appendFloat(nil, f)); got != want[i] {
			t.Errorf("%x prints as %s, want %s", math.Float64bits(f), got, want[i])
		}
	}
}

// TestCanonicalJSONAgainstNode holds random JSON to Node.js: what it becomes
// when it is read and written, and the route it has, worked out with
// JavaScript's own objects, keys and collation.
func TestCanonicalJSONAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var texts []string
	for range 2_000 * *timesPairs {
		text := string(randomJSON(nil, random, 0))
		texts = append(texts, text)
		if random.IntN(4) == 0 {
			texts = append(texts, string(appendJSONString(nil, text)))
		}
	}
	want := strings.Split(askNode(t, `
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
		jsonStrings(texts)), "\n")
	if len(want) != 2*len(texts) {
		t.Fatalf("node printed %d lines, want %d", len(want), 2*len(texts))
	}
	icu := nodeICU(t)
	for i, text := range texts {
		if got := string(canonicalJSON([]byte(text))); got != want[2*i] {
			t.Fatalf("%s\nbecame %s\nwant   %s", text, got, want[2*i])
		}
		if got, want := lookedUp([]byte(text)), recorded([]byte(want[2*i+1])); got != want && icu == testedICU {
			t.Fatalf("%s\nhas route %+v\nwant      %+v", text, got, want)
		}
	}
}

// randomJSON appends a JSON text with all the oddities the rules are about.
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
