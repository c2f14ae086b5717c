package term

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/fatih/color"
	xterm "golang.org/x/term"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term/visible"
)

// Facts are the properties of the terminal. The zero value describes a program whose
// three streams are pipes.
type Facts struct {
	// StdinTTY, StdoutTTY, and StderrTTY report whether the stream is a terminal.
	StdinTTY, StdoutTTY, StderrTTY bool
	// Width is the number of columns, or 0 if neither Out nor Err is a terminal; see
	// [IO.Width].
	Width int
	// Term is the value of TERM. "dumb" means no color and no screen.
	Term string
	// NoColor reports whether NO_COLOR is set and not empty.
	NoColor bool
	// CI reports whether a build server runs the program (CI is set). It gets no
	// prompts and no screens.
	CI bool
}

// IO is the terminal of a command. After [IO.SetColor], it is safe for concurrent use if
// its streams are.
type IO struct {
	// In is standard input.
	In io.Reader
	// Out receives results.
	Out io.Writer
	// Err receives everything else: progress, prompts, and errors.
	Err io.Writer

	facts   Facts
	mode    ColorMode
	secrets *secret.Set
	out     *output // that Out writes to; nil in a test
	// The files that prompts require; nil in a test.
	inFile, outFile, errFile *os.File
}

// System returns the IO of this process. It reads TERM, NO_COLOR, and CI, so call
// quiet.Restore first.
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
	// The writers of the color library are the streams themselves, except on old
	// Windows consoles, where they translate escape codes.
	out := newOutput("standard output", color.Output, facts.StdoutTTY)
	return &IO{
		In: os.Stdin, Out: out, Err: quietly{newOutput("standard error", color.Error, facts.StderrTTY)},
		facts: facts, secrets: &secret.Set{}, out: out,
		inFile: os.Stdin, outFile: os.Stdout, errFile: os.Stderr,
	}
}

// Buffers holds the output of a command under test.
type Buffers struct {
	Out, Err bytes.Buffer
}

// NewTest returns the IO of a test, with input as standard input. It cannot prompt: even
// if facts describe a terminal, a prompt returns a [*NoTerminalError], because the
// streams are not files.
func NewTest(input string, facts Facts) (*IO, *Buffers) {
	b := &Buffers{}
	return &IO{In: bytes.NewBufferString(input), Out: &b.Out, Err: &b.Err, facts: facts, secrets: &secret.Set{}}, b
}

// Apart returns an IO without input that writes elsewhere than to a terminal, and shares the credentials
// of s.
func (s *IO) Apart(out, err io.Writer) *IO {
	return &IO{In: bytes.NewReader(nil), Out: out, Err: err, facts: Facts{Term: "dumb"}, secrets: s.secrets}
}

// Facts returns the properties of the terminal.
func (s *IO) Facts() Facts { return s.facts }

// Width returns the number of columns of the terminal, or 80 without one.
func (s *IO) Width() int {
	if s.facts.Width > 0 {
		return s.facts.Width
	}
	return 80
}

// CanDraw reports whether a screen can be drawn on Err with keys from In.
func (s *IO) CanDraw() bool {
	f := s.facts
	return f.StdinTTY && f.StderrTTY && !f.CI && f.Term != "dumb"
}

// Secrets returns the credentials in the input of the command. Notef masks them.
func (s *IO) Secrets() *secret.Set { return s.secrets }

// Notef writes a line to Err, without credentials. Control characters in it are escaped,
// except for colors if Err has them, and line ends.
func (s *IO) Notef(format string, args ...any) {
	text := s.secrets.Values(fmt.Sprintf(format, args...))
	fmt.Fprintln(s.Err, visible.Log(text, s.ErrPalette().Enabled()))
}

// Remarkf writes a line that starts with "note:" to Err: what the user should know, although
// the command succeeds. It treats the text as [IO.Notef] does.
func (s *IO) Remarkf(format string, args ...any) {
	s.Notef("%s %s", s.ErrPalette().Warn("note:"), fmt.Sprintf(format, args...))
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
