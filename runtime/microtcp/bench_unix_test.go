//go:build unix

package microtcp

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// BenchmarkCall measures a call from end to end, with client and server in one process.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			r := start(b, quietServer())
			benchmarkCalls(b, client(b, r.addr), callers)
		})
	}
}

// BenchmarkWire measures the transport alone: without encoding, interceptors, and
// typed calls.
func BenchmarkWire(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			r := start(b, quietServer())
			c := Dial(r.addr)
			b.Cleanup(func() { _ = c.Close() })
			data := []byte(`"` + strings.Repeat("x", 100) + `"`)
			discard := micro.ReplyFunc(func(micro.Value) error { return nil })
			inParallel(b, callers, func() error {
				return c.Exchange(context.Background(), &micro.Request{Pattern: echo, Data: data}, discard)
			})
		})
	}
}

func benchmarkCalls(b *testing.B, c *micro.Client, callers int) {
	b.Helper()
	data := strings.Repeat("x", 100)
	inParallel(b, callers, func() error {
		_, err := micro.Call[string](context.Background(), c, echo, data)
		return err
	})
}

// inParallel runs call b.N times, in that many goroutines. cpu-ns/op is the
// processor time of client and server together.
func inParallel(b *testing.B, goroutines int, call func() error) {
	b.Helper()
	if err := call(); err != nil { // connects
		b.Fatal(err)
	}
	b.ReportAllocs()
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
