package js

import (
	"encoding/json"
	"strings"
	"testing"
)

var documents = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `truex`, `TRUE`, `0`, `-0`, `01`, `1.`, `.5`, `1.5e+10`, `1e`, `1e+`, `+1`, `-`, `1E-2`, `0x1`, `NaN`, `Infinity`,
	`""`, `"a`, `"\n"`, "\"\n\"", "\"\t\"", `"\x"`, `"\u12"`, `"\u12G4"`, `"\ud83d"`, `"😀"`, "\"\x7f\"", `"eight chars and more \" quoted"`, `"\\"`, `"\\\"`,
	`[]`, `[ ]`, `[1,2]`, `[1,]`, `[,1]`, `[1 2]`, `[1`, `]`, `[}`, `[[]]`, `[1]]`,
	`{}`, `{ }`, `{"a":1}`, `{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a"}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`, `{"a":{"b":[{"c":null}]}}`, `{"a":1}{}`, `{"a":1}]`, `{"a":`, `{"a"`, `{`,
	" \t\r\n{ \"a\" : [ 1 , \"x\" ] } \n", "\v1", "\uFEFF1", "1\x00", `{"\u0061":1,"a":2}`,
	"\"\xff\"", "\"\xed\xa0\xbd\"", "{\"\xff\":1}",
}

// TestValidJSON compares Valid with encoding/json, which accepts exactly what JSON.parse
// does. Both accept invalid UTF-8, which a Node.js peer never sees, because decoding has
// replaced it with U+FFFD.
func TestValidJSON(t *testing.T) {
	docs := append([]string{strings.Repeat("[", 300) + strings.Repeat("]", 300), strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000), strings.Repeat("[", 300) + strings.Repeat("]", 299) + "}"}, documents...)
	for _, doc := range docs {
		if got, want := Valid([]byte(doc)), json.Valid([]byte(doc)); got != want {
			t.Errorf("validJSON(%.60q) = %v, want %v", doc, got, want)
		}
		for i := range min(len(doc), 60) { // every prefix as well
			if got, want := Valid([]byte(doc[:i])), json.Valid([]byte(doc[:i])); got != want {
				t.Errorf("validJSON(%.60q) = %v, want %v", doc[:i], got, want)
			}
		}
	}
}

func TestDeepJSON(t *testing.T) {
	const depth = 1_000_000 // JSON.parse accepts it, while encoding/json fails beyond 10,000
	doc := []byte(strings.Repeat("[{\"a\":", depth) + "1" + strings.Repeat("}]", depth))
	if !Valid(doc) {
		t.Error("deep JSON is refused")
	}
	if Valid(doc[:len(doc)-1]) {
		t.Error("deep JSON without its end is accepted")
	}
}

func TestTruthy(t *testing.T) {
	for doc, want := range map[string]bool{
		"": false, "null": false, "false": false, "0": false, "-0": false, "0.0": false, "0e5": false, "-0.00e9": false, "1e-999": false, `""`: false,
		"true": true, "1": true, "-1": true, "0.1": true, "1e999": true, "1e-300": true, `"0"`: true, `" "`: true, `{}`: true, `[]`: true,
	} {
		if got := Truthy([]byte(doc)); got != want {
			t.Errorf("truthy(%s) = %v", doc, got)
		}
	}
}
