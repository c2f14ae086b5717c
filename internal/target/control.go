package target

import (
	"context"
	"net"
	"syscall"
)

// Control is called before a connection is made, with its network and address, and prevents it
// with an error: see net.Dialer. nil prevents none.
type Control = func(network, address string, c syscall.RawConn) error

type controlKey struct{}

// WithControl returns a context for questions of this package, such as Describe, Diagnose, and
// Probe, each of whose connections control may prevent.
func WithControl(ctx context.Context, control Control) context.Context {
	return context.WithValue(ctx, controlKey{}, control)
}

func controlOf(ctx context.Context) Control {
	control, _ := ctx.Value(controlKey{}).(Control)
	return control
}

// dialerOf returns the dialer for a question.
func dialerOf(ctx context.Context) *net.Dialer { return &net.Dialer{Control: controlOf(ctx)} }
