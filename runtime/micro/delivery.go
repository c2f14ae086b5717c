package micro

import (
	"context"
	"iter"
	"time"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/wire"
)

// Delivery is a message that a transport has received for a server.
type Delivery struct {
	// Packet is the parsed body of the message.
	Packet *wire.Packet
	// To receives the reply.
	To Responder
	// Peer is the address of the sender; empty if the transport does not know it.
	Peer string
	// Route is set by transports whose address selects the handler (Redis, NATS). The
	// packet's pattern is then ignored, and a body that is not a packet is an event
	// with the entire body as its data (docs/wire.md 1.6). With the zero Route, the
	// packet's pattern selects the handler.
	Route Route
	// Headers are the message's headers. They take precedence over the packet's metadata.
	Headers Metadata
	// Received is when the transport read the message. The caller's remaining time counts
	// from then, so a message that waits in the process spends its own time. Zero means the
	// time at which Deliver is called.
	Received time.Time
	// Attempt is the number of the attempt to handle the message, if the transport counts
	// redeliveries; a higher number in the metadata takes precedence.
	Attempt int
	// Details holds what else the transport knows about the message: Request.Details.
	Details any
	// Done, unless nil, is called once when the message is finished: with nil if all
	// handlers returned nil, with the error of the first handler that did not, with an error
	// that matches ErrNoHandler if there is no handler, or with the context's error if
	// ctx ended while the server was full and no handler ran. It is called on the
	// goroutine that ran the handlers and must not block for long.
	Done func(error)
}

// HasRaw reports whether the server handles messages without a pattern (HandleRaw).
func (s *Server) HasRaw() bool { return s.raw != nil }

// Route is one address of a server, with the handlers of one pattern. The zero Route
// has none.
type Route struct {
	address string
	route   *route
}

// Routes yields the server's routes in the order of their first registration,
// including the reserved ones (HealthPattern, DescribePattern). It is for listeners
// that subscribe at a broker.
func (s *Server) Routes() iter.Seq[Route] {
	return func(yield func(Route) bool) {
		seen := map[*route]bool{}
		for _, ep := range s.order {
			r := s.routes[routeKey(ep.pattern.Route(), ep.pattern.RouteIsString())]
			if seen[r] {
				continue
			}
			seen[r] = true
			if !yield(Route{ep.pattern.Route(), r}) {
				return
			}
		}
	}
}

// RouteAt returns the route for messages that arrive at an address, which is a channel,
// a subject, or a routing key. Like NestJS, it first parses the address as JSON
// (docs/wire.md 2.3), so a handler can be unreachable at its own address. If there is
// no handler, the route's IsZero reports true.
func (s *Server) RouteAt(address string) Route {
	r := s.lookup(js.AppendString(nil, address))
	if r == nil {
		return Route{address: address}
	}
	return Route{address, r}
}

// Address returns the canonical form of the route's pattern, which brokers use as
// channel, subject, or routing key.
func (r Route) Address() string { return r.address }

// IsZero reports whether the route has no handler.
func (r Route) IsZero() bool { return r.route == nil }

// Message reports whether the route has a message handler, which replies to requests.
func (r Route) Message() bool { return r.route != nil && r.route.message != nil }

// Event reports whether the route has event handlers.
func (r Route) Event() bool { return r.route != nil && len(r.route.events) > 0 }

// Extra returns the value that [WithExtra] set for key on the message handler of the
// route or, if it has none, on the first event handler that has one; otherwise nil.
func (r Route) Extra(key any) any {
	if r.route == nil {
		return nil
	}
	if r.route.message != nil {
		if v := r.route.message.extras[key]; v != nil {
			return v
		}
	}
	for _, ep := range r.route.events {
		if v := ep.extras[key]; v != nil {
			return v
		}
	}
	return nil
}

// WithExtra attaches a value for a transport to a handler, such as a queue group for
// NATS; these are NestJS's extras. The type of key should be defined by the transport's
// package, as with context.WithValue. Users call the options that transports build on it.
func WithExtra(key, value any) HandlerOption {
	return handlerOption(func(h *handlerConfig) {
		if h.extras == nil {
			h.extras = map[any]any{}
		}
		h.extras[key] = value
	})
}

// Deliver accepts a message from a transport. ctx is the context of the connection that
// the message arrived on; the contexts of requests derive from it, while events outlive
// it. If there is a handler, Deliver returns the message, for Run or Go. It returns nil
// if the message is finished: there is no handler, which has been replied or logged, or
// ctx ended while the server was full.
func (s *Server) Deliver(ctx context.Context, d Delivery) *Inbound {
	in, err := s.deliver(ctx, &d)
	if in == nil && d.Done != nil {
		d.Done(err)
	}
	return in
}

func (s *Server) deliver(ctx context.Context, d *Delivery) (*Inbound, error) {
	p := d.Packet
	r := d.Route.route
	if p.Pattern == nil && p.Data == nil {
		p = wire.WholeBody(p.Body()) // docs/wire.md 1.6: foreign, so an event
	}
	var asked Pattern
	switch {
	case r != nil || d.Route.address != "":
	case p.Pattern == nil:
		r = s.raw
	default:
		r = s.lookup(p.Pattern)
	}
	if r == nil && s.rest != nil {
		asked = patternOfWire(p.Pattern)
		if !asked.IsZero() || p.Pattern == nil && p.ID == nil {
			r = s.rest
		}
	}
	if r == nil {
		s.unknown(ctx, d, p)
		return nil, ErrNoHandler
	}
	if d.Received.IsZero() && s.Full() {
		d.Received = time.Now() // before waiting for a place
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	in := newInbound(ctx, s, r, p, d)
	in.req.Pattern = asked
	return in, nil
}
