package js

import (
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
		if diff := cmp.Diff(`x`+want, string(AppendString([]byte("x"), in))); diff != "" {
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
		if diff := cmp.Diff(want, string(Canonical([]byte(in)))); diff != "" {
			t.Errorf("%s: -want +got\n%s", in, diff)
		}
	}
}
