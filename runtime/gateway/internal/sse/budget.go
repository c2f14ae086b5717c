package sse

import "sync/atomic"

// Budget limits how many bytes wait for the clients of several streams together, so that many
// clients that do not read cannot hold more. While it is exceeded, a client for which more than an
// equal part of it waits is too slow; the others are not affected. A nil Budget has no limit. Its
// methods are safe for concurrent use.
type Budget struct {
	limit            int64
	waiting, streams atomic.Int64
}

// NewBudget returns a budget of that many bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

func (b *Budget) open(streams int64) {
	if b != nil {
		b.streams.Add(streams)
	}
}

func (b *Budget) add(n int) {
	if b != nil && n != 0 {
		b.waiting.Add(int64(n))
	}
}

// allows reports whether so many bytes may wait for one client.
func (b *Budget) allows(own int) bool {
	return b == nil || b.waiting.Load() <= b.limit || int64(own) <= b.limit/max(b.streams.Load(), 1)
}
