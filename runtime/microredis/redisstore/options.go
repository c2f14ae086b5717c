package redisstore

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

// Option configures Open.
type Option func(*settings)

type settings struct {
	prefix  string
	timeout time.Duration
	dial    time.Duration
	pool    int
	tls     *tls.Config
	log     *slog.Logger
}

// The defaults.
const (
	DefaultPrefix      = "msctl:"
	DefaultTimeout     = 50 * time.Millisecond
	DefaultDialTimeout = 500 * time.Millisecond
	DefaultConnections = 32
)

func defaultSettings() settings {
	return settings{prefix: DefaultPrefix, timeout: DefaultTimeout, dial: DefaultDialTimeout, pool: DefaultConnections, log: slog.Default()}
}

// WithPrefix sets what the keys in Redis begin with. Gateways with the same prefix share their
// limits; those of different systems on one Redis need different ones. The default is
// DefaultPrefix.
func WithPrefix(prefix string) Option { return func(s *settings) { s.prefix = prefix } }

// WithTimeout limits how long a request waits for one operation of Redis. The default is
// DefaultTimeout.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithDialTimeout limits how long one attempt to connect takes, including the login. It may be
// longer than the timeout, because connecting continues without the request. The default is
// DefaultDialTimeout.
func WithDialTimeout(d time.Duration) Option { return func(s *settings) { s.dial = d } }

// WithConnections sets the largest number of connections. The default is DefaultConnections.
func WithConnections(n int) Option { return func(s *settings) { s.pool = n } }

// WithTLS encrypts the connections, regardless of the URL's scheme.
func WithTLS(config *tls.Config) Option { return func(s *settings) { s.tls = config } }

// WithLogger sets where the store logs that Redis is not available, and that it is again. The
// default is slog.Default().
func WithLogger(log *slog.Logger) Option { return func(s *settings) { s.log = log } }

// idleTime is how long a connection may be idle. It is short, because after an outage, each
// connection that has silently gone costs one attempt, and there is one per second.
const idleTime = 10 * time.Second

// silence makes the driver log nothing: it would write a line of its own for each attempt to
// connect, where the circuit logs one for an outage. The driver has one logger for the program.
var silence = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// client returns the driver's client. It never repeats an operation, which could count a request
// twice, and never waits longer than the context of an operation.
func (s settings) client(o *redis.Options, masters *redisurl.Sentinels) *redis.Client {
	if s.tls != nil {
		o.TLSConfig = s.tls.Clone()
	}
	o.Protocol = 2
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout = s.dial
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = s.timeout, s.timeout, s.timeout
	o.ContextTimeoutEnabled = true
	o.ConnMaxIdleTime = idleTime
	o.PoolSize, o.MaxActiveConns, o.PipelinePoolSize = s.pool, s.pool, -1
	if masters == nil {
		return redis.NewClient(o)
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: masters.Master, SentinelAddrs: masters.Addresses,
		SentinelUsername: o.Username, SentinelPassword: o.Password,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLSConfig,
		Protocol: o.Protocol, DisableIdentity: o.DisableIdentity,
		MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, DialTimeout: o.DialTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout, ContextTimeoutEnabled: true,
		ConnMaxIdleTime: o.ConnMaxIdleTime, PoolSize: o.PoolSize, MaxActiveConns: o.MaxActiveConns, PipelinePoolSize: o.PipelinePoolSize,
	})
}
