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

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// The exit codes of all commands. A signal ends a command with 128 plus its number:
// 130 for Ctrl-C, 143 for SIGTERM.
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

// failure adds what the user needs to an error: an exit code, a hint, or both.
type failure struct {
	code  int    // 0: the wrapped error's
	hint  string // without "hint:"; "" for none
	quiet bool   // the error has been printed
	err   error
}

// Error returns the wrapped error's text.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the wrapped error.
func (f *failure) Unwrap() error { return f.err }

// Usagef returns a usage error (exit code 2): nothing has been sent or written.
func Usagef(format string, args ...any) error {
	return &failure{code: Usage, err: fmt.Errorf(format, args...)}
}

// WithCode sets the exit code of err. It returns nil if err is nil.
func WithCode(err error, code int) error {
	if err == nil {
		return nil
	}
	return &failure{code: code, err: err}
}

// WithHint adds a hint about what to do next. Of several hints, [Report] prints the
// outermost. It returns nil if err is nil.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &failure{hint: fmt.Sprintf(format, args...), err: err}
}

// InUse adds a hint to the error of a command whose --listen is an address that another
// program listens on. It returns other errors, and nil, as they are.
func InUse(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return WithHint(err, "choose another address with --listen")
	}
	return err
}

// Said marks an error that the command has printed itself, so that only its exit code
// counts. It returns nil if err is nil.
func Said(err error) error {
	if err == nil {
		return nil
	}
	return &failure{quiet: true, err: err}
}

// SignalError is the cause of a context that a signal canceled.
type SignalError struct{ Signal os.Signal }

// Error returns the name of the signal.
func (e *SignalError) Error() string { return "stopped by signal: " + e.Signal.String() }

// Code returns the exit code for an error.
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
		unprinted  *term.PrintError
		badConfig  *workspace.Error
		remote     *micro.Error
	)
	switch {
	case errors.As(err, &bySignal):
		if number, ok := bySignal.Signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
		return Interrupted
	case errors.As(err, &unprinted) && unprinted.Closed():
		return Done
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

// Report prints an error, with at most one hint, and returns its exit code. It prints
// nothing for nil, for an error that has been printed already, and if the reader of the
// output has enough.
func Report(s *term.IO, err error) int {
	code := Code(err)
	if code == Done || isSaid(err) {
		return code
	}
	p := s.ErrPalette()
	if code >= Interrupted {
		s.Notef("%s", p.Dim(Text(s.Secrets(), err)))
		return code
	}
	s.Notef("%s %s", p.Bad("error:"), Text(s.Secrets(), err))
	if hint := Hint(err); hint != "" {
		s.Notef("%s %s", p.Accent("hint:"), visible.Line(hint))
	}
	return code
}

// Text returns the text of an error for the user, without credentials and without
// control characters. What a service sent is on one line, so that it cannot look like a
// line of msctl.
func Text(secrets *secret.Set, err error) string {
	text := err.Error()
	var remote *micro.Error
	if errors.As(err, &remote) && remote.Remote() && remote.Message != "" {
		text = strings.ReplaceAll(text, remote.Message, visible.Line(remote.Message))
	}
	return visible.Text(secrets.Mask(strings.TrimRight(text, "\n")))
}

func isSaid(err error) bool {
	for f := (*failure)(nil); errors.As(err, &f); err = f.err {
		if f.quiet {
			return true
		}
	}
	return false
}

// Hint returns the outermost hint of an error, or "".
func Hint(err error) string {
	for f := (*failure)(nil); errors.As(err, &f); err = f.err {
		if f.hint != "" {
			return f.hint
		}
	}
	return ""
}

// WithText replaces the text of err.
func WithText(err error, text string) error { return &TextError{text, err} }

// TextError is an error whose text was replaced by [WithText].
type TextError struct {
	text string
	err  error
}

// Error returns the new text.
func (e *TextError) Error() string { return e.text }

// Unwrap returns the original error.
func (e *TextError) Unwrap() error { return e.err }
