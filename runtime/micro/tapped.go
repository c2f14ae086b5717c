package micro

import (
	"bytes"
	"context"
	"errors"
	"path"
	"reflect"
	"strings"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// report is what a message that is reported carries.
type report struct {
	call string  // what all attempts of a request share
	span tap.Ref // on a client, sent with the message; on a server, that of its handler
}

// transportOf returns the name of the transport that a value belongs to, from that of its package.
func transportOf(v any) string {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch name := strings.TrimPrefix(path.Base(t.PkgPath()), "micro"); name {
	case "rabbit":
		return "rmq"
	case "tcp", "redis", "nats":
		return name
	}
	return ""
}

// reserved reports whether a pattern is one that every server handles: msctl.health, msctl.describe, or
// one of these for a service by its name.
func reserved(p Pattern) bool {
	for _, r := range []Pattern{HealthPattern, DescribePattern} {
		if rest, ok := strings.CutPrefix(p.Route(), r.Route()); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// reported is transmit for a client whose messages are reported. Each attempt is a span of its own.
func (c *Client) reported(ctx context.Context, req *Request, reply Reply) error {
	told := &report{}
	if req.report != nil {
		told.call = req.report.call
	}
	kind := tap.Send
	if req.Event {
		kind = tap.Emit
	}
	cause := tap.FromContext(ctx)
	if cause.IsZero() {
		cause = tap.TraceOf(req.Metadata.Get(MetaTraceparent))
	}
	span := c.tap.Start(&tap.Span{
		Kind: kind, Pattern: req.Pattern.JSON(), Call: told.call, Attempt: req.Attempt, Transport: transportOf(c.conn),
		Correlation: req.CorrelationID(), Metadata: req.Metadata.each, Data: sentData(req),
	}, cause)
	told.span = span.Ref()
	req.report = told
	err := c.send(ctx, req, ReplyFunc(func(v Value) error {
		span.Reply(v.Raw)
		return reply.Send(v)
	}))
	span.End(sentOutcome(err))
	return err
}

// sentData returns the JSON text of what a client sends, as a receiver reads it: a body that
// is not JSON is a text.
func sentData(req *Request) []byte {
	if !req.Raw {
		return req.Data
	}
	body := js.SanitizeUTF8(bytes.TrimPrefix(req.Data, []byte("\xEF\xBB\xBF")))
	if js.Valid(body) {
		return body
	}
	text := wire.Text(body)
	return text.Body()
}

// sentOutcome returns how a message ended for its sender.
func sentOutcome(err error) (tap.Outcome, *tap.Error) {
	switch {
	case err == nil, errors.Is(err, errStop):
		return tap.OK, nil
	case errors.Is(err, ErrNoHandler):
		return tap.NoHandler, reportedError(err)
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return tap.TimedOut, reportedError(err)
	case errors.Is(err, context.Canceled):
		return tap.Abandoned, nil
	case errors.Is(err, ErrShed):
		return tap.Shed, reportedError(err)
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrConnectionLost), errors.Is(err, ErrClosed):
		return tap.Unreachable, reportedError(err)
	}
	return tap.Failed, reportedError(err)
}

// reportedError describes an error. It is the program's own unless a peer returned it.
func reportedError(err error) *tap.Error {
	told := &tap.Error{Message: err.Error(), Own: true}
	var e *Error
	if errors.As(err, &e) {
		told.Status, told.Own = e.Status, !e.Remote()
	}
	var p *panicError
	if errors.As(err, &p) {
		told.Stack = string(p.stack)
	}
	return told
}

// reported starts the span of a message that is handled, and returns the function that ends it.
func (in *Inbound) reported() (end func()) {
	ep := in.endpoint()
	if ep.hidden {
		return func() {}
	}
	in.handledBy(ep)
	s := received(&in.req, in.to)
	s.ID, s.Data = in.req.id, in.req.Data
	in.span = in.server.tap.Start(s, causeOf(&in.req))
	in.req.report = &report{span: in.span.Ref()}
	return func() { in.span.End(in.handledOutcome()) }
}

func (in *Inbound) handledOutcome() (tap.Outcome, *tap.Error) {
	err := in.outcome
	switch {
	case err == nil && errors.Is(in.sendErr, errGone):
		return tap.Abandoned, nil
	case err == nil && in.sendErr != nil:
		return tap.Failed, reportedError(in.sendErr)
	case err == nil:
		return tap.OK, nil
	case errors.Is(err, ErrExpired):
		return tap.Expired, nil
	}
	return tap.Failed, reportedError(err)
}

// received returns a span of kind Handle.
func received(req *Request, to Responder) *tap.Span {
	return &tap.Span{
		Kind: tap.Handle, Pattern: req.Pattern.JSON(), Event: req.Event, Attempt: req.Attempt, Transport: transportOf(to),
		Peer: req.Peer, Correlation: req.CorrelationID(), Metadata: req.Metadata.each,
	}
}

// causeOf returns the span that has sent a message that was received.
func causeOf(req *Request) tap.Ref {
	if ref, ok := tap.ParseRef(req.Metadata.Get(tap.Key)); ok {
		return ref
	}
	return tap.TraceOf(req.Metadata.Get(MetaTraceparent))
}

// reportUnknown reports a message without a handler.
func (s *Server) reportUnknown(d *Delivery, p *wire.Packet) {
	if !s.tap.Recording() {
		return
	}
	req := &Request{Event: p.ID == nil, Peer: d.Peer, Metadata: Metadata{raw: p.Metadata, pairs: d.Headers.pairs}}
	span := received(req, d.To)
	span.Data = p.Data
	if span.Pattern = string(p.Pattern); d.Route.address != "" {
		span.Pattern = d.Route.address
	}
	if p.ID != nil {
		span.ID = canonicalID(p.ID)
	}
	s.tap.Start(span, causeOf(req)).End(tap.NoHandler, &tap.Error{Message: ErrNoHandler.Error(), Own: true})
}
