package micronats

import (
	"math"
	"sync"
	"sync/atomic"
)

// usage counts the uses of a connection, which is closed after the last one if it has been
// retired. Create it with newUsage. It is safe for concurrent use.
type usage struct {
	n    atomic.Int64 // with retired added to it
	once sync.Once
	idle chan struct{}
}

const retired = math.MinInt64 / 2

func newUsage() *usage { return &usage{idle: make(chan struct{})} }

// begin adds a use, which must end with end. It returns false, and adds none, if the connection
// has been retired.
func (u *usage) begin() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.end()
	return false
}

func (u *usage) end() { u.settle(u.n.Add(-1)) }

// retire lets no further use begin. The channel is closed when the last one has ended. It must
// be called once.
func (u *usage) retire() <-chan struct{} {
	u.settle(u.n.Add(retired))
	return u.idle
}

func (u *usage) settle(n int64) {
	if n == retired {
		u.once.Do(func() { close(u.idle) })
	}
}
