package load_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// sending is a Conn that replies immediately and remembers when it sent.
type sending struct {
	instant
	start time.Time

	mu sync.Mutex
	at []time.Duration
}

func (s *sending) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	s.mu.Lock()
	s.at = append(s.at, time.Since(s.start))
	s.mu.Unlock()
	return s.instant.Exchange(ctx, req, reply)
}

// coalesced runs a plan in a bubble. It returns its result, when requests were sent, and
// how long after their intended starts they ended, in the order of these.
func coalesced(t testing.TB, plan load.Plan) (res *load.Result, sent, latencies []time.Duration) {
	t.Helper()
	conn := &sending{}
	var mu sync.Mutex
	var requests []load.Request
	plan.Messages, plan.Policy = work([]micro.Conn{conn}), policy.None()
	plan.OnStart = func(at time.Time) { conn.start = at }
	plan.OnResult = func(r load.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r)
	}
	res = run(t, plan)
	slices.SortFunc(requests, func(a, b load.Request) int { return int(a.Seq) - int(b.Seq) })
	for _, r := range requests {
		latencies = append(latencies, r.Latency)
	}
	return res, conn.at, latencies
}

func perSecond(n int) vegeta.Pacer { return vegeta.ConstantPacer{Freq: n, Per: time.Second} }

// inMilliseconds returns durations of whole milliseconds.
func inMilliseconds(list ...int) (out []time.Duration) {
	for _, n := range list {
		out = append(out, time.Duration(n)*ms)
	}
	return out
}

// TestCoalesce checks when requests are sent, and that their latencies are measured from
// their own intended starts. The service replies immediately, so a latency is a lateness.
func TestCoalesce(t *testing.T) {
	cases := []struct {
		name            string
		plan            load.Plan
		sent, latencies []time.Duration
	}{
		{
			"three at a time", load.Plan{Pacer: perSecond(1000), Requests: 9, Coalesce: 2500 * time.Microsecond},
			inMilliseconds(2, 2, 2, 5, 5, 5, 8, 8, 8), inMilliseconds(2, 1, 0, 2, 1, 0, 2, 1, 0),
		},
		{
			"the limit is included", load.Plan{Pacer: perSecond(1000), Requests: 6, Coalesce: 2 * ms},
			inMilliseconds(2, 2, 2, 5, 5, 5), inMilliseconds(2, 1, 0, 2, 1, 0),
		},
		{
			"nothing else is due", load.Plan{Pacer: perSecond(100), Requests: 3, Coalesce: 9 * ms},
			inMilliseconds(0, 10, 20), inMilliseconds(0, 0, 0),
		},
		{
			"without coalescing", load.Plan{Pacer: perSecond(1000), Requests: 3},
			inMilliseconds(0, 1, 2), inMilliseconds(0, 0, 0),
		},
		{
			"the last request does not wait for more", load.Plan{Pacer: perSecond(1000), Requests: 4, Coalesce: 2 * ms},
			inMilliseconds(2, 2, 2, 3), inMilliseconds(2, 1, 0, 0),
		},
		{
			"the end of the load", load.Plan{Pacer: perSecond(1000), Duration: 5 * ms, Coalesce: 100 * ms},
			inMilliseconds(4, 4, 4, 4, 4), inMilliseconds(4, 3, 2, 1, 0),
		},
		{
			"beyond the longest sleep", load.Plan{Pacer: perSecond(50), Requests: 6, Coalesce: 50 * ms},
			inMilliseconds(40, 40, 40, 100, 100, 100), inMilliseconds(40, 20, 0, 40, 20, 0),
		},
		{
			"the warm-up", load.Plan{Pacer: perSecond(1000), Duration: 6 * ms, Warmup: 4 * ms, Coalesce: 2 * ms},
			inMilliseconds(2, 2, 2, 5, 5, 5), inMilliseconds(1, 0),
		},
		{
			"stages", load.Plan{Pacer: load.Stages{{Rate: 100}, {Rate: 100, Length: 30 * ms}, {Rate: 1000}, {Rate: 1000, Length: 4 * ms}}, Duration: 34 * ms, Coalesce: 3 * ms},
			inMilliseconds(0, 10, 20, 33, 33, 33, 33), inMilliseconds(0, 0, 0, 3, 2, 1, 0),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, sent, latencies := coalesced(t, c.plan)
				if diff := cmp.Diff(c.sent, sent); diff != "" {
					t.Errorf("sent, -want +got\n%s", diff)
				}
				if diff := cmp.Diff(c.latencies, latencies); diff != "" {
					t.Errorf("latencies, -want +got\n%s", diff)
				}
				if latest := slices.Max(c.latencies); res.Lag.Max != latest || res.Lag.Count != int64(len(c.latencies)) {
					t.Errorf("the lateness is %+v, want at most %s", res.Lag, latest)
				}
				checkSum(t, res)
			})
		})
	}
}

// TestCoalesceFollowsTheRate checks how late requests are without Coalesce: not at all up to
// 20,000/s, and within a window that grows with the rate above it.
func TestCoalesceFollowsTheRate(t *testing.T) {
	for _, c := range []struct {
		rate   int
		latest time.Duration
	}{
		{10_000, 0}, {20_000, 0}, {25_000, 40 * time.Microsecond}, {50_000, 40 * time.Microsecond}, {100_000, 100 * time.Microsecond},
	} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, _, _ := coalesced(t, load.Plan{Pacer: perSecond(c.rate), Requests: 990})
				if res.Lag.Max != c.latest {
					t.Errorf("requests are up to %s late, want %s", res.Lag.Max, c.latest)
				}
			})
		})
	}
}

// TestCoalesceIsNotDoubtful checks that requests that are late on purpose leave no second
// doubtful, and that its quantiles are those of its requests.
func TestCoalesceIsNotDoubtful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, _, _ := coalesced(t, load.Plan{Pacer: perSecond(1000), Duration: 2 * time.Second, Coalesce: 99 * ms})
		for _, p := range res.Seconds[:2] {
			p.CPU, p.GC, p.Jump = 0, 0, 0 // of the real machine
			if p.Doubtful() || p.Lag != 99*ms || p.LagP50.Round(ms) != 49*ms || p.LagP99.Round(ms) != 98*ms {
				t.Errorf("the second at %s is %t: it sent up to %s late, p50 %s, p99 %s", p.At, p.Doubtful(), p.Lag, p.LagP50, p.LagP99)
			}
		}
	})
}

// TestCoalesceSheds checks that the limit of requests in flight applies to each request of a
// batch.
func TestCoalesceSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res := run(t, load.Plan{
			Messages: work(silentWorkers(t)), Policy: policy.None(policy.WithTimeout(time.Second)),
			Pacer: perSecond(1000), Requests: 10, Coalesce: 9 * ms, MaxInFlight: 4,
		})
		if res.Totals.Outcomes[load.Timeout] != 4 || res.Totals.Outcomes[load.Shed] != 6 {
			t.Errorf("outcomes %v, want 4 timeouts and 6 shed", res.Totals.Outcomes)
		}
		checkSum(t, res)
	})
}

// TestCoalesceAndChange checks that a change of the rate keeps the requests that are due and
// wait for others. The pacer notices the change at 40 ms.
func TestCoalesceAndChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &sending{}
		r := start(t, load.Plan{
			Messages: work([]micro.Conn{conn}), Policy: policy.None(), OnStart: func(at time.Time) { conn.start = at },
			Pacer: perSecond(1000), Duration: 250 * ms, Coalesce: 100 * ms,
		})
		<-time.After(30 * ms)
		if err := r.SetRate(10); err != nil {
			t.Fatal(err)
		}
		res := r.Wait()
		// The requests due at 0, 1, ..., 40 ms are kept. The one that was due next is within
		// their 100 ms. It is followed by two at the new rate, which are sent together.
		want := append(slices.Repeat(inMilliseconds(41), 42), inMilliseconds(241, 241)...)
		if diff := cmp.Diff(want, conn.at); diff != "" {
			t.Errorf("sent, -want +got\n%s", diff)
		}
		checkSum(t, res)
	})
}
