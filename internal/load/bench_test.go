package load_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// instant is a Conn that replies immediately, so that only the engine's own cost
// remains.
type instant struct{}

func (instant) Exchange(_ context.Context, req *micro.Request, reply micro.Reply) error {
	if req.Trace != nil && req.Trace.Wrote != nil {
		req.Trace.Wrote(time.Now(), req.Data)
	}
	return reply.Send(micro.Value{Raw: []byte(`"ok"`), Last: true})
}

func (instant) Publish(context.Context, *micro.Request) error { return nil }
func (instant) Close() error                                  { return nil }

// BenchmarkRun measures the cost of a request at a given rate: the CPU time of the
// whole process, which is comparable between rates, and how late requests were sent.
// "alone" is the engine with its policy; "echo" includes the cost of a service in the
// same process, over TCP. ns/op only reflects the rate.
//
//	go test -run '^$' -bench Run -benchtime 3s ./internal/load
func BenchmarkRun(b *testing.B) {
	policies := map[string]func(...policy.Option) *policy.Policy{"none": policy.None, "recommended": policy.Recommended}
	for _, name := range []string{"none", "recommended"} {
		for _, rate := range []int{1_000, 10_000, 50_000} {
			b.Run(fmt.Sprintf("alone/policy=%s/rate=%d", name, rate), func(b *testing.B) {
				benchmarkRun(b, policies[name](), rate, []micro.Conn{instant{}})
			})
		}
	}
	for _, rate := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("echo/policy=none/rate=%d", rate), func(b *testing.B) {
			benchmarkRun(b, policy.None(), rate, overTCP(b, map[string]micro.Handler{"work": answer}).conns)
		})
	}
}

func benchmarkRun(b *testing.B, p *policy.Policy, rate int, conns []micro.Conn) {
	b.Helper()
	b.ReportAllocs()
	used := load.ProcessTime()
	b.ResetTimer()
	res := runReal(b, load.Plan{
		Messages: work(conns), Policy: p, Requests: uint64(b.N),
		Pacer: vegeta.ConstantPacer{Freq: rate, Per: time.Second},
	})
	b.StopTimer()
	used = load.ProcessTime() - used
	if got := res.Totals.Outcomes[load.OK]; got != int64(b.N) {
		b.Errorf("%d of %d requests were answered: %+v", got, b.N, res.Errors)
	}
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/req")
	b.ReportMetric(float64(res.Lag.P99.Microseconds()), "lag-p99-µs")
}
