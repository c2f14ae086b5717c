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

	"github.com/msctl/msctl/runtime/internal/js"
)

// DefaultTimeout limits calls whose context has no deadline.
const DefaultTimeout = 5 * time.Second

// Default limits of messages in flight, see [WithMaxInFlight].
const (
	serverMaxInFlight = 16384
	clientMaxInFlight = 65536
)

// Client sends messages over a Conn. It is safe for use from many goroutines;
// one client is enough for each service that a program calls.
type Client struct {
	conn         Conn
	log          *slog.Logger
	codec        Codec
	timeout      time.Duration
	maxInFlight  int64
	interceptors []Interceptor
	handler      Handler
	inFlight     atomic.Int64 // messages handed to conn and not finished
}

// NewClient makes a client. It connects when it is first used.
func NewClient(conn Conn, opts ...ClientOption) *Client {
	c := &Client{conn: conn, codec: JSON(), timeout: DefaultTimeout, maxInFlight: clientMaxInFlight}
	for _, o := range opts {
		o.applyClient(c)
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

// Close closes the client's connections; calls in flight fail with ErrClosed.
func (c *Client) Close() error { return c.conn.Close() }

// transmit is the innermost handler: it hands the message to the transport. The
// limit is checked here, not in Do, because each attempt of a retry or hedge
// occupies a place of its own.
func (c *Client) transmit(ctx context.Context, req *Request, reply Reply) error {
	defer c.inFlight.Add(-1)
	if c.inFlight.Add(1) > c.maxInFlight {
		return fmt.Errorf("%w: %d messages are already in flight", ErrShed, c.maxInFlight)
	}
	if req.Event {
		return c.conn.Publish(ctx, req)
	}
	return c.conn.Exchange(ctx, req, reply)
}

// Do sends a message as it is, through the client's interceptors: the raw form
// under Call, Stream and Emit, for those who forward JSON or watch the wire. It
// sets the deadline and the correlation id where req has none. Data that is nil
// is sent as {}, because a NestJS client cannot send undefined. Nothing is sent
// for a ctx that has ended: the error is its cause, or ErrTimeout at its deadline.
func (c *Client) Do(ctx context.Context, req *Request, reply Reply) error {
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return ErrTimeout
		}
		return context.Cause(ctx)
	}
	if req.Pattern.IsZero() || req.Pattern.JSON() == "null" {
		return errors.New("the message has no pattern (null is none)")
	}
	if req.Data == nil {
		req.Data = []byte("{}")
	}
	c.address(ctx, req)
	return c.handler(ctx, req, reply)
}

// address fills in what travels beside the data.
func (c *Client) address(ctx context.Context, req *Request) {
	if deadline, ok := ctx.Deadline(); ok && (req.Deadline.IsZero() || deadline.Before(req.Deadline)) {
		req.Deadline = deadline
	}
	if req.Deadline.IsZero() {
		req.Deadline = time.Now().Add(c.timeout)
	}
	if cause := RequestFromContext(ctx); cause != nil {
		inherit(&req.Metadata, MetaCorrelationID, cause.CorrelationID())
		inherit(&req.Metadata, MetaTraceparent, cause.Metadata.Get(MetaTraceparent))
	}
	if req.Metadata.Get(MetaCorrelationID) == "" {
		req.Metadata.Set(MetaCorrelationID, newID())
	}
}

func inherit(m *Metadata, key, value string) {
	if value != "" && m.Get(key) == "" {
		m.Set(key, value)
	}
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

// newID returns an id unique among processes, cheaply.
func newID() string {
	b := make([]byte, 0, 24)
	b = append(b, idPrefix...)
	return string(strconv.AppendUint(b, idCounter.Add(1), 16))
}

// NewCorrelationID returns a fresh correlation id, for edges that start a chain
// of messages, such as a gateway.
func NewCorrelationID() string { return newID() }

// request makes the message of a call.
func (c *Client) request(p Pattern, data any) (*Request, error) {
	if raw, ok := data.(json.RawMessage); ok {
		if raw = orNull(raw); !js.Valid(raw) { // it would cost every call on the connection
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

// Call sends data to the message handler of pattern p and returns the value it
// answers with, the last one when it answers with several. An answer without a
// value is ErrNoValue, unless Out is None. With json.RawMessage as Out the
// JSON text is returned unparsed. The error wraps *Error when the peer sent
// one, ErrTimeout, ErrUnreachable, ErrConnectionLost, ErrShed or ErrClosed.
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

// answer is the Reply of a Call: it keeps the last value.
type answer[Out any] struct {
	client *Client
	value  Out
	given  bool
}

// Send decodes a value over the one before.
func (a *answer[Out]) Send(v Value) error {
	if v.Undefined() || reflect.TypeFor[Out]() == reflect.TypeFor[None]() {
		return nil
	}
	if a.given {
		var fresh Out
		a.value = fresh // a value is js.Decode from nothing, not into the one before
	}
	a.given = true
	return a.client.decode(v, &a.value)
}

// errStop ends an exchange whose caller wants no more values.
var errStop = errors.New("stopped by the caller")

// Stream sends data to the message handler of pattern p and yields each value
// of the answer as it comes. A failure is yielded once, as the last pair.
// Leaving the loop early drops the rest of the answer; the service is not told
// (docs/wire.md 1.4).
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

// decode decodes one value of an answer; undefined leaves out as it is.
func (c *Client) decode(v Value, out any) error {
	if v.Undefined() {
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = append(json.RawMessage(nil), v.Raw...)
		return nil
	}
	if err := c.codec.Unmarshal(v.Raw, out); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// Emit sends an event: it returns when the transport has taken it, and nobody
// answers.
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
