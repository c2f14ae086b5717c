package exit

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
		{"any error", errors.New("x"), 1},
		{"usage", Usagef("x"), 2},
		{"usage with a hint", WithHint(Usagef("x"), "y"), 2},
		{"wrapped usage", fmt.Errorf("line 3: %w", Usagef("x")), 2},
		{"no terminal", fmt.Errorf("ask: %w", &term.NoTerminalError{}), 2},
		{"workspace", errors.Join(&workspace.Error{}, &workspace.Error{}), 2},
		{"the error of a peer", fmt.Errorf("call: %w", micro.RemoteError([]byte(`"x"`))), 3},
		{"a local error of that type", micro.Errorf(404, "x"), 1},
		{"unreachable", fmt.Errorf("%w: x", micro.ErrUnreachable), 4},
		{"unreachable in time", fmt.Errorf("%w: %w", micro.ErrUnreachable, os.ErrDeadlineExceeded), 4},
		{"connection lost", micro.ErrConnectionLost, 4},
		{"timeout", micro.ErrTimeout, 5},
		{"deadline", context.DeadlineExceeded, 5},
		{"threshold", WithCode(errors.New("p99"), Threshold), 99},
		{"code within a hint", WithHint(WithCode(errors.New("p99"), Threshold), "x"), 99},
		{"outer code wins", WithCode(Usagef("x"), Failed), 1},
		{"Ctrl-C at a prompt", term.ErrInterrupt, 130},
		{"Ctrl-C", &SignalError{os.Interrupt}, 130},
		{"SIGTERM", &SignalError{syscall.SIGTERM}, 143},
		{"canceled", context.Canceled, 130},
		{"already printed", Said(Usagef("x")), 2},
		{"a full disk", fmt.Errorf("print: %w", &term.PrintError{Err: syscall.ENOSPC}), 1},
		{"a crossed threshold and a full disk", errors.Join(WithCode(errors.New("p99"), Threshold), &term.PrintError{Err: syscall.ENOSPC}), 99},
	}
	for _, tt := range tests {
		if got := Code(tt.err); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
	for _, wrap := range []func(error) error{
		Said, func(e error) error { return WithCode(e, 1) }, func(e error) error { return WithHint(e, "x") },
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
		{"the outermost hint", WithHint(fmt.Errorf("a: %w", WithHint(Usagef("b"), "inner")), "outer"), "error: a: b\nhint: outer\n"},
		{"an inner hint", fmt.Errorf("a: %w", WithHint(Usagef("b"), "inner")), "error: a: b\nhint: inner\n"},
		{"already printed", Said(errors.New("x")), ""},
		{"a signal", &SignalError{os.Interrupt}, "stopped by signal: interrupt\n"},
		{"a hostile service", fmt.Errorf("send: %w", micro.RemoteError([]byte(`{"status":400,"message":"no\u001b[2J\nhint: rm\u202e"}`))),
			`error: send: no\x1b[2J\nhint: rm\u202e (status 400)` + "\n"},
		{"a hostile hint", WithHint(errors.New("x"), "did you mean %s?", "a\x1bc\nb"), "error: x\nhint: did you mean a\\x1bc\\nb?\n"},
		{"several lines", errors.New("a\n  b\x1bc\n"), "error: a\n  b\\x1bc\n"},
		{"a credential by its place", Usagef("invalid %q", "password=abc"), "error: invalid \"password=***\"\n"},
		{"a credential by its value", errors.New("hunter22 is wrong"), "error: *** is wrong\n"},
		{"a credential at the caret", PointAt("the data", `{"token":"abc",}`, 15, "wrong"), "error: the data, column 16: wrong\n  {\"token\":\"***\",}\n                 ^\n"},
	}
	for _, tt := range tests {
		s, b := term.NewTest("", term.Facts{})
		s.Secrets().Add("hunter22")
		Report(s, tt.err)
		if diff := cmp.Diff(tt.want, b.Err.String()); diff != "" || b.Out.Len() > 0 {
			t.Errorf("%s: (-want +got):\n%s", tt.name, diff)
		}
	}
	s, b := term.NewTest("", term.Facts{})
	s.SetColor(term.ColorAlways)
	Report(s, errors.New("x"))
	if want := "\x1b[31;1merror:\x1b[0;22m x\n"; b.Err.String() != want {
		t.Errorf("with color: %q, want %q", b.Err.String(), want)
	}
}
