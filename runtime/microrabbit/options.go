package microrabbit

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"math"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/msctl/msctl/runtime/internal/stagger"
)

// The defaults.
const (
	DefaultHeartbeat      = 5 * time.Second // as in NestJS
	DefaultPeerTimeout    = 15 * time.Second
	DefaultReconnectDelay = 2 * time.Second // 5 s in NestJS
	DefaultPrefetch       = 256             // 0 (no limit) in NestJS
)

// ListenOption configures Listen.
type ListenOption interface{ applyListen(*Listener) }

// DialOption configures Dial.
type DialOption interface{ applyDial(*Client) }

// Option configures Listen or Dial.
type Option interface {
	ListenOption
	DialOption
}

// shared holds the settings that Listener and Client have in common.
type shared struct {
	queue    string
	topology Topology
	ack      AckMode
	ackSet   bool // set by WithAck

	tls         *tls.Config
	heartbeat   time.Duration
	peerTimeout time.Duration
	attempts    int // negative for no limit
	maxDelay    time.Duration
	dialTimeout time.Duration
	control     stagger.Control

	memory stagger.Memory // of the brokers, and of their hosts' IP addresses
}

func defaults(queue string) shared {
	return shared{
		queue:       queue,
		heartbeat:   DefaultHeartbeat,
		peerTimeout: DefaultPeerTimeout,
		attempts:    -1,
		maxDelay:    DefaultReconnectDelay,
		dialTimeout: 5 * time.Second,
	}
}

// check returns an error if AMQP cannot encode an option.
func (s *shared) check() error {
	for what, name := range map[string]string{"queue": s.queue, "exchange": s.topology.Exchange, "routing key": s.topology.RoutingKey} {
		if len(name) > maxShort {
			return fmt.Errorf("the name of the %s is %d bytes long; AMQP allows %d", what, len(name), maxShort)
		}
	}
	if err := s.topology.Queue.table().Validate(); err != nil {
		return fmt.Errorf("invalid arguments of the queue %q: %w", s.queue, err)
	}
	if err := tableOf(s.topology.ExchangeArguments).Validate(); err != nil {
		return fmt.Errorf("invalid arguments of the exchange %q: %w", s.topology.Exchange, err)
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

// Topology describes the queue of a service, and the exchange that it is bound to.
// Servers declare both; clients only use them, unless WithDeclare is given. All programs
// that declare them must be given the same topology: the broker rejects a declaration that
// differs. A user without permission to declare them can use those that exist. The zero
// value is a durable queue, to which clients send directly.
type Topology struct {
	// Queue is how the queue is declared.
	Queue QueueOptions
	// NoDeclare uses the queue as it is, without declaring it. A server still declares
	// and binds the exchange, as far as its user is permitted to.
	NoDeclare bool

	// Exchange is the name of a durable exchange. ExchangeType is its type, topic by
	// default. By itself it only takes effect with Wildcards, RoutingKey, or the type
	// fanout. ExchangeArguments are its arguments, such as alternate-exchange.
	Exchange, ExchangeType string
	ExchangeArguments      map[string]any
	// RoutingKey binds the queue to Exchange under this key.
	RoutingKey string
	// Wildcards makes clients send messages to the exchange, with their pattern as the
	// routing key, and binds the server's queue to it once for each pattern. In a
	// pattern * matches one word between dots, and # at the end matches the rest. The
	// exchange has the queue's name unless Exchange names another one.
	Wildcards bool

	// DeadLetter names a durable topic exchange, and a durable queue bound to all of
	// it, which a server declares for messages that it cannot handle: events whose last
	// attempt failed or whose error is permanent, messages without a handler, and
	// messages that are not JSON. It makes AckAfterHandling the default. Without it the
	// server rejects such messages: the broker sends them to the queue's own
	// dead-letter exchange, or drops them if there is none.
	DeadLetter string
}

func (t *Topology) exchangeType() string { return cmp.Or(t.ExchangeType, "topic") }

// WithTopology sets which queue and exchange are used, and how they are declared.
func WithTopology(t Topology) Option { return sharedOption(func(s *shared) { s.topology = t }) }

// AckMode specifies when a received message is acknowledged.
type AckMode int

const (
	// AckOnReceipt acknowledges a message when it has been received. It is delivered
	// at most once: it is lost if its handler fails or the process dies.
	AckOnReceipt AckMode = iota
	// AckAfterHandling acknowledges a message when its handler has returned. It is
	// delivered at least once: it is redelivered if its handler fails (WithRedelivery),
	// and by the broker if the process dies.
	AckAfterHandling
)

// WithAck sets when messages are acknowledged: those of a server, or the replies to a
// client. The default is AckOnReceipt, and AckAfterHandling for a server with
// WithRedelivery or Topology.DeadLetter. Direct reply-to, a client's default, supports
// only AckOnReceipt.
func WithAck(mode AckMode) Option {
	return sharedOption(func(s *shared) { s.ack, s.ackSet = mode, true })
}

// WithReconnect sets how to reconnect after a failed or lost connection: up to attempts
// times after the first failure, or without limit if attempts is negative, which is the
// default. When the attempts are used up, Serve returns the error, and the waiting calls
// fail with it; the next call starts over. The pauses between attempts start at 50 ms
// and double up to delay, 2 s by default. Each is jittered, so that many programs do
// not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) Option {
	return sharedOption(func(s *shared) { s.attempts, s.maxDelay = attempts, delay })
}

// QueueOptions corresponds to NestJS's queueOptions and specifies how the queue is
// declared. The zero value declares a durable queue without arguments, as NestJS does.
// Every program that declares the queue must use the same options; otherwise the broker
// rejects the declaration.
type QueueOptions struct {
	Durable              *bool // nil means true
	Exclusive            bool  // only the declaring connection can use the queue
	AutoDelete           bool  // the queue is deleted when its last consumer is gone
	MessageTTL           time.Duration
	Expires              time.Duration
	MaxLength            int
	MaxPriority          int
	DeadLetterExchange   string
	DeadLetterRoutingKey string
	// Arguments holds further queue arguments, such as x-queue-type.
	Arguments map[string]any
}

func (q QueueOptions) durable() bool { return q.Durable == nil || *q.Durable }

// table returns the queue's arguments.
func (q QueueOptions) table() amqp.Table {
	args := tableOf(q.Arguments)
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

// tableOf returns arguments in the types of the driver, which rejects nested maps, and
// shortens an int to 32 bits.
func tableOf(arguments map[string]any) amqp.Table {
	table := amqp.Table{}
	for name, v := range arguments {
		table[name] = fieldOf(v)
	}
	return table
}

func fieldOf(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case map[string]any:
		return tableOf(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = fieldOf(item)
		}
		return list
	}
	return v
}

// WithTLS sets the TLS configuration for amqps URLs. By default the system's root
// certificates are trusted.
func WithTLS(config *tls.Config) Option { return sharedOption(func(s *shared) { s.tls = config }) }

// WithHeartbeat sets the interval at which each side of a connection sends heartbeats.
// A connection counts as lost if the broker is silent for three times as long. The
// interval is rounded to seconds; the default is 5 s.
func WithHeartbeat(d time.Duration) Option { return sharedOption(func(s *shared) { s.heartbeat = d }) }

// WithPeerTimeout sets after which time a connection is lost if the broker's host has
// acknowledged nothing, although something was sent: the host has vanished, or the network
// has forgotten the connection. Calls on it fail with micro.ErrConnectionLost, and the next
// message connects again. A broker that has announced that it accepts no messages at the
// moment does not count. NestJS has only heartbeats, which take three times WithHeartbeat. The
// default is DefaultPeerTimeout; 0 leaves it to the heartbeats and the operating system.
// Systems other than Linux, macOS, and Windows notice it on idle connections only.
func WithPeerTimeout(d time.Duration) Option {
	return sharedOption(func(s *shared) { s.peerTimeout = d })
}

// WithDialTimeout limits how long one attempt to connect takes. The default is 5 s.
func WithDialTimeout(d time.Duration) Option {
	return sharedOption(func(s *shared) { s.dialTimeout = d })
}

// WithPrefetch limits the number of messages that have been received but not
// acknowledged, like NestJS's prefetchCount and isGlobalPrefetchCount. The default is
// 256, and so is 0: without a limit, the whole queue would be read into memory.
func WithPrefetch(n int, global bool) ListenOption {
	return listenOption(func(l *Listener) {
		l.prefetch, l.globalPrefetch = min(max(n, 0), math.MaxUint16), global
		if n == 0 {
			l.prefetch = DefaultPrefetch
		}
	})
}

// WithConsumerTag sets the consumer's tag, like NestJS's consumerTag. By default the
// listener generates a unique one.
func WithConsumerTag(tag string) ListenOption {
	return listenOption(func(l *Listener) { l.consumerTag = tag })
}

// Redelivery specifies how often and how soon an event is redelivered after its handler
// failed. It requires AckAfterHandling. A field that is zero has its default.
type Redelivery struct {
	// Attempts limits how often an event is handled, including the first time. The
	// default is 5; 1 disables redelivery.
	Attempts int
	// Delay is the delay before the second attempt, 1 s by default.
	Delay time.Duration
	// Factor multiplies the delay after each further attempt. The default is 4, the
	// minimum 1.
	Factor float64
	// MaxDelay limits the delays, 10 minutes by default.
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

// after returns the delay of an event that has been handled attempts times.
func (r Redelivery) after(attempts int) time.Duration {
	d := float64(r.Delay) * math.Pow(r.Factor, float64(max(attempts, 1)-1))
	return max(min(time.Duration(min(d, float64(math.MaxInt64/2))), r.MaxDelay), time.Millisecond).Round(time.Millisecond)
}

// WithRedelivery sets how often and how soon failed events are redelivered. It makes
// AckAfterHandling the default.
func WithRedelivery(r Redelivery) ListenOption {
	return listenOption(func(l *Listener) { l.redelivery, l.redelivers = r.withDefaults(), true })
}

// WithControl sets a function that is called before each connection is made, with its network
// and its address, whose host name has been resolved, and prevents it with an error: the
// Control of net.Dialer. It may be called concurrently. By default, no connection is prevented.
func WithControl(control func(network, address string, c syscall.RawConn) error) DialOption {
	return dialOption(func(c *Client) { c.control = control })
}

// WithDeclare makes the client declare the queue or the exchange of its topology before it
// sends the first message, as NestJS's client does. Messages can then be sent to the queue
// before its service has started for the first time. By default, the client declares
// nothing, and such a message fails with micro.ErrNotServed.
func WithDeclare() DialOption { return dialOption(func(c *Client) { c.declare = true }) }

// WithWait makes calls and events wait for the broker until their deadline while it cannot
// be reached. By default, they fail with micro.ErrUnreachable when the attempt to connect
// has failed.
func WithWait() DialOption { return dialOption(func(c *Client) { c.waits = true }) }

// WithPersistent asks the broker to store the client's messages on disk, like NestJS's
// persistent option. In durable queues they survive a restart of the broker.
func WithPersistent() DialOption { return dialOption(func(c *Client) { c.persistent = true }) }

// WithHeaders adds headers to all messages of the client, like NestJS's headers option.
func WithHeaders(headers map[string]any) DialOption {
	return dialOption(func(c *Client) { c.headers = headers })
}

// WithReplyQueue receives replies through the named queue instead of RabbitMQ's direct
// reply-to, like NestJS's replyQueue. The queue must exist, and only this client may
// use it.
func WithReplyQueue(name string) DialOption {
	return dialOption(func(c *Client) { c.replyQueue = name })
}
