package telemetry

import (
	"context"
	"errors"

	"github.com/msctl/msctl/runtime/micro"
)

// The outcomes of messages, as labels.
const (
	outcomeOK          = "ok"
	outcomeError       = "error"       // a reply that is an error, with a status below 500 on a server
	outcomeFailed      = "failed"      // any other error
	outcomeExpired     = "expired"     // server: the deadline had passed before the handler was run
	outcomeNoHandler   = "no_handler"  // server
	outcomeTimeout     = "timeout"     // client: no reply in time
	outcomeUnreachable = "unreachable" // client: not sent
	outcomeReset       = "reset"       // client: the connection was lost
	outcomeShed        = "shed"        // client: held back by a limit or a breaker
	outcomeCanceled    = "canceled"    // client: the caller has given up
)

// served returns the outcome of a message on a server.
func served(err error, handler micro.Pattern) string {
	var reply *micro.Error
	switch {
	case err == nil:
		return outcomeOK
	case handler.IsZero() && errors.Is(err, micro.ErrNoHandler):
		return outcomeNoHandler
	case errors.Is(err, micro.ErrExpired):
		return outcomeExpired
	case errors.Is(err, micro.ErrNoHandler):
		return outcomeFailed // that of a service further down, sent as an internal error
	case errors.As(err, &reply) && reply.Status < 500:
		return outcomeError
	}
	return outcomeFailed
}

// sent returns the outcome of a client's message.
func sent(err error) string {
	var reply *micro.Error
	switch {
	case err == nil:
		return outcomeOK
	case errors.As(err, &reply) && reply.Remote():
		return outcomeError
	case errors.Is(err, micro.ErrShed):
		return outcomeShed
	case errors.Is(err, micro.ErrConnectionLost):
		return outcomeReset
	case errors.Is(err, micro.ErrUnreachable):
		return outcomeUnreachable
	case errors.Is(err, micro.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return outcomeTimeout
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	}
	return outcomeFailed
}
