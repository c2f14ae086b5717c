package redisstore

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// pauseAfterFailure is the time from one attempt to the next while Redis is not available.
const pauseAfterFailure = time.Second

// circuit makes operations fail at once while Redis is not available, so that no request waits
// for it but one per second.
type circuit struct {
	log     *slog.Logger
	address string
	start   time.Time

	retry atomic.Int64 // when Redis may be tried again, in ns since start; 0 while it is available
}

func (c *circuit) now() int64 { return int64(time.Since(c.start)) + 1 }

// allows reports whether an operation may be tried.
func (c *circuit) allows() bool {
	at := c.retry.Load()
	if at == 0 {
		return true
	}
	now := c.now()
	// Only one of the operations that come now wins, and the others wait for the next attempt.
	return now >= at && c.retry.CompareAndSwap(at, now+int64(pauseAfterFailure))
}

func (c *circuit) succeeded() {
	if at := c.retry.Load(); at != 0 && c.retry.CompareAndSwap(at, 0) {
		c.log.Info("Redis is available again", "address", c.address)
	}
}

func (c *circuit) failed(err error) {
	before := c.retry.Swap(c.now() + int64(pauseAfterFailure))
	if before == 0 {
		c.log.Warn("Redis is not available", "address", c.address, "error", err)
	}
}
