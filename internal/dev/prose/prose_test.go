package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		path, src string
		want      []string // line:column: phrase
	}{
		"prose":                              {"README.md", "Nobody waits.\nIt goes\non.\n", []string{"1:1: Nobody", "2:4: goes on"}},
		"a phrase across lines of a comment": {"x.go", "package x\n\n// It goes\n// with a flag.\nvar a int\n", []string{"3:7: goes with"}},
		"an indented comment":                {"x.go", "package x\n\nfunc f() {\n\t// Nothing for\n\t// ever.\n}\n", []string{"4:13: for ever"}},
		"a trailing comment":                 {"x.go", "package x\n\nvar a int // told\n", []string{"3:14: told"}},
		"identifiers are code":               {"x.go", "package x\n\nvar nobody, told int\n", nil},
		"a string":                           {"x.go", "package x\n\nvar a = \"nobody\\nnobody\"\n", []string{"3:10: nobody", "3:18: nobody"}},
		"a raw string":                       {"x.go", "package x\n\nvar a = `one\nnobody`\n", []string{"4:1: nobody"}},
		"two strings are not one sentence":   {"x.go", "package x\n\nvar a = \"goes\" + \"on\"\n", nil},
		"addresses":                          {"README.md", "[x](https://example.com/nobody) nobody\n", []string{"1:33: nobody"}},
		"a shell comment":                    {"x.sh", "# it comes\n# again\n", []string{"1:6: comes again"}},
		"a template":                         {"main.go.tmpl", "// nobody {{.Name}}\n", []string{"1:4: nobody"}},

		"has not":          {"x.md", "The target has not TLS. It has not started. It has not. It has not yet.\n", []string{"1:12: has not TLS", "1:48: has not"}},
		"a rate":           {"x.md", "500 requests a second; 3 µs a message; it runs a second time.\n", []string{"1:5: requests a second", "1:26: µs a message"}},
		"percent":          {"x.md", "65 % of it, 65%, and %d %s.\n", []string{"1:2: 5 %"}},
		"percent, in code": {"x.go", "package x\n\nvar a, b = \"%.0f %%\", \"%d %d\"\n", []string{"3:13: %.0f %%"}},
		"possessive":       {"x.md", "NestJS' order; NestJS's order; 'NestJS' ].\n", []string{"1:1: NestJS' o"}},
		"mail":             {"x.md", "a mail is sent by the mail service to mail:rabbitmq\n", []string{"1:1: a mail is"}},
		"spelling":         {"x.md", "Behaviour, initialise, noColour, canceled, cancellation, fulfilled, programmer, emphasis\n", []string{"1:1: Behaviour", "1:12: initialise", "1:24: noColour"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			src := []byte(test.src)
			text := extractorFor(test.path)(src)
			if len(text) != len(src) {
				t.Fatalf("extracted %d bytes of %d", len(text), len(src))
			}
			var got []string
			for _, f := range check(test.path, src, text) {
				got = append(got, fmt.Sprintf("%d:%d: %s", f.line, f.column, f.text))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExempt(t *testing.T) {
	saved := exemptions
	defer func() { exemptions = saved }()
	exemptions = []exemption{{"a/", "nobody@", "an address"}, {"b.md", "", "a quotation"}}
	for path, want := range map[string]int{"a/x.md": 1, "b.md": 0, "c.md": 2} {
		src := []byte("mail nobody@example.com\nnobody\n")
		if got := len(check(path, src, wholeText(src))); got != want {
			t.Errorf("%s: %d findings, want %d", path, got, want)
		}
	}
}

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.FromSlash(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("good.md", "The handler returns an error.\n")
	write("bad.md", "\n  nobody, told\n")
	write("untracked.md", "nobody\n")
	for _, args := range [][]string{{"init", "-q"}, {"add", "good.md", "bad.md"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}

	tests := []struct {
		args []string
		code int
		want string
	}{
		{nil, 1, "bad.md:2:3: \"nobody\": use no handler, no subscriber, no caller; does not\nbad.md:2:11: \"told\": use reported, logged, instructed, notified\n"},
		{[]string{"good.md"}, 0, ""},
		{[]string{"-unknown"}, 2, ""},
	}
	for _, test := range tests {
		var out, errs strings.Builder
		if code := run(test.args, &out, &errs); code != test.code {
			t.Errorf("run(%q) = %d, want %d", test.args, code, test.code)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("run(%q) (-want +got):\n%s", test.args, diff)
		}
	}

	var out strings.Builder
	if code := run([]string{"-count"}, &out, &out); code != 0 {
		t.Errorf("run(-count) = %d, want 0", code)
	}
	lines := strings.Split(out.String(), "\n")
	got := []string{strings.Join(strings.Fields(lines[0]), " "), strings.Join(strings.Fields(lines[len(lines)-2]), " ")}
	if diff := cmp.Diff([]string{"nobody, no one 1", "total 2"}, got); diff != "" {
		t.Errorf("run(-count) (-want +got):\n%s", diff)
	}
}
