// Package quiet keeps libraries from querying the terminal while Go initializes packages.
//
// The TUI library queries the background color of the terminal in an init function,
// before main runs, and waits up to five seconds for an answer that some terminals never
// give. It does not query if TERM names a multiplexer, so the init function of this
// package sets TERM to "screen", and Restore, called first in main, restores it.
//
// Subtle: of the packages whose imports are initialized, Go initializes the one with the
// smallest import path first. Therefore this package imports only the standard library,
// and its path must sort before those of the terminal libraries. TERM=dumb would prevent
// the query as well, but it would turn off the color library. A test in cmd/msctl checks
// the complete program on a terminal that does not answer.
package quiet

import (
	"os"
	"strings"
)

// before is the original TERM. init writes it and Restore reads it, both before any
// goroutine starts.
var before struct {
	value   string
	present bool
	changed bool
}

func init() { //nolint:gochecknoinits // it must run before the init functions of other packages
	before.value, before.present = os.LookupEnv("TERM")
	if silent(before.value) {
		return
	}
	before.changed = os.Setenv("TERM", "screen") == nil
}

// Restore restores the original TERM. Call it first in main, before anything reads TERM
// or starts a program. Further calls do nothing.
func Restore() {
	if !before.changed {
		return
	}
	before.changed = false
	if before.present {
		_ = os.Setenv("TERM", before.value)
		return
	}
	_ = os.Unsetenv("TERM")
}

// silent reports whether terminal libraries do not query a terminal of this type.
func silent(name string) bool {
	for _, prefix := range []string{"screen", "tmux", "dumb"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
