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

// handlerConfig is what surrounds one handler.
type handlerConfig struct {
	interceptors []Interceptor
	guards       []Guard
	pipes        []Pipe
	filters      []Filter
	doc          string
	extras       map[any]any
}

// Handle registers fn as the message handler of pattern p: it gets the js.Decode
// data of each request and its result is the reply. Undefined data is the zero
// In; an In of None ignores the data. A result of None is undefined; a nil pointer is null; with
// json.RawMessage as In or Out the JSON text is passed through unparsed. The
// last handler registered for a pattern wins, as in NestJS. Handlers must be
// registered before the server serves.
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

// HandleStream registers fn as the message handler of pattern p whose answer is
// any number of values, each sent as it comes. An error in the sequence ends
// the answer; when the caller's connection is gone the sequence is stopped.
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

// HandleEvent registers fn as an event handler of pattern p. Several may be
// registered for one pattern: each gets every event, in the order of
// registration, whatever became of the others.
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

// HandleFunc registers a Handler as it is, below the generic forms: it sees the
// request with its raw data and sends values itself. Pipes do not apply.
func HandleFunc(s *Server, p Pattern, fn Handler, opts ...HandlerOption) {
	s.register(p, kindStream, s.configure(opts), handlerTypes{}, fn)
}

// HandleUnknown registers fn for the messages that no other handler is registered
// for, requests and events alike, in place of the answer that there is none: for
// a stand-in that takes whatever comes, or a proxy. Its requests have the pattern
// that the message asked for. It is not described, pipes do not apply, and a
// message without a pattern or with the pattern null does not reach it. The last
// one registered wins.
func HandleUnknown(s *Server, fn Handler, opts ...HandlerOption) {
	s.mustNotServe()
	s.rest = &route{message: &endpoint{kind: kindStream, handler: s.configure(opts).compose(fn)}}
}

// decodeData decodes a message's data into In, lets it check itself, and runs
// the pipes over it.
func decodeData[In any](ctx context.Context, codec Codec, pipes []Pipe, req *Request) (in In, err error) {
	if req.Data != nil {
		switch to := any(&in).(type) {
		case *json.RawMessage:
			*to = append(json.RawMessage(nil), req.Data...)
		case *None: // whatever a client sends that must send something, {} or "" or null
		default:
			if err := codec.Unmarshal(req.Data, &in); err != nil {
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

func badData(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return Errorf(400, "%w", err)
}

// compose builds filter(guard(interceptor(handler))) once; what is not
// configured costs nothing. Panics become errors inside the filters, as
// exceptions do in NestJS.
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

// safely runs h and turns a panic into an error; an error that panics when it is
// looked at, too.
func safely(h Handler, ctx context.Context, req *Request, reply Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	if err = h(ctx, req, reply); err != nil {
		// A nil pointer that passes for an error, say, must not panic where it is
		// logged and sent.
		_ = err.Error()
		_, _ = payloadOf(err)
	}
	return err
}
