package microredis

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/internal/stagger"
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

// settings holds the connection settings that Listener and Client have in common.
type settings struct {
	tls         *tls.Config
	attempts    int // negative for no limit
	delay       time.Duration
	dialTimeout time.Duration
	heartbeat   time.Duration
	peer        time.Duration
	control     stagger.Control
	connect     func(ctx context.Context, target string, control stagger.Control) (net.Conn, error) // stagger.Connect, except in tests
}

// The defaults.
const (
	DefaultReconnectDelay = 2 * time.Second
	DefaultHeartbeat      = 3 * time.Second
	DefaultDialTimeout    = 5 * time.Second
	DefaultPeerTimeout    = 15 * time.Second
)

func defaultSettings() settings {
	return settings{
		attempts: -1, delay: DefaultReconnectDelay, dialTimeout: DefaultDialTimeout,
		heartbeat: DefaultHeartbeat, peer: DefaultPeerTimeout, connect: stagger.Connect,
	}
}

type bothOption func(*settings)

func (f bothOption) applyListen(l *Listener) { f(&l.settings) }
func (f bothOption) applyDial(c *Client)     { f(&c.settings) }

type listenOption func(*Listener)

func (f listenOption) applyListen(l *Listener) { f(l) }

type dialOption func(*Client)

func (f dialOption) applyDial(c *Client) { f(c) }

// WithTLS encrypts the connections, regardless of the URL's scheme. If ServerName is
// empty, it is the URL's host.
func WithTLS(config *tls.Config) Option {
	return bothOption(func(s *settings) { s.tls = config })
}

// WithReconnect sets how to reconnect after a failed or lost connection: up to attempts
// times after the first failure, or without limit if attempts is negative, which is the
// default. When the attempts are used up, Serve returns the error, and the calls that wait
// (WithWait) fail with it; the next call starts over. The pauses between attempts start at 50 ms
// and double up to delay, 2 s by default. Each is jittered, so that many programs do
// not reconnect at the same moment.
func WithReconnect(attempts int, delay time.Duration) Option {
	return bothOption(func(s *settings) { s.attempts, s.delay = attempts, delay })
}

// WithDialTimeout limits how long one attempt to connect takes, including the login. If the
// host name has several IP addresses, or there are several Sentinels, one attempt tries all of
// them, each 250 ms after the previous one, and the first ready one wins. The default is
// DefaultDialTimeout.
func WithDialTimeout(d time.Duration) Option {
	return bothOption(func(s *settings) { s.dialTimeout = d })
}

// WithHeartbeat sets how long Redis may take to answer a PING while calls are pending.
// If it takes longer, the connection counts as lost, and the calls fail. The client
// sends a PING when Redis has been silent for a seventh of that time. The heartbeat
// detects a Redis that hangs or is cut off; if Redis exits, its connections close at
// once. The default is DefaultHeartbeat, because a slow script, a fork for BGSAVE, or a
// busy machine may well cause a pause of a second. 0 or less keeps the default.
func WithHeartbeat(d time.Duration) Option {
	return bothOption(func(s *settings) {
		if d > 0 {
			s.heartbeat = d
		}
	})
}

// WithPeerTimeout sets after which time a connection is lost if the host of Redis has
// acknowledged nothing, although something was sent: the host has vanished, or the network
// has forgotten the connection. Calls on it fail with micro.ErrConnectionLost, and both sides
// reconnect. The heartbeat usually notices it earlier, but not while a server at its limit
// does not read. NestJS leaves this to the operating system, which takes about 15 minutes. The default is
// DefaultPeerTimeout; 0 leaves it to the operating system, too. Systems other than Linux,
// macOS, and Windows notice it on idle connections only.
func WithPeerTimeout(d time.Duration) Option {
	return bothOption(func(s *settings) { s.peer = d })
}

// WithWildcards makes the patterns of the handlers globs, like NestJS's wildcards: *
// matches any text, including dots, ? matches one character, and [ab] matches one of
// several characters.
func WithWildcards() ListenOption {
	return listenOption(func(l *Listener) { l.wildcards = true })
}

// WithControl sets a function that is called before each connection is made, with its network
// and its address, whose host name has been resolved, and prevents it with an error: the
// Control of net.Dialer. It may be called concurrently. This includes the masters
// that sentinels announce. By default, no connection is prevented.
func WithControl(control func(network, address string, c syscall.RawConn) error) DialOption {
	return dialOption(func(c *Client) { c.settings.control = control })
}

// WithWait makes calls and events wait for Redis until their deadline while it cannot be
// reached. By default, they fail with micro.ErrUnreachable when the attempt to connect has
// failed.
func WithWait() DialOption { return dialOption(func(c *Client) { c.waits = true }) }

// WithoutReceiverCount makes the client ignore how many subscribers have received a
// request. Use it if the number is wrong because subscribers are spread over replicas or
// connected through a proxy. It is the default for a Redis cluster.
func WithoutReceiverCount() DialOption {
	return dialOption(func(c *Client) { c.uncounted = true })
}
