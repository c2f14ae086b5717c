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

// The reasons for a missing reply, for errors.Is. They are detected locally; an error
// that the peer sent is an *Error.
var (
	// ErrTimeout: no reply before the deadline. It matches context.DeadlineExceeded, too.
	ErrTimeout error = timeoutError{}
	// ErrUnreachable: no connection; the message was not sent.
	ErrUnreachable = errors.New("unreachable")
	// ErrNotServed: the broker reported that the message has no subscriber. It matches
	// ErrUnreachable, too.
	ErrNotServed = fmt.Errorf("%w: no subscriber", ErrUnreachable)
	// ErrRefused: the broker rejected the connection or the operation (credentials or
	// permissions). It matches ErrUnreachable, too; a retry does not help.
	ErrRefused = fmt.Errorf("%w: refused", ErrUnreachable)
	// ErrForbidden: the broker accepted the user, who lacks the permission for the operation.
	// It matches ErrRefused, too.
	ErrForbidden = fmt.Errorf("%w: forbidden", ErrRefused)
	// ErrConnectionLost: the connection ended before the reply. The message may or may
	// not have been handled.
	ErrConnectionLost = errors.New("connection closed")
	// ErrBadReply: something arrived that is not a reply to the call; the text names what
	// it lacks. Such an error usually matches ErrTimeout or ErrConnectionLost, too.
	ErrBadReply = errors.New("a reply was ignored")
	// ErrShed: the message was not sent because of a limit, a budget, or a breaker.
	ErrShed = errors.New("not sent")
	// ErrNoValue: the reply has no value (undefined in NestJS), and the call's output
	// type is not None.
	ErrNoValue = errors.New("reply without a value")
	// ErrNoHandler: the service has no handler for the pattern. An *Error from such a
	// reply matches it.
	ErrNoHandler = errors.New(wire.NoHandlerMessage)
	// ErrExpired: on a server, the deadline of a message had passed before its handler was
	// run. It is the reply to such a message.
	ErrExpired error = Errorf(504, "the deadline passed before the work was started")
	// ErrClosed: the client has been closed.
	ErrClosed = errors.New("client is closed")
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "no answer in time" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Error is the only error that peers exchange; NestJS calls it an RpcException. A
// handler returns one, from Errorf or NewError, to send it to the caller, and a call
// returns the one that the peer sent. Every other error of a handler is logged
// and sent as InternalServerError.
type Error struct {
	// Status is the HTTP-like status in the payload's member status, statusCode, or
	// code: 100 to 599, or 0 if there is none.
	Status int
	// Message is the payload's message, or the payload itself if it is a string.
	Message string
	// Payload is the JSON text of the packet's member err.
	Payload []byte

	remote bool
	cause  error
}

// InternalServerError is the payload a peer gets for an error that is not meant
// for it (docs/wire.md 1.2).
const InternalServerError = `{"status":"error","message":"Internal server error"}`

// ForbiddenResource is the payload that a peer gets when a guard rejects its message.
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

// RemoteError returns the error for a reply whose member err has the JSON text payload.
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

// messageText returns the text of a message, which is a string or, from NestJS's
// validation, a list of strings.
func messageText(v []byte) string {
	var list []string
	if v[0] == '[' && defaultCodec.Unmarshal(v, &list) == nil {
		return strings.Join(list, "; ")
	}
	return text(v)
}

// Error returns the message and, if there is one, the status.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (status %d)", e.Message, e.Status)
	}
	return e.Message
}

// Remote reports whether the peer sent the error; otherwise it was created locally.
func (e *Error) Remote() bool { return e.remote }

// Unwrap returns the operands of %w that were passed to Errorf.
func (e *Error) Unwrap() error { return e.cause }

// Is makes the reply to an unknown pattern match ErrNoHandler.
func (e *Error) Is(target error) bool {
	return target == ErrNoHandler && e.remote && e.Message == wire.NoHandlerMessage
}

// payloadOf returns the member err for a handler's error, and whether the error is
// meant for the peer.
func payloadOf(err error) (payload []byte, meant bool) {
	var e *Error
	if errors.As(err, &e) && js.Valid(e.Payload) && !errors.Is(e, ErrNoHandler) {
		return e.Payload, true
	}
	return []byte(InternalServerError), false
}
