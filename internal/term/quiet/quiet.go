// Package quiet keeps the terminal silent while Go initialises packages.
//
// The TUI library asks the terminal for its background colour from an init
// function, before main has run, and waits up to five seconds for an answer
// that some terminals never give. It does not ask where TERM names a
// multiplexer, so this package's init says "screen" and Restore, called first
// thing in main, puts the real value back.
//
// Subtle: this works because Go initialises, of the packages whose imports are
// ready, the one with the smallest import path first. The package therefore
// imports the standard library only, and its path has to sort before those of
// the terminal libraries that ask. TERM=dumb would silence the question too,
// but the colour library would take it for the truth and turn colour off.
// A test in cmd/msctl holds the finished program to it, on a mute terminal.
package quiet

import (
	"os"
	"strings"
)

// before is TERM as the process found it. It is written by init and read by
// Restore, both before any goroutine is started.
var before struct {
	value   string
	present bool
	changed bool
}

func init() { //nolint:gochecknoinits // it has to run before the init of other packages
	before.value, before.present = os.LookupEnv("TERM")
	if silent(before.value) {
		return
	}
	before.changed = os.Setenv("TERM", "screen") == nil
}

// Restore puts TERM back to what the process was started with. It must be
// called first in main, before anything reads TERM or starts a program. A
// second call changes nothing.
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

// silent reports whether terminal libraries ask no question under this TERM.
func silent(name string) bool {
	for _, prefix := range []string{"screen", "tmux", "dumb"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
