package quiet

import (
	"os"
	"os/exec"
	"testing"
)

// TestInitAndRestore runs this test binary again under several values of TERM
// and reads what a program sees before and after Restore.
func TestInitAndRestore(t *testing.T) {
	if os.Getenv("QUIET_CHILD") != "" {
		os.Stdout.WriteString(os.Getenv("TERM"))
		Restore()
		Restore()
		value, present := os.LookupEnv("TERM")
		if !present {
			value = "(unset)"
		}
		os.Stdout.WriteString(" " + value)
		os.Exit(0)
	}
	tests := []struct{ name, term, want string }{
		{"a plain terminal is hidden", "TERM=xterm-256color", "screen xterm-256color"},
		{"an empty TERM is hidden", "TERM=", "screen "},
		{"dumb is left alone", "TERM=dumb", "dumb dumb"},
		{"a multiplexer is left alone", "TERM=tmux-256color", "tmux-256color tmux-256color"},
		{"no TERM at all", "OTHER=1", "screen (unset)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=TestInitAndRestore")
			cmd.Env = []string{"QUIET_CHILD=1", "GORACE=atexit_sleep_ms=0", tt.term}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(out); got != tt.want {
				t.Errorf("before and after Restore: %q, want %q", got, tt.want)
			}
		})
	}
}
