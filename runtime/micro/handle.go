package micro

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime/debug"
)

// handlerConfig holds the options of one handler.
type handlerConfig struct {
	interceptors []Interceptor
	guards       []Guard
	pipes        []Pipe
	filters      []Filter
	doc          string
	extras       map[any]any
}

// Handle registers fn as the message handler of pattern p. fn receives the decoded data
// of each request, and its result is the reply. Undefined data is the zero In, and None as
// In ignores the data. None as Out replies with undefined, and a nil pointer with null.
// With json.RawMessage as In or Out, the JSON text is passed through unparsed.
//
// A second message handler for a pattern replaces the first, as in NestJS, and is logged
// as a warning. Handle panics if p is the zero Pattern or after Serve. Use [Method.Handle]
// if the types are shared with callers.
func Handle[In, Out any](s *Server, p Pattern, fn func(context.Context, In) (Out, error), opts ...HandlerOption) {
	h := s.configure(opts)
	none := reflect.TypeFor[Out]() == reflect.TypeFor[None]()
	raw, _ := any(fn).(func(context.Context, In) (json.RawMessage, error))
	s.register(p, kindMessage, h, types[In, Out](), func(ctx context.Context, req *Request, reply Reply) error {
		in, err := decodeData[In](ctx, s.codec, h.pipes, req)
		if err != nil {
			return err
		}
		if raw != nil {
			out, err := raw(ctx, in)
			if err != nil {
				return err
			}
			return reply.Send(Value{Raw: orNull(out), Last: true})
		}
		out, err := fn(ctx, in)
		switch {
		case err != nil:
			return err
		case none:
			return reply.Send(Value{Last: true})
		}
		return reply.Send(Value{Any: &out, Last: true})
	})
}

// HandleStream registers fn as the message handler of pattern p. It replies with any
// number of values, each sent when it is yielded. An error in the sequence ends the reply.
// If the caller's connection is closed, the sequence is stopped. See [Handle] for the types
// and for panics.
func HandleStream[In, Out any](s *Server, p Pattern, fn func(context.Context, In) iter.Seq2[Out, error], opts ...HandlerOption) {
	h := s.configure(opts)
	none := reflect.TypeFor[Out]() == reflect.TypeFor[None]()
	s.register(p, kindStream, h, types[In, Out](), func(ctx context.Context, req *Request, reply Reply) error {
		in, err := decodeData[In](ctx, s.codec, h.pipes, req)
		if err != nil {
			return err
		}
		for out, err := range fn(ctx, in) {
			if err != nil {
				return err
			}
			v := Value{Any: &out}
			if none {
				v = Value{}
			}
			if err := reply.Send(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// HandleEvent registers fn as an event handler of pattern p. A pattern can have several:
// each receives every event, in the order of registration, even if another one fails.
// Use [Topic.Handle] if the type is shared with emitters.
func HandleEvent[In any](s *Server, p Pattern, fn func(context.Context, In) error, opts ...HandlerOption) {
	h := s.configure(opts)
	s.register(p, kindEvent, h, types[In, None](), func(ctx context.Context, req *Request, reply Reply) error {
		in, err := decodeData[In](ctx, s.codec, h.pipes, req)
		if err != nil {
			return err
		}
		return fn(ctx, in)
	})
}

// HandleFunc registers a [Handler] for pattern p. It receives the request with its raw
// data and sends the values of the reply. Pipes do not apply.
func HandleFunc(s *Server, p Pattern, fn Handler, opts ...HandlerOption) {
	s.register(p, kindStream, s.configure(opts), handlerTypes{}, fn)
}

// HandleRaw registers fn for messages without a pattern, like NestJS's
// @EventPattern(undefined): what programs send that do not use packets, such as
// {"sensor":4}, 7, or plain text. The entire body is the data, as JSON; text that is not
// JSON is a JSON string. The data of a packet that lacks only the pattern is its data
// (docs/wire.md 1.6). Several handlers each receive every message. Request.Pattern is the
// zero Pattern, and the handlers are not part of the description.
//
// It is for RabbitMQ and TCP. On Redis and NATS, the channel or subject is the pattern of
// such a message, so an ordinary event handler receives it.
func HandleRaw[In any](s *Server, fn func(context.Context, In) error, opts ...HandlerOption) {
	s.mustNotServe()
	h := s.configure(opts)
	ep := &endpoint{kind: kindEvent, handler: h.compose(func(ctx context.Context, req *Request, _ Reply) error {
		in, err := decodeData[In](ctx, s.codec, h.pipes, req)
		if err != nil {
			return err
		}
		return fn(ctx, in)
	})}
	if s.raw == nil {
		s.raw = &route{}
	}
	s.raw.events = append(s.raw.events, ep)
}

// HandleUnknown registers fn for all requests and events that have no other handler, for
// mocks and proxies. Request.Pattern is the pattern of the message. It is the zero Pattern
// for an event without one (see [HandleRaw]). Requests without a pattern, and messages with
// the pattern null, are not passed to fn. Pipes do not apply, and the handler is not part of
// the description. A second call replaces the handler.
func HandleUnknown(s *Server, fn Handler, opts ...HandlerOption) {
	s.mustNotServe()
	s.rest = &route{message: &endpoint{kind: kindStream, handler: s.configure(opts).compose(fn)}}
}

// decodeData decodes a message's data into In, validates it, and runs the pipes.
func decodeData[In any](ctx context.Context, codec Codec, pipes []Pipe, req *Request) (in In, err error) {
	if req.Data != nil {
		switch to := any(&in).(type) {
		case *json.RawMessage:
			*to = append(json.RawMessage(nil), req.Data...)
		case *None: // ignore the data: clients that cannot send undefined send {}, "", or null
		default:
			if err := codec.Unmarshal(req.Data, &in); err != nil {
				if refused := refusedBy[In](ctx, pipes, req); refused != nil {
					return in, refused
				}
				return in, Errorf(400, "data of %s: %w", req.Pattern, err)
			}
		}
	}
	v, ok := any(&in).(Validator)
	if !ok && reflect.TypeFor[In]().Kind() == reflect.Pointer && !reflect.ValueOf(in).IsNil() {
		v, ok = any(in).(Validator)
	}
	if ok {
		if err := v.Validate(); err != nil {
			return in, badData(err)
		}
	}
	for _, pipe := range pipes {
		if err := pipe(ctx, req, &in); err != nil {
			return in, err
		}
	}
	return in, nil
}

// refusedBy returns the first error for the caller that a pipe has about data that cannot be decoded.
// Unlike the decoder, validation lists all problems.
func refusedBy[In any](ctx context.Context, pipes []Pipe, req *Request) *Error {
	for _, pipe := range pipes {
		var zero In
		if e, ok := errors.AsType[*Error](pipe(ctx, req, &zero)); ok {
			return e
		}
	}
	return nil
}

func badData(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return Errorf(400, "%w", err)
}

// compose builds filter(guard(interceptor(handler))) once, so that what is not configured
// costs nothing per message. Panics become errors inside the filters, as exceptions do
// in NestJS.
func (h *handlerConfig) compose(handler Handler) Handler {
	for i := len(h.interceptors) - 1; i >= 0; i-- {
		handler = h.interceptors[i](handler)
	}
	if guards := h.guards; len(guards) > 0 {
		next := handler
		handler = func(ctx context.Context, req *Request, reply Reply) error {
			for _, guard := range guards {
				switch ok, err := guard(ctx, req); {
				case err != nil:
					return err
				case !ok:
					return NewError(json.RawMessage(ForbiddenResource))
				}
			}
			return next(ctx, req, reply)
		}
	}
	if filters := h.filters; len(filters) > 0 {
		next := handler
		handler = func(ctx context.Context, req *Request, reply Reply) error {
			err := safely(next, ctx, req, reply)
			for i := 0; err != nil && i < len(filters); i++ {
				err = filters[i](ctx, req, err)
			}
			return err
		}
	}
	return handler
}

// panicError is a handler's panic, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// safely runs h and turns a panic into an error. It also does so if the error's own
// methods panic.
func safely(h Handler, ctx context.Context, req *Request, reply Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	if err = h(ctx, req, reply); err != nil {
		// For example, a nil *Error in an error interface must panic here, and not
		// later, where it is logged and sent.
		_ = err.Error()
		_, _ = payloadOf(err)
	}
	return err
}
