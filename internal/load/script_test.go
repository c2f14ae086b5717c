package load_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// counts are the totals that a scripted service makes exact.
type counts struct {
	OK, Error, Timeout, Unreachable, Reset, Shed int64
	Attempts, Retries                            int64
	Used, Discarded, Late, Lost                  int64
}

func countsOf(t load.Totals) counts {
	return counts{
		t.Outcomes[load.OK], t.Outcomes[load.Error], t.Outcomes[load.Timeout],
		t.Outcomes[load.Unreachable], t.Outcomes[load.Reset], t.Outcomes[load.Shed],
		t.Attempts, t.Retries, t.Used, t.Discarded, t.Late, t.Lost,
	}
}

// behaviour is what a scripted service does with the n-th attempt of every
// request; the last one stands for all further ones.
type behaviour struct {
	after  time.Duration // before anything else
	status int           // of the error; 0 is an answer
	never  bool          // no answer at all
}

// scripted makes the handler of a script. end ends the handlers that never
// answer.
func scripted(end <-chan struct{}, script []behaviour) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		attempt := 1
		if text := req.Metadata.Get(micro.MetaAttempt); text != "" {
			attempt, _ = strconv.Atoi(text) // a bad one fails the counts
		}
		b := script[min(attempt, len(script))-1]
		if b.after > 0 {
			timer := time.NewTimer(b.after)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-end:
			}
		}
		switch {
		case b.never:
			<-end
			return micro.Errorf(500, "over")
		case b.status > 0:
			return micro.Errorf(b.status, "scripted")
		}
		return answer(ctx, req, reply)
	}
}

// TestScriptedServices is BENCH's truth check 3: retries, attempts, late
// answers and outcomes of scripted services are exact.
func TestScriptedServices(t *testing.T) {
	const n = 40
	retry := func(times int, more ...policy.Option) func() *policy.Policy {
		return func() *policy.Policy { // each run has its own budget
			return policy.New(policy.WithTimeout(100*ms), policy.WithRetries(times)).With(more...)
		}
	}
	cases := []struct {
		name   string
		policy func() *policy.Policy
		script []behaviour
		want   counts
	}{
		{"answers", retry(3), []behaviour{{}},
			counts{OK: n, Attempts: n, Used: n}},
		{"fails twice, then answers", retry(3), []behaviour{{status: 503}, {status: 429}, {}},
			counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{"fails twice, one retry", retry(1), []behaviour{{status: 503}, {status: 502}, {}},
			counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{"an error that is not retried", retry(3), []behaviour{{status: 400}},
			counts{Error: n, Attempts: n, Used: n}},
		{"any error is retried", retry(2, policy.WithRetryIf(policy.AnyError)), []behaviour{{status: 400}, {status: 500}, {}},
			counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{"answers 50 ms after the timeout", retry(0), []behaviour{{after: 150 * ms}},
			counts{Timeout: n, Attempts: n, Late: n, Lost: n}},
		{"the first attempt is late, the second answers", retry(1), []behaviour{{after: 150 * ms}, {}},
			counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{"the first attempt is late with an error", retry(1), []behaviour{{after: 150 * ms, status: 503}, {}},
			counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{"never answers", retry(2), []behaviour{{never: true}},
			counts{Timeout: n, Attempts: 3 * n, Retries: 2 * n, Lost: 3 * n}},
		{"never answers the first attempt", retry(2), []behaviour{{never: true}, {}},
			counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}},
		{"a budget that is spent", retry(1, policy.WithBudget(0.25, 0)), []behaviour{{status: 503}},
			counts{Error: n, Attempts: n + n/4, Retries: n / 4, Used: n, Discarded: n / 4}},
		{"the deadline comes before the retry", retry(1, policy.WithBackoff(policy.Constant(time.Minute)), policy.WithDeadline(time.Second)), []behaviour{{status: 503}},
			counts{Error: n, Attempts: n, Used: n}},
	}
	for _, c := range cases {
		for _, model := range []string{"open", "closed"} {
			t.Run(c.name+"/"+model, func(t *testing.T) {
				t.Parallel()
				end := make(chan struct{})
				plan := load.Plan{Messages: work(serve(t, scripted(end, c.script), 2)), Policy: c.policy(), Requests: n}
				t.Cleanup(func() { close(end) }) // before the service drains
				if model == "open" {
					plan.Pacer = vegeta.ConstantPacer{Freq: 200, Per: time.Second}
				} else {
					plan.Users = 10
				}
				res := run(t, plan)
				checkSum(t, res)
				if diff := cmp.Diff(c.want, countsOf(res.Totals)); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if got := res.RequestHistogram.Count(); got != n {
					t.Errorf("%d request latencies, want %d", got, n)
				}
			})
		}
	}
}
