package operate

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/term"
)

// TestSendTyped checks what is typed on the screen and cannot be sent. Nothing is written to the
// terminal itself.
func TestSendTyped(t *testing.T) {
	for line, want := range map[string]string{
		"":                               "write PATTERN [DATA…]",
		"msctl send":                     "write PATTERN [DATA…]",
		"cmd=a 'b":                       "unclosed quote",
		"cmd=a --to tcp://127.0.0.1:1":   "error: ",
		"send cmd=a --nope":              "error: unknown flag: --nope",
		"emit cmd=a --to nope://h":       "error: ",
		`'{"cmd":' x`:                    "error: ",
		"cmd=a password=hunter22 --each": "error: --each reads the data from standard input",
	} {
		console, b := term.NewTest("", term.Facts{})
		got, err := sendTyped(t.Context(), console, line)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "hunter22") {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if b.Out.Len()+b.Err.Len() > 0 {
			t.Errorf("%q: the terminal got %q", line, b.Out.String()+b.Err.String())
		}
	}
}

// TestCapped checks that the output of a command on a screen is bounded.
func TestCapped(t *testing.T) {
	full := 0
	c := capped{full: func() { full++ }}
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	for range 100 {
		if n, err := c.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	if c.Len() > maxOutput || full == 0 {
		t.Errorf("%d bytes are kept, full was called %d times", c.Len(), full)
	}
}

// TestSaveLines checks that no file is overwritten.
func TestSaveLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.log")
	if err := saveLines(path, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a\nb\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := saveLines(path, nil); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("the file was overwritten: %v", err)
	}
}
