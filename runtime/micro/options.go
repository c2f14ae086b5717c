package micro

import (
	"context"
	"log/slog"
	"time"
)

// ServerOption configures a server: see [NewServer].
type ServerOption interface{ applyServer(*Server) }

// ClientOption configures a client: see [NewClient].
type ClientOption interface{ applyClient(*Client) }

// HandlerOption configures one handler.
type HandlerOption interface{ applyHandler(*handlerConfig) }

// Option configures a server or a client.
type Option interface {
	ServerOption
	ClientOption
}

// ServerOrHandlerOption configures all handlers of a server, or one handler.
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

// ClientOptions combines options into one. They are applied in order.
func ClientOptions(list ...ClientOption) ClientOption {
	return clientOption(func(c *Client) {
		for _, o := range list {
			o.applyClient(c)
		}
	})
}

// WithLogger sets the logger. The default is slog.Default(). A client passes the logger
// on to its Conn if that has a method SetLogger(*slog.Logger).
func WithLogger(log *slog.Logger) Option {
	return bothOption{func(s *Server) { s.log = log }, func(c *Client) { c.log = log }}
}

// WithCodec sets the codec for data and values. The default is JSON().
func WithCodec(codec Codec) Option {
	return bothOption{func(s *Server) { s.codec = codec }, func(c *Client) { c.codec = codec }}
}

// WithName sets the name and version in the server's description and health. It does not
// change the log; if services share one, add the name to the logger:
// log.With("service", name).
func WithName(name, version string) ServerOption {
	return serverOption(func(s *Server) { s.name, s.version = name, version })
}

// WithMaxInFlight limits how many messages are in flight at once. A server at its
// limit begins no message until a handler has returned; the default is 16384. A client
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

// WithoutMetadata makes a client send only the metadata that its caller has set. By default,
// a client adds a correlation ID, the trace of the message being handled, the time that a
// request has left, and the number of a retry, so a handler that forwards or compares
// metadata sees members that the caller did not write. Without them, the service logs an ID
// of its own and does not know when its caller stops waiting.
func WithoutMetadata() ClientOption {
	return clientOption(func(c *Client) { c.bare = true })
}

// WithConfirmedEvents makes Emit return nil only once the peer has confirmed the event: the
// broker, or over TCP the service, which has read it then. Otherwise, the error matches
// [ErrTimeout] or [ErrConnectionLost] if the peer may have received the event, and
// [ErrUnreachable] if it was not sent. The event may still be lost after that, in a
// service that crashes or at a NATS or Redis server without a subscriber.
//
// RabbitMQ and Redis confirm every event, with or without the option. Over NATS and TCP, it
// costs one round trip per event; those of events in flight overlap. Over NATS, the client
// sends a PING after the event. Over TCP, it sends a small request after the event, in the
// same write, to which every service replies, NestJS's too: messages are read in order, so
// the reply shows that the event has been read.
func WithConfirmedEvents() ClientOption {
	return clientOption(func(c *Client) { c.confirm = true })
}

// WithDrainTimeout limits how long a stopping server waits for its handlers; then their
// contexts end. The default is 10 s.
func WithDrainTimeout(d time.Duration) ServerOption {
	return serverOption(func(s *Server) { s.drainTimeout = d })
}

// WithHealthCheck adds a named check to the server's health, which is "ok" if every check
// returns nil within 2 s. Health requests are handled like all other messages, so a reply
// proves that messages are being handled.
func WithHealthCheck(name string, check func(context.Context) error) ServerOption {
	return serverOption(func(s *Server) { s.checks = append(s.checks, healthCheck{name, check}) })
}

// WithoutDescribe disables the server's description: [DescribePattern] has no handler.
func WithoutDescribe() ServerOption {
	return serverOption(func(s *Server) { s.noDescribe = true })
}

// WithInterceptors adds interceptors. The first is the outermost.
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

// WithGuards adds guards, which run in order, before the interceptors.
func WithGuards(list ...Guard) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.guards = append(h.guards, list...) })
}

// WithPipes adds pipes, which run in order, after the data has been decoded.
func WithPipes(list ...Pipe) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.pipes = append(h.pipes, list...) })
}

// WithFilters adds filters, which run in order on a handler's error: those of the handler
// first, then those of the server, as in NestJS.
func WithFilters(list ...Filter) ServerOrHandlerOption {
	return scopedOption(func(h *handlerConfig) { h.filters = append(h.filters, list...) })
}

// WithDoc sets the handler's text in the server's description, in one sentence.
func WithDoc(text string) HandlerOption {
	return handlerOption(func(h *handlerConfig) { h.doc = text })
}

// WithTimeout limits calls whose context has no deadline. The default is
// [DefaultTimeout]; 0 or less keeps it, since every call has a deadline.
func WithTimeout(d time.Duration) ClientOption {
	return clientOption(func(c *Client) {
		if d > 0 {
			c.timeout = d
		}
	})
}

// WithTimeoutAtLeast raises the default of [WithTimeout] to d, for interceptors that may
// take that long, such as retry policies. The longest of several applies, in any order,
// and an explicit WithTimeout takes precedence over all of them.
func WithTimeoutAtLeast(d time.Duration) ClientOption {
	return clientOption(func(c *Client) { c.defaultTimeout = max(c.defaultTimeout, d) })
}
