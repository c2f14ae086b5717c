package micronats

import (
	"crypto/tls"
	"time"

	"github.com/msctl/msctl/runtime/micro"
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

// settings are what both sides know of their connection.
type settings struct {
	name          string
	tls           *tls.Config
	dialTimeout   time.Duration
	reconnectWait time.Duration
	maxReconnects int // negative is for ever
}

func defaultSettings() settings {
	return settings{dialTimeout: 5 * time.Second, reconnectWait: 2 * time.Second, maxReconnects: -1}
}

type option func(*settings)

func (f option) applyListen(l *Listener) { f(&l.settings) }
func (f option) applyDial(c *Client)     { f(&c.settings) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// WithName names the connection in the broker's monitoring.
func WithName(name string) Option {
	return option(func(s *settings) { s.name = name })
}

// WithTLS encrypts the connection with config, whether or not the URL says tls://.
// For mutual TLS it has Certificates.
func WithTLS(config *tls.Config) Option {
	return option(func(s *settings) { s.tls = config })
}

// WithDialTimeout bounds one attempt to connect to one server. The default is 5 s.
func WithDialTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.dialTimeout = d })
}

// WithReconnectWait sets the longest time between two attempts to come back to
// the broker: NestJS' reconnectTimeWait. The first attempts follow each other
// sooner, and all are jittered so that many programs do not come back in step.
// The default is 2 s.
func WithReconnectWait(d time.Duration) Option {
	return option(func(s *settings) { s.reconnectWait = d })
}

// WithMaxReconnects bounds the attempts to come back to each server: NestJS'
// maxReconnectAttempts. When they are used up Serve returns an error; a client's
// next call connects anew. A negative n, the default, is for ever.
func WithMaxReconnects(n int) Option {
	return option(func(s *settings) { s.maxReconnects = n })
}

// WithQueue puts the server's handlers into a queue group: of all servers in it,
// one gets each message. The default is none.
func WithQueue(group string) ListenOption {
	return listenOption(func(l *Listener) { l.queue = group })
}

type queueKey struct{}

// HandlerQueue puts one handler into a queue group of its own, in place of the
// listener's: NestJS' extras.queue.
func HandlerQueue(group string) micro.HandlerOption { return micro.WithExtra(queueKey{}, group) }

// WithHeaders sets headers of every message. The metadata of a message goes
// before them.
func WithHeaders(headers map[string]string) DialOption {
	return dialOption(func(c *Client) { c.headers = headers })
}

// WithInboxPrefix sets what the subjects of answers begin with. The default is
// _INBOX.
func WithInboxPrefix(prefix string) DialOption {
	return dialOption(func(c *Client) { c.inboxPrefix = prefix })
}
