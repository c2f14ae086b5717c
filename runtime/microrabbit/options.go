package microrabbit

import (
	"crypto/tls"
	"fmt"
	"maps"
	"math"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The defaults.
const (
	DefaultHeartbeat      = 5 * time.Second // NestJS'
	DefaultReconnectDelay = 2 * time.Second // NestJS waits 5 s
	DefaultPrefetch       = 256             // NestJS' is 0, without bound
)

// ListenOption configures Listen.
type ListenOption interface{ applyListen(*Listener) }

// DialOption configures Dial.
type DialOption interface{ applyDial(*Client) }

// Option configures both sides.
type Option interface {
	ListenOption
	DialOption
}

// shared is what both sides have options for.
type shared struct {
	queue        string
	queueOptions QueueOptions
	noAssert     bool
	exchange     string
	exchangeKind string
	exchangeArgs map[string]any
	wildcards    bool
	routingKey   string

	tls         *tls.Config
	heartbeat   time.Duration
	maxDelay    time.Duration
	dialTimeout time.Duration
}

func defaults(queue string) shared {
	return shared{
		queue:        queue,
		exchangeKind: "topic",
		heartbeat:    DefaultHeartbeat,
		maxDelay:     DefaultReconnectDelay,
		dialTimeout:  5 * time.Second,
	}
}

// check tells of options that AMQP cannot carry, or the broker would never take.
func (s *shared) check() error {
	for what, name := range map[string]string{"queue": s.queue, "exchange": s.exchange, "routing key": s.routingKey} {
		if len(name) > maxShort {
			return fmt.Errorf("the name of the %s has %d bytes, and AMQP carries %d at the most", what, len(name), maxShort)
		}
	}
	if err := s.queueOptions.table().Validate(); err != nil {
		return fmt.Errorf("the arguments of the queue %q: %w", s.queue, err)
	}
	if err := amqp.Table(s.exchangeArgs).Validate(); err != nil {
		return fmt.Errorf("the arguments of the exchange %q: %w", s.exchange, err)
	}
	return nil
}

type sharedOption func(*shared)

func (f sharedOption) applyListen(l *Listener) { f(&l.shared) }
func (f sharedOption) applyDial(c *Client)     { f(&c.shared) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// QueueOptions are NestJS' queueOptions: how the queue is declared. The zero
// value declares a durable queue without arguments, as NestJS does. Every program
// that declares the queue must give the same options, or the broker refuses.
type QueueOptions struct {
	Durable              *bool // nil is true
	Exclusive            bool  // for the connection that declares it alone
	AutoDelete           bool  // goes with its last consumer
	MessageTTL           time.Duration
	Expires              time.Duration
	MaxLength            int
	MaxPriority          int
	DeadLetterExchange   string
	DeadLetterRoutingKey string
	// Arguments are further arguments of the queue, such as x-queue-type.
	Arguments map[string]any
}

func (q QueueOptions) durable() bool { return q.Durable == nil || *q.Durable }

// table returns the queue's arguments.
func (q QueueOptions) table() amqp.Table {
	args := amqp.Table{}
	maps.Copy(args, q.Arguments)
	for name, n := range map[string]int64{
		"x-message-ttl":  q.MessageTTL.Milliseconds(),
		"x-expires":      q.Expires.Milliseconds(),
		"x-max-length":   int64(q.MaxLength),
		"x-max-priority": int64(q.MaxPriority),
	} {
		if n != 0 {
			args[name] = n
		}
	}
	if q.DeadLetterExchange != "" {
		args["x-dead-letter-exchange"] = q.DeadLetterExchange
	}
	if q.DeadLetterRoutingKey != "" {
		args["x-dead-letter-routing-key"] = q.DeadLetterRoutingKey
	}
	return args
}

// WithQueueOptions declares the queue in another way than as a plain durable
// one: NestJS' queueOptions.
func WithQueueOptions(q QueueOptions) Option {
	return sharedOption(func(s *shared) { s.queueOptions = q })
}

// WithoutAssert uses the queue as it is, and does not declare it: NestJS'
// noAssert.
func WithoutAssert() Option { return sharedOption(func(s *shared) { s.noAssert = true }) }

// WithExchange names an exchange, which is declared durable, and its kind, topic
// where that is "": NestJS' exchange, exchangeType and exchangeArguments. By itself
// it does something with WithWildcards, WithRoutingKey or the kind fanout only.
func WithExchange(name, kind string, args map[string]any) Option {
	return sharedOption(func(s *shared) {
		s.exchange, s.exchangeArgs = name, args
		if kind != "" {
			s.exchangeKind = kind
		}
	})
}

// WithWildcards sends messages to the exchange, under their pattern, and binds
// the server's queue to it once for each pattern, in which * stands for one word
// between dots and a # at the end for the rest: NestJS' wildcards, since 11. The
// exchange has the queue's name unless WithExchange gives another.
func WithWildcards() Option { return sharedOption(func(s *shared) { s.wildcards = true }) }

// WithRoutingKey binds the queue to the exchange of WithExchange under key:
// NestJS' routingKey.
func WithRoutingKey(key string) Option { return sharedOption(func(s *shared) { s.routingKey = key }) }

// WithTLS is the TLS configuration of amqps URLs; without it the system's
// certificates are trusted.
func WithTLS(config *tls.Config) Option { return sharedOption(func(s *shared) { s.tls = config }) }

// WithHeartbeat sets how often each side of a connection shows that it is alive:
// a broker that is silent for three times as long counts as lost. It is rounded
// to seconds; the default is 5 s.
func WithHeartbeat(d time.Duration) Option { return sharedOption(func(s *shared) { s.heartbeat = d }) }

// WithReconnectDelay bounds the pauses between attempts to connect, which begin
// at 50 ms and double; each is jittered. The default is 2 s.
func WithReconnectDelay(longest time.Duration) Option {
	return sharedOption(func(s *shared) { s.maxDelay = longest })
}

// WithDialTimeout bounds one attempt to connect, and how long a call or an event
// waits for a connection. The default is 5 s.
func WithDialTimeout(d time.Duration) Option {
	return sharedOption(func(s *shared) { s.dialTimeout = d })
}

// WithNoAck says whether a message is done with as soon as it has been received,
// NestJS' noAck; it is by default, unless WithRedelivery or WithDeadLetter is
// given. With false a message is acknowledged when its
// handler has returned, and comes again when the handler failed (WithRedelivery)
// or the process died.
func WithNoAck(noAck bool) ListenOption {
	return listenOption(func(l *Listener) { l.noAck, l.ackChosen = noAck, true })
}

// WithPrefetch bounds the messages that are received and not acknowledged yet:
// NestJS' prefetchCount and isGlobalPrefetchCount. The default, and 0, is 256: a
// queue without such a bound would be read into memory whole.
func WithPrefetch(n int, global bool) ListenOption {
	return listenOption(func(l *Listener) {
		l.prefetch, l.globalPrefetch = min(max(n, 0), math.MaxUint16), global
		if n == 0 {
			l.prefetch = DefaultPrefetch
		}
	})
}

// WithConsumerTag names the consumer: NestJS' consumerTag. The broker makes a
// name up by default.
func WithConsumerTag(tag string) ListenOption {
	return listenOption(func(l *Listener) { l.consumerTag = tag })
}

// WithMaxConnectionAttempts makes Serve give up when the broker could not be
// reached as often: NestJS' maxConnectionAttempts. It is about the first
// connection; a lost one is made again for ever. 0, the default, and less are no
// bound.
func WithMaxConnectionAttempts(n int) ListenOption {
	return listenOption(func(l *Listener) { l.maxAttempts = n })
}

// Redelivery says how often and how soon an event comes again whose handler
// failed, when noAck is off. The zero value of a field is its default.
type Redelivery struct {
	// Attempts bounds how often an event is handled, the first time included: 5
	// by default; 1 is never again.
	Attempts int
	// Delay is how long the first failed event waits, 1 s by default.
	Delay time.Duration
	// Factor is what each delay grows by, 4 by default, and at least 1.
	Factor float64
	// MaxDelay bounds the delays, 10 minutes by default.
	MaxDelay time.Duration
}

func (r Redelivery) withDefaults() Redelivery {
	if r.Attempts <= 0 {
		r.Attempts = 5
	}
	if r.Delay <= 0 {
		r.Delay = time.Second
	}
	if r.Factor < 1 {
		r.Factor = 4
	}
	if r.MaxDelay <= 0 {
		r.MaxDelay = 10 * time.Minute
	}
	return r
}

// after returns how long an event waits that has been handled that often.
func (r Redelivery) after(attempts int) time.Duration {
	d := float64(r.Delay) * math.Pow(r.Factor, float64(max(attempts, 1)-1))
	return max(min(time.Duration(min(d, float64(math.MaxInt64/2))), r.MaxDelay), time.Millisecond).Round(time.Millisecond)
}

// WithRedelivery sets how often and how soon failed events come again. It makes
// WithNoAck(false) the default.
func WithRedelivery(r Redelivery) ListenOption {
	return listenOption(func(l *Listener) { l.redelivery, l.redelivers = r.withDefaults(), true })
}

// WithDeadLetter declares a durable topic exchange and a durable queue of that
// name, bound to all of it, and sends there what cannot be handled: events whose
// last attempt failed or whose failure is for ever, messages that nobody handles
// or that are not JSON. It makes WithNoAck(false) the default. Without it the broker is told to
// reject such messages, so that they go where the queue's own dead-letter
// exchange sends them, if it has one, and are dropped otherwise.
func WithDeadLetter(name string) ListenOption {
	return listenOption(func(l *Listener) { l.deadLetter = name })
}

// WithPersistent asks the broker to keep the client's messages on disk: NestJS'
// persistent. They survive the broker's restart in durable queues.
func WithPersistent() DialOption { return dialOption(func(c *Client) { c.persistent = true }) }

// WithHeaders adds headers to all of the client's messages: NestJS' headers.
func WithHeaders(headers map[string]any) DialOption {
	return dialOption(func(c *Client) { c.headers = headers })
}

// WithReplyQueue takes the answers from a queue, which must exist and be this
// client's alone, in place of RabbitMQ's direct reply-to: NestJS' replyQueue.
func WithReplyQueue(name string) DialOption {
	return dialOption(func(c *Client) { c.replyQueue = name })
}

// WithReplyNoAck says whether answers are done with as soon as they have been
// received, as they are by default: NestJS' noAck of a client. Direct reply-to
// knows nothing else.
func WithReplyNoAck(noAck bool) DialOption {
	return dialOption(func(c *Client) { c.replyNoAck = noAck })
}
