//go:build unix

package microtcp

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
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
	testenv.Parallel(b, goroutines, call)
}
