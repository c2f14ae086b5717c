package micronats

import (
	"crypto/tls"
	"syscall"
	"time"

	"github.com/msctl/msctl/runtime/internal/stagger"
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

// settings configure the connection of either side.
type settings struct {
	name        string
	tls         *tls.Config
	dialTimeout time.Duration
	peer        time.Duration
	control     stagger.Control
	attempts    int // negative for no limit
	delay       time.Duration
	credentials credentials
}

func defaultSettings() settings {
	return settings{dialTimeout: 5 * time.Second, peer: DefaultPeerTimeout, attempts: -1, delay: 2 * time.Second}
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
// For mutual TLS, set Certificates in it.
func WithTLS(config *tls.Config) Option {
	return option(func(s *settings) { s.tls = config })
}

// DefaultPeerTimeout is the default of WithPeerTimeout.
const DefaultPeerTimeout = 15 * time.Second

// WithPeerTimeout sets after which time a connection is lost if the broker's host has
// acknowledged nothing, although something was sent, or if the broker has answered none of three
// pings: the host has vanished, the network has forgotten the connection, or the broker is
// stuck. Calls on it fail with micro.ErrConnectionLost, and the next message connects again.
// Until then, events count as sent. A slow handler does not count, because the broker answers
// pings. The default is DefaultPeerTimeout; 0 leaves it to the operating system, which takes
// about 15 minutes.
func WithPeerTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.peer = d })
}

// WithDialTimeout bounds one attempt to connect to one server. The default is 5 s. If there are
// several servers, or several IP addresses for the name of one, the next one is tried 250 ms after
// the previous one, and the first connection that is ready is used.
func WithDialTimeout(d time.Duration) Option {
	return option(func(s *settings) { s.dialTimeout = d })
}

// WithReconnect sets how often to retry after a connection could not be made or was lost: up
// to attempts times for each server, or without a limit if attempts is negative, which is
// the default. After the last attempt, Serve returns the error, and the waiting calls fail
// with it; the next call starts over. The pauses between attempts start at 50 ms and double
// up to delay, 2 s by default. They are jittered, so that many programs do not reconnect
// at the same moment.
func WithReconnect(attempts int, delay time.Duration) Option {
	return option(func(s *settings) { s.attempts, s.delay = attempts, delay })
}

// WithQueue puts the server's handlers into a queue group. Each message goes to one of the
// servers in the group. The default is no group.
func WithQueue(group string) ListenOption {
	return listenOption(func(l *Listener) { l.queue = group })
}

type queueKey struct{}

// HandlerQueue puts a handler into another queue group than that of the listener. It is
// NestJS's extras.queue.
func HandlerQueue(group string) micro.HandlerOption { return micro.WithExtra(queueKey{}, group) }

// WithHeaders sets headers of every message. The metadata of a message takes precedence.
func WithHeaders(headers map[string]string) DialOption {
	return dialOption(func(c *Client) { c.headers = headers })
}

// WithControl sets a function that is called before each connection is made, with its network
// and its address, whose host name has been resolved, and prevents it with an error: the
// Control of net.Dialer. It may be called concurrently. This includes the servers
// that others of the cluster announce. By default, no connection is prevented.
func WithControl(control func(network, address string, c syscall.RawConn) error) DialOption {
	return dialOption(func(c *Client) { c.control = control })
}

// WithInboxPrefix sets the prefix of the subjects for replies. The default is _INBOX.
func WithInboxPrefix(prefix string) DialOption {
	return dialOption(func(c *Client) { c.inboxPrefix = prefix })
}
