package load_test

import (
	"context"
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

func TestRateAndWarmup(t *testing.T) { synctest.Test(t, testRateAndWarmup) }

func testRateAndWarmup(t *testing.T) {
	t.Helper()
	res := run(t, load.Plan{
		Messages: work(workers(t, answer)), Policy: policy.None(),
		Pacer: vegeta.ConstantPacer{Freq: 1000, Per: time.Second}, Duration: 800 * ms, Warmup: 300 * ms,
	})
	checkSum(t, res)
	if res.Totals.Offered != 500 || res.Totals.Attempts != 500 || res.Lag.Count != 500 {
		t.Errorf("offered %d, attempts %d, lags %d: want the 500 after the warm-up", res.Totals.Offered, res.Totals.Attempts, res.Lag.Count)
	}
	if res.Counted < 490*ms || res.Counted > 600*ms {
		t.Errorf("counted for %s, want 500ms", res.Counted)
	}
	var offered int64
	for _, p := range res.Seconds {
		offered += p.Offered
	}
	if offered != 800 {
		t.Errorf("the time series has %d requests, want all 800", offered)
	}
	if res.Totals.Amplification() != 1 || res.Totals.Wasted() != 0 || res.Totals.Share(load.OK) != 1 {
		t.Errorf("amplification %g, wasted %g, ok %g", res.Totals.Amplification(), res.Totals.Wasted(), res.Totals.Share(load.OK))
	}
}

// TestShed checks that a request beyond the limit is shed rather than delayed.
func TestShed(t *testing.T) { synctest.Test(t, testShed) }

func testShed(t *testing.T) {
	t.Helper()
	conns := silentWorkers(t)
	res := run(t, load.Plan{
		Messages: work(conns), Policy: policy.New(policy.WithTimeout(500 * ms)), MaxInFlight: 7,
		Pacer: vegeta.ConstantPacer{Freq: 200, Per: time.Second}, Requests: 50,
	})
	checkSum(t, res)
	if got := res.Totals.Outcomes; got[load.Timeout] != 7 || got[load.Shed] != 43 {
		t.Errorf("outcomes %v, want 7 timeouts and 43 shed", got)
	}
	if res.All.Count != 7 {
		t.Errorf("%d request latencies: those of shed requests do not count", res.All.Count)
	}
}

// TestLiveChanges checks that live changes of the rate, the timeout, and the retries
// are marked and take effect.
func TestLiveChanges(t *testing.T) { synctest.Test(t, testLiveChanges) }

func testLiveChanges(t *testing.T) {
	t.Helper()
	conns := silentWorkers(t)
	r := start(t, load.Plan{
		Messages: work(conns), Policy: policy.New(policy.WithTimeout(time.Hour)), Grace: ms,
		Pacer: vegeta.ConstantPacer{Freq: 1, Per: time.Hour}, Duration: time.Hour,
	})
	for _, step := range []func() error{
		func() error { return r.SetTimeout(20 * ms) },
		func() error { return r.SetRetries(1) },
		func() error { return r.SetRate(500) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(time.Second) // of the bubble
	live := r.Snapshot(10)
	if n := live.Totals.Outcomes[load.Timeout]; n < 475 || n > 500 { // within 40 ms of 500/s
		t.Errorf("%d timeouts in a second at 500/s", n)
	}
	r.Stop()
	res := r.Wait()
	checkSum(t, res)
	if live.Rate != 500 || live.Policy.Timeout != 20*ms || live.Policy.Retries != 1 || live.Phase != load.Loading {
		t.Errorf("the snapshot has rate %g, policy %+v, %s", live.Rate, live.Policy, live.Phase)
	}
	var marks []string
	for _, m := range res.Marks {
		marks = append(marks, m.Text)
	}
	if diff := cmp.Diff([]string{"timeout 20ms", "1 retry", "rate 500/s"}, marks); diff != "" {
		t.Errorf("marks -want +got\n%s", diff)
	}
	for _, wrong := range []error{r.SetTimeout(0), r.SetRetries(-1), r.SetRate(0), r.SetUsers(3)} {
		if wrong == nil {
			t.Error("a change that makes no sense is accepted")
		}
	}
	if got := r.Snapshot(0); got.Phase != load.Finished || got.Totals != res.Totals {
		t.Errorf("after the end a snapshot is in phase %s with %+v", got.Phase, got.Totals)
	}
}

// TestUsersComeAndLeave checks that the requests in flight follow the number of users.
func TestUsersComeAndLeave(t *testing.T) { synctest.Test(t, testUsersComeAndLeave) }

func testUsersComeAndLeave(t *testing.T) {
	t.Helper()
	var mu sync.Mutex
	inFlight := 0
	release := make(chan struct{})
	handler := func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		mu.Lock()
		inFlight++
		mu.Unlock()
		defer func() {
			mu.Lock()
			inFlight--
			mu.Unlock()
		}()
		select {
		case <-release:
		case <-ctx.Done():
		}
		return answer(ctx, req, reply)
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return inFlight
	}
	r := start(t, load.Plan{
		Messages: work(workers(t, handler)), Policy: policy.None(),
		Users: 3, Think: ms, Duration: time.Hour,
	})
	settled := func(want int) {
		t.Helper()
		<-time.After(10 * ms) // of the bubble: longer than a user thinks
		synctest.Wait()
		if got := count(); got != want {
			t.Errorf("%d requests in flight, want %d", got, want)
		}
	}
	settled(3)
	if err := r.SetUsers(8); err != nil {
		t.Fatal(err)
	}
	settled(8)
	if err := r.SetUsers(2); err != nil {
		t.Fatal(err)
	}
	for range 8 { // let each of them go once
		release <- struct{}{}
	}
	settled(2)
	if got := r.Users(); got != 2 {
		t.Errorf("%d users, want 2", got)
	}
	close(release)
	r.Stop()
	checkSum(t, r.Wait())
}

func TestCheck(t *testing.T) {
	good := load.Plan{
		Messages: work(make([]micro.Conn, 1)), Policy: policy.None(),
		Pacer: vegeta.ConstantPacer{Freq: 1, Per: time.Second}, Duration: time.Second,
	}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*load.Plan){
		"no connection":       func(p *load.Plan) { p.Messages[0].Conns = nil },
		"no pattern":          func(p *load.Plan) { p.Messages[0].Pattern = micro.Pattern{} },
		"no policy":           func(p *load.Plan) { p.Policy = nil },
		"endless attempts":    func(p *load.Plan) { p.Policy = policy.New() },
		"rate and users":      func(p *load.Plan) { p.Users = 1 },
		"neither":             func(p *load.Plan) { p.Pacer = nil },
		"no rate":             func(p *load.Plan) { p.Pacer = vegeta.ConstantPacer{Freq: -1, Per: 1} },
		"negative":            func(p *load.Plan) { p.Think = -1 },
		"no end":              func(p *load.Plan) { p.Duration = 0 },
		"nothing but warm-up": func(p *load.Plan) { p.Warmup = time.Second },
	} {
		p := good
		p.Messages = slices.Clone(good.Messages)
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := load.Start(t.Context(), p); err == nil {
			t.Errorf("%s: it starts", name)
		}
	}
}
