package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"time"
)

const (
	shardCount = 64 // a power of two
	ways       = 8  // the slots of a bucket
	minBuckets = 8
)

// counters is a hash table of limited size. A counter is in one of two buckets, the emptier one
// when it was added, so that buckets fill evenly.
type counters struct {
	seed       maphash.Seed // random, so that callers cannot choose buckets
	maxBuckets int          // of a shard
	shards     [shardCount]shard
}

// shard is a part of the table with a lock of its own.
type shard struct {
	mu      sync.Mutex
	buckets []bucket // grows up to maxBuckets
	_       [32]byte // the next shard is on another cache line
}

type bucket [ways]slot

// slot is one counter. It is free if it has expired. Its key is only the hash: with 64 bits and
// a random seed, two callers do not meet in one slot by chance, nor on purpose.
type slot struct {
	hash           uint64
	value, expires int64
}

func newCounters(limit int) *counters {
	perShard := (limit + shardCount - 1) / shardCount
	// Two choices fill buckets of eight to about nine tenths before one overflows.
	return &counters{seed: maphash.MakeSeed(), maxBuckets: max(1, (perShard+perShard/4)/ways)}
}

// locked locks the shard of a key, and returns it with the key's hash.
func (c *counters) locked(key string) (*shard, uint64) {
	hash := maphash.String(c.seed, key)
	s := &c.shards[hash%shardCount]
	s.mu.Lock()
	return s, hash
}

func (c *counters) get(key string, now int64) int64 {
	s, hash := c.locked(key)
	defer s.mu.Unlock()
	if found := s.find(hash, now); found != nil {
		return found.value
	}
	return -1
}

func (c *counters) add(key string, value, now int64, ttl time.Duration) bool {
	s, hash := c.locked(key)
	defer s.mu.Unlock()
	if s.find(hash, now) != nil {
		return false
	}
	if ttl > 0 {
		c.insert(s, slot{hash, value, now + int64(ttl)}, now)
	}
	return true
}

func (c *counters) swap(key string, old, value, now int64, ttl time.Duration) bool {
	s, hash := c.locked(key)
	defer s.mu.Unlock()
	found := s.find(hash, now)
	if found == nil || found.value != old {
		return false
	}
	found.value, found.expires = value, now+int64(max(ttl, 0))
	return true
}

// pair returns the two buckets of a hash.
func (s *shard) pair(hash uint64) (a, b *bucket) {
	n := uint64(len(s.buckets))
	first, _ := bits.Mul64(hash, n) // the high bits; the low ones have chosen the shard
	second, _ := bits.Mul64(hash*0x9E3779B97F4A7C15, n)
	return &s.buckets[first], &s.buckets[second]
}

func (s *shard) find(hash uint64, now int64) *slot {
	if len(s.buckets) == 0 {
		return nil
	}
	a, b := s.pair(hash)
	for _, bucket := range [...]*bucket{a, b} {
		for i := range bucket {
			if bucket[i].hash == hash && bucket[i].expires > now {
				return &bucket[i]
			}
		}
	}
	return nil
}

// insert adds a counter that does not exist. A full table grows; one that may not grow forgets
// the counter that would expire first.
func (c *counters) insert(s *shard, added slot, now int64) {
	if len(s.buckets) == 0 {
		s.buckets = make([]bucket, min(minBuckets, c.maxBuckets))
	}
	for {
		place, free := s.place(added.hash, now)
		if free || len(s.buckets) >= c.maxBuckets {
			*place = added
			return
		}
		s.grow(min(2*len(s.buckets), c.maxBuckets), now)
	}
}

// place returns the slot for another counter: a free one in the emptier bucket, or the one that
// expires first.
func (s *shard) place(hash uint64, now int64) (best *slot, free bool) {
	a, b := s.pair(hash)
	most := 0
	for _, bucket := range [...]*bucket{a, b} {
		first, expired := &bucket[0], 0
		for i := range bucket {
			if bucket[i].expires <= now {
				expired++
			}
			if bucket[i].expires < first.expires {
				first = &bucket[i]
			}
		}
		if best == nil || expired > most || expired == most && first.expires < best.expires {
			best, most = first, expired
		}
	}
	return best, most > 0
}

// grow moves the counters that have not expired to a larger table.
func (s *shard) grow(size int, now int64) {
	before := s.buckets
	s.buckets = make([]bucket, size)
	for i := range before {
		for _, moved := range before[i] {
			if moved.expires > now {
				place, _ := s.place(moved.hash, now)
				*place = moved
			}
		}
	}
}
