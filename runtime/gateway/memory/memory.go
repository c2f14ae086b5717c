// Package memory is the default store of a gateway: the memory of its process. It has a fixed
// limit, so strangers cannot make it grow, and nothing of it outlives the process.
package memory

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// Limits are the limits of a store. A zero value means the default.
type Limits struct {
	// Counters is the number of counters: one for each caller and rate limit. The default is
	// 1,000,000, which take 29 MiB; a store with few counters takes less.
	//
	// When there is no place for another counter, one of the sixteen that could make place for
	// it is forgotten: the one that would expire first, which belongs to the caller that has
	// used the least of its limit. To make a store forget the counter of a caller at its limit,
	// an attacker would have to use up as much with many more addresses than there are counters.
	Counters int
	// Keys is the number of keys of each kind, which is the part of a key before its first
	// colon: the gateway has two, for webhooks and for idempotency keys. The default is 100,000.
	// When there is no place for another one, the oldest of its kind is forgotten.
	Keys int
	// Bytes limits the keys of each kind together with their values. The default is 64 MiB.
	Bytes int64
}

// Store keeps counters and keys in memory: see gateway.Store. Create it with [New]. Its
// methods are safe for concurrent use and never block.
type Store struct {
	start    time.Time
	counters *counters
	kinds    kinds
}

// ErrTooLarge reports a value that is larger than the limit of all values.
var ErrTooLarge = errors.New("the value is too large for the store")

// New returns an empty store.
func New(l Limits) *Store {
	return &Store{
		start:    time.Now(),
		counters: newCounters(cmp.Or(l.Counters, 1_000_000)),
		kinds:    kinds{maxKeys: cmp.Or(l.Keys, 100_000), maxBytes: cmp.Or(l.Bytes, 64<<20), all: map[string]*keys{}},
	}
}

// now is the time since the store was created, in nanoseconds, of a clock that cannot be set: one
// that is set back must not lock callers out.
func (s *Store) now() int64 { return int64(time.Since(s.start)) }

// GetWithTime returns a counter, or -1, and the time.
func (s *Store) GetWithTime(_ context.Context, key string) (int64, time.Time, error) {
	now := s.now()
	return s.counters.get(key, now), s.start.Add(time.Duration(now)), nil
}

// SetIfNotExistsWithTTL sets a counter that does not exist.
func (s *Store) SetIfNotExistsWithTTL(_ context.Context, key string, value int64, ttl time.Duration) (bool, error) {
	return s.counters.add(key, value, s.now(), ttl), nil
}

// CompareAndSwapWithTTL replaces a counter that has the value old.
func (s *Store) CompareAndSwapWithTTL(_ context.Context, key string, old, value int64, ttl time.Duration) (bool, error) {
	return s.counters.swap(key, old, value, s.now(), ttl), nil
}

// Add sets a key that does not exist, or returns its value.
func (s *Store) Add(_ context.Context, key string, value []byte, ttl time.Duration) (existing []byte, added bool, err error) {
	return s.kinds.of(key).add(key, value, s.now(), ttl)
}

// Set sets a key.
func (s *Store) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	return s.kinds.of(key).set(key, value, s.now(), ttl)
}

// Delete removes a key.
func (s *Store) Delete(_ context.Context, key string) error {
	s.kinds.of(key).delete(key)
	return nil
}
