package shorthand

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/runtime/micro"
)

func TestParsePattern(t *testing.T) {
	tests := []struct{ arg, want string }{
		{`{"cmd":"findAllItems"}`, `{"cmd":"findAllItems"}`},
		{` { "cmd" : "x" , "n" : 1.0 } `, `{ "cmd" : "x" , "n" : 1.0 }`},
		{`<"cmd":"findAllItems">`, `{"cmd":"findAllItems"}`},
		{`<>`, `{}`},
		{`<"a":{"b":"<>"}>`, `{"a":{"b":"<>"}}`},
		{`cmd=findAllItems`, `{"cmd":"findAllItems"}`},
		{`cmd:findAllItems`, `{"cmd":"findAllItems"}`},
		{`cmd=a:b=c`, `{"cmd":"a:b=c"}`},
		{`role:=["a",1]`, `{"role":["a",1]}`},
		{`item.v1.create`, `"item.v1.create"`},
		{`item:created`, `"item:created"`},
		{`item.*.created=x`, `"item.*.created=x"`},
		{`"item.v1.create"`, `"item.v1.create"`},
		{`42`, `"42"`},
		{`<b`, ``},
		{`données`, `"données"`},
	}
	for _, tt := range tests {
		got, err := parsePattern(tt.arg)
		if tt.want == "" {
			if err == nil {
				t.Errorf("parsePattern(%q) = %s, want an error", tt.arg, got)
			}
			continue
		}
		if err != nil || string(got) != tt.want {
			t.Errorf("parsePattern(%q) = %s, %v; want %s", tt.arg, got, err, tt.want)
		}
	}
}

func TestFormatPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		`{"cmd":"findAllItems"}`:        `cmd=findAllItems`,
		`{"cmd":"a b"}`:                 `'{"cmd":"a b"}'`,
		`{"cmd":""}`:                    `'{"cmd":""}'`,
		`{ "cmd" : "x", "v": 2 }`:       `'{"cmd":"x","v":2}'`,
		`{"cmd":7}`:                     `'{"cmd":7}'`,
		`{"a-b":"c:d/e.f"}`:             `a-b=c:d/e.f`,
		`{"cmd":"it's"}`:                `'{"cmd":"it'\''s"}'`,
		`"item.v1.viewed"`:              `item.v1.viewed`,
		`"cmd:text"`:                    `'"cmd:text"'`,
		`"a=b"`:                         `'"a=b"'`,
		`"order.*"`:                     `'order.*'`,
		`"a b"`:                         `'"a b"'`,
		`""`:                            `'""'`,
		`"-x"`:                          `'"-x"'`,
		`"caf\u00e9"`:                   `'café'`,
		`"\u001b[2J\u202e\ud83d\udce6"`: `'"\u001b[2J\u202e📦"'`,
		`"{x}"`:                         `'"{x}"'`,
		`5`:                             `5`,
		`-1`:                            `'"-1"'`,
		`1e21`:                          `'"1e+21"'`,
		`true`:                          `true`,
		`[1,"a",{"b":[2]}]`:             `'{"0":1,"1":"a","2":{"b":[2]}}'`,
		`[]`:                            `'{}'`,
		`"\ud800"`:                      `'"\ud800"'`,
		`{"cmd":"\udc00x"}`:             `'{"cmd":"\udc00x"}'`,
		`"=x"`:                          `'=x'`,
		`{"a":{"b":"c"}}`:               `'{"a":{"b":"c"}}'`,
	} {
		if got := FormatPattern(json.RawMessage(pattern)); got != want {
			t.Errorf("%s is formatted as %s, want %s", pattern, got, want)
		}
	}
}

// TestFormattedPatternsCanBePasted lets a shell read what FormatPattern returns for patterns
// of every kind.
func TestFormattedPatternsCanBePasted(t *testing.T) {
	patterns := []string{
		`{"cmd":"x"}`, `{"cmd":"$HOME"}`, `"cmd:x"`, `"a=b"`, `"it's \"quoted\""`, "\"`id`\"", `"a\\b"`, `{"a":{"b":["*",null]}}`, `"item.>"`, `"!x"`, `"#"`, `"~"`, `"-n"`,
		`42`, `-1`, `0.5`, `1e300`, `true`, `false`, `[]`, `[[1],{"a":-2}]`, `{}`, `{"0":1}`, `{"":""}`, `"\ud800"`, `["\udfff"]`, `"a\nb"`, `"\u0000"`, `"="`, `"=ls"`, `"<a>"`, `"[x]"`,
	}
	r := rand.New(rand.NewPCG(11, 3))
	for range 1000 {
		patterns = append(patterns, randomPattern(r, 3))
	}
	var script strings.Builder
	for _, p := range patterns {
		script.WriteString("printf '%s\\0' " + FormatPattern(json.RawMessage(p)) + "\n")
	}
	sh := exec.CommandContext(t.Context(), "sh")
	sh.Stdin = strings.NewReader(script.String())
	out, err := sh.Output()
	if err != nil {
		t.Skip("no shell")
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(words) != len(patterns) {
		t.Fatalf("the shell read %d words of %d", len(words), len(patterns))
	}
	for i, pattern := range patterns {
		got, err := Pattern(words[i])
		want, wantErr := micro.ParsePattern(pattern)
		if err != nil || wantErr != nil || got.Route() != want.Route() || words[i][0] == '-' {
			t.Errorf("%s is read back as %s from %s: %v", pattern, got, words[i], err)
		}
		if strings.ContainsFunc(words[i], func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%s is printed as %q", pattern, words[i])
		}
	}
}

// randomPattern returns JSON of every kind with the characters that shells, JSON, and
// PATTERN treat differently.
func randomPattern(r *rand.Rand, depth int) string {
	text := func() string {
		parts := []string{"a", "cmd", "0", "=", ":", ":=", "-", "'", `\"`, `\\`, "$", "$(x)", "`", "!", "*", "?", "~", "#", "&", ";", "|", "<", ">", "(", "{", "}", "[", "]",
			" ", `\t`, `\n`, `\u0000`, `\u001b`, `\u007f`, "é", "e\u0301", "\u200b", "\u202e", "\u2028", "日本", "😀", `\ud83d`, `\ude00`, "%", "@x", "^", "/", ".", ","}
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		return `"` + b.String() + `"`
	}
	switch n := r.IntN(8); {
	case n < 3 || depth == 0:
		return text()
	case n == 3:
		return []string{"1", "-7", "1.5e3", "-0", "1e21", "true", "false", "12345678901234567890"}[r.IntN(8)]
	case n == 4:
		return "[" + randomPattern(r, depth-1) + "," + randomPattern(r, depth-1) + "]"
	case n == 5:
		return "{" + text() + ":" + text() + "}"
	}
	return "{" + text() + ":" + randomPattern(r, depth-1) + ", " + text() + ":" + randomPattern(r, depth-1) + "}"
}

func TestPatternErrorsPointAtTheColumn(t *testing.T) {
	tests := []struct{ arg, want string }{
		{`{"cmd":"find}`, "the pattern, column 14: unexpected end of the text, expected a closing '\"'\n" +
			`  {"cmd":"find}` + "\n               ^"},
		{`{cmd:"x"}`, "the pattern, column 2: unexpected 'c', expected a key in double quotes or \"}\"\n  {cmd:\"x\"}\n   ^"},
		{`<"cmd":x>`, "the pattern, column 8: unexpected 'x', expected a JSON value (JSON strings require double quotes)\n" +
			`  <"cmd":x>` + "\n         ^"},
		{`<"cmd":"x"`, "the pattern, column 11: a pattern that starts with < must end with >\n" +
			`  <"cmd":"x"` + "\n            ^"},
		{`  find all`, "the pattern, column 7: spaces, quotes, and braces require JSON: '{\"cmd\":\"x\"}' or '\"a b\"'\n    find all\n        ^"},
		{`cmd=`, "the pattern, column 5: cmd requires a value\n  cmd=\n      ^"},
		{`n:=[1,]`, "the pattern, column 7: unexpected ']', expected a JSON value\n  n:=[1,]\n        ^"},
		{`["a"]`, "the pattern, column 1: a pattern must be an object or a string, not an array\n  [\"a\"]\n  ^"},
		{`"é" x`, "the pattern, column 5: unexpected 'x', expected the end of the text\n  \"é\" x\n      ^"},
		{" ", "the pattern is empty"},
		{"a\xff", `the pattern is not valid UTF-8: "a\xff"`},
	}
	for _, tt := range tests {
		_, err := parsePattern(tt.arg)
		if err == nil {
			t.Errorf("parsePattern(%q): no error", tt.arg)
			continue
		}
		if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("parsePattern(%q) (-want +got):\n%s", tt.arg, diff)
		}
		if exit.Code(err) != exit.Usage {
			t.Errorf("parsePattern(%q): exit code %d", tt.arg, exit.Code(err))
		}
	}
}

func TestParseData(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "data.json")
	if err := os.WriteFile(file, []byte("\ufeff{ \"n\": 9007199254740993 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args  []string
		stdin string
		want  string
	}{
		{nil, "", `{}`},
		{[]string{`{"a": 1.50}`}, "", `{"a": 1.50}`},
		{[]string{`[1]`}, "", `[1]`},
		{[]string{`"text"`}, "", `"text"`},
		{[]string{`-0.5e+10`}, "", `-0.5e+10`},
		{[]string{`null`}, "", `null`},
		{[]string{`-`}, " [1, 2]\n", `[1, 2]`},
		{[]string{`@` + file}, "", `{ "n": 9007199254740993 }`},
		{[]string{"name=Widget", "price:=9.990", `tags:=["a"]`, "dto.name=x", "dto.id:=7"}, "",
			`{"name":"Widget","price":9.990,"tags":["a"],"dto":{"name":"x","id":7}}`},
		{[]string{"empty=", `a\.b=1`, `x\=y=z`, `back\\slash=1`, `at=\@home`, "eq=a=b"}, "",
			`{"empty":"","a.b":"1","x=y":"z","back\\slash":"1","at":"@home","eq":"a=b"}`},
		{[]string{"true=1", "1=2", "<tag>=&"}, "", `{"true":"1","1":"2","<tag>":"&"}`},
		{[]string{"n:=@" + file}, "", `{"n":{ "n": 9007199254740993 }}`},
		{[]string{"z=1", "a=2"}, "", `{"z":"1","a":"2"}`},
	}
	for _, tt := range tests {
		got, err := Reader{Stdin: strings.NewReader(tt.stdin)}.Data(tt.args)
		if err != nil || string(got) != tt.want {
			t.Errorf("parseData(%q) = %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
}

func TestDataErrorsPointAtTheColumn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(file, []byte("{\n\t\"a\": 1,\n\t\"b\" 2\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := `{"text":"` + strings.Repeat("x", 100) + `",}`
	tests := []struct {
		args []string
		want string
	}{
		{[]string{`{"a":1,}`}, "the data, column 8: unexpected '}', expected a key in double quotes\n  {\"a\":1,}\n         ^"},
		{[]string{"name"}, "the data, column 5: a field must be name=text or name:=json\n  name\n      ^"},
		{[]string{"price:=9,99"}, "the data, column 9: unexpected ',', expected the end of the text\n  price:=9,99\n          ^"},
		{[]string{"a..b=1"}, "the data, column 3: the name is empty\n  a..b=1\n    ^"},
		{[]string{"=1"}, "the data, column 1: the name is empty\n  =1\n  ^"},
		{[]string{"a=1", "a=2"}, "the data, column 1: duplicate field a\n  a=2\n  ^"},
		{[]string{"a=1", "a.b=2"}, "the data, column 1: a already has a value that is not an object\n  a.b=2\n  ^"},
		{[]string{"a.b=1", "a=2"}, "the data, column 1: duplicate field a\n  a=2\n  ^"},
		{[]string{`{}`, "a=1"}, `unexpected argument "a=1" after the data {}`},
		{[]string{"@" + file}, file + ", line 3, column 6: unexpected '2', expected \":\"\n   \"b\" 2\n       ^"},
		{[]string{"2024-01-01"}, "the data, column 5: unexpected '-', expected the end of the text\n  2024-01-01\n      ^"},
		{[]string{long}, "the data, column 112: unexpected '}', expected a key in double quotes\n  …" + strings.Repeat("x", 48) + `",}` + "\n" + strings.Repeat(" ", 53) + "^"},
		{[]string{"@"}, "@ requires the name of a file, such as @data.json"},
		{[]string{"a=\xff"}, `the data is not valid UTF-8: "a=\xff"`},
	}
	for _, tt := range tests {
		_, err := Reader{Stdin: strings.NewReader("")}.Data(tt.args)
		if err == nil {
			t.Errorf("parseData(%q): no error", tt.args)
			continue
		}
		if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
			t.Errorf("parseData(%q) (-want +got):\n%s", tt.args, diff)
		}
		if exit.Code(err) != exit.Usage {
			t.Errorf("parseData(%q): exit code %d", tt.args, exit.Code(err))
		}
	}
	_, err := Reader{}.Data([]string{"a=@/no/such/file"})
	if err == nil || exit.Code(err) != exit.Usage || exit.Hint(err) != `for a text that starts with @, write name='\@/no/such/file'` {
		t.Errorf("a missing file: %v, hint %q", err, exit.Hint(err))
	}
}

func TestCheckJSON(t *testing.T) {
	tests := []struct {
		text   string
		offset int
		part   string
	}{
		{``, 0, "expected a JSON value"},
		{`{"a" 1}`, 5, `expected ":"`},
		{`'a'`, 0, "require double quotes"},
		{`nulx`, 0, "require double quotes"},
		{`01`, 1, "unexpected '1'"},
		{strings.Repeat("[", 10001) + strings.Repeat("]", 10001), 0, "nested too deeply"},
	}
	for _, tt := range tests {
		p := checkJSON(tt.text)
		if p == nil || p.Offset != tt.offset || !strings.Contains(p.Message, tt.part) {
			t.Errorf("checkJSON(%.20q) = %+v, want offset %d and %q", tt.text, p, tt.offset, tt.part)
		}
	}
}

// FuzzDataFields checks that parsing DATA never panics, that every error is a usage
// error, and that the result is JSON. A problem is always within the text.
func FuzzDataFields(f *testing.F) {
	for _, seed := range []string{
		"name=Widget\nprice:=9.99\ntags:=[\"a\"]\ndto.name=x", `{"a":1}`, `a\.b=1`, "=", ":=", "a:=", "a.=1", "a=1\na.b=2",
		`[1,2,{"k":null}]`, `"\ud83d"`, "-0", "1e400", "true", "é=ü", "a:=tru", "\\", "x\\=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if problem := checkJSON(text); problem != nil && (problem.Offset < 0 || problem.Offset > len(text)) {
			t.Fatalf("checkJSON(%q) = %+v", text, problem)
		}
		args := strings.Split(text, "\n")
		for _, arg := range args {
			if strings.Contains(arg, "@") { // it would read files
				return
			}
		}
		got, err := Reader{Stdin: strings.NewReader(text)}.Data(args)
		if err != nil {
			if exit.Code(err) != exit.Usage {
				t.Fatalf("parseData(%q): %v has exit code %d", args, err, exit.Code(err))
			}
			return
		}
		if !json.Valid(got) {
			t.Fatalf("parseData(%q) = %s, which is not JSON", args, got)
		}
	})
}

// FuzzPatternArgument checks the same for PATTERN.
func FuzzPatternArgument(f *testing.F) {
	for _, seed := range []string{
		`{"cmd":"x"}`, `<"cmd":"x">`, `<>`, `<`, `cmd=x`, `cmd:x`, `cmd:={"a":1}`, `item.v1.create`, `"x"`, `[1]`, ` `, "\x00", "é",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		got, err := parsePattern(arg)
		if err != nil {
			if exit.Code(err) != exit.Usage {
				t.Fatalf("parsePattern(%q): %v has exit code %d", arg, err, exit.Code(err))
			}
			return
		}
		if !json.Valid(got) || got[0] != '{' && got[0] != '"' {
			t.Fatalf("parsePattern(%q) = %s, which is not a JSON object or string", arg, got)
		}
	})
}

// TestReferences checks values from the environment, in each form of DATA and in flags.
func TestReferences(t *testing.T) {
	t.Setenv("TOKEN", "a\"b")
	t.Setenv("LIST", "[1,2]")
	t.Setenv("BROKEN", "{")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := Reader{Secrets: &secret.Set{}}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"token=$TOKEN", "ids:=$LIST", "price=$5", `text=\$TOKEN`, "other=a $TOKEN"}, `{"token":"a\"b","ids":[1,2],"price":"$5","text":"$TOKEN","other":"a $TOKEN"}`},
		{[]string{`{"token":"$TOKEN","ids":$LIST,"price":"$5","text":"\\$TOKEN"}`}, `{"token":"a\"b","ids":[1,2],"price":"$5","text":"$TOKEN"}`},
		{[]string{"token=@" + file}, `{"token":"from a file\n"}`},
	} {
		if got, err := in.Data(tt.args); err != nil || string(got) != tt.want {
			t.Errorf("%q: %s, %v, want %s", tt.args, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"Bearer $TOKEN", `Bearer a"b`}, {"@" + file, "from a file"}, {`\@x`, "@x"}, {`\$TOKEN`, "$TOKEN"},
	} {
		if got, err := in.Value(tt.text, nil); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	for _, args := range [][]string{{"a=$UNSET_1"}, {"a:=$UNSET_1"}, {`{"a":"$UNSET_1"}`}, {"a:=$BROKEN"}, {"a=@missing"}} {
		if _, err := in.Data(args); exit.Code(err) != exit.Usage {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := in.Value("$UNSET_1", nil); exit.Code(err) != exit.Usage || exit.Hint(err) != `for the text $UNSET_1 itself, write \$UNSET_1` {
		t.Errorf("%v, hint %q", err, exit.Hint(err))
	}
}
