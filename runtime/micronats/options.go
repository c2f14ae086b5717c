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
	name        string
	tls         *tls.Config
	dialTimeout time.Duration
	attempts    int // negative for no limit
	delay       time.Duration
	credentials credentials
}

func defaultSettings() settings {
	return settings{dialTimeout: 5 * time.Second, attempts: -1, delay: 2 * time.Second}
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

// WithTLS encrypts the connection with config, whether or not the URL starts with tls://.
// For mutual TLS it has Certificates.
func WithTLS(config *tls.Config) Option {
	return option(func(s *settings) { s.tls = config })
}

// WithDialTimeout bounds one attempt to connect to one server. The default is 5 s.
func WithDialTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.dialTimeout = d })
}

// WithReconnect sets how a connection is made again that could not be made or was
// lost: up to attempts times for each server after the first failure, or without limit if attempts is
// negative, as by default. When the attempts are used up, Serve returns the error and
// the waiting calls fail with it; the next call starts again. The pauses between
// attempts start at 50 ms and double up to delay, 2 s by default. Each is jittered, so
// that many programs do not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) Option {
	return option(func(s *settings) { s.attempts, s.delay = attempts, delay })
}

// WithQueue puts the server's handlers into a queue group: of all servers in it,
// one gets each message. The default is none.
func WithQueue(group string) ListenOption {
	return listenOption(func(l *Listener) { l.queue = group })
}

type queueKey struct{}

// HandlerQueue puts one handler into a queue group of its own, in place of the
// listener's: NestJS's extras.queue.
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
