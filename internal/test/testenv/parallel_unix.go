//go:build unix

package testenv

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Parallel makes the b.N calls of a benchmark on several goroutines. It reports the processor time that the process used
// per call, as cpu-ns/op. A goroutine stops at its first failed call.
func Parallel(b *testing.B, goroutines int, call func() error) {
	b.Helper()
	b.ResetTimer()
	before := processorTime(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// processorTime returns the processor time that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
