package micro

import (
	"context"
	"errors"
	"time"
)

// WithInternalError sets the status and the message that callers get for an error that is
// not meant for them, instead of [InternalServerError]. A service of NestJS whose exception
// filter sends {"status":500,"message":"Internal microservice error","timestamp":"…"} is
// matched by WithInternalError(500, "Internal microservice error"). An error that means
// that the request is over, because its deadline has passed or its caller has gone, is
// sent as InternalServerError in any case.
//
// WithInternalError panics if status is not between 100 and 599.
func WithInternalError(status int, message string) ServerOption {
	if !isStatus(status) {
		panic("micro: WithInternalError requires a status between 100 and 599")
	}
	return serverOption(func(s *Server) { s.internal = internalError{Status: status, Message: message} })
}

// internalError is the error that a peer gets for one that is not meant for it. The zero
// value stands for InternalServerError.
type internalError struct {
	Status    int    `json:"status"`
	Message   string `json:"message"`
	Timestamp string `json:"timestamp"` // as JavaScript's Date has it
}

// payload returns the JSON of the error now.
func (e internalError) payload() []byte {
	if e.Status == 0 {
		return []byte(InternalServerError)
	}
	e.Timestamp = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	payload, err := encode(defaultCodec, nil, e)
	if err != nil {
		return []byte(InternalServerError)
	}
	return payload
}

// payloadOf returns the member err for a handler's error.
func (s *Server) payloadOf(err error) []byte {
	payload, meant := payloadOf(err)
	if meant || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return payload
	}
	return s.internal.payload()
}
