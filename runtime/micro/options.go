package micro

import (
	"context"
	"log/slog"
	"time"
)

// ServerOption configures NewServer.
type ServerOption interface{ applyServer(*Server) }

// ClientOption configures NewClient.
type ClientOption interface{ applyClient(*Client) }

// HandlerOption configures one handler.
type HandlerOption interface{ applyHandler(*handlerConfig) }

// Option configures servers and clients alike.
type Option interface {
	ServerOption
	ClientOption
}

// ServerOrHandlerOption configures all handlers of a server, or one.
type ServerOrHandlerOption interface {
	ServerOption
	HandlerOption
}

type (
	serverOption  func(*Server)
	clientOption  func(*Client)
	handlerOption func(*handlerConfig)
	bothOption    struct {
		server func(*Server)
		client func(*Client)
	}
	scopedOption func(*handlerConfig)
)

func (f serverOption) applyServer(s *Server)          { f(s) }
func (f clientOption) applyClient(c *Client)          { f(c) }
func (f handlerOption) applyHandler(h *handlerConfig) { f(h) }
func (o bothOption) applyServer(s *Server)            { o.server(s) }
func (o bothOption) applyClient(c *Client)            { o.client(c) }
func (f scopedOption) applyServer(s *Server)          { f(&s.defaults) }
func (f scopedOption) applyHandler(h *handlerConfig)  { f(h) }

// ClientOptions makes one option of several, applied in order.
func ClientOptions(list ...ClientOption) ClientOption {
	return clientOption(func(c *Client) {
		for _, o := range list {
			o.applyClient(c)
		}
	})
}

// WithLogger sets where a server or client logs. The default is slog.Default. A
// client passes the logger on to its Conn, if that has a method
// SetLogger(*slog.Logger).
func WithLogger(log *slog.Logger) Option {
	return bothOption{func(s *Server) { s.log = log }, func(c *Client) { c.log = log }}
}

// WithCodec sets the codec of data and replies. The default is JSON().
func WithCodec(codec Codec) Option {
	return bothOption{func(s *Server) { s.codec = codec }, func(c *Client) { c.codec = codec }}
}

// WithName names a server in its describe and health answers. In a log that
// several services share, give the logger the name: log.With("service", name).
func WithName(name, version string) ServerOption {
	return serverOption(func(s *Server) { s.name, s.version = name, version })
}

// WithMaxInFlight limits how many messages are in flight at once. A server at its
// limit stops reading until a handler has returned; the default is 16384. A client
// at its limit fails further messages with [ErrShed] without sending them; it
// counts requests until the reply has ended, and events until the transport has
// accepted them; the default is 65536. A limit of 0 or less selects the default.
func WithMaxInFlight(n int) Option {
	set := func(limit *int64, defaultLimit int64) {
		if *limit = int64(n); n <= 0 {
			*limit = defaultLimit
		}
	}
	return bothOption{
		func(s *Server) { set(&s.maxInFlight, serverMaxInFlight) },
		func(c *Client) { set(&c.maxInFlight, clientMaxInFlight) },
	}
}

// WithDrainTimeout bounds how long a stopping server waits for its handlers;
// then their contexts end. The default is 10 s.
func WithDrainTimeout(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.drainTimeout = d })
}

// WithHealthCheck adds a named check to the health answer: the service is well
// when each check returns nil in time. The health answer comes from the same
// loop as every other, so it proves that messages are handled.
func WithHealthCheck(name string, check func(context.Context) error) ServerOption {
	return serverOption(func(s *Server) { s.checks = append(s.checks, healthCheck{name, check}) })
}

// WithoutDescribe makes a server say nothing of itself: the reserved patterns
// of describe get the reply of an unknown one.
func WithoutDescribe() ServerOption {
	return serverOption(func(s *Server) { s.noDescribe = true })
}

// WithInterceptors wraps handlers; the first is outermost.
func WithInterceptors(list ...Interceptor) interface {
	ServerOrHandlerOption
	ClientOption
} {
	return interceptorOption(list)
}

type interceptorOption []Interceptor

func (o interceptorOption) applyServer(s *Server) { o.applyHandler(&s.defaults) }
func (o interceptorOption) applyHandler(h *handlerConfig) {
	h.interceptors = append(h.interceptors, o...)
}
func (o interceptorOption) applyClient(c *Client) { c.interceptors = append(c.interceptors, o...) }

// WithGuards adds guards, asked in order before the interceptors.
func WithGuards(list ...Guard) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.guards = append(h.guards, list...) })
}

// WithPipes adds pipes, run in order after the data is js.Decode.
func WithPipes(list ...Pipe) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.pipes = append(h.pipes, list...) })
}

// WithFilters adds filters, run in order on a handler's error: those of the
// handler first, then those of the server, as in NestJS.
func WithFilters(list ...Filter) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.filters = append(h.filters, list...) })
}

// WithDoc describes a handler in one sentence, for describe and the docs.
func WithDoc(text string) HandlerOption {
	return handlerOption(func(h *handlerConfig) { h.doc = text })
}

// WithTimeout bounds calls whose context has no deadline. The default is 5 s;
// there is no call without a deadline, so 0 or less keeps the default.
func WithTimeout(d time.Duration) ClientOption {
	return clientOption(func(c *Client) {
		if d > 0 {
			c.timeout = d
		}
	})
}
