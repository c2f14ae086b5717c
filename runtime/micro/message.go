package micro

import (
	"context"
	"encoding/json"
	"time"

	"github.com/msctl/msctl/runtime/wire"
)

// None is the type for no data and for no value: a handler that returns None replies
// with undefined, and a call with output type None ignores the value of the reply.
type None = struct{}

// Request is one message, a request or an event: outgoing for the interceptors of a
// client, incoming for the guards, interceptors, pipes, and filters of a server.
type Request struct {
	// Pattern identifies the handler. On a server, it is the handler's pattern.
	Pattern Pattern
	// Data is the JSON text of the data; nil is undefined. On a server, it must not be
	// retained after the handler has returned.
	Data []byte
	// Event is true for an event, which has no reply.
	Event bool
	// All requests the replies of all services that handle the request, on transports
	// where several can: Redis, and NATS without a common queue group. The values
	// of all replies are passed on as they arrive, errors are dropped, and the call ends
	// with ErrTimeout at its deadline, or with the error of its Reply. Other transports
	// ignore All.
	All bool

	// Raw makes a client send Data as the entire body of an event, instead of a packet with
	// Pattern and Data. Pattern is only the address then: a channel, a subject, or a routing
	// key. See [Client.EmitRaw].
	Raw bool
	// Confirm makes the transport report an event as accepted only once the peer has confirmed
	// it: see [WithConfirmedEvents]. Requests ignore it, since their reply is the confirmation.
	Confirm bool

	bare bool // the client adds no metadata; here, it takes no room

	// Metadata is sent with the message. On a server, it is what arrived. The runtime's own
	// additions are not in it: see [Request.CorrelationID] and [SentMetadata].
	Metadata Metadata
	// Deadline is when the caller stops waiting; zero means never. A client sets it
	// to the context's deadline or, if there is none, to now plus its timeout.
	Deadline time.Time
	// Attempt is the number of the attempt, from 1; 0 means 1.
	Attempt int
	// Peer is the address of the sender; empty on a client.
	Peer string
	// Details holds what the transport knows about an incoming message beyond the packet.
	// The transport's package has a function that returns it from a handler's context.
	Details any
	// Trace observes a client's message on the wire; nil for none.
	Trace *Trace

	id          []byte  // on a server, the packet's ID as the reply repeats it
	correlation string  // the correlation ID, unless the metadata has one
	report      *report // nil unless the message is reported
	byDefault   int64   // on a client, the deadline that its timeout set, in nanoseconds since 1970; 0 if the caller has set one
}

// DeadlineIsDefault reports whether Deadline is that of the client's timeout, because the
// caller has set none.
func (r *Request) DeadlineIsDefault() bool {
	return r.byDefault != 0 && r.Deadline.UnixNano() == r.byDefault
}

// CorrelationID returns the ID that all messages caused by one action of a user share: the
// one in the metadata, or the one that a client adds to the message. On a server it is
// never empty: if the caller sent none, it is the packet's ID, or a new one for an event.
func (r *Request) CorrelationID() string {
	if id := r.Metadata.Get(MetaCorrelationID); id != "" {
		return id
	}
	if r.correlation != "" || r.id == nil {
		return r.correlation
	}
	return text(r.id)
}

// SetCorrelationID sets the ID that a client adds to the message, for programs that start
// a chain of messages, such as a gateway. The one in the metadata takes precedence. By
// default, a client adds the ID of the message being handled, or a new one.
func (r *Request) SetCorrelationID(id string) { r.correlation = id }

// Value is one value of a reply. The zero Value is undefined, which differs from null.
type Value struct {
	// Raw is the JSON text: always on a client; on a server, if the handler set it. On a
	// client, it must not be retained after Send has returned.
	Raw json.RawMessage
	// Any is the Go value to encode if Raw is nil.
	Any any
	// Last is true if the reply ends with this value.
	Last bool
}

// Undefined reports whether the value is JavaScript's undefined.
func (v Value) Undefined() bool { return v.Raw == nil && v.Any == nil }

// Reply receives the values of a reply in order, one call at a time. An error from Send
// means that no further values are wanted.
type Reply interface {
	Send(Value) error
}

// ReplyFunc is a function as a [Reply].
type ReplyFunc func(Value) error

// Send calls f.
func (f ReplyFunc) Send(v Value) error { return f(v) }

// Handler handles one message: it sends the values of the reply to reply and returns
// nil, or returns an error as the reply. Servers and clients use the same type: a
// client's innermost Handler sends the message.
type Handler func(ctx context.Context, req *Request, reply Reply) error

// Interceptor wraps a [Handler], to run code before and after it. Interceptors are
// composed once, when a client is created or a handler is registered.
type Interceptor func(Handler) Handler

// Guard decides whether a handler runs. An error is sent as the reply; false is sent as
// NestJS's "Forbidden resource".
type Guard func(ctx context.Context, req *Request) (bool, error)

// Pipe checks or changes the decoded data of a message before its handler runs; dto is
// a pointer to the handler's input type. An error is sent as the reply.
type Pipe func(ctx context.Context, req *Request, dto any) error

// Filter replaces the error of a handler. If it returns nil, the reply ends without a
// value.
type Filter func(ctx context.Context, req *Request, err error) error

// Validator is implemented by data that can check itself. A typed handler calls Validate
// after decoding. An error that is not an *Error is sent with status 400 and its text.
type Validator interface {
	Validate() error
}

// Conn sends a client's messages over one transport. It connects on first use, is safe
// for concurrent use, and observes the deadlines of the context and of the request,
// whichever is earlier.
type Conn interface {
	// Exchange sends a request and passes each value of the reply to reply, in the
	// calling goroutine. Its error is, or wraps, ErrTimeout, ErrUnreachable,
	// ErrConnectionLost, ErrShed, an *Error from the peer, the error of reply, or the
	// context's error.
	Exchange(ctx context.Context, req *Request, reply Reply) error
	// Publish sends an event and returns when the transport has accepted it. With
	// Request.Confirm, it returns nil only if the peer has confirmed the event; otherwise, its
	// error matches ErrTimeout or ErrConnectionLost if the peer may have received it.
	Publish(ctx context.Context, req *Request) error
	// Close closes all connections. Calls in flight fail with ErrClosed. Its error is a
	// *LostEventsError if events that Publish had accepted may have been lost.
	Close() error
}

// Listener receives messages of one transport for a server.
type Listener interface {
	// Serve listens until ctx ends. Then it drains: it accepts no further messages, waits
	// up to s.DrainTimeout for those in flight, and returns nil.
	Serve(ctx context.Context, s *Server) error
}

// Responder sends the packets of replies to one peer. It must be safe for concurrent use
// and must not retain the packet's slices.
type Responder interface {
	Respond(ctx context.Context, packet wire.Reply) error
}

// Trace observes one message of a client on the wire, as net/http/httptrace does for
// HTTP. Each function may be nil. They are called one at a time, on goroutines of the
// transport, and must not block or retain the packet.
type Trace struct {
	// Connected is called when a connection had to be established for the message.
	Connected func(address string, took time.Duration)
	// Wrote is called when the packet has been written to the connection.
	Wrote func(at time.Time, packet []byte)
	// Read is called for each packet of the reply.
	Read func(at time.Time, packet []byte)
	// Stray is called with data that arrived in the place of a reply and was not
	// delivered. data is its beginning, and why completes "it was ignored: it …". Replies
	// to calls that have ended are not strays. For an event over TCP, which has no reply, it
	// is called with whatever is no reply and arrives on the connection until the client has
	// been closed, so possibly after Emit has returned and along with Wrote.
	Stray func(at time.Time, data []byte, why string)
	// Late is called when a reply ends after the call has given up.
	Late func(LateReply)
}

// LateReply is a reply that arrived after the call had given up.
type LateReply struct {
	// By is the time from the end of the call to the end of the reply.
	By time.Duration
	// Err is the peer's error; nil if the reply was not an error.
	Err *Error
}
