// Package redisstore keeps in Redis what several gateways must remember together: the counters
// of their rate limits, and keys that were seen before. [Store] is a gateway.Store.
//
//	store, err := redisstore.Open("rediss://user:password@redis:6379")
//	gw := gateway.New("shop", gateway.WithStore(store), gateway.WithRateLimit(…))
package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/msctl/msctl/runtime/microredis/internal/redisurl"
)

// ErrUnavailable reports that Redis could not be asked. After a failure, all operations fail with
// it at once, except for one per second, which tries Redis again.
var ErrUnavailable = errors.New("redis is not available")

// Store is a gateway.Store in Redis. Create it with [Open], and close it after the gateways that
// use it. Its methods are safe for concurrent use. Their errors wrap [ErrUnavailable] or that of
// the context, and never contain credentials or keys.
//
// A key is stored under its hash, so that what callers send determines neither its length nor
// its characters. The time is that of Redis, so that the clocks of the gateways do not matter.
type Store struct {
	client  *redis.Client
	prefix  string
	timeout time.Duration
	circuit circuit
}

// Open returns a store for a URL as in microredis.Dial; its database is used, too. It connects on
// first use. The error reports an invalid URL.
func Open(url string, opts ...Option) (*Store, error) {
	o, masters, err := redisurl.Parse(url)
	if err != nil {
		return nil, err
	}
	s := defaultSettings()
	for _, opt := range opts {
		opt(&s)
	}
	silence()
	client := s.client(o, masters)
	return &Store{client: client, prefix: s.prefix, timeout: s.timeout, circuit: circuit{log: s.log, address: o.Addr, start: time.Now()}}, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping reports whether Redis answers and accepts the credentials.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// GetWithTime returns a counter, or -1 if there is none, and the time of Redis.
func (s *Store) GetWithTime(ctx context.Context, key string) (value int64, now time.Time, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		pipe := s.client.Pipeline()
		found, clock := pipe.Get(ctx, s.counter(key)), pipe.Time(ctx)
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		now = clock.Val()
		value, err = found.Int64()
		if errors.Is(err, redis.Nil) {
			value, err = -1, nil
		}
		return err
	})
	return value, now, err
}

// SetIfNotExistsWithTTL sets a counter that does not exist.
func (s *Store) SetIfNotExistsWithTTL(ctx context.Context, key string, value int64, ttl time.Duration) (set bool, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		set, err = s.client.SetNX(ctx, s.counter(key), value, atLeast(ttl)).Result()
		return err
	})
	return set, err
}

// The values are compared as text, because Lua's numbers have only 53 bits.
var swap = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// CompareAndSwapWithTTL replaces a counter that has the value old.
func (s *Store) CompareAndSwapWithTTL(ctx context.Context, key string, old, value int64, ttl time.Duration) (swapped bool, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		swapped, err = swap.Run(ctx, s.client, []string{s.counter(key)},
			strconv.FormatInt(old, 10), strconv.FormatInt(value, 10), atLeast(ttl).Milliseconds()).Bool()
		return err
	})
	return swapped, err
}

// SET with both NX and GET would need Redis 7.
var add = redis.NewScript(`
local found = redis.call('GET', KEYS[1])
if found then return found end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false`)

// Add sets a key that does not exist, or returns its value.
func (s *Store) Add(ctx context.Context, key string, value []byte, ttl time.Duration) (existing []byte, added bool, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		text, err := add.Run(ctx, s.client, []string{s.key(key)}, value, atLeast(ttl).Milliseconds()).Text()
		if added = errors.Is(err, redis.Nil); added {
			return nil
		}
		existing = []byte(text)
		return err
	})
	return existing, added && err == nil, err
}

// Set sets a key.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return s.do(ctx, func(ctx context.Context) error { return s.client.Set(ctx, s.key(key), value, atLeast(ttl)).Err() })
}

// Delete removes a key.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, func(ctx context.Context) error { return s.client.Del(ctx, s.key(key)).Err() })
}

func (s *Store) counter(key string) string { return s.prefix + "limit:" + hashed(key) }

func (s *Store) key(key string) string { return s.prefix + "key:" + hashed(key) }

func hashed(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// atLeast returns a time that Redis accepts: it counts milliseconds, and rejects zero.
func atLeast(ttl time.Duration) time.Duration {
	return max(ttl.Round(time.Millisecond), time.Millisecond)
}

// do runs one operation within the timeout, unless Redis has just failed.
func (s *Store) do(ctx context.Context, operation func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err // of the caller; it is not a failure of Redis
	}
	if !s.circuit.allows() {
		return ErrUnavailable
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := operation(limited)
	if err == nil {
		s.circuit.succeeded()
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	err = safe(err)
	s.circuit.failed(err)
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// safe returns an error without what Redis repeats of a command, which may contain a password.
func safe(err error) error {
	var reply redis.Error
	if errors.As(err, &reply) {
		return fmt.Errorf("it replied %s", code(reply.Error()))
	}
	return err
}

// code returns the first word of an error that Redis has replied, such as WRONGPASS.
func code(text string) string {
	for i, c := range text {
		if c < 'A' || c > 'Z' {
			return text[:i]
		}
	}
	return text
}
