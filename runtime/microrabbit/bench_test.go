package microrabbit

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
)

// BenchmarkCall measures concurrent requests of 170 bytes and their responses. The server
// and the client are in this process; the broker is a separate one.
func BenchmarkCall(b *testing.B) {
	broker := broker(b)
	q := unique(b, "bench")
	start(b, quietServer(), Listen(broker.URL, q))
	c := dial(b, broker.URL, q)
	data := strings.Repeat("0123456789", 16)
	b.ResetTimer()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := micro.Call[string](b.Context(), c, echo, data); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
