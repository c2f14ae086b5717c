package term

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/fatih/color"
	xterm "golang.org/x/term"
)

// Facts is what is known about the terminal. The zero value describes a
// program whose three streams are pipes.
type Facts struct {
	// StdinTTY, StdoutTTY and StderrTTY say whether the stream is a terminal.
	StdinTTY, StdoutTTY, StderrTTY bool
	// Width is the number of columns of the terminal that Out or Err is, or
	// 0 where neither is one; see [IO.Width].
	Width int
	// Term is the real value of TERM. "dumb" means no colour and no screen.
	Term string
	// NoColor says that NO_COLOR is set to something.
	NoColor bool
	// CI says that a build server runs us (CI is set): nobody watches, so
	// nothing is redrawn and nothing is asked.
	CI bool
}

// IO is the terminal as a command sees it. It is made once, in main, and
// [IO.SetColor] is called before the command starts; after that it is only
// read, so goroutines may share it. The writers are as safe for concurrent use
// as the streams behind them.
type IO struct {
	// In is standard input.
	In io.Reader
	// Out is where results go.
	Out io.Writer
	// Err is where everything else goes: progress, questions, errors.
	Err io.Writer

	facts Facts
	mode  ColorMode
	// The files that questions need; nil in a test.
	inFile, outFile, errFile *os.File
}

// System gives the IO of this process. It reads TERM, NO_COLOR and CI, so TERM
// must have been restored before (package quiet).
func System() *IO {
	facts := Facts{
		StdinTTY:  isTerminal(os.Stdin),
		StdoutTTY: isTerminal(os.Stdout),
		StderrTTY: isTerminal(os.Stderr),
		Term:      os.Getenv("TERM"),
		NoColor:   os.Getenv("NO_COLOR") != "",
		CI:        os.Getenv("CI") != "" && os.Getenv("CI") != "false",
	}
	facts.Width = width(facts)
	return &IO{
		In: os.Stdin,
		// The colour library's writers are the streams themselves, except on
		// old Windows consoles, where they translate escape codes.
		Out: color.Output, Err: color.Error,
		facts:  facts,
		inFile: os.Stdin, outFile: os.Stdout, errFile: os.Stderr,
	}
}

// Buffers holds what a command under test has written.
type Buffers struct {
	Out, Err bytes.Buffer
}

// NewTest gives the IO of a test: input is what standard input holds, facts is
// what the command shall believe about its terminal. Questions cannot be asked
// through it: even with facts that claim a terminal they give a [*NoTerminalError]
// because there is no file behind the streams.
func NewTest(input string, facts Facts) (*IO, *Buffers) {
	b := &Buffers{}
	return &IO{In: bytes.NewBufferString(input), Out: &b.Out, Err: &b.Err, facts: facts}, b
}

// Facts returns what is known about the terminal.
func (s *IO) Facts() Facts { return s.facts }

// Width is the number of columns to lay text out for: the terminal's, or 80
// where there is none.
func (s *IO) Width() int {
	if s.facts.Width > 0 {
		return s.facts.Width
	}
	return 80
}

// CanDraw reports whether a screen that is redrawn in place (a TUI on stderr
// with keys from stdin) makes sense here.
func (s *IO) CanDraw() bool {
	f := s.facts
	return f.StdinTTY && f.StderrTTY && !f.CI && f.Term != "dumb"
}

// Notef writes one line about what is happening to Err.
func (s *IO) Notef(format string, args ...any) {
	fmt.Fprintf(s.Err, format+"\n", args...)
}

func isTerminal(f *os.File) bool { return xterm.IsTerminal(int(f.Fd())) }

func width(f Facts) int {
	file := os.Stderr
	switch {
	case f.StdoutTTY:
		file = os.Stdout
	case !f.StderrTTY:
		return 0
	}
	columns, _, err := xterm.GetSize(int(file.Fd()))
	if err != nil || columns <= 0 {
		return 0
	}
	return columns
}
