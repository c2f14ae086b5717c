package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// problem is an error response to a client.
type problem struct {
	status int
	// message is the JSON of the member message: a string or a list of them.
	message json.RawMessage
	// title is the member error; empty for none.
	title string
	// plain reports whether the body is that of new HttpException(message, status).
	plain bool
	// cause is for the log, never for the client. nil means none.
	cause error
	// late reports that no reply came in time. The service may still be working on the message, so
	// the client is not asked to send it again.
	late bool
}

// statusClientGone is logged for requests whose client has disconnected.
const statusClientGone = 499

// newProblem returns the error that NestJS's exception for the status has. Like an exception that was
// given no message, one whose message is only the text of its status has no member error.
func newProblem(status int, message string) *problem {
	p := &problem{status: status, message: jsonOf(message)}
	if text := http.StatusText(status); !strings.EqualFold(text, message) {
		p.title = text
	}
	return p
}

// plainProblem returns the error that new HttpException(message, status) has.
func plainProblem(status int, message string) *problem {
	return &problem{status: status, message: jsonOf(message), plain: true}
}

func (p *problem) because(err error) *problem {
	p.cause = err
	return p
}

// jsonOf returns the JSON of a string or of a list of strings, which cannot fail.
func jsonOf(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`"Internal server error"`)
	}
	return text
}

// body is NestJS's body of an error, with its members in NestJS's order.
func (p *problem) body() []byte {
	var v any = struct {
		Message    json.RawMessage `json:"message"`
		Error      string          `json:"error,omitempty"`
		StatusCode int             `json:"statusCode"`
	}{p.message, p.title, p.status}
	if p.plain && p.title == "" {
		v = struct {
			StatusCode int             `json:"statusCode"`
			Message    json.RawMessage `json:"message"`
		}{p.status, p.message}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return []byte(`{"statusCode":500,"message":"Internal server error"}`)
	}
	return body
}

// problemOf is the only mapping from the error of a message to the response. doc.go
// describes it.
func problemOf(ctx context.Context, err error) *problem {
	var remote *micro.Error
	switch {
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled): // first, because it may wrap the error of an earlier attempt
		return newProblem(statusClientGone, "Client closed request")
	case errors.Is(err, micro.ErrNoHandler):
		return unhandledProblem().because(err)
	case errors.As(err, &remote) && reportsEnd(remote) && timeIsUp(ctx):
		return lateProblem(err)
	case errors.As(err, &remote):
		return problemOfRemote(remote).because(err)
	case errors.Is(err, micro.ErrShed):
		return overloadedProblem().because(err)
	case errors.Is(err, micro.ErrUnreachable), errors.Is(err, micro.ErrConnectionLost), errors.Is(err, micro.ErrClosed):
		return unavailableProblem().because(err)
	case timedOut(ctx, err):
		return lateProblem(err)
	}
	return internalProblem(err)
}

// timedOut reports whether a message ended because its time was up. At the deadline, what
// it waited for may be canceled before it sees the deadline itself.
func timedOut(ctx context.Context, err error) bool {
	return errors.Is(err, micro.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.DeadlineExceeded)
}

// The problems that the OpenAPI document has as examples, too.

func unauthorizedProblem() *problem { return newProblem(http.StatusUnauthorized, "Unauthorized") }

func forbiddenProblem() *problem { return newProblem(http.StatusForbidden, "Forbidden resource") }

// limitedProblem is the exception of NestJS's throttler.
func limitedProblem() *problem {
	return plainProblem(http.StatusTooManyRequests, "ThrottlerException: Too Many Requests")
}

func tooLargeProblem() *problem {
	return plainProblem(http.StatusRequestEntityTooLarge, "request entity too large")
}

func lateBodyProblem() *problem {
	return newProblem(http.StatusRequestTimeout, "The body did not arrive in time")
}

func mediaTypeProblem(types []string) *problem {
	return newProblem(http.StatusUnsupportedMediaType, "The body must be JSON: send Content-Type: "+strings.Join(types, " or "))
}

func unhandledProblem() *problem {
	return newProblem(http.StatusNotImplemented, "The service does not handle this message")
}

// unavailableProblem is the exception of a NestJS gateway for a failure without an answer.
func unavailableProblem() *problem {
	return plainProblem(http.StatusServiceUnavailable, "Microservice unavailable")
}

func uncheckedProblem() *problem {
	return newProblem(http.StatusServiceUnavailable, "Credentials cannot be checked at the moment")
}

// lateProblem is unavailableProblem for a reply that did not come in time.
func lateProblem(err error) *problem {
	p := unavailableProblem().because(err)
	p.late = true
	return p
}

// reportsEnd reports whether an error is one by which services report that the deadline of a message
// has passed: micro.ErrExpired, or micro.InternalServerError, which has no status.
func reportsEnd(e *micro.Error) bool {
	return e.Status == 0 || e.Status == http.StatusGatewayTimeout
}

// timeIsUp reports whether the deadline has passed or is about to. The deadline travels to
// the service in whole milliseconds, so the service may be slightly early.
func timeIsUp(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 5*time.Millisecond
}

func internalProblem(err error) *problem {
	return plainProblem(http.StatusInternalServerError, "Internal server error").because(err)
}

// problemOfRemote forwards the error of a service that has a status, as new HttpException(message, status)
// does in a NestJS gateway. An error without a status is not meant for clients.
func problemOfRemote(e *micro.Error) *problem {
	if e.Status < 400 || e.Status > 599 {
		return plainProblem(http.StatusInternalServerError, "Internal server error")
	}
	var payload struct {
		Message json.RawMessage `json:"message"`
		Error   string          `json:"error"`
	}
	if json.Unmarshal(e.Payload, &payload) != nil { // another form
		return plainProblem(e.Status, e.Message)
	}
	p := plainProblem(e.Status, e.Message)
	p.title = payload.Error
	switch {
	case isMessages(payload.Message):
		p.message = payload.Message
	case len(payload.Message) == 0:
		p.message = jsonOf(cmp.Or(http.StatusText(e.Status), "Error")) // micro.Error.Message is the entire payload
	}
	return p
}

// isMessages reports whether the JSON is a list of strings, the form in which a service
// sends validation problems.
func isMessages(text json.RawMessage) bool {
	var list []string
	return len(text) > 0 && text[0] == '[' && json.Unmarshal(text, &list) == nil
}
