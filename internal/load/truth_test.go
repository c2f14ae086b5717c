package load_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/policy"
)

// TestStallIsNotHidden measures a service that stalls for 2 s at 100/s. Of 500
// requests, those due in the stall wait for its end: 2 s, 1.99 s, and so on. The 99th
// percentile is the fifth longest, 1.96 s.
func TestStallIsNotHidden(t *testing.T) { synctest.Test(t, testStallIsNotHidden) }

func testStallIsNotHidden(t *testing.T) {
	t.Helper()
	s := newStall(1500*ms, 2*time.Second)
	handler := func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		s.wait()
		return answer(ctx, req, reply)
	}
	res := run(t, load.Plan{
		Messages: work(workers(t, handler)), Policy: policy.None(),
		Pacer: vegeta.ConstantPacer{Freq: 100, Per: time.Second}, Duration: 5 * time.Second,
	})
	checkSum(t, res)
	if res.Totals.Offered != 500 || res.Totals.Outcomes[load.OK] != 500 {
		t.Errorf("offered %d, ok %d, want 500 each", res.Totals.Offered, res.Totals.Outcomes[load.OK])
	}
	if want := s.quantile(0.99, 100, 5*time.Second); !within(res.OK.P99, want, 0.001) { // the histogram's precision
		t.Errorf("p99 is %s, want %s", res.OK.P99, want)
	}
	if res.OK.P50 > ms {
		t.Errorf("p50 is %s: the requests outside of the stall were not delayed", res.OK.P50)
	}
}

// TestStopByContext checks that a run stops when its context ends, and that requests
// without a reply are still counted.
func TestStopByContext(t *testing.T) { synctest.Test(t, testStopByContext) }

func testStopByContext(t *testing.T) {
	t.Helper()
	conns := silentWorkers(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := load.Start(ctx, load.Plan{
		Messages: work(conns), Policy: policy.None(), Grace: 20 * ms, TimerPacing: true,
		Pacer: vegeta.ConstantPacer{Freq: 200, Per: time.Second}, Duration: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*ms, cancel)
	res := r.Wait()
	checkSum(t, res)
	if got := res.Totals; got.Outcomes[load.Timeout] != got.Offered || got.CutShort != got.Offered || got.Offered < 40 || got.Offered > 41 {
		t.Errorf("%+v: want those of 200 ms at 200/s, all of them cut short and timeouts", got)
	}
	if res.Elapsed > 1250*ms { // 200 ms, a step of the pacer, the grace, and a second for late answers
		t.Errorf("stopping took %s", res.Elapsed)
	}
}

// TestTransportOutcomes checks outcomes that are not replies of the service.
func TestTransportOutcomes(t *testing.T) {
	closing, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := closing.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1)) // the request has been written
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = closing.Close(); wg.Wait() })
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	for address, want := range map[string]load.Outcome{closing.Addr().String(): load.Reset, free.Addr().String(): load.Unreachable} {
		conn := microtcp.Dial(address)
		res := runReal(t, load.Plan{
			Messages: work([]micro.Conn{conn}), Policy: policy.None(),
			Pacer: vegeta.ConstantPacer{Freq: 100, Per: time.Second}, Requests: 20,
		})
		_ = conn.Close()
		checkSum(t, res)
		if res.Totals.Outcomes[want] != 20 {
			t.Errorf("%s: outcomes %v, want 20 %s; errors %+v", address, res.Totals.Outcomes, want, res.Errors)
		}
	}
}
