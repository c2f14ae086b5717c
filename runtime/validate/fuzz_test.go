package validate_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/msctl/msctl/runtime/validate"
)

// FuzzCheck: no input causes a panic, and input without problems can be decoded into
// the type.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"name":"Ada"}`, `{"name":"Ada","age":1e2,"friend":{"name":"Bob","friend":null}}`, `{"name":7,"tags":["",1]}`,
		`{"name":"Ada","bytes":"AA==","born":"1815-12-10T00:00:00Z","any":[{}],"extra":{"a":1}}`, `[]`, `"`, `{"name":"Ada","level":99999999999999999999}`,
	} {
		f.Add([]byte(seed))
	}
	rules, err := validate.For(reflect.TypeFor[person]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := validate.Parse(data)
		if err != nil || rules.Check(v, nil, validate.Strip) != nil {
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var p person
		if err := json.Unmarshal(text, &p); err != nil {
			t.Errorf("%s has no problems, but: %v", text, err)
		}
	})
}
