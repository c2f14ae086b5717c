// Package exit defines the errors that users see: their exit codes, their hints,
// and the caret under the part of the input that is wrong.
//
// A command returns nil or an error. [Usagef] makes a usage error, [WithCode] sets
// another exit code, [WithHint] adds the one "hint:" line, [WithText] replaces the
// text, and [Said] marks an error that has been printed already. [Code] maps any
// error to its exit code, and [Report] prints it.
package exit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// The exit codes of every command. 128 + the signal's number is added for a
// program that was interrupted: 130 for Ctrl-C, 143 for SIGTERM.
const (
	Done        = 0
	Failed      = 1
	Usage       = 2
	Service     = 3
	Unreachable = 4
	Timeout     = 5
	Threshold   = 99
	Interrupted = 130
)

// failure is an error with what the person needs: the exit code, and at most
// one line that says what to type next. Commands make one with usagef,
// withCode and withHint; everything else gets its code in exitCode.
type failure struct {
	code  int    // 0: that of the wrapped error
	hint  string // without "hint:"; empty for none
	quiet bool   // everything was said already
	err   error
}

// Error is the wrapped error's text.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap gives the wrapped error.
func (f *failure) Unwrap() error { return f.err }

// usagef is a usage error: exit code 2, and nothing was sent or written.
func Usagef(format string, args ...any) error {
	return &failure{code: Usage, err: fmt.Errorf(format, args...)}
}

// withCode gives err an exit code. A nil error stays nil.
func WithCode(err error, code int) error {
	if err == nil {
		return nil
	}
	return &failure{code: code, err: err}
}

// withHint adds what to type next. A nil error stays nil; of several hints the
// outermost is shown.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &failure{hint: fmt.Sprintf(format, args...), err: err}
}

// said marks an error whose text the command has printed itself: only its exit
// code is used.
func Said(err error) error {
	if err == nil {
		return nil
	}
	return &failure{quiet: true, err: err}
}

// signalError is the cause of a context that a signal ended.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return "stopped by signal: " + e.Signal.String() }

// exitCode is the one map from an error to the exit code.
func Code(err error) int {
	if err == nil {
		return Done
	}
	var f *failure
	for inner := err; errors.As(inner, &f); inner = f.err {
		if f.code != 0 {
			return f.code
		}
	}
	var (
		bySignal   *SignalError
		noTerminal *term.NoTerminalError
		badConfig  *workspace.Error
		remote     *micro.Error
	)
	switch {
	case errors.As(err, &bySignal):
		if number, ok := bySignal.Signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
		return Interrupted
	case errors.As(err, &remote) && remote.Remote():
		return Service
	case errors.Is(err, micro.ErrUnreachable), errors.Is(err, micro.ErrConnectionLost):
		return Unreachable
	case errors.Is(err, micro.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, term.ErrInterrupt), errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &noTerminal), errors.As(err, &badConfig):
		return Usage
	}
	return Failed
}

// report prints an error as the person's one sentence with at most one hint
// line, and returns the exit code. Without an error it prints nothing.
func Report(s *term.IO, err error) int {
	code := Code(err)
	if err == nil || isSaid(err) {
		return code
	}
	p := s.ErrPalette()
	text := strings.TrimRight(err.Error(), "\n")
	if code >= Interrupted {
		s.Notef("%s", p.Dim(text))
		return code
	}
	s.Notef("%s %s", p.Bad("error:"), text)
	if hint := Hint(err); hint != "" {
		s.Notef("%s %s", p.Accent("hint:"), hint)
	}
	return code
}

func isSaid(err error) bool {
	for f := (*failure)(nil); errors.As(err, &f); err = f.err {
		if f.quiet {
			return true
		}
	}
	return false
}

func Hint(err error) string {
	for f := (*failure)(nil); errors.As(err, &f); err = f.err {
		if f.hint != "" {
			return f.hint
		}
	}
	return ""
}

// withText returns an error that reads as text and wraps err.
func WithText(err error, text string) error { return &TextError{text, err} }

// sentence is an error with another text: what a person reads, over what
// happened.
type TextError struct {
	text string
	err  error
}

func (e *TextError) Error() string { return e.text }
func (e *TextError) Unwrap() error { return e.err }
