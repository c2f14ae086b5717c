package micro

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/wire"
)

// What keeps an answer from coming, for errors.Is. Each is this side's own
// finding; what the peer says is an *Error.
var (
	// ErrTimeout: no answer in time. It is context.DeadlineExceeded too.
	ErrTimeout error = timeoutError{}
	// ErrUnreachable: no connection could be made; the message was not sent.
	ErrUnreachable = errors.New("unreachable")
	// ErrNotServed: the broker was reached, and told that nobody is there who
	// could handle the message. It is ErrUnreachable too.
	ErrNotServed = fmt.Errorf("%w: nobody serves it", ErrUnreachable)
	// ErrRefused: the broker was reached, and did not let us in, or do what the
	// message needs: the password, the user's permissions. It is ErrUnreachable
	// too, and trying again does not help.
	ErrRefused = fmt.Errorf("%w: refused", ErrUnreachable)
	// ErrConnectionLost: the connection ended while the answer was awaited. The
	// message may or may not have been handled.
	ErrConnectionLost = errors.New("connection closed")
	// ErrShed: the message was not sent, on purpose: a limit, a budget or a
	// breaker held it back.
	ErrShed = errors.New("not sent")
	// ErrNoValue: the answer ended without a value (undefined in NestJS) where
	// the caller asked for one. Call it with None to expect none.
	ErrNoValue = errors.New("the answer holds no value")
	// ErrNoHandler: nobody handles the pattern. An *Error from such a reply
	// matches it.
	ErrNoHandler = errors.New(wire.NoHandlerMessage)
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("client is closed")
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "no answer in time" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Error is what NestJS calls an RpcException: the one kind of error that a peer
// gets to see. A handler returns one (Errorf, NewError) to tell its caller; a
// call returns one when its peer did. Every other error of a handler is logged
// and leaves as InternalServerError.
type Error struct {
	// Status is the HTTP-like status the payload names in its member status,
	// statusCode or code: 100 to 599, or 0 where it names none.
	Status int
	// Message is the payload's message, or the payload itself when it is a string.
	Message string
	// Payload is the JSON text of the whole err member as it is on the wire.
	Payload []byte

	remote bool
	cause  error
}

// InternalServerError is the payload a peer gets for an error that is not meant
// for it (docs/wire.md 1.2).
const InternalServerError = `{"status":"error","message":"Internal server error"}`

// ForbiddenResource is the payload a peer gets when a guard says no.
const ForbiddenResource = `{"status":"error","message":"Forbidden resource"}`

// Errorf returns an error for the peer with an HTTP-like status and a formatted
// message; it is sent as {"status":404,"message":"…"}. An operand of %w is kept
// for errors.Is and errors.As in this process and is never sent. For an error
// without a status, as new RpcException("text") makes it in NestJS, use [NewError].
//
// Errorf panics if status is not between 100 and 599, since the peer would not
// recognize it as a status. In a handler, the peer then receives NestJS's internal
// error.
func Errorf(status int, format string, args ...any) *Error {
	if !isStatus(status) {
		panic(fmt.Sprintf("micro: Errorf with status %d: must be between 100 and 599 (use NewError for an error without a status)", status))
	}
	err := fmt.Errorf(format, args...)
	e := &Error{Status: status, Message: err.Error()}
	switch err.(type) { //nolint:errorlint // asks what fmt.Errorf has made, and nothing below it
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		e.cause = err
	}
	payload := strconv.AppendInt([]byte(`{"status":`), int64(status), 10)
	payload = append(payload, `,"message":`...)
	e.Payload = append(js.AppendString(payload, e.Message), '}')
	return e
}

// NewError returns an error for the peer with the payload that new RpcException(v)
// has in NestJS: an object or an array as it is, any other value as the message of
// {"status":"error","message":v}. If v cannot be encoded as JSON, the result is
// NestJS's internal error, with the reason as its cause.
func NewError(v any) *Error {
	payload, err := encode(defaultCodec, nil, v)
	if err != nil {
		return &Error{Message: "Internal server error", Payload: []byte(InternalServerError), cause: err}
	}
	if start := payload[js.SkipSpace(payload, 0)]; start != '{' && start != '[' {
		payload = append(append([]byte(`{"status":"error","message":`), payload...), '}')
	}
	return parseError(payload)
}

// isStatus reports whether n is a status that peers recognize.
func isStatus(n int) bool { return 100 <= n && n < 600 }

// RemoteError returns the error a peer sent: payload is the JSON text of its
// err member.
func RemoteError(payload []byte) *Error {
	e := parseError(payload)
	e.remote = true
	return e
}

func parseError(payload []byte) *Error {
	e := &Error{Payload: payload}
	if len(payload) > 0 && payload[0] == '"' {
		e.Message = text(payload)
		return e
	}
	members := Metadata{raw: payload}
	members.scan(func(k, v []byte) bool {
		switch string(k) {
		case "status", "statusCode", "code":
			if n, err := strconv.Atoi(string(v)); err == nil && isStatus(n) && e.Status == 0 {
				e.Status = n
			}
		case "message":
			e.Message = messageText(v)
		}
		return true
	})
	if e.Message == "" {
		e.Message = string(payload)
	}
	return e
}

// messageText reads a message: a string, or, as NestJS' validation sends them,
// a list of strings.
func messageText(v []byte) string {
	var list []string
	if v[0] == '[' && defaultCodec.Unmarshal(v, &list) == nil {
		return strings.Join(list, "; ")
	}
	return text(v)
}

// Error returns the message, with the status where there is one.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (status %d)", e.Message, e.Status)
	}
	return e.Message
}

// Remote reports whether the peer sent this error, rather than this side.
func (e *Error) Remote() bool { return e.remote }

// Unwrap returns what Errorf was given for %w.
func (e *Error) Unwrap() error { return e.cause }

// Is makes the reply to an unknown pattern match ErrNoHandler.
func (e *Error) Is(target error) bool {
	return target == ErrNoHandler && e.remote && e.Message == wire.NoHandlerMessage
}

// payloadOf returns the err member a handler's error leaves as, and whether the
// error was meant for the peer.
func payloadOf(err error) (payload []byte, meant bool) {
	var e *Error
	if errors.As(err, &e) && js.Valid(e.Payload) && !errors.Is(e, ErrNoHandler) {
		return e.Payload, true
	}
	return []byte(InternalServerError), false
}
