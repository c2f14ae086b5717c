package microtcp

import (
	"crypto/tls"
	"time"
)

// The defaults of NestJS 12 (docs/wire.md 3.1).
const (
	DefaultMaxBufferSize            = 128 << 20 // UTF-16 code units
	DefaultIncompleteMessageTimeout = 30 * time.Second
	DefaultMaxSendBufferSize        = 128 << 20 // bytes
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

// limits are what both sides bound their connections by.
type limits struct {
	maxBuffer  int
	incomplete time.Duration
	maxSend    int
	tls        *tls.Config
	attempts   int
	delay      time.Duration
}

func defaultLimits() limits {
	return limits{maxBuffer: DefaultMaxBufferSize, incomplete: DefaultIncompleteMessageTimeout, maxSend: DefaultMaxSendBufferSize}
}

type limitOption func(*limits)

func (f limitOption) applyListen(l *Listener) { f(&l.limits) }
func (f limitOption) applyDial(c *Client)     { f(&c.limits) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// WithTLS encrypts the connections, from the first byte on. For mutual TLS a
// listener's config has ClientAuth and ClientCAs, a client's Certificates.
func WithTLS(config *tls.Config) Option {
	return limitOption(func(l *limits) { l.tls = config })
}

// WithMaxBufferSize bounds what may wait unread on one connection, in UTF-16
// code units, frames and headers together: NestJS's maxBufferSize. A peer that
// sends more is cut off.
func WithMaxBufferSize(units int) Option {
	return limitOption(func(l *limits) { l.maxBuffer = units })
}

// WithIncompleteMessageTimeout bounds how long a part of a frame may wait for
// its next byte: NestJS's incompleteMessageTimeout. 0 is no bound.
func WithIncompleteMessageTimeout(d time.Duration) Option {
	return limitOption(func(l *limits) { l.incomplete = d })
}

// WithMaxSendBufferSize bounds the bytes that wait for a peer that does not
// read: NestJS's maxSendBufferSize. Past it the connection is closed. 0 is no
// bound.
func WithMaxSendBufferSize(bytes int) Option {
	return limitOption(func(l *limits) { l.maxSend = bytes })
}

// WithMaxConnections bounds the connections a listener holds at once; further
// ones wait to be accepted. The default is 10000.
func WithMaxConnections(n int) ListenOption {
	return listenOption(func(l *Listener) { l.maxConns = n })
}

// WithDialTimeout bounds one attempt to connect. The default is 5 s.
func WithDialTimeout(d time.Duration) DialOption {
	return dialOption(func(c *Client) { c.dialTimeout = d })
}

// WithReconnect sets how a connection is made again that could not be made: up to
// attempts times after the first failure, or without limit if attempts is negative.
// By default the messages fail at once, and the next one connects again. The pauses
// between attempts start at 50 ms and double up to delay. Each is jittered, so that
// many clients do not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) DialOption {
	return dialOption(func(c *Client) { c.limits.attempts, c.limits.delay = attempts, delay })
}

// WithListenRetry sets how often, and after which pause, a listener tries to open a
// port that is in use. The default is 5 times, 3 s apart.
func WithListenRetry(attempts int, delay time.Duration) ListenOption {
	return listenOption(func(l *Listener) { l.limits.attempts, l.limits.delay = attempts, delay })
}
