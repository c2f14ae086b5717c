package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

func TestExitCodes(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"anything", errors.New("x"), 1},
		{"usage", usagef("x"), 2},
		{"usage with a hint", withHint(usagef("x"), "y"), 2},
		{"wrapped usage", fmt.Errorf("line 3: %w", usagef("x")), 2},
		{"no terminal", fmt.Errorf("ask: %w", &term.NoTerminalError{}), 2},
		{"workspace", errors.Join(&workspace.Error{}, &workspace.Error{}), 2},
		{"the peer's error", fmt.Errorf("call: %w", micro.RemoteError([]byte(`"x"`))), 3},
		{"our own error of that kind", micro.Errorf(404, "x"), 1},
		{"unreachable", fmt.Errorf("%w: x", micro.ErrUnreachable), 4},
		{"unreachable in time", fmt.Errorf("%w: %w", micro.ErrUnreachable, os.ErrDeadlineExceeded), 4},
		{"connection lost", micro.ErrConnectionLost, 4},
		{"timeout", micro.ErrTimeout, 5},
		{"deadline", context.DeadlineExceeded, 5},
		{"threshold", withCode(errors.New("p99"), exitThreshold), 99},
		{"code within a hint", withHint(withCode(errors.New("p99"), exitThreshold), "x"), 99},
		{"outer code wins", withCode(usagef("x"), exitFailed), 1},
		{"Ctrl-C at a question", term.ErrInterrupt, 130},
		{"Ctrl-C", &signalError{os.Interrupt}, 130},
		{"SIGTERM", &signalError{syscall.SIGTERM}, 143},
		{"canceled", context.Canceled, 130},
		{"said", said(usagef("x")), 2},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
	for _, wrap := range []func(error) error{
		said, func(e error) error { return withCode(e, 1) }, func(e error) error { return withHint(e, "x") },
	} {
		if err := wrap(nil); err != nil {
			t.Errorf("nil became %v", err)
		}
	}
}

func TestReport(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"a sentence", errors.New("it broke"), "error: it broke\n"},
		{"the outermost hint", withHint(fmt.Errorf("a: %w", withHint(usagef("b"), "inner")), "outer"), "error: a: b\nhint: outer\n"},
		{"an inner hint", fmt.Errorf("a: %w", withHint(usagef("b"), "inner")), "error: a: b\nhint: inner\n"},
		{"said already", said(errors.New("x")), ""},
		{"a signal", &signalError{os.Interrupt}, "stopped by signal: interrupt\n"},
	}
	for _, tt := range tests {
		s, b := term.NewTest("", term.Facts{})
		report(s, tt.err)
		if diff := cmp.Diff(tt.want, b.Err.String()); diff != "" || b.Out.Len() > 0 {
			t.Errorf("%s: (-want +got):\n%s", tt.name, diff)
		}
	}
	s, b := term.NewTest("", term.Facts{})
	s.SetColor(term.ColorAlways)
	report(s, errors.New("x"))
	if want := "\x1b[31;1merror:\x1b[0;22m x\n"; b.Err.String() != want {
		t.Errorf("coloured: %q, want %q", b.Err.String(), want)
	}
}
