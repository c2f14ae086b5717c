package tap

import (
	"bytes"
	"encoding/json"

	"testing"
)

func TestMask(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"no secret", `{"name":"Widget","price":9.99}`, `{"name":"Widget","price":9.99}`},
		{"by name", `{"password":"hunter2","name":"a"}`, `{"password":"***","name":"a"}`},
		{"case and punctuation", `{"API_Key":1,"access-key":true,"userPassword":"x"}`, `{"API_Key":"***","access-key":"***","userPassword":"***"}`},
		{"objects and lists", `{"tokens":["a","b"],"credentials":{"user":"x","deep":[{"y":"}"}]},"z":1}`, `{"tokens":"***","credentials":"***","z":1}`},
		{"nested", `[{"user":{"secret":"s"}}]`, `[{"user":{"secret":"***"}}]`},
		{"null is no secret", `{"token":null}`, `{"token":null}`},
		{"short words are whole names", `{"otp":"123","option":"1","spotprice":2}`, `{"otp":"***","option":"1","spotprice":2}`},
		{"an escaped name", `{"p\u0061ssword":"x"}`, `{"p\u0061ssword":"***"}`},
		{"white space", "{ \"token\" :\t\"x\" , \"a\" : 1 }", "{ \"token\" :\t\"***\" , \"a\" : 1 }"},
		{"a header's value", `{"note":"Bearer abc.def"}`, `{"note":"***"}`},
		{"a token as a value", `["eyJhbGciOi.eyJzdWIi.c2ln"]`, `["***"]`},
		{"a URL", `{"url":"postgres://app:s3cret@db:5432/x?y=1"}`, `{"url":"postgres://app:***@db:5432/x?y=1"}`},
		{"an email address", `{"email":"ann@example.com"}`, `{"email":"ann@example.com"}`},
		{"cut in a secret", `{"a":1,"password":"hunt`, `{"a":1,"password":"***"`},
		{"cut in an object", `{"a":1,"secret":{"b":[1,`, `{"a":1,"secret":"***"`},
		{"cut in a name", `{"a":1,"passwo`, `{"a":1,"passwo`},
		{"a string with a quote", `{"a":"\"password\":1"}`, `{"a":"\"password\":1"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Mask(nil, []byte(tt.in))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzMask checks that valid JSON stays valid, that the beginning of it is masked without a panic, and
// that nothing under a secret name is left.
func FuzzMask(f *testing.F) {
	f.Add([]byte(`{"password":"hunter2","a":[1,{"token":{"b":null}}]}`), 5)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		if cut >= 0 && cut < len(text) {
			Mask(nil, text[:cut])
		}
		if !json.Valid(text) {
			return
		}
		masked := Mask(nil, text)
		if !json.Valid(masked) {
			t.Fatalf("%q became %q", text, masked)
		}
		object := append(append([]byte(`{"token":`), bytes.TrimSpace(text)...), '}')
		if got := string(Mask(nil, object)); got != `{"token":"***"}` && string(bytes.TrimSpace(text)) != "null" {
			t.Fatalf("%q became %q", object, got)
		}
	})
}
