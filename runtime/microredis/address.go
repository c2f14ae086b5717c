package microredis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/internal/liveness"
	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

// parse parses a URL and returns the options for all connections. With Sentinels, their
// address is that of the Sentinels, for messages.
func parse(url string, s settings) (*redis.Options, *redisurl.Sentinels, error) {
	o, masters, err := redisurl.Parse(url)
	if err != nil {
		return nil, nil, err
	}
	if s.tls != nil {
		o.TLSConfig = s.tls.Clone()
	}
	o.DB = 0          // publish/subscribe ignores the database
	o.Protocol = 2    // RESP3 would only mix push messages into the replies
	o.MaxRetries = -1 // no message may be published twice
	o.PoolSize = 1
	o.PipelinePoolSize = -1
	o.MinIdleConns = 0
	o.ConnMaxIdleTime, o.ConnMaxLifetime = -1, 0
	o.DisableIdentity = true
	if o.ReadTimeout == 0 {
		o.ReadTimeout = max(answerTimeout, s.heartbeat)
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = s.dialTimeout
	}
	return o, masters, nil
}

const answerTimeout = 3 * time.Second // for the reply to a command, and for writing it

// String returns the listener's URL without credentials.
func (l *Listener) String() string { return "microredis.Listen(" + shown(l.url, l.settings) + ")" }

// GoString returns the same as String.
func (l *Listener) GoString() string { return l.String() }

// String returns the client's URL without credentials.
func (c *Client) String() string { return "microredis.Dial(" + shown(c.url, c.settings) + ")" }

// GoString returns the same as String.
func (c *Client) GoString() string { return c.String() }

// shown returns the scheme and address of a URL, without anything secret.
func shown(url string, s settings) string {
	o, masters, err := parse(url, s)
	scheme := "redis"
	switch {
	case err != nil:
		return "not a URL"
	case o.TLSConfig != nil:
		scheme = "rediss"
	}
	switch {
	case masters != nil:
		return scheme + "+sentinel://" + o.Addr + "/" + masters.Master
	case o.Network == "unix":
		return scheme + "+unix://" + o.Addr
	}
	return scheme + "://" + o.Addr
}

// connect opens a connection to a target, one of the IP addresses of an address.
func (l *link) connect(ctx context.Context, address, target string) (net.Conn, error) {
	conn, err := l.settings.connect(ctx, target, l.settings.control)
	if err != nil {
		return nil, err
	}
	liveness.Watch(conn, l.settings.peer)
	if l.options.TLSConfig == nil {
		return conn, nil
	}
	config := l.options.TLSConfig.Clone()
	if host, _, err := net.SplitHostPort(address); config.ServerName == "" && err == nil {
		config.ServerName = host
	} else if config.ServerName == "" {
		config.ServerName = "localhost"
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// connectError adds the operation and the address to an error. The text of err contains
// addresses and Redis's own messages, but never credentials.
func connectError(o *redis.Options, err error) error {
	return fmt.Errorf("connect to Redis at %s: %w", o.Addr, err)
}
