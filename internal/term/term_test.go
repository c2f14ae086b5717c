package term

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColorDecision(t *testing.T) {
	tty := Facts{StdoutTTY: true, StderrTTY: true, Term: "xterm"}
	dumb, noColor := tty, tty
	dumb.Term = "dumb"
	noColor.NoColor = true
	onlyErr := Facts{StderrTTY: true, Term: "xterm"}
	tests := []struct {
		name     string
		facts    Facts
		mode     ColorMode
		out, err bool
	}{
		{"terminal", tty, ColorAuto, true, true},
		{"pipe", Facts{}, ColorAuto, false, false},
		{"out is piped", onlyErr, ColorAuto, false, true},
		{"dumb terminal", dumb, ColorAuto, false, false},
		{"NO_COLOR", noColor, ColorAuto, false, false},
		{"always wins over NO_COLOR", noColor, ColorAlways, true, true},
		{"always into a pipe", Facts{}, ColorAlways, true, true},
		{"never on a terminal", tty, ColorNever, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := NewTest("", tt.facts)
			s.SetColor(tt.mode)
			if got := s.OutPalette().Enabled(); got != tt.out {
				t.Errorf("out uses color: %v, want %v", got, tt.out)
			}
			if got := s.ErrPalette().Enabled(); got != tt.err {
				t.Errorf("err uses color: %v, want %v", got, tt.err)
			}
		})
	}
}

func TestPalette(t *testing.T) {
	on, off := NewPalette(true), NewPalette(false)
	paints := map[string]func(Palette, string) string{
		"good": Palette.Good, "bad": Palette.Bad, "warn": Palette.Warn, "dim": Palette.Dim,
		"accent": Palette.Accent, "bold": Palette.Bold, "service": Palette.ServiceName,
	}
	for name, paint := range paints {
		if got := paint(off, "text"); got != "text" {
			t.Errorf("%s without color: %q", name, got)
		}
		got := paint(on, "text")
		if !strings.HasPrefix(got, "\x1b[") || !strings.Contains(got, "text") || !strings.HasSuffix(got, "m") {
			t.Errorf("%s with color: %q", name, got)
		}
	}
	if on.Service(0, "a") == on.Service(1, "a") {
		t.Error("consecutive services have the same color")
	}
	if on.Service(-1, "a") == "a" {
		t.Error("a negative number has no color")
	}
}

func TestParseModes(t *testing.T) {
	for text, want := range map[string]ColorMode{"auto": ColorAuto, "always": ColorAlways, "never": ColorNever} {
		if got, err := ParseColorMode(text); err != nil || got != want {
			t.Errorf("ParseColorMode(%q) = %v, %v", text, got, err)
		}
	}
	if _, err := ParseColorMode("yes"); err == nil {
		t.Error("no error for --color=yes")
	}
	for text, want := range map[string]JSONStyle{"": JSONAuto, "json": JSONLine, "pretty": JSONPretty, "raw": JSONRaw} {
		if got, err := ParseJSONStyle(text); err != nil || got != want {
			t.Errorf("ParseJSONStyle(%q) = %v, %v", text, got, err)
		}
	}
	if _, err := ParseJSONStyle("xml"); err == nil {
		t.Error("no error for -o xml")
	}
}

func TestPrintJSON(t *testing.T) {
	const value = `{ "n":9007199254740993, "x":1.0e+2,"s":"a\u003cb é \ud83d","l":[1,{"k":null}],"e":{} }`
	tests := []struct {
		name  string
		facts Facts
		mode  ColorMode
		style JSONStyle
		value string
		want  string
	}{
		{"a pipe gets one line", Facts{}, ColorAuto, JSONAuto, value,
			`{"n":9007199254740993,"x":1.0e+2,"s":"a\u003cb é \ud83d","l":[1,{"k":null}],"e":{}}` + "\n"},
		{"a terminal gets several", Facts{StdoutTTY: true}, ColorNever, JSONAuto, `{"n":9007199254740993,"e":[]}`,
			"{\n  \"n\": 9007199254740993,\n  \"e\": []\n}\n"},
		{"raw keeps everything", Facts{StdoutTTY: true}, ColorAuto, JSONRaw, value, value + "\n"},
		{"a raw string has no quotes", Facts{}, ColorAuto, JSONRaw, `"a\nb"`, "a\nb\n"},
		{"colors do not change tokens", Facts{}, ColorAlways, JSONPretty, `{"a\"":[-1.50,"x",true]}`,
			"{\n  \x1b[94m\"a\\\"\"\x1b[0m: [\n    \x1b[33m-1.50\x1b[0m,\n    \x1b[32m\"x\"\x1b[0m,\n    \x1b[35mtrue\x1b[0m\n  ]\n}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, b := NewTest("", tt.facts)
			s.SetColor(tt.mode)
			if err := s.PrintJSON(tt.style, json.RawMessage(tt.value)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.Out.String()); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
		})
	}
	s, _ := NewTest("", Facts{})
	for _, style := range []JSONStyle{JSONLine, JSONPretty} {
		if err := s.PrintJSON(style, json.RawMessage(`{"a":`)); err == nil {
			t.Errorf("style %d: no error for malformed JSON", style)
		}
	}
}

// TestSafeJSON checks that a value cannot control the terminal, and that credentials of
// the input are masked, unless the value is raw and for another program.
func TestSafeJSON(t *testing.T) {
	const value = "{\"a\":\"hunter22 \\u001b[2J\u202e\u009b\xff\"}"
	const raw = "\"hunter22 \\u001b[2J\u202e\""
	for _, tt := range []struct {
		facts Facts
		style JSONStyle
		value string
		want  string
	}{
		{Facts{}, JSONLine, value, `{"a":"*** \u001b[2J\u202e\u009b\ufffd"}` + "\n"},
		{Facts{StdoutTTY: true}, JSONLine, value, `{"a":"*** \u001b[2J\u202e\u009b\ufffd"}` + "\n"},
		{Facts{}, JSONRaw, raw, "hunter22 \x1b[2J\u202e\n"},
		{Facts{StdoutTTY: true}, JSONRaw, raw, `*** \x1b[2J\u202e` + "\n"},
	} {
		s, b := NewTest("", tt.facts)
		s.Secrets().Add("hunter22")
		if err := s.PrintJSON(tt.style, json.RawMessage(tt.value)); err != nil {
			t.Fatal(err)
		}
		if got := b.Out.String(); got != tt.want {
			t.Errorf("%+v, style %d: %q, want %q", tt.facts, tt.style, got, tt.want)
		}
	}
}

func TestNotes(t *testing.T) {
	s, b := NewTest("", Facts{})
	s.Secrets().Add("hunter22")
	s.Notef("%s\n  second line", "hunter22 \x1b[31m\x1b[2J\u202e")
	s.Warnings().Warn("a\nb\x1bc")
	if want := "*** \\x1b[2J\\u202e\n  second line\nwarning: a\\nb\\x1bc\n"; b.Err.String() != want {
		t.Errorf("printed %q, want %q", b.Err.String(), want)
	}
}

// failing is a writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestLostOutput checks that the first error ends the printing, and that only standard
// output reports it.
func TestLostOutput(t *testing.T) {
	for err, closed := range map[error]bool{syscall.EPIPE: runtime.GOOS != "windows", syscall.ENOSPC: false} {
		o := newOutput("standard output", failing{&os.PathError{Op: "write", Err: err}}, false)
		_, first := o.Write([]byte("x"))
		o.to = io.Discard
		_, second := o.Write([]byte("y"))
		var lost *PrintError
		if !errors.As(first, &lost) || !errors.Is(second, first) || o.failed() == nil || lost.Closed() != closed || !errors.Is(lost, err) {
			t.Errorf("%v, then %v", first, second)
		}
		if n, err := (quietly{o}).Write([]byte("text")); n != 4 || err != nil {
			t.Errorf("standard error: %d, %v", n, err)
		}
	}
	var terminal bytes.Buffer
	o := newOutput("standard output", &terminal, true)
	if _, err := io.WriteString(o, "\x1b[31mred\x1b[0m\x1b[2J\n"); err != nil || terminal.String() != "\x1b[31mred\x1b[0m\\x1b[2J\n" {
		t.Errorf("the terminal gets %q, %v", terminal.String(), err)
	}
}

func TestPromptWithoutTerminal(t *testing.T) {
	s, b := NewTest("tcp\n", Facts{StderrTTY: true})
	q := Question{Text: "Transport?", Flag: "--transport tcp"}
	ctx := context.Background()
	_, errInput := s.Input(ctx, q, "", nil)
	_, errSelect := s.Select(ctx, q, []Choice{{Value: "tcp"}}, "tcp")
	_, errMulti := s.MultiSelect(ctx, q, []Choice{{Value: "tcp"}}, []string{"tcp"}, nil)
	_, errConfirm := s.Confirm(ctx, q, true)
	for i, err := range []error{errInput, errSelect, errMulti, errConfirm} {
		var missing *NoTerminalError
		if !errors.As(err, &missing) || missing.Flag != q.Flag {
			t.Errorf("prompt %d: error %v, want a *NoTerminalError with the flag", i, err)
		}
	}
	if want := `cannot prompt for "Transport?" without a terminal: use --transport tcp`; errInput.Error() != want {
		t.Errorf("error %q, want %q", errInput, want)
	}
	if b.Out.Len()+b.Err.Len() > 0 {
		t.Errorf("output: %q %q", b.Out.String(), b.Err.String())
	}
}

func TestFacts(t *testing.T) {
	s, _ := NewTest("", Facts{})
	if s.Width() != 80 || s.CanDraw() || s.CanAsk() {
		t.Errorf("a pipe: width %d, draw %v, ask %v", s.Width(), s.CanDraw(), s.CanAsk())
	}
	s, _ = NewTest("", Facts{Width: 120, StdinTTY: true, StderrTTY: true, Term: "xterm"})
	if s.Width() != 120 || !s.CanDraw() {
		t.Errorf("a terminal: width %d, draw %v", s.Width(), s.CanDraw())
	}
	if f := System().Facts(); f.Width < 0 {
		t.Errorf("width %d", f.Width)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 workers", 1: "1 worker", 4: "4 workers"} {
		if got := Count(n, "worker"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRemarkf(t *testing.T) {
	s, b := NewTest("", Facts{})
	s.Remarkf("%s\x1b left out", Count(2, "message"))
	if got, want := b.Err.String(), "note: 2 messages\\x1b left out\n"; got != want || b.Out.Len() != 0 {
		t.Errorf("%q, want %q; out %q", got, want, b.Out.String())
	}
}
