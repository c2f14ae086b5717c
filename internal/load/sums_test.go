package load_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// sums are totals of a part of a result, including the warm-up.
type sums struct {
	Offered, Ended, OK int64
}

// checkParts checks that every part of a result adds up to the whole.
func checkParts(t testing.TB, res *load.Result) {
	t.Helper()
	checkSum(t, res)
	checkMessages(t, res)
	var points, cohorts sums
	var attempts, late, shed, ok, failed, replied int64
	for _, p := range res.Seconds {
		points.Offered += p.Offered
		points.OK += p.OK()
		for _, n := range p.Outcomes {
			points.Ended += n
		}
		attempts, late, shed = attempts+p.Attempts, late+p.Late, shed+p.Shed()
	}
	for _, c := range res.Cohorts {
		cohorts.Offered += c.Due
		cohorts.Ended += c.Ended
		cohorts.OK += c.OK
	}
	for _, s := range res.Sketches {
		ok, failed, replied = ok+countOf(s.OK), failed+countOf(s.Failed), replied+countOf(s.Attempt)
	}
	if diff := cmp.Diff(points, cohorts); diff != "" {
		t.Errorf("seconds and cohorts differ, -seconds +cohorts\n%s", diff)
	}
	if points.Ended != points.Offered {
		t.Errorf("the seconds have %d requests of which %d have ended", points.Offered, points.Ended)
	}
	if ok != points.OK || ok+failed != points.Ended-shed {
		t.Errorf("the sketches have %d latencies of ok requests and %d of others, want those of %d requests without %d shed, %d of which are ok",
			ok, failed, points.Ended, shed, points.OK)
	}
	if len(res.Sketches) != len(res.Seconds) {
		t.Errorf("%d sketches of %d seconds", len(res.Sketches), len(res.Seconds))
	}
	total := res.Totals
	if res.Warmup > 0 {
		return
	}
	if want := (sums{total.Offered, total.Finished(), total.Outcomes[load.OK]}); points != want || attempts != total.Attempts || late != total.Late {
		t.Errorf("the seconds have %+v, %d attempts and %d late answers, the totals %+v", points, attempts, late, total)
	}
	if replied != res.Attempt.Count {
		t.Errorf("the sketches have %d attempts with an ok reply, the totals %d", replied, res.Attempt.Count)
	}
}

func countOf(s load.Sketch) (n int64) {
	for _, b := range s {
		n += b.Count
	}
	return n
}

// checkMessages checks that the messages, the errors by text, and the latencies add up
// to the totals.
func checkMessages(t testing.TB, res *load.Result) {
	t.Helper()
	var sum load.MessageTotals
	var ok, latencies, errors int64
	for _, m := range res.Messages {
		sum.Offered += m.Offered
		sum.Attempts += m.Attempts
		for i, n := range m.Outcomes {
			sum.Outcomes[i] += n
		}
		ok, latencies = ok+m.Latency.Count, latencies+m.AllLatency.Count
	}
	want := load.MessageTotals{Offered: res.Totals.Offered, Attempts: res.Totals.Attempts, Outcomes: res.Totals.Outcomes}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("the messages together, -want +got\n%s", diff)
	}
	for _, e := range res.Errors {
		errors += e.Count
	}
	if want := res.Totals.Offered - res.Totals.Outcomes[load.OK]; errors != want {
		t.Errorf("%d errors by text, want %d", errors, want)
	}
	served := res.Totals.Offered - res.Totals.Outcomes[load.Shed]
	if latencies != served || res.Distributions.All.Count() != served || res.All.Count != served {
		t.Errorf("%d latencies of messages and %d of all, want %d", latencies, res.All.Count, served)
	}
	if want := res.Totals.Outcomes[load.OK]; ok != want || res.Distributions.OK.Count() != want || res.OK.Count != want {
		t.Errorf("%d latencies of ok requests of messages and %d of all, want %d", ok, res.OK.Count, want)
	}
	all := res.Totals
	if first := all.Attempts - all.Retries - all.Hedges; first < served || first > all.Offered {
		t.Errorf("%d attempts, %d retries and %d hedges leave %d first attempts of %d requests, %d of which were not shed",
			all.Attempts, all.Retries, all.Hedges, first, all.Offered, served)
	}
}

// moody replies, fails, is slow, or is too slow, depending on the number of the
// request.
func moody(end <-chan struct{}) micro.Handler {
	var mu sync.Mutex
	n := 0
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		mu.Lock()
		n++
		kind := n % 7
		mu.Unlock()
		switch kind {
		case 1:
			return micro.Errorf(503, "busy %d", kind)
		case 2:
			return micro.Errorf(404, "item %s not found", req.CorrelationID())
		case 3, 4, 5:
			timer := time.NewTimer(time.Duration(kind-2) * 50 * ms) // 5 times out under most policies
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-end:
			}
		}
		return answer(ctx, req, reply)
	}
}

// ordeal is a short run with a fault and an end.
type ordeal struct {
	policy    string
	fault     string
	users     int
	stopAfter time.Duration
	most      int
	warmup    time.Duration
}

func (o ordeal) String() string {
	return fmt.Sprintf("%s/%s/users=%d/stop=%s/max=%d/warmup=%s", o.policy, o.fault, o.users, o.stopAfter, o.most, o.warmup)
}

// TestOfferedIsTheSumOfOutcomes checks that offered is the sum of the outcomes, and that
// every part of the result adds up to the whole: under every fault and every policy,
// in open and closed loads, with complete runs and with stopped ones. Without MSCTL_TEST_ALL,
// each policy meets each fault in one of these four ways, and neighbors do so in different ones.
func TestOfferedIsTheSumOfOutcomes(t *testing.T) {
	faults := []string{
		"", "latency=20ms±10ms share=30%", "error=30%", "drop=30%", "drop-reply=30%", "duplicate=30%", "reorder=30%",
		"reset=30%", "cut=30%", "blackhole@60ms+80ms", "stall@60ms+80ms", "bandwidth=16KB/s",
	}
	everything := os.Getenv("MSCTL_TEST_ALL") != ""
	var all []ordeal
	for i, name := range append(policy.PresetNames(), "hedge", "breaker") {
		for j, fault := range faults {
			for way := range 4 {
				users, stopAfter := 20*(way/2), 120*ms*time.Duration(way%2)
				if everything || way == (i+j)%4 {
					all = append(all, ordeal{policy: name, fault: fault, users: users, stopAfter: stopAfter, warmup: 50 * ms * time.Duration(way%2)})
				}
			}
		}
		for _, stopAfter := range []time.Duration{0, 120 * ms} {
			all = append(all, ordeal{policy: name, stopAfter: stopAfter, most: 5})
		}
	}
	bubble(t, all, ordeal.String, checkOrdeal)
}

// impatient returns a policy with short timeouts.
func impatient(name string) *policy.Policy {
	short := []policy.Option{policy.WithTimeout(60 * ms), policy.WithBackoff(policy.Constant(20 * ms))}
	switch name {
	case "hedge":
		return policy.New(append(short, policy.WithRetries(1), policy.WithHedge(policy.Hedge{Delay: 15 * ms, Max: 2}))...)
	case "breaker":
		return policy.New(append(short, policy.WithRetries(1), policy.WithBreaker(policy.Breaker{Ratio: 0.2, Minimum: 5, Cooldown: 30 * ms}))...)
	}
	p, _ := policy.Preset(name, short...)
	return p
}

func checkOrdeal(t testing.TB, o ordeal) {
	t.Helper()
	end := make(chan struct{})
	var faults []string
	if o.fault != "" {
		faults = append(faults, o.fault)
	}
	service := inMemory(t, map[string]micro.Handler{"work": moody(end), "other": answer}, faults...)
	t.Cleanup(func() { close(end) })
	plan := load.Plan{
		Policy: impatient(o.policy), Users: o.users, MaxInFlight: o.most, Duration: 250 * ms, Grace: 30 * ms, Warmup: o.warmup, Think: 10 * ms,
		OnStart: service.begin,
	}
	conns := service.conns
	plan.Messages = []load.Message{{Conns: conns, Pattern: micro.Cmd("work"), Weight: 3}, {Conns: conns, Pattern: micro.Cmd("other")}}
	if o.users == 0 {
		plan.Pacer, plan.Arrivals = vegeta.ConstantPacer{Freq: 200, Per: time.Second}, load.Poisson
	}
	seen := &results{intended: map[uint64]time.Time{}}
	plan.OnResult = seen.add
	if o.stopAfter > 0 {
		plan.Duration = time.Hour
	}
	r := start(t, plan)
	if o.stopAfter > 0 {
		time.AfterFunc(o.stopAfter, r.Stop)
	}
	res := r.Wait()
	checkParts(t, res)
	if res.Stopped != (o.stopAfter > 0) {
		t.Errorf("Stopped is %t", res.Stopped)
	}
	seen.check(t, res)
}

// results are the requests passed to OnResult.
type results struct {
	mu       sync.Mutex // guards the fields below
	intended map[uint64]time.Time
	outcomes [6]int64
	twice    int
}

func (r *results) add(done load.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.intended[done.Seq]; again {
		r.twice++
	}
	r.intended[done.Seq] = done.Intended
	r.outcomes[done.Outcome]++
}

// check checks that there is one result for each request, numbered without gaps in the
// order of the intended starts, and that the outcomes match the totals.
func (r *results) check(t testing.TB, res *load.Result) {
	t.Helper()
	if r.twice > 0 || int64(len(r.intended)) != res.Totals.Offered || r.outcomes != res.Totals.Outcomes {
		t.Errorf("%d results with outcomes %v, %d of them twice: want one for each of %d requests, %v",
			len(r.intended), r.outcomes, r.twice, res.Totals.Offered, res.Totals.Outcomes)
	}
	for n := range uint64(len(r.intended)) {
		if at, ok := r.intended[n]; !ok || n > 0 && at.Before(r.intended[n-1]) {
			t.Fatalf("result %d is missing or out of order", n)
		}
	}
}
