package microredis

import (
	"crypto/tls"
	"time"
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

// settings are what both sides connect by.
type settings struct {
	tls         *tls.Config
	attempts    int // negative for no limit
	delay       time.Duration
	dialTimeout time.Duration
	heartbeat   time.Duration
}

// The defaults.
const (
	DefaultReconnectDelay = 2 * time.Second
	DefaultHeartbeat      = 3 * time.Second
	DefaultDialTimeout    = 5 * time.Second
)

func defaultSettings() settings {
	return settings{attempts: -1, delay: DefaultReconnectDelay, dialTimeout: DefaultDialTimeout, heartbeat: DefaultHeartbeat}
}

type bothOption func(*settings)

func (f bothOption) applyListen(l *Listener) { f(&l.settings) }
func (f bothOption) applyDial(c *Client)     { f(&c.settings) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// WithTLS encrypts the connections, whatever the URL's scheme is. An empty
// ServerName is the URL's host.
func WithTLS(config *tls.Config) Option {
	return bothOption(func(s *settings) { s.tls = config })
}

// WithReconnect sets how a connection is made again that could not be made or was
// lost: up to attempts times after the first failure, or without limit if attempts is
// negative, as by default. When the attempts are used up, Serve returns the error and
// the waiting calls fail with it; the next call starts again. The pauses between
// attempts start at 50 ms and double up to delay, 2 s by default. Each is jittered, so
// that many programs do not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) Option {
	return bothOption(func(s *settings) { s.attempts, s.delay = attempts, delay })
}

// WithDialTimeout limits one attempt to connect, and how long a message waits for a
// connection when there is none. The default is DefaultDialTimeout.
func WithDialTimeout(d time.Duration) Option {
	return bothOption(func(s *settings) { s.dialTimeout = d })
}

// WithHeartbeat sets how long Redis may take to give a sign of life while calls
// wait, before it is taken for lost and they fail; it is asked for one when it has
// been quiet for a seventh of that. A Redis that has died is noticed at once, by
// its connections; this is for one that is silent, or cut off. The default is
// DefaultHeartbeat: a slow script, a fork for BGSAVE or a busy machine may well take a
// second. 0 or less keeps the default.
func WithHeartbeat(d time.Duration) Option {
	return bothOption(func(s *settings) {
		if d > 0 {
			s.heartbeat = d
		}
	})
}

// WithWildcards makes the patterns of the handlers globs, in which * stands for
// any text, dots included, ? for one character and [ab] for one of several:
// NestJS's wildcards.
func WithWildcards() ListenOption {
	return listenOption(func(l *Listener) { l.wildcards = true })
}

// WithoutReceiverCount makes the client pay no attention to how many have received
// a request: for a Redis whose subscribers are spread over replicas or behind a
// proxy, where the number is not the truth. For a Redis cluster it is the default.
func WithoutReceiverCount() DialOption {
	return dialOption(func(c *Client) { c.uncounted = true })
}
