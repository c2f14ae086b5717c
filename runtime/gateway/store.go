package gateway

import (
	"context"
	"time"

	"github.com/msctl/msctl/runtime/gateway/memory"
)

// Store keeps what gateways must remember between requests: the counters of rate limits, and
// keys that were seen before. Gateways that share a store share their limits and keys. The
// default is the memory of the process (package memory); package redisstore has one in Redis.
// Its methods are called concurrently, with keys of any length.
type Store interface {
	Counters
	Keys
}

// Counters are numbers that expire, with the clock of the store: what the rate limits of
// github.com/throttled/throttled/v2 need.
type Counters interface {
	// GetWithTime returns the value of key, or -1 if there is none, and the time.
	GetWithTime(ctx context.Context, key string) (int64, time.Time, error)
	// SetIfNotExistsWithTTL sets key, and reports whether it did: not if there is a value.
	SetIfNotExistsWithTTL(ctx context.Context, key string, value int64, ttl time.Duration) (bool, error)
	// CompareAndSwapWithTTL replaces the value of key, and reports whether it did: not if it
	// is another one than old, or if there is none.
	CompareAndSwapWithTTL(ctx context.Context, key string, old, value int64, ttl time.Duration) (bool, error)
}

// Keys are values that expire.
type Keys interface {
	// Add sets key if it has no value, in one step, and reports whether it did. Otherwise, it
	// returns the value, which must not be changed.
	Add(ctx context.Context, key string, value []byte, ttl time.Duration) (existing []byte, added bool, err error)
	// Set sets key, which may have a value. The store keeps value: it must not be changed.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes key, if it exists.
	Delete(ctx context.Context, key string) error
}

var _ Store = (*memory.Store)(nil)

// WithStore sets where the gateway keeps the counters of rate limits and the keys that it must
// remember. Several gateways need a store that they share; otherwise, each has limits of its own.
// The default is memory.New(memory.Limits{}).
func WithStore(s Store) Option { return gatewayOption(func(g *Gateway) { g.store = s }) }
