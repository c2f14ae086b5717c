package gateway

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/msctl/msctl/runtime/gateway/internal/sse"
	"github.com/msctl/msctl/runtime/micro"
)

// EventStream configures server-sent events: see [WithEventStream].
type EventStream struct {
	// Lifetime limits a stream; the client connects again afterwards. The deadline travels with
	// the message, and is the only thing that ends the work of a service whose client has left,
	// because NestJS's protocol cannot cancel. The default is 5 min.
	Lifetime time.Duration
	// Heartbeat is the time without an event after which a comment is sent, so that proxies keep
	// the connection and clients that have vanished are noticed. A client that does not accept
	// 64 KiB in that time is disconnected. The default is 15 s.
	Heartbeat time.Duration
	// Buffer is the number of bytes that may wait for the client. If there are more, the client is
	// disconnected, because a service cannot be slowed down. The default is 1 MiB.
	Buffer int
	// Total is the number of bytes that may wait for all clients of the gateway. While there are
	// more, a client for which more than an equal part of them waits is disconnected. The default
	// is 256 MiB. A route has none of its own.
	Total int
}

// WithEventStream configures the responses of [Stream] to requests that accept text/event-stream. A
// member that is 0 keeps its default.
func WithEventStream(s EventStream) GatewayOrRouteOption {
	return scopedOption{func(g *Gateway) { g.events.set(s) }, func(r *route) { r.events.set(s) }}
}

func defaultEventStream() EventStream {
	return EventStream{Lifetime: 5 * time.Minute, Heartbeat: 15 * time.Second, Buffer: 1 << 20, Total: 256 << 20}
}

func (s *EventStream) set(to EventStream) {
	if to.Lifetime > 0 {
		s.Lifetime = to.Lifetime
	}
	if to.Heartbeat > 0 {
		s.Heartbeat = to.Heartbeat
	}
	if to.Buffer > 0 {
		s.Buffer = to.Buffer
	}
	if to.Total > 0 {
		s.Total = to.Total
	}
}

// limited returns ctx with the time that a request may take. A stream of events also ends when the
// credentials of its caller do.
func (r *route) limited(ctx context.Context, req *http.Request) (context.Context, context.CancelFunc) {
	if r.answer != manyValues || streamType(req) != sse.Type {
		return context.WithTimeout(ctx, r.timeout)
	}
	end := time.Now().Add(r.events.Lifetime)
	if caller := exchangeOf(ctx).principal; caller != nil && !caller.Expires.IsZero() && caller.Expires.Before(end) {
		end = caller.Expires
	}
	return context.WithDeadline(ctx, end)
}

// serveEvents sends each value of a reply as a server-sent event. The last event is "end", or
// "error" with the body that the error would have as a response. A stream that ends because of
// its lifetime or because the gateway drains has neither, so the client connects again.
func (r *route) serveEvents(ctx context.Context, w http.ResponseWriter, message *micro.Request) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream := sse.Open(w, sse.Config{
		Heartbeat: r.events.Heartbeat, Buffer: r.events.Buffer, Budget: r.gateway.watched, Ended: r.gateway.stopping, Failed: cancel,
	})
	defer stream.Close(sse.Event{}, false) // if a shape panics
	count := 0
	err := r.each(ctx, message, func(raw []byte, shaped reflect.Value) error {
		count++
		return stream.Send(r.output.event(strconv.Itoa(count), raw, shaped))
	})
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, sse.ErrEnded), timeIsUp(ctx):
		stream.Close(sse.Event{}, true)
		return
	case err == nil:
		stream.Close(sse.Event{Name: "end", Data: []byte("{}")}, true)
		return
	}
	p := problemOf(ctx, err)
	if ctx.Err() != nil || errors.Is(err, sse.ErrSlow) {
		p = newProblem(statusClientGone, "Client closed request").because(err)
	}
	x := exchangeOf(ctx)
	if stream.Close(sse.Event{Name: "error", Data: x.errors.body(p)}, false) {
		x.note(p)
		return
	}
	x.fail(w, p)
}

// event returns the event for a value. Without an ID of its own, it is numbered, as in NestJS.
func (o *output) event(id string, raw []byte, shaped reflect.Value) sse.Event {
	e := sse.Event{ID: id, Data: raw}
	if o != nil && o.id >= 0 {
		e.ID = shaped.Field(o.id).String()
	}
	if o != nil && o.name >= 0 {
		e.Name = shaped.Field(o.name).String()
	}
	return e
}
