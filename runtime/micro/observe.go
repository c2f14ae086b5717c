package micro

import (
	"context"
	"errors"

	"github.com/msctl/msctl/runtime/wire"
)

// Observer is called for each message that a server has received, before its guards. It
// returns the context for the handler, derived from ctx, and a function that is called once
// when the message is finished: with nil, or with the error of the first handler that
// failed. A message with several event handlers is one message.
//
// handler is the pattern that the handler is registered for. It is the zero Pattern if the
// message has no handler (the error then matches ErrNoHandler) or only that of
// [HandleUnknown] or [HandleRaw]: what a peer sends is not fit to name a metric. Messages
// for the reserved patterns, such as HealthPattern, are not observed.
//
// Both functions are called on the goroutine that handles the message and must not block.
// The request must not be retained, but its metadata may be read.
type Observer func(ctx context.Context, req *Request, handler Pattern) (context.Context, func(err error))

// WithObserver observes the messages of a server, for metrics and traces. By default, or
// with nil, there is no observer, which costs nothing. Of several, the first is the
// outermost.
func WithObserver(observe Observer) ServerOption {
	return serverOption(func(s *Server) { s.observe = s.observe.and(observe) })
}

// and returns an observer that calls o and then next.
func (o Observer) and(next Observer) Observer {
	switch {
	case o == nil:
		return next
	case next == nil:
		return o
	}
	return func(ctx context.Context, req *Request, handler Pattern) (context.Context, func(error)) {
		ctx, outer := o(ctx, req, handler)
		ctx, inner := next(ctx, req, handler)
		return ctx, func(err error) {
			inner(err)
			outer(err)
		}
	}
}

// observed begins the observation of a message and returns the function that ends it. The
// observer's context becomes the parent of the message's, so that the handler, its logs, and
// those of the server have what the observer added.
func (in *Inbound) observed() (end func()) {
	ep := in.endpoint()
	if ep.hidden {
		return func() {}
	}
	in.handledBy(ep)
	ctx, done := in.server.observe(in.ctx.parent, &in.req, ep.pattern)
	in.ctx.parent = ctx
	return func() {
		err := in.outcome
		if err == nil && in.sendErr != nil && !errors.Is(in.sendErr, errGone) {
			err = in.sendErr
		}
		done(err)
	}
}

// observeUnknown observes a message without a handler.
func (s *Server) observeUnknown(ctx context.Context, d *Delivery, p *wire.Packet) {
	if s.observe == nil {
		return
	}
	req := &Request{Event: p.ID == nil, Peer: d.Peer, Details: d.Details, Metadata: Metadata{raw: p.Metadata, pairs: d.Headers.pairs}}
	_, done := s.observe(ctx, req, Pattern{})
	done(ErrNoHandler)
}
