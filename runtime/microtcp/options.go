package microtcp

import (
	"crypto/tls"
	"syscall"
	"time"
)

// The defaults of the limits of a connection (docs/wire.md 3.1). They are those of NestJS 12, except for the timeout,
// which is 30 s there.
const (
	DefaultMaxBufferSize            = 128 << 20 // UTF-16 code units
	DefaultIncompleteMessageTimeout = 15 * time.Second
	DefaultMaxSendBufferSize        = 128 << 20 // bytes
)

// ListenOption configures Listen.
type ListenOption interface{ applyListen(*Listener) }

// DialOption configures Dial.
type DialOption interface{ applyDial(*Client) }

// Option configures both Listen and Dial.
type Option interface {
	ListenOption
	DialOption
}

// limits are the settings that servers and clients share.
type limits struct {
	maxBuffer  int
	incomplete time.Duration
	maxSend    int
	tls        *tls.Config
	peer       time.Duration
	attempts   int
	delay      time.Duration
}

func defaultLimits() limits {
	return limits{maxBuffer: DefaultMaxBufferSize, incomplete: DefaultIncompleteMessageTimeout, maxSend: DefaultMaxSendBufferSize, peer: DefaultPeerTimeout}
}

type limitOption func(*limits)

func (f limitOption) applyListen(l *Listener) { f(&l.limits) }
func (f limitOption) applyDial(c *Client)     { f(&c.limits) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// WithTLS encrypts connections from the first byte. For mutual TLS, set ClientAuth and
// ClientCAs in a listener's config, and Certificates in a client's. A listener's peer must
// complete the handshake within 10 s; a client's dial timeout includes it.
func WithTLS(config *tls.Config) Option {
	return limitOption(func(l *limits) { l.tls = config })
}

// DefaultPeerTimeout is the default of WithPeerTimeout.
const DefaultPeerTimeout = 15 * time.Second

// WithPeerTimeout sets after which time a connection is lost if the peer's host has
// acknowledged nothing, although something was sent: the host has vanished, or the network
// has forgotten the connection. Calls on it fail with micro.ErrConnectionLost, and the next
// message connects again. A slow handler does not count, because the host acknowledges what
// it receives. NestJS leaves this to the operating system, which takes about 15 minutes. The
// default is DefaultPeerTimeout; 0 leaves it to the operating system, too. Systems other
// than Linux, macOS, and Windows notice it on idle connections only.
func WithPeerTimeout(d time.Duration) Option {
	return limitOption(func(l *limits) { l.peer = d })
}

// WithMaxBufferSize limits the received data of one connection that is not processed yet,
// in UTF-16 code units, including headers: NestJS's maxBufferSize. More is a framing error.
// The default is DefaultMaxBufferSize.
func WithMaxBufferSize(units int) Option {
	return limitOption(func(l *limits) { l.maxBuffer = units })
}

// WithIncompleteMessageTimeout limits the time until the next byte of an incomplete frame:
// NestJS's incompleteMessageTimeout. 0 means no limit. The default is
// DefaultIncompleteMessageTimeout.
func WithIncompleteMessageTimeout(d time.Duration) Option {
	return limitOption(func(l *limits) { l.incomplete = d })
}

// WithMaxSendBufferSize limits the bytes that are buffered for a peer that does not read:
// NestJS's maxSendBufferSize. If the limit is exceeded, the connection is closed. 0 means no
// limit. The default is DefaultMaxSendBufferSize.
func WithMaxSendBufferSize(bytes int) Option {
	return limitOption(func(l *limits) { l.maxSend = bytes })
}

// WithMaxConnections limits the number of open connections of a listener. Further ones wait
// to be accepted. The default is 10000.
func WithMaxConnections(n int) ListenOption {
	return listenOption(func(l *Listener) { l.maxConns = n })
}

// WithDrainGrace makes a listener that is to stop serve as before for d, and only then refuse
// connections and drain (micro.WithDrainTimeout). Behind a load balancer that still sends
// connections for a while, as in Kubernetes, none of them is refused. The default is 0. A
// listener with a supervisor's socket (micro.InheritEnv) ignores it.
func WithDrainGrace(d time.Duration) ListenOption {
	return listenOption(func(l *Listener) { l.drainGrace = d })
}

// WithDialTimeout limits one attempt to connect. The default is 5 s.
func WithDialTimeout(d time.Duration) DialOption {
	return dialOption(func(c *Client) { c.dialTimeout = d })
}

// WithControl sets a function that is called before each connection is made, with its network
// and its address, whose host name has been resolved, and prevents it with an error: the
// Control of net.Dialer. It may be called concurrently. By default, no connection is prevented.
func WithControl(control func(network, address string, c syscall.RawConn) error) DialOption {
	return dialOption(func(c *Client) { c.control = control })
}

// WithReconnect makes a client retry a failed attempt to connect, up to attempts times, or
// without limit if attempts is negative. By default, messages fail at once, and the next
// message connects again. The pauses between attempts start at 50 ms and double up to delay.
// Each is jittered, so that many clients do not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) DialOption {
	return dialOption(func(c *Client) { c.limits.attempts, c.limits.delay = attempts, delay })
}

// WithIdleTimeout makes a client close a connection that has carried nothing for d, or for
// up to a quarter less; the next message connects again. Use it if a proxy or a firewall
// closes idle connections, with a shorter time than theirs: otherwise a call may be sent at
// the moment at which the connection is closed, and fail with micro.ErrConnectionLost. 0, the
// default, keeps idle connections.
func WithIdleTimeout(d time.Duration) DialOption {
	return dialOption(func(c *Client) { c.maxIdle = d })
}

// WithMaxConnectionAge makes a client replace a connection after d, or up to a tenth less:
// new messages connect again, and calls in flight finish on the old connection. The host name
// is then resolved again, so that a service that has moved, or that has more replicas, is
// found even while the old connection works. 0, the default, keeps connections until they are
// lost.
func WithMaxConnectionAge(d time.Duration) DialOption {
	return dialOption(func(c *Client) { c.maxAge = d })
}

// WithListenRetry sets how often, and after which pause, a listener tries to open a
// port that is in use. The default is 5 times, 3 s apart.
func WithListenRetry(attempts int, delay time.Duration) ListenOption {
	return listenOption(func(l *Listener) { l.limits.attempts, l.limits.delay = attempts, delay })
}
