package micro

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/deadline"
	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/tap"
)

// DefaultTimeout limits calls whose context has no deadline.
const DefaultTimeout = 5 * time.Second

// Default limits of messages in flight, see [WithMaxInFlight].
const (
	serverMaxInFlight = 16384
	clientMaxInFlight = 65536
)

// Client sends messages over a [Conn]. Create it with [NewClient]. It is safe for
// concurrent use; one client per service is enough for an entire program.
type Client struct {
	conn           Conn
	log            *slog.Logger
	codec          Codec
	timeout        time.Duration // 0 until the options have been applied
	defaultTimeout time.Duration
	maxInFlight    int64
	bare           bool // adds no metadata
	confirm        bool // events are confirmed
	interceptors   []Interceptor
	handler        Handler
	inFlight       atomic.Int64  // messages handed to conn and not finished
	tap            *tap.Reporter // nil for none
}

// NewClient returns a client, which connects on first use.
func NewClient(conn Conn, opts ...ClientOption) *Client {
	c := &Client{conn: conn, codec: JSON(), defaultTimeout: DefaultTimeout, maxInFlight: clientMaxInFlight, tap: tap.Default()}
	for _, o := range opts {
		o.applyClient(c)
	}
	if c.timeout == 0 {
		c.timeout = c.defaultTimeout
	}
	if conn, ok := conn.(interface{ SetLogger(*slog.Logger) }); ok && c.log != nil {
		conn.SetLogger(c.log)
	}
	c.handler = c.transmit
	for i := len(c.interceptors) - 1; i >= 0; i-- {
		c.handler = c.interceptors[i](c.handler)
	}
	return c
}

// Close closes the client's connections. Calls in flight fail with ErrClosed. The error is
// a [*LostEventsError] if events for which Emit has returned nil may have been lost since the
// client was created. The second call does nothing.
func (c *Client) Close() error { return c.conn.Close() }

// transmit is the innermost handler: it hands the message to the transport. The
// limit is checked here, not in Do, because each attempt of a retry or hedge
// occupies a place of its own.
func (c *Client) transmit(ctx context.Context, req *Request, reply Reply) error {
	defer c.inFlight.Add(-1)
	if c.inFlight.Add(1) > c.maxInFlight {
		return fmt.Errorf("%w: %d messages are already in flight", ErrShed, c.maxInFlight)
	}
	if req.report != nil {
		return c.reported(ctx, req, reply)
	}
	return c.send(ctx, req, reply)
}

// send hands the message to the connection.
func (c *Client) send(ctx context.Context, req *Request, reply Reply) error {
	ctx = deadline.Until(ctx, req.Deadline) // a Conn observes the request's deadline by itself
	if !req.Event {
		return c.conn.Exchange(ctx, req, reply)
	}
	// An interceptor may have held the event for too long. A Conn checks that for requests.
	if !req.Deadline.IsZero() && !time.Now().Before(req.Deadline) {
		return fmt.Errorf("%w: the deadline had passed before the event was sent", ErrTimeout)
	}
	return c.conn.Publish(ctx, req)
}

// Do sends req through the client's interceptors and passes each value of the reply
// to reply. It is the raw form of Call, Stream, and Emit, for programs that forward
// JSON. It sets the deadline and the correlation ID of req if it has none. Nil data is sent
// as {}, because a NestJS client cannot send undefined. If ctx has already ended,
// nothing is sent, and the error is its cause, or ErrTimeout after its deadline.
func (c *Client) Do(ctx context.Context, req *Request, reply Reply) error {
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return ErrTimeout
		}
		return context.Cause(ctx)
	}
	if !req.Raw && (req.Pattern.IsZero() || req.Pattern.JSON() == "null") {
		return errors.New("message without a pattern (null is not a pattern)")
	}
	if req.Data == nil && !req.Raw {
		req.Data = []byte("{}")
	}
	req.Confirm = req.Confirm || c.confirm && req.Event
	c.address(ctx, req)
	if req.report = nil; c.tap.Recording() && !reserved(req.Pattern) {
		req.report = &report{call: newID()}
	}
	return c.handler(ctx, req, reply)
}

// address sets the deadline of req and what the client adds to its metadata.
func (c *Client) address(ctx context.Context, req *Request) {
	if deadline, ok := ctx.Deadline(); ok && (req.Deadline.IsZero() || deadline.Before(req.Deadline)) {
		req.Deadline = deadline
	}
	if req.Deadline.IsZero() {
		req.Deadline = time.Now().Add(c.timeout)
		req.byDefault = req.Deadline.UnixNano()
	}
	if req.bare = c.bare; c.bare {
		return
	}
	cause := RequestFromContext(ctx)
	if cause != nil && req.Metadata.Get(MetaTraceparent) == "" {
		if trace := cause.Metadata.Get(MetaTraceparent); trace != "" {
			req.Metadata.Set(MetaTraceparent, trace)
		}
	}
	if req.correlation == "" && req.Metadata.Get(MetaCorrelationID) == "" {
		req.correlation = correlationFor(req, cause)
	}
}

// correlationFor returns the correlation ID of a message that has none: that of the message
// that is being handled or, if req itself was received, its own; otherwise a new one.
func correlationFor(req, cause *Request) string {
	if cause != nil {
		return cause.CorrelationID()
	}
	if id := req.CorrelationID(); id != "" {
		return id
	}
	return newID()
}

var (
	idPrefix  = newIDPrefix()
	idCounter atomic.Uint64
)

func newIDPrefix() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// newID returns an ID that is unique across processes. It is cheap: a random prefix
// for each process, and a counter.
func newID() string {
	b := make([]byte, 0, 24)
	b = append(b, idPrefix...)
	return string(strconv.AppendUint(b, idCounter.Add(1), 16))
}

// NewCorrelationID returns a new correlation ID, for programs that start a chain of
// messages, such as a gateway.
func NewCorrelationID() string { return newID() }

// request returns the message for a call.
func (c *Client) request(p Pattern, data any) (*Request, error) {
	if raw, ok := data.(json.RawMessage); ok {
		if raw = orNull(raw); !js.Valid(raw) { // malformed JSON would end the connection, with every call on it
			return nil, fmt.Errorf("encode data of %s: %w", p, errNotJSON)
		}
		return &Request{Pattern: p, Data: raw}, nil
	}
	scratch := buffers.Get().(*[]byte)
	defer putBuffer(scratch)
	body, err := encode(c.codec, *scratch, data)
	if err != nil {
		return nil, fmt.Errorf("encode data of %s: %w", p, err)
	}
	*scratch = body
	return &Request{Pattern: p, Data: bytes.Clone(body)}, nil
}

// Call sends a request with pattern p and returns the value of the reply, or the last
// of several. A reply without a value is ErrNoValue, unless Out is None. With
// json.RawMessage as Out, the JSON text is returned unparsed. The error wraps the
// peer's *Error, or ErrTimeout, ErrUnreachable, ErrConnectionLost, ErrShed, or
// ErrClosed. Use [Method.Call] if the types are known at compile time.
func Call[Out any](ctx context.Context, c *Client, p Pattern, data any) (Out, error) {
	req, err := c.request(p, data)
	if err != nil {
		var none Out
		return none, err
	}
	answer := &answer[Out]{client: c}
	err = c.Do(ctx, req, answer)
	switch {
	case err != nil:
		return answer.value, fmt.Errorf("call %s: %w", p, err)
	case !answer.given && reflect.TypeFor[Out]() != reflect.TypeFor[None]():
		return answer.value, fmt.Errorf("call %s: %w", p, ErrNoValue)
	}
	return answer.value, nil
}

// answer is the Reply of Call. It keeps the last value.
type answer[Out any] struct {
	client *Client
	value  Out
	given  bool
}

// Send decodes a value and replaces the previous one.
func (a *answer[Out]) Send(v Value) error {
	if v.Undefined() || reflect.TypeFor[Out]() == reflect.TypeFor[None]() {
		return nil
	}
	if a.given {
		var fresh Out
		a.value = fresh // decode into a zero value: decoding into the previous one would merge them
	}
	a.given = true
	return a.client.decode(v, &a.value)
}

// errStop ends an exchange when the caller has left the loop.
var errStop = errors.New("stopped by the caller")

// Stream sends a request with pattern p and yields each value of the reply as it
// arrives. An error is yielded once, as the last pair. Leaving the loop early discards
// the rest of the reply; the protocol has no message that tells the service to stop
// (docs/wire.md 1.4). Use [Method.Stream] if the types are known at compile time.
func Stream[Out any](ctx context.Context, c *Client, p Pattern, data any) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var zero Out
		req, err := c.request(p, data)
		if err != nil {
			yield(zero, err)
			return
		}
		err = c.Do(ctx, req, ReplyFunc(func(v Value) error {
			var out Out
			if err := c.decode(v, &out); err != nil {
				return err
			}
			if !yield(out, nil) {
				return errStop
			}
			return nil
		}))
		if err != nil && !errors.Is(err, errStop) {
			yield(zero, fmt.Errorf("stream %s: %w", p, err))
		}
	}
}

// decode decodes one value of a reply. An undefined value does not change out.
func (c *Client) decode(v Value, out any) error {
	if v.Undefined() {
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = append(json.RawMessage(nil), v.Raw...)
		return nil
	}
	if err := c.codec.Unmarshal(v.Raw, out); err != nil {
		return fmt.Errorf("decode reply: %w", err)
	}
	return nil
}

// Emit sends an event with pattern p and returns when the transport has accepted it: over
// RabbitMQ and Redis, when the broker has; over TCP and NATS, when the event has been written
// to the connection, unless [WithConfirmedEvents] is set. An event that was only written is
// lost if the peer's host has vanished; the client logs how many were, and Close returns
// them. While one has been unacknowledged for a second, Emit waits until its deadline, and
// sends nothing. Events have no reply. Use [Topic.Emit] if the type is known at compile time.
func (c *Client) Emit(ctx context.Context, p Pattern, data any) error {
	req, err := c.request(p, data)
	if err != nil {
		return err
	}
	req.Event = true
	if err := c.Do(ctx, req, ReplyFunc(func(Value) error { return nil })); err != nil {
		return fmt.Errorf("emit %s: %w", p, err)
	}
	return nil
}

// EmitRaw sends a message that is not a packet: body is its entire body. NestJS handles it
// with the event handler of the channel or subject p on Redis and NATS, and with
// @EventPattern(undefined) on RabbitMQ, where p is the routing key, or the zero Pattern for
// a queue; a Go service does so with [HandleRaw]. On TCP, the body must be JSON.
func (c *Client) EmitRaw(ctx context.Context, p Pattern, body []byte) error {
	req := &Request{Pattern: p, Data: body, Raw: true, Event: true}
	if err := c.Do(ctx, req, ReplyFunc(func(Value) error { return nil })); err != nil {
		return fmt.Errorf("emit a raw message: %w", err)
	}
	return nil
}
