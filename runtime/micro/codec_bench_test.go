package micro

import (
	"fmt"
	"strings"
	"testing"
)

// largeData is a list whose JSON text has about that many bytes.
func largeData(size int) (data []string) {
	for n := 0; n < size; n += 100 {
		data = append(data, strings.Repeat("x", 97))
	}
	return data
}

// BenchmarkEncode measures what a message of some size costs on the way to the transport: the
// packet's data is one allocation, and what it is encoded in is reused.
func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 500 << 10} {
		b.Run(fmt.Sprintf("KiB=%d", size>>10), func(b *testing.B) {
			c, data := NewClient(nil), largeData(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.request(Name("x"), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestBuffersAreReused checks that the memory in which a large message is encoded is reused.
// Without that, it grows from small to large, which takes more than 30 allocations.
func TestBuffersAreReused(t *testing.T) {
	c, data := NewClient(nil), largeData(500<<10)
	const most = 20 // with the race detector, a pool drops some of what it is given
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.request(Name("x"), data); err != nil {
			t.Error(err)
		}
	}); n > most {
		t.Errorf("%v allocations", n)
	}
}
