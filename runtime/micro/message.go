package micro

import (
	"context"
	"encoding/json"
	"time"

	"github.com/msctl/msctl/runtime/wire"
)

// None is the type of no data and of no reply: a handler that returns None
// answers with undefined, a call that asks for None ignores what comes back.
type None = struct{}

// Request is one message: on its way out, as interceptors of a client see it,
// or coming in, as guards, interceptors and pipes of a server do.
type Request struct {
	// Pattern says which handlers get it. On a server it is the handler's.
	Pattern Pattern
	// Data is the JSON text of the data; nil is undefined. On a server it must
	// not be kept after the handler has returned.
	Data []byte
	// Event tells that nobody waits for an answer.
	Event bool
	// All asks for the answers of all who handle a request, where several may:
	// over Redis, and over NATS where they are in no common queue group. The
	// values of all answers come as they come, errors are left out, and the call
	// ends with ErrTimeout at its deadline, or with the error of its Reply. Where
	// there is one answer at most, the call ends with that as always.
	All bool
	// Metadata travels with the message.
	Metadata Metadata
	// Deadline is when the caller stops waiting; zero is never. A client sets it
	// to the earlier of the context's deadline and now plus its timeout.
	Deadline time.Time
	// Attempt counts the attempts for this request from 1; 0 is 1.
	Attempt int
	// Peer is the address the message came from; empty on a client.
	Peer string
	// Details is what the transport knows of a message that came in, beyond the
	// packet: its package has a function that returns it from a handler's context.
	Details any
	// Trace observes a client's message on the wire; nil is nobody.
	Trace *Trace

	id []byte // on a server, the packet's id as it is echoed
}

// CorrelationID returns the id that ties the message to everything else the
// same user's action caused. On a server it is never empty: where the caller
// sent none it is the packet's own id.
func (r *Request) CorrelationID() string {
	if id := r.Metadata.Get(MetaCorrelationID); id != "" || r.id == nil {
		return id
	}
	return text(r.id)
}

// Value is one value of an answer. The zero Value is undefined, which is not
// null.
type Value struct {
	// Raw is the JSON text, on a client always and on a server where the handler
	// gave one. On a client it must not be kept after Send has returned.
	Raw json.RawMessage
	// Any is the Go value to encode when Raw is nil.
	Any any
	// Last tells that the answer ends with this value.
	Last bool
}

// Undefined reports whether the value is JavaScript's undefined.
func (v Value) Undefined() bool { return v.Raw == nil && v.Any == nil }

// Reply takes the values of an answer in order, one call at a time. An error
// means that nobody wants more of them.
type Reply interface {
	Send(Value) error
}

// ReplyFunc makes a function a Reply.
type ReplyFunc func(Value) error

// Send calls f.
func (f ReplyFunc) Send(v Value) error { return f(v) }

// Handler handles one message: it sends the values of the answer to reply and
// returns, with an error when the answer is one. It is the one shape on both
// sides: on a client the innermost Handler puts the message on the wire.
type Handler func(ctx context.Context, req *Request, reply Reply) error

// Interceptor wraps a Handler, to act before and after it. Interceptors are
// composed once, when a client is made or a handler is registered.
type Interceptor func(Handler) Handler

// Guard decides whether a handler may run: an error is the answer as it is,
// false is NestJS' Forbidden resource.
type Guard func(ctx context.Context, req *Request) (bool, error)

// Pipe checks or changes the js.Decode data of a message before its handler gets
// it; dto is a pointer to the handler's data type. Its error is the answer.
type Pipe func(ctx context.Context, req *Request, dto any) error

// Filter turns an error on its way to the peer into another, or into nil: then
// the answer ends without a value.
type Filter func(ctx context.Context, req *Request, err error) error

// Validator is data that can check itself. A typed handler calls Validate after
// decoding; an error that is no *Error leaves with status 400 and its text.
type Validator interface {
	Validate() error
}

// Conn carries a client's messages over one transport. It connects when it is
// first used, is safe for use from many goroutines, and honours the deadline of
// the context and of the request, whichever is earlier.
type Conn interface {
	// Exchange sends a request and hands each value of the answer to reply, in
	// the calling goroutine. Its errors are ErrTimeout, ErrUnreachable,
	// ErrConnectionLost, ErrShed, an *Error from the peer, the error of reply,
	// or the context's, each maybe wrapped.
	Exchange(ctx context.Context, req *Request, reply Reply) error
	// Publish sends an event and returns when the transport has taken it.
	Publish(ctx context.Context, req *Request) error
	// Close ends all connections; calls in flight fail with ErrClosed.
	Close() error
}

// Listener brings messages of one transport to a server.
type Listener interface {
	// Serve listens until ctx ends, then drains: takes no new work, lets what
	// is in flight finish for at most s.DrainTimeout, and returns nil.
	Serve(ctx context.Context, s *Server) error
}

// Responder takes the packets of the answers to one peer. It is safe for use
// from many goroutines and does not keep what the packet's slices refer to.
type Responder interface {
	Respond(ctx context.Context, packet wire.Reply) error
}

// Trace observes one message of a client on the wire, as httptrace does for
// HTTP. Each function may be nil; they are called one at a time, from
// goroutines of the transport, and must not block nor keep the packet.
type Trace struct {
	// Connected tells that a connection had to be made for the message.
	Connected func(address string, took time.Duration)
	// Wrote tells that the packet was handed to the connection.
	Wrote func(at time.Time, packet []byte)
	// Read tells of a packet of the answer.
	Read func(at time.Time, packet []byte)
	// Late tells of the end of an answer that came after the call had given up.
	Late func(LateReply)
}

// LateReply is an answer nobody waited for any more.
type LateReply struct {
	// By is how long after the call gave up the answer ended.
	By time.Duration
	// Err is the peer's error if the answer was one.
	Err *Error
}
