//go:build unix

package fault

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
)

// BenchmarkRoundTrip compares requests over a direct connection with those
// through a proxy without effect on them. cpu-ns/op is the CPU time of client, service,
// and proxy together, so the difference to direct is that of the proxy.
func BenchmarkRoundTrip(b *testing.B) {
	ways := []struct {
		name   string
		direct bool
		faults []string
	}{
		{"direct", true, nil},
		{"no fault", false, nil},
		{"another pattern", false, []string{"error=20% pattern=cmd=other"}},
		{"not yet", false, []string{"stall@1h+1s", "latency=200ms±50ms@1h+5s"}},
		{"1ms latency", false, []string{"latency=1ms"}},
	}
	for _, inFlight := range []int{1, 64} {
		for _, way := range ways {
			b.Run(way.name+map[int]string{1: "/1 in flight", 64: "/64 in flight"}[inFlight], func(b *testing.B) {
				s := serve(b)
				addr := s.addr
				if !way.direct {
					p := before(b, s, Options{}, way.faults...)
					p.Begin(time.Now())
					addr = p.Addr()
				}
				roundTrips(b, client(b, addr), inFlight)
			})
		}
	}
}

func roundTrips(b *testing.B, c *micro.Client, inFlight int) {
	b.Helper()
	if _, err := micro.Call[string](b.Context(), c, echo, "x"); err != nil {
		b.Fatal(err)
	}
	testenv.Parallel(b, inFlight, func() error {
		_, err := micro.Call[string](b.Context(), c, echo, "a request of the usual size, with some data in it")
		return err
	})
}
