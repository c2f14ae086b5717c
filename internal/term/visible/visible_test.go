package visible_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/term/visible"
)

func TestTexts(t *testing.T) {
	for _, tt := range []struct{ text, want, line string }{
		{"plain é 😀 \ufffd", "plain é 😀 \ufffd", "plain é 😀 \ufffd"},
		{"a\nb\tc", "a\nb\tc", `a\nb\tc`},
		{"\x1b[2J\x1b[H\x1bc", `\x1b[2J\x1b[H\x1bc`, `\x1b[2J\x1b[H\x1bc`},
		{"nul\x00 bell\a cr\r del\x7f", `nul\x00 bell\x07 cr\r del\x7f`, `nul\x00 bell\x07 cr\r del\x7f`},
		{"\u009b31m", `\u009b31m`, `\u009b31m`},
		{"abc\u202edcba\u2069", `abc\u202edcba\u2069`, `abc\u202edcba\u2069`},
		{"\u200e\u200f\u061c\u2028\u2029\ufeff\u200b\u00ad", `\u200e\u200f\u061c\u2028\u2029\ufeff\u200b\u00ad`, `\u200e\u200f\u061c\u2028\u2029\ufeff\u200b\u00ad`},
		{"a\xffb\xc3", `a\xffb\xc3`, `a\xffb\xc3`},
		{"tag \U000e0041", `tag \U000e0041`, `tag \U000e0041`},
		{"👩\u200d👩\u200d👧 \u06a9\u200c", "👩\u200d👩\u200d👧 \u06a9\u200c", "👩\u200d👩\u200d👧 \u06a9\u200c"},
	} {
		if got := visible.Text(tt.text); got != tt.want {
			t.Errorf("Text(%q) = %q, want %q", tt.text, got, tt.want)
		}
		if got := visible.Line(tt.text); got != tt.line {
			t.Errorf("Line(%q) = %q, want %q", tt.text, got, tt.line)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"a":"é"}`, `{"a":"é"}`},
		{"{\n\t\"a\": 1\r\n}", "{\n\t\"a\": 1\r\n}"},
		{"\"\u202e\u009b\x7f\"", `"\u202e\u009b\u007f"`},
		{"\"\U000e0041\"", `"\udb40\udc41"`},
		{"\"a\xff\"", `"a\ufffd"`},
	} {
		if got := string(visible.JSON([]byte(tt.text))); got != tt.want {
			t.Errorf("JSON(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// logLines are lines of a log, and what they become with and without color.
var logLines = []struct{ line, color, plain string }{
	{"plain é 😀\ttab", "plain é 😀\ttab", "plain é 😀\ttab"},
	{"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m", "red"},
	{"\x1b[31mred forever", "\x1b[31mred forever\x1b[0m", "red forever"},
	{"\x1b[38;5;8mgray\x1b[m", "\x1b[38;5;8mgray\x1b[m", "gray"},
	{"\x1b[38;2;8;8;8m\x1b[1;48;5;8mx\x1b[0m", "\x1b[38;2;8;8;8m\x1b[1;48;5;8mx\x1b[0m", "x"},
	{"\x1b[8mhidden\x1b[1;08mhidden", `\x1b[8mhidden\x1b[1;08mhidden`, `\x1b[8mhidden\x1b[1;08mhidden`},
	{"\x1b[2J\x1b[Hcleared", `\x1b[2J\x1b[Hcleared`, `\x1b[2J\x1b[Hcleared`},
	{"\x1b]0;title\x07text", `\x1b]0;title\x07text`, `\x1b]0;title\x07text`},
	{"50%\r100%", `50%\r100%`, `50%\r100%`},
	{"torn \x1b[3", `torn \x1b[3`, `torn \x1b[3`},
	{"torn \x1b", `torn \x1b`, `torn \x1b`},
	{"\x1b[" + strings.Repeat("1", 100) + "m", `\x1b[` + strings.Repeat("1", 100) + "m", `\x1b[` + strings.Repeat("1", 100) + "m"},
}

func TestLog(t *testing.T) {
	for _, tt := range logLines {
		if got := visible.Log(tt.line, true); got != tt.color {
			t.Errorf("%q with color: %q, want %q", tt.line, got, tt.color)
		}
		if got := visible.Log(tt.line, false); got != tt.plain {
			t.Errorf("%q without color: %q, want %q", tt.line, got, tt.plain)
		}
	}
}

// TestWriter checks that text arrives the same however it is cut into writes.
func TestWriter(t *testing.T) {
	const text = "é\x1b[31mred\x1b[0m\n\x1b[2J\u202e😀\xff\r\tend\n"
	const want = "é\x1b[31mred\x1b[0m\n" + `\x1b[2J\u202e😀\xff\r` + "\tend\n"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := visible.NewWriter(&out)
		for rest := text; rest != ""; {
			n, err := w.Write([]byte(rest[:min(size, len(rest))]))
			if err != nil || n != min(size, len(rest)) {
				t.Fatalf("wrote %d bytes: %v", n, err)
			}
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestStrings(t *testing.T) {
	type inner struct{ Text string }
	type outer struct {
		Text   string
		List   []inner
		Names  map[string]string
		Next   *inner
		Any    any
		Count  int
		hidden string
	}
	next := &inner{"e"}
	got := outer{"a", []inner{{"b"}}, map[string]string{"k": "c"}, next, &inner{"d"}, 1, "x"}
	visible.Strings(&got, strings.ToUpper)
	want := outer{"A", []inner{{"B"}}, map[string]string{"k": "C"}, &inner{"E"}, &inner{"D"}, 1, "x"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outer{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// FuzzTexts checks that nothing special remains, and that JSON keeps its value.
func FuzzTexts(f *testing.F) {
	for _, tt := range logLines {
		f.Add(tt.line)
	}
	f.Add("{\"a\":\"\u202e\"}")
	f.Fuzz(func(t *testing.T, text string) {
		line := visible.Line(text)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, visible.Special) {
			t.Errorf("Line(%q) = %q", text, line)
		}
		var out bytes.Buffer
		w := visible.NewWriter(&out)
		if _, err := w.Write([]byte(text + "\n")); err != nil {
			t.Fatal(err)
		}
		if rest := visible.Log(out.String(), false); strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(rest), visible.Special) {
			t.Errorf("the terminal gets %q of %q", out.String(), text)
		}
		if !json.Valid([]byte(text)) {
			return
		}
		var before, after any
		safe := visible.JSON([]byte(text))
		if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal(safe, &after) != nil || !cmp.Equal(before, after) {
			t.Errorf("JSON(%q) = %q", text, safe)
		}
	})
}
