package micro

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/msctl/msctl/runtime/internal/bounded"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/tap"
	"github.com/msctl/msctl/runtime/wire"
)

// Inbound is a received message that has a handler. It is the [Reply] that the handler
// sends to. It is used by one goroutine at a time.
type Inbound struct {
	req    Request
	ctx    requestContext
	server *Server
	route  *route
	body   []byte // the packet that contains the request's slices
	to     Responder
	done   func(error)

	ownID   bool  // the ID is a slice of body
	held    Value // the last value, until the handler has returned
	holding bool
	ended   bool // the end of the reply has been sent
	sendErr error
	outcome error     // of the first handler that failed
	span    *tap.Span // nil if it is not reported
}

func newInbound(conn context.Context, s *Server, r *route, p *wire.Packet, d *Delivery) *Inbound {
	in := &Inbound{server: s, route: r, body: p.Body(), to: d.To, done: d.Done}
	in.req = Request{
		Data: p.Data, Event: p.ID == nil, Peer: d.Peer, Details: d.Details,
		Metadata: Metadata{raw: p.Metadata, pairs: d.Headers.pairs},
	}
	in.ctx.req = &in.req
	in.ctx.parent = conn
	if in.req.Event {
		in.ctx.parent = s.base // an event is handled even if its sender has disconnected
	} else {
		in.req.id = canonicalID(p.ID)
		in.ownID = &in.req.id[0] == &p.ID[0]
	}
	if (in.req.Event || len(in.req.id) == 2) && in.req.CorrelationID() == "" { // an ID of two bytes may be the empty string
		in.req.correlation = newID()
	}
	in.req.Attempt = max(1, d.Attempt)
	if p.Metadata != nil || d.Headers.pairs != nil {
		left, timed, attempt := in.req.Metadata.delivery()
		if in.req.Attempt = max(in.req.Attempt, attempt); timed {
			received := d.Received
			if received.IsZero() {
				received = time.Now()
			}
			in.req.Deadline = received.Add(left)
		}
	}
	return in
}

// Fast reports whether the handler is likely to return within microseconds, so that
// running it in the calling goroutine costs less than starting another one.
func (in *Inbound) Fast() bool { return in.route.speed.fast() }

// Go runs the message on another goroutine. It first copies the parts of the packet that
// it needs, so the caller may reuse the packet's memory when Go returns.
func (in *Inbound) Go() {
	body := bytes.Clone(in.body)
	in.req.Data = rebase(in.req.Data, in.body, body)
	in.req.Metadata.raw = rebase(in.req.Metadata.raw, in.body, body)
	if in.ownID {
		in.req.id = rebase(in.req.id, in.body, body)
	}
	in.body = body
	in.server.workers.run(in)
}

// Run runs the message's handlers in the calling goroutine and returns when the reply has
// been passed to the Responder.
func (in *Inbound) Run() { in.RunAt(Clock()) }

// RunAt is [Inbound.Run] for callers that run messages one after another and read the
// clock once for each: start is the current [Clock], and the result is the Clock when the
// handlers had returned.
func (in *Inbound) RunAt(start time.Duration) (end time.Duration) {
	defer in.server.release()
	if in.done != nil {
		defer func() { in.done(in.outcome) }()
	}
	if in.server.tap.Recording() {
		defer in.reported()()
	}
	if in.server.observe != nil {
		defer in.observed()()
	}
	if !in.req.Deadline.IsZero() {
		if time.Until(in.req.Deadline) <= 0 {
			in.expire()
			return Clock()
		}
		defer in.ctx.end()
	}
	switch events := in.route.events; {
	case in.req.Event && len(events) > 0, in.route.message == nil:
		end = in.runEvents(events, start)
	default:
		end = in.finish(in.route.message, start, in.invoke(in.route.message))
	}
	in.route.speed.learn(end - start)
	return end
}

// Clock returns the time since the start of the program, from the monotonic clock. It is
// cheaper than time.Now.
func Clock() time.Duration { return time.Since(programStart) }

var programStart = time.Now()

// runEvents runs all handlers of an event. A request whose pattern has only event handlers
// is answered when all of them have returned (docs/wire.md 1.1).
func (in *Inbound) runEvents(events []*endpoint, start time.Duration) (end time.Duration) {
	var first error
	end = start
	for _, ep := range events {
		err := in.invoke(ep)
		if first == nil {
			first, in.outcome = err, err
		}
		began := end
		end = Clock()
		in.account(ep, end-began, err)
	}
	if len(events) > 1 && !in.holding {
		in.held, in.holding = Value{Raw: []byte("{}"), Last: true}, true
	}
	in.answer(first)
	return end
}

// endpoint returns the handler of the message, or the first of several.
func (in *Inbound) endpoint() *endpoint {
	if in.route.message == nil || in.req.Event && len(in.route.events) > 0 {
		return in.route.events[0]
	}
	return in.route.message
}

// invoke runs one handler.
func (in *Inbound) invoke(ep *endpoint) error {
	in.handledBy(ep)
	return safely(ep.handler, &in.ctx, &in.req, in)
}

// handledBy sets the request's pattern to the one that its handler is registered for. The
// handler for unknown patterns has none, so the pattern stays as received.
func (in *Inbound) handledBy(ep *endpoint) {
	if !ep.pattern.IsZero() {
		in.req.Pattern = ep.pattern
	}
}

// finish ends the reply with the handler's result.
func (in *Inbound) finish(ep *endpoint, start time.Duration, err error) (end time.Duration) {
	end = Clock() // before sending, which may also write the replies to other messages
	if errors.Is(err, errGone) {
		err = nil // not a failure of the handler
	}
	in.outcome = err
	in.answer(err)
	if in.sendErr != nil && err == nil && !errors.Is(in.sendErr, errGone) {
		err = in.sendErr
	}
	in.account(ep, end-start, err)
	return end
}

// errGone is returned by Send if the caller can no longer receive the reply.
var errGone = errors.New("micro: the caller is gone")

// Send sends a value of the reply. A value marked as the last is held until the handler
// has returned, because an error of the handler takes precedence.
func (in *Inbound) Send(v Value) error {
	if in.req.Event {
		return nil
	}
	if in.ended {
		return errors.New("micro: a value was sent after the last one")
	}
	if err := in.flushHeld(); err != nil {
		return err
	}
	if v.Last {
		in.held, in.holding = v, true
		return nil
	}
	return in.send(v, nil)
}

// flushHeld sends the held value as one that is not the last.
func (in *Inbound) flushHeld() error {
	if !in.holding {
		return nil
	}
	v := in.held
	v.Last, in.holding = false, false
	return in.send(v, nil)
}

// answer ends the reply with err, with the held value, or without either.
func (in *Inbound) answer(err error) {
	if in.req.Event || in.ended {
		return
	}
	var v Value
	if err == nil && in.holding {
		v = in.held
	}
	v.Last = true
	in.sendErr = in.send(v, err)
}

// send encodes and sends one packet of the reply.
func (in *Inbound) send(v Value, err error) error {
	packet := wire.Reply{ID: in.req.id, Disposed: v.Last}
	var encodeErr error
	switch {
	case err != nil:
		packet.Err = in.server.payloadOf(err)
	case v.Raw != nil && js.Valid(v.Raw):
		packet.Response = v.Raw
	case v.Raw != nil:
		encodeErr = errNotJSON
	case v.Any != nil:
		scratch := buffers.Get().(*[]byte)
		defer putBuffer(scratch) // a Responder does not retain the packet
		encodeErr = in.encode(scratch, v.Any)
		packet.Response = *scratch
	}
	if encodeErr != nil {
		packet.Response, packet.Err, packet.Disposed = nil, in.server.internal.payload(), true
	}
	if packet.Disposed || packet.Err != nil {
		in.ended = true
	}
	if in.span != nil {
		value := packet.Response
		if packet.Err != nil {
			value = packet.Err
		}
		in.span.Reply(value)
	}
	if err := in.to.Respond(&in.ctx, packet); err != nil {
		return errGone
	}
	return encodeErr
}

// encode appends the JSON text of v to dst. A panic in a method of the user's type is
// returned as an error, so that it affects only this message.
func (in *Inbound) encode(dst *[]byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	*dst, err = encode(in.server.codec, *dst, v)
	return err
}

// expire answers a message whose deadline has passed without running its handler.
func (in *Inbound) expire() {
	ep := in.endpoint()
	ep.stats.expired.Add(1)
	in.handledBy(ep)
	in.outcome = ErrExpired
	in.answer(ErrExpired)
	if in.server.log.Enabled(&in.ctx, slog.LevelDebug) {
		in.log(slog.LevelDebug, "the deadline passed before the work was started", 0, nil)
	}
}

// account counts a run and logs it: failures always, successes at debug level.
func (in *Inbound) account(ep *endpoint, took time.Duration, err error) {
	ep.stats.add(took, err != nil)
	if err == nil {
		if in.server.log.Enabled(&in.ctx, slog.LevelDebug) {
			in.log(slog.LevelDebug, "handled", took, nil)
		}
		return
	}
	if _, meant := payloadOf(err); meant {
		in.log(slog.LevelInfo, "answered with an error", took, err)
		return
	}
	in.log(slog.LevelError, "handler failed", took, err)
}

func (in *Inbound) log(level slog.Level, what string, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("pattern", in.req.Pattern.String()),
		slog.String("correlation_id", in.req.CorrelationID()),
		slog.Duration("took", took),
	}
	if in.req.Attempt > 1 {
		attrs = append(attrs, slog.Int("attempt", in.req.Attempt))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", bounded.Text(err.Error())))
	}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	in.server.log.LogAttrs(&in.ctx, level, what, attrs...)
}

// rebase returns the slice of to that corresponds to part, a slice of from. to is a copy of
// from. Subtle: the capacities of from and part extend to the same end, so their
// difference is the offset of part.
func rebase(part, from, to []byte) []byte {
	if part == nil {
		return nil
	}
	start := cap(from) - cap(part)
	return to[start : start+len(part) : start+len(part)]
}
