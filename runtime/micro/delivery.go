package micro

import (
	"context"
	"iter"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/wire"
)

// Delivery is one message as a transport brings it to a server.
type Delivery struct {
	// Packet is the message's body, as it was parsed.
	Packet *wire.Packet
	// To takes the answer.
	To Responder
	// Peer is where the message came from, as far as the transport knows.
	Peer string
	// Route is what the address stands for that the message came by, where the
	// address decides who handles it (Redis, NATS). The packet's pattern is not
	// looked at then, and a body that is no packet is an event with the whole
	// body for data (docs/wire.md 1.6). The zero Route leaves it to the
	// packet's pattern.
	Route Route
	// Headers travelled beside the packet. They go before its metadata.
	Headers Metadata
	// Details is what the transport knows beyond all this: Request.Details.
	Details any
	// Done, unless nil, is called once, when all is done for the message: with
	// nil when its handlers returned nil, with the error of the first that did
	// not, with an error that matches ErrNoHandler when there is none, or with
	// that of the context, before anything was done, when ctx ended while the
	// server was full. It runs on the goroutine that ran the message and must
	// not block for long.
	Done func(error)
}

// Route is one address of a server: the handlers of one pattern. The zero Route
// is none.
type Route struct {
	address string
	route   *route
}

// Routes yields the server's routes in the order in which they were first
// registered, the reserved ones (HealthPattern, DescribePattern) included. It
// is for listeners that must tell a broker what they listen to.
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

// RouteAt returns the route whose handlers get the messages that come by an
// address: a channel, a subject, a routing key. Like NestJS it reads the address as JSON
// first (docs/wire.md 2.3), so a handler may be out of the reach of its own
// address; the zero Route tells that no handler is there.
func (s *Server) RouteAt(address string) Route {
	r := s.lookup(js.AppendString(nil, address))
	if r == nil {
		return Route{address: address}
	}
	return Route{address, r}
}

// Address returns the canonical form of the route's pattern, which brokers use
// as channel, subject or routing key.
func (r Route) Address() string { return r.address }

// IsZero reports whether no handler is there.
func (r Route) IsZero() bool { return r.route == nil }

// Message reports whether the route has a message handler: requests to it are
// answered by it.
func (r Route) Message() bool { return r.route != nil && r.route.message != nil }

// Event reports whether the route has event handlers.
func (r Route) Event() bool { return r.route != nil && len(r.route.events) > 0 }

// Extra returns the value that the options of the route's handlers hold under
// key (WithExtra), or nil: that of the message handler, or else of the first
// event handler that has one.
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

// WithExtra keeps a value for the transports beside a handler, as NestJS' extras:
// a NATS queue group of its own, say. key is of a type of the transport's own,
// as with context.WithValue. Users take the options that transports make of it.
func WithExtra(key, value any) HandlerOption {
	return handlerOption(func(h *handlerConfig) {
		if h.extras == nil {
			h.extras = map[any]any{}
		}
		h.extras[key] = value
	})
}

// Deliver takes one message off a transport. ctx is that of the connection it
// came by: the contexts of requests derive from it; events outlive it. It
// returns the message when there is a handler to run, with Run or Go, and nil
// when all is done: no handler has been replied or logged, or ctx has ended
// while the server was full.
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
	foreign := p.Pattern == nil && p.Data == nil
	if foreign && r == nil {
		s.unknown(ctx, d, &wire.Packet{}) // docs/wire.md 1.6: foreign, so an event
		return nil, ErrNoHandler
	}
	if foreign {
		p = wire.WholeBody(p.Body())
	}
	var asked Pattern
	if r == nil && d.Route.address == "" {
		r = s.lookup(p.Pattern)
	}
	if r == nil && s.rest != nil {
		if asked = patternOfWire(p.Pattern); !asked.IsZero() {
			r = s.rest
		}
	}
	if r == nil {
		s.unknown(ctx, d, p)
		return nil, ErrNoHandler
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	in := newInbound(ctx, s, r, p, d)
	in.req.Pattern = asked
	return in, nil
}
