package microrabbit

import (
	"math"
	"testing"
	"time"
)

// TestMilliseconds checks that an expiration is one that RabbitMQ accepts.
func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "1", 0: "1", 1500 * time.Microsecond: "1", time.Minute: "60000",
		math.MaxUint32 * time.Millisecond: "4294967295", 50 * 24 * time.Hour: "4294967295", math.MaxInt64: "4294967295",
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
