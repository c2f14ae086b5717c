package validate_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/validate"
)

type street struct {
	Name string `json:"name" minLength:"1"`
	No   int    `json:"no,omitempty" minimum:"1"`
}

type base struct {
	Note string `json:"note,omitempty" maxLength:"3"`
}

type person struct {
	base
	Name    string            `json:"name" minLength:"2" maxLength:"5"`
	Age     uint8             `json:"age,omitempty" maximum:"150"`
	Height  float64           `json:"height,omitempty" minimum:"0.5"`
	Active  bool              `json:"active,omitempty"`
	Role    string            `json:"role,omitempty" enum:"admin,user"`
	Mail    string            `json:"mail,omitempty" format:"email"`
	Code    string            `json:"code,omitempty" pattern:"^[a-z]+$"`
	Born    *time.Time        `json:"born,omitempty"`
	Home    *street           `json:"home,omitempty"`
	Streets []street          `json:"streets,omitempty" maxItems:"2"`
	Tags    []string          `json:"tags,omitempty" minItems:"1" minLength:"1"`
	Extra   map[string]int    `json:"extra,omitempty"`
	Any     any               `json:"any,omitempty"`
	Friend  *person           `json:"friend,omitempty"`
	Level   int               `json:"level,omitempty" default:"3"`
	Plan    string            `json:"plan,omitempty" default:"free"`
	Bytes   []byte            `json:"bytes,omitempty"`
	Small   int8              `json:"small,omitempty"`
	Ignored string            `json:"-"`
	Labels  map[string]street `json:"labels,omitempty"`
}

func rules[T any](t *testing.T) *validate.Rules {
	t.Helper()
	r, err := validate.For(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func check[T any](t *testing.T, data string, unknown validate.Unknown) (any, []string) {
	t.Helper()
	v, err := validate.Parse([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return v, rules[T](t).Check(v, []byte(data), unknown)
}

// noName returns the problems of a missing name.
func noName(path string) []string {
	return []string{
		path + "name must be shorter than or equal to 5 characters", path + "name must be longer than or equal to 2 characters",
		path + "name must be a string",
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       []string
	}{
		{"least", `{"name":"Ada"}`, nil},
		{"everything", `{"name":"Ada","age":36,"height":1.6,"active":true,"role":"user","mail":"a@b.example","code":"x",
			"born":"1815-12-10T00:00:00Z","home":{"name":"S"},"streets":[{"name":"S","no":1}],"tags":["t"],"extra":{"a":1},
			"any":[1,{"x":null}],"friend":{"name":"Bob"},"note":"abc","bytes":"AAEC","small":-128,"labels":{"a":{"name":"b"}}}`, nil},
		{"optional null", `{"name":"Ada","age":null,"role":null,"home":null,"tags":null}`, nil},
		{"missing", `{}`, noName("")},
		{"required null", `{"name":null}`, noName("")},
		{"types", `{"name":1,"age":"1","height":"x","active":1,"role":true,"home":"x","streets":{},"tags":"t","extra":[],"bytes":1}`, []string{
			"name must be shorter than or equal to 5 characters", "name must be longer than or equal to 2 characters", "name must be a string",
			"age must not be greater than 150", "age must be an integer number",
			"height must not be less than 0.5", "height must be a number conforming to the specified constraints",
			"active must be a boolean value", "role must be one of the following values: admin, user", "role must be a string", "home must be an object",
			"streets must contain no more than 2 elements", "streets must be an array",
			"tags must contain at least 1 elements", "tags must be an array", "extra must be an object",
			"bytes must be base64 encoded", "bytes must be a string"}},
		{"unknown first, as sent", `{"zip":1,"name":7,"foo":2,"zip":3}`, append([]string{
			"property zip should not exist", "property foo should not exist"}, noName("")...)},
		{"unknown in an element, as sent", `{"name":"Ada","streets":[{"b":1,"a":{"b":1}},{"d":1,"name":"S","c":[1]}],"home":{"z":1,"name":"S","y":2}}`, []string{
			"home.property z should not exist", "home.property y should not exist",
			"streets.0.property b should not exist", "streets.0.property a should not exist", "streets.0.name should not be empty", "streets.0.name must be a string",
			"streets.1.property d should not exist", "streets.1.property c should not exist"}},
		{"case matters", `{"Name":"Ada"}`, append([]string{"property Name should not exist"}, noName("")...)},
		{"lengths", `{"name":"A","note":"abcd"}`, []string{
			"name must be longer than or equal to 2 characters", "note must be shorter than or equal to 3 characters"}},
		{"runes, not bytes", `{"name":"äöüßé"}`, nil},
		{"bounds", `{"name":"Ada","age":151,"height":0.1,"small":128}`, []string{
			"age must not be greater than 150", "height must not be less than 0.5", "small must not be greater than 127"}},
		{"unsigned", `{"name":"Ada","age":-1}`, []string{"age must not be less than 0"}},
		{"no integer", `{"name":"Ada","age":1.5}`, []string{"age must be an integer number"}},
		{"exponent", `{"name":"Ada","age":1e2}`, []string{"age must be an integer number"}},
		{"words", `{"name":"Ada","role":"root","mail":"x","code":"X","born":"today"}`, []string{
			"role must be one of the following values: admin, user", "mail must be an email",
			"code must match /^[a-z]+$/ regular expression", "born must be a valid ISO 8601 date string"}},
		{"date of another type", `{"name":"Ada","born":5}`, []string{"born must be a valid ISO 8601 date string"}},
		{"base64", `{"name":"Ada","bytes":"?"}`, []string{"bytes must be base64 encoded"}},
		{"nested", `{"name":"Ada","home":{"name":"","no":0,"zip":1},"streets":[{"name":"S"},{"no":1}]}`, []string{
			"home.property zip should not exist", "home.name should not be empty", "home.no must not be less than 1",
			"streets.1.name should not be empty", "streets.1.name must be a string"}},
		{"recursive", `{"name":"Ada","friend":{"name":"Bob","friend":{}}}`, noName("friend.friend.")},
		{"maps", `{"name":"Ada","extra":{"a":"x","b":1},"labels":{"l":{}}}`, []string{
			"extra.a must be an integer number", "labels.l.name should not be empty", "labels.l.name must be a string"}},
		{"lists", `{"name":"Ada","tags":["",1],"streets":[{},{},{}]}`, []string{
			"streets must contain no more than 2 elements", "each value in tags should not be empty", "each value in tags must be a string"}},
		{"empty list", `{"name":"Ada","tags":[]}`, []string{"tags must contain at least 1 elements"}},
		{"no object", `[]`, []string{"the data must be a JSON object"}},
		{"long names are cut", `{"name":"Ada","` + strings.Repeat("é", 60) + `":1}`, []string{
			"property " + strings.Repeat("é", 32) + "… should not exist"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, got := check[person](t, test.data, validate.Forbid); cmp.Diff(test.want, got) != "" {
				t.Error(cmp.Diff(test.want, got))
			}
		})
	}
}

func TestFormats(t *testing.T) {
	type formats struct {
		UUID string `json:"uuid,omitempty" format:"uuid"`
		URI  string `json:"uri,omitempty" format:"uri"`
		Date string `json:"date,omitempty" format:"date"`
		V4   string `json:"v4,omitempty" format:"ipv4"`
		V6   string `json:"v6,omitempty" format:"ipv6"`
		Host string `json:"host,omitempty" format:"hostname"`
		Own  string `json:"own,omitempty" format:"phone"`
	}
	_, got := check[formats](t, `{"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","uri":"https://a.example/b","date":"2030-01-02",
		"v4":"10.0.0.1","v6":"::1","host":"a.example","own":"anything"}`, validate.Forbid)
	if got != nil {
		t.Errorf("problems %q", got)
	}
	_, got = check[formats](t, `{"uuid":"x","uri":"x","date":"x","v4":"::1","v6":"10.0.0.1","host":"-","own":""}`, validate.Forbid)
	want := []string{
		"uuid must be a UUID", "uri must be a URL address", "date must be a valid ISO 8601 date string",
		"v4 must be an ip address", "v6 must be an ip address", "host must be a fully qualified domain name",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// amount has an encoding of its own, and states what it is.
type amount int64

func (*amount) UnmarshalJSON([]byte) error { return nil }
func (*amount) JSONType() string           { return "number" }

func TestMultipleOf(t *testing.T) {
	type order struct {
		Price  amount  `json:"price,omitempty" minimum:"0" multipleOf:"0.01"`
		Weight float64 `json:"weight,omitempty" multipleOf:"0.5"`
		Pieces int     `json:"pieces,omitempty" multipleOf:"6"`
	}
	for _, test := range []struct {
		data string
		want []string
	}{
		{`{"price":9.99,"weight":1.5,"pieces":12}`, nil},
		{`{"price":0.30000000000000004}`, nil},
		{`{"price":90071992547409.91}`, nil},
		{`{"price":9.999}`, []string{"price must be a number conforming to the specified constraints"}},
		{`{"price":"9.99"}`, []string{"price must not be less than 0", "price must be a number conforming to the specified constraints"}},
		{`{"price":-0.01}`, []string{"price must not be less than 0"}},
		{`{"weight":1.4,"pieces":7}`, []string{"weight must be a number conforming to the specified constraints", "pieces must be divisible by 6"}},
	} {
		if _, got := check[order](t, test.data, validate.Forbid); cmp.Diff(test.want, got) != "" {
			t.Errorf("%s: %s", test.data, cmp.Diff(test.want, got))
		}
	}
	type bad struct {
		A int `multipleOf:"0"`
	}
	if _, err := validate.For(reflect.TypeFor[bad]()); err == nil || !strings.Contains(err.Error(), "multipleOf") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownAndDefaults(t *testing.T) {
	const data = `{"name":"Ada","foo":1,"home":{"name":"S","zip":2}}`
	for _, test := range []struct {
		unknown validate.Unknown
		want    map[string]any
	}{
		{validate.Strip, map[string]any{"name": "Ada", "home": map[string]any{"name": "S"}}},
		{validate.Allow, map[string]any{"name": "Ada", "foo": "1", "home": map[string]any{"name": "S", "zip": "2"}}},
	} {
		v, problems := check[person](t, data, test.unknown)
		if problems != nil {
			t.Errorf("problems %q", problems)
		}
		test.want["level"], test.want["plan"] = "3", "free"
		if diff := cmp.Diff(test.want, plain(v)); diff != "" {
			t.Error(diff)
		}
	}
}

// plain turns json.Numbers into strings, to compare them.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, member := range v {
			out[k] = plain(member)
		}
		return out
	case interface{ String() string }:
		return v.String()
	}
	return v
}

func TestManyProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"name":"Ada"`)
	for range 500 {
		b.WriteString(`,"x` + strings.Repeat("y", b.Len()%97) + `":1`)
	}
	b.WriteString(`}`)
	if _, got := check[person](t, b.String(), validate.Forbid); len(got) > 100 {
		t.Errorf("%d problems", len(got))
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":`:     "unexpected end of the JSON",
		``:          "unexpected end of the JSON",
		`{"secret`:  "unexpected end of the JSON",
		`{secret}`:  "invalid JSON at byte 2",
		`{} secret`: "unexpected data after the JSON value at byte 2",
		`{}`:        "",
	} {
		_, err := validate.Parse([]byte(text))
		if got := errText(err); got != want {
			t.Errorf("%q: error %q, want %q", text, got, want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTagsThatMakeNoSense(t *testing.T) {
	type badNumber struct {
		A string `minLength:"x"`
	}
	type badPattern struct {
		A string `pattern:"("`
	}
	type badDefault struct {
		A int `default:"x"`
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[badNumber](), reflect.TypeFor[badPattern](), reflect.TypeFor[badDefault]()} {
		if _, err := validate.For(typ); err == nil || !strings.Contains(err.Error(), "field A: tag") {
			t.Errorf("error %v", err)
		}
	}
}

func TestFromText(t *testing.T) {
	type query struct {
		N    int      `json:"n,omitempty" query:"n"`
		F    float64  `json:"f,omitempty"`
		B    bool     `json:"b,omitempty"`
		S    string   `json:"s,omitempty" path:"s"`
		List []int    `json:"list,omitempty"`
		Tags []string `json:"tags,omitempty"`
	}
	fields := map[string]validate.Field{}
	for _, f := range rules[query](t).Fields() {
		fields[f.Name] = f
	}
	if fields["n"].Query != "n" || fields["s"].Path != "s" || fields["n"].Required {
		t.Errorf("fields %+v", fields)
	}
	for _, test := range []struct {
		field string
		texts []string
		want  string
	}{
		{"n", []string{"7"}, "[7]"}, {"n", []string{"x"}, `["x"]`}, {"n", []string{"1", "2"}, "[[1,2]]"}, {"n", []string{""}, `[""]`},
		{"f", []string{"-1.5e3"}, "[-1.5e3]"}, {"f", []string{"1 2"}, `["1 2"]`},
		{"b", []string{"true"}, "[true]"}, {"b", []string{"0"}, "[false]"}, {"b", []string{"yes"}, `["yes"]`},
		{"s", []string{"7"}, `["7"]`}, {"s", []string{"a", "b"}, `[["a","b"]]`},
		{"list", []string{"1", "2"}, "[[1,2]]"}, {"list", []string{"1,2"}, "[[1,2]]"}, {"tags", []string{"a"}, `[["a"]]`},
	} {
		if got := marshal(t, []any{fields[test.field].FromText(test.texts)}); got != test.want {
			t.Errorf("%s %q: %s, want %s", test.field, test.texts, got, test.want)
		}
	}
}

// TestAsClassValidator compares all messages with those of class-validator 0.14 for the decorators
// in the comments.
func TestAsClassValidator(t *testing.T) {
	type dto struct {
		Name  string   `json:"name" minLength:"1" maxLength:"5"`                                     // IsString, IsNotEmpty, MaxLength
		Nick  string   `json:"nick,omitempty" minLength:"2" maxLength:"5" pattern:"^[a-z]+$"`        // IsString, MinLength, MaxLength, Matches
		Mail  string   `json:"mail,omitempty" format:"email" maxLength:"5"`                          // IsString, IsEmail, MaxLength
		Role  string   `json:"role,omitempty" enum:"a,b"`                                            // IsString, IsIn
		Age   int      `json:"age" minimum:"0" maximum:"150"`                                        // IsInt, Min, Max
		Price float64  `json:"price" minimum:"0"`                                                    // IsNumber, Min
		On    bool     `json:"on,omitempty"`                                                         // IsBoolean
		Tags  []string `json:"tags,omitempty" minItems:"1" maxItems:"2" minLength:"1" maxLength:"3"` // IsArray, ArrayMinSize, ArrayMaxSize, and for each: IsString, IsNotEmpty, MaxLength
	}
	name := []string{"name must be shorter than or equal to 5 characters", "name should not be empty", "name must be a string"}
	age := []string{"age must not be greater than 150", "age must not be less than 0", "age must be an integer number"}
	price := []string{"price must not be less than 0", "price must be a number conforming to the specified constraints"}
	for data, want := range map[string][]string{
		`{}`: slices.Concat(name, age, price),
		`{"z":1,"a":2,"name":5,"nick":5,"mail":5,"role":5,"age":"x","price":"x","on":1,"tags":5}`: slices.Concat([]string{
			"property z should not exist", "property a should not exist", name[0], name[2],
			"nick must match /^[a-z]+$/ regular expression", "nick must be shorter than or equal to 5 characters",
			"nick must be longer than or equal to 2 characters", "nick must be a string",
			"mail must be shorter than or equal to 5 characters", "mail must be an email", "mail must be a string",
			"role must be one of the following values: a, b", "role must be a string",
		}, age, price, []string{
			"on must be a boolean value",
			"each value in tags must be shorter than or equal to 3 characters", "each value in tags must be a string",
			"tags must contain no more than 2 elements", "tags must contain at least 1 elements", "tags must be an array",
		}),
		`{"name":"","nick":"ABCDEFG","mail":"abcdefg","role":"c","age":1.5,"price":-1,"tags":[]}`: {
			"name should not be empty",
			"nick must match /^[a-z]+$/ regular expression", "nick must be shorter than or equal to 5 characters",
			"mail must be shorter than or equal to 5 characters", "mail must be an email",
			"role must be one of the following values: a, b", "age must be an integer number", "price must not be less than 0",
			"tags must contain at least 1 elements",
		},
		`{"name":"abcdef","age":151.5,"price":1,"tags":["",5,"abcd"]}`: {
			name[0], "age must not be greater than 150", "age must be an integer number",
			"each value in tags must be shorter than or equal to 3 characters", "each value in tags should not be empty",
			"each value in tags must be a string", "tags must contain no more than 2 elements",
		},
		`{"name":null,"age":null,"price":null,"tags":"t"}`: slices.Concat(name, age, price, []string{
			"tags must contain no more than 2 elements", "tags must contain at least 1 elements", "tags must be an array",
		}),
		`{"b":1,"name":"a","age":1,"price":1,"a":2,"tags":[5,5]}`: {
			"property b should not exist", "property a should not exist",
			"each value in tags must be shorter than or equal to 3 characters", "each value in tags must be a string",
		},
	} {
		if _, got := check[dto](t, data, validate.Forbid); cmp.Diff(want, got) != "" {
			t.Errorf("%s: %s", data, cmp.Diff(want, got))
		}
	}
}

// TestDepth checks that deep data is rejected before it costs anything.
func TestDepth(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat(`[`, levels) + strings.Repeat(`]`, levels) }
	for data, ok := range map[string]bool{
		nested(200): true, nested(201): false, nested(1 << 20): false,
		`{"a":"` + strings.Repeat(`[{\"`, 300) + `"}`:                 true,
		`"` + strings.Repeat(`\\`, 300) + `"`:                         true,
		strings.Repeat(`{"a":`, 201) + `1` + strings.Repeat(`}`, 201): false,
	} {
		if _, err := validate.Parse([]byte(data)); (err == nil) != ok {
			t.Errorf("%.20s…: %v", data, err)
		}
	}
}

// TestManyUnknown checks that a body that consists of unknown members costs little more than
// reading it, whatever its form, and that the first ones sent are reported.
func TestManyUnknown(t *testing.T) {
	type deep struct {
		Next *deep  `json:"next,omitempty"`
		List []deep `json:"list,omitempty"`
	}
	var flat, wide strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&flat, `"k%d":1,`, 99_999-i)
	}
	for range 20_000 {
		wide.WriteString(`{"b":1,"a":2},`)
	}
	const levels = 199
	for name, data := range map[string]string{
		"flat":         `{` + strings.TrimSuffix(flat.String(), ",") + `}`,
		"wide":         `{"list":[` + strings.TrimSuffix(wide.String(), ",") + `]}`,
		"deep":         strings.Repeat(`{"b":1,"a":2,"next":`, levels) + `{}` + strings.Repeat(`}`, levels),
		"deep strange": `{"b":1,"a":` + strings.Repeat(`[`, levels) + strings.Repeat(`]`, levels) + `}`,
	} {
		_, got := check[deep](t, data, validate.Forbid)
		first := map[string]string{"flat": "property k99999 should not exist", "wide": "list.0.property b should not exist"}[name]
		if first == "" {
			first = "property b should not exist"
		}
		if len(got) > 100 || got[0] != first {
			t.Errorf("%s: %d problems, the first is %q", name, len(got), got[0])
		}
	}
}
