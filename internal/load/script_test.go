package load_test

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// BENCH's truth check 3: retries, attempts, late answers and outcomes of scripted
// services are exact. So that a busy machine does not decide, nothing in a script
// depends on how long something takes: an attempt is answered at once, or never,
// or after all requests have ended.

// requests is how many each scenario makes.
const requests = 40

// counts are the totals that a scripted service makes exact.
type counts struct {
	OK, Error, Timeout, Unreachable, Reset, Shed int64
	Attempts, Retries, Hedges                    int64
	OverBudget, OutOfTime, BreakerOpen           int64
	Used, Discarded, Late, Lost                  int64
}

func countsOf(t load.Totals) counts {
	return counts{
		t.Outcomes[load.OK], t.Outcomes[load.Error], t.Outcomes[load.Timeout],
		t.Outcomes[load.Unreachable], t.Outcomes[load.Reset], t.Outcomes[load.Shed],
		t.Attempts, t.Retries, t.Hedges, t.OverBudget, t.OutOfTime, t.BreakerOpen,
		t.Used, t.Discarded, t.Late, t.Lost,
	}
}

// scenario is a scripted service, a policy, and what they come to.
type scenario struct {
	name   string
	policy func() *policy.Policy // each run has its own budget and breaker
	script []behaviour           // of the first attempt of a request, the second, …
	nth    []behaviour           // in its place: of the first message, the second, …
	faults []string              // of a proxy before the service
	alone  bool                  // one request after the other, because their order counts
	want   counts
	seen   int64    // messages that reached the service; 0 is the attempts, less is none
	marks  []string // on the time axis
}

// behaviour is what a scripted service does with an attempt; the last one stands
// for all further ones.
type behaviour struct {
	values int  // before anything else
	never  bool // no answer until the test ends
	late   bool // an answer after all requests have ended
	status int  // of the error; 0 is an answer
	held   bool // no answer before a further attempt of the request was refused
	joined bool // no answer before as many attempts of the request have come as the script has
}

// patient is the timeout where nothing shall time out, and brief where something
// shall, which leaves time for what is answered at once.
const (
	patient = 30 * time.Second
	brief   = 1500 * ms
)

// trying is a policy of some retries after brief attempts.
func trying(retries int, more ...policy.Option) func() *policy.Policy {
	return func() *policy.Policy {
		return policy.New(policy.WithTimeout(brief), policy.WithRetries(retries)).With(more...)
	}
}

// persistent is a policy of some retries none of which shall time out.
func persistent(retries int, more ...policy.Option) func() *policy.Policy {
	return trying(retries, append([]policy.Option{policy.WithTimeout(patient)}, more...)...)
}

// TestScriptedServices holds plain retries, budgets and deadlines to the exact.
func TestScriptedServices(t *testing.T) {
	const n = requests
	checkScenarios(t, []scenario{
		{name: "answers", policy: persistent(3), script: []behaviour{{}},
			want: counts{OK: n, Attempts: n, Used: n}},
		{name: "fails twice, then answers", policy: persistent(3), script: []behaviour{{status: 503}, {status: 429}, {}},
			want: counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{name: "fails twice, one retry", policy: persistent(1), script: []behaviour{{status: 503}, {status: 502}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{name: "an error that is not retried", policy: persistent(3), script: []behaviour{{status: 400}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "any error is retried", policy: persistent(2, policy.WithRetryIf(policy.AnyError)), script: []behaviour{{status: 400}, {status: 500}, {}},
			want: counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{name: "only some classes are retried", policy: persistent(3, policy.WithRetryOn("5xx")), script: []behaviour{{status: 500}, {status: 429}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{name: "timeouts are retried, errors are not", policy: trying(2, policy.WithRetryOn("timeout")), script: []behaviour{{never: true}, {status: 503}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}},
		{name: "answers after the timeout", policy: trying(0), script: []behaviour{{late: true}},
			want: counts{Timeout: n, Attempts: n, Late: n, Lost: n}},
		{name: "the first attempt is late, the second answers", policy: trying(1), script: []behaviour{{late: true}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{name: "the first attempt is late with an error", policy: trying(1), script: []behaviour{{late: true, status: 503}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{name: "every attempt is late", policy: trying(2), script: []behaviour{{late: true}},
			want: counts{Timeout: n, Attempts: 3 * n, Retries: 2 * n, Late: 3 * n, Lost: 3 * n}},
		{name: "never answers", policy: trying(2), script: []behaviour{{never: true}},
			want: counts{Timeout: n, Attempts: 3 * n, Retries: 2 * n, Lost: 3 * n}},
		{name: "never answers the first attempt", policy: trying(2), script: []behaviour{{never: true}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}},
		{name: "a budget that is spent", policy: persistent(1, policy.WithBudget(0.25, 0)), script: []behaviour{{status: 503}},
			want: counts{Error: n, Attempts: n + n/4, Retries: n / 4, OverBudget: n - n/4, Used: n, Discarded: n / 4}},
		{name: "the deadline comes before the retry", policy: persistent(1, policy.WithBackoff(policy.Constant(time.Minute)), policy.WithDeadline(patient)), script: []behaviour{{status: 503}},
			want: counts{Error: n, Attempts: n, OutOfTime: n, Used: n}},
		{name: "the deadline cuts the second attempt", policy: trying(5, policy.WithDeadline(brief+brief/2)), script: []behaviour{{never: true}},
			want: counts{Timeout: n, Attempts: 2 * n, Retries: n, OutOfTime: n, Lost: 2 * n}},
		{name: "values, then the end", policy: persistent(3), script: []behaviour{{values: 3}},
			want: counts{OK: n, Attempts: n, Used: n}},
		{name: "values, then an error", policy: persistent(3), script: []behaviour{{values: 2, status: 503}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "values, then nothing", policy: trying(3), script: []behaviour{{values: 2, never: true}},
			want: counts{Timeout: n, Attempts: n, Lost: n}},
		{name: "an error, then values", policy: persistent(3), script: []behaviour{{status: 503}, {values: 2}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
	})
}

// TestScriptedHedges holds attempts that overlap to the exact.
func TestScriptedHedges(t *testing.T) {
	const n = requests
	hedged := func(more ...policy.Option) func() *policy.Policy {
		return persistent(0, append([]policy.Option{policy.WithHedge(policy.Hedge{Delay: 20 * ms})}, more...)...)
	}
	checkScenarios(t, []scenario{
		{name: "the hedge answers, the first attempt never", policy: hedged(), script: []behaviour{{never: true}, {joined: true}},
			want: counts{OK: n, Attempts: 2 * n, Hedges: n, Used: n, Lost: n}},
		{name: "the hedge answers, the first attempt late", policy: hedged(), script: []behaviour{{late: true}, {joined: true}},
			want: counts{OK: n, Attempts: 2 * n, Hedges: n, Used: n, Late: n, Lost: n}},
		{name: "the second hedge answers", policy: hedged(policy.WithHedge(policy.Hedge{Delay: 20 * ms, Most: 2})), script: []behaviour{{late: true}, {late: true, status: 503}, {joined: true}},
			want: counts{OK: n, Attempts: 3 * n, Hedges: 2 * n, Used: n, Late: 2 * n, Lost: 2 * n}},
		{name: "the hedge fails, and is waited on no more", policy: hedged(), script: []behaviour{{late: true}, {joined: true, status: 400}},
			want: counts{Error: n, Attempts: 2 * n, Hedges: n, Used: n, Late: n, Lost: n}},
		{name: "hedges over budget", policy: hedged(policy.WithBudget(0.25, 0)), script: []behaviour{{held: true}, {joined: true}},
			want: counts{OK: n, Attempts: n + n/4, Hedges: n / 4, OverBudget: n - n/4, Used: n, Lost: n / 4}},
		{name: "no hedge in time", policy: persistent(0, policy.WithHedge(policy.Hedge{Delay: patient})), script: []behaviour{{}},
			want: counts{OK: n, Attempts: n, Used: n}},
	})
}

// TestScriptedBreaker holds a breaker to the exact: it opens after ten failures,
// and stays open, or lets one request after the other try whether the service is
// back.
func TestScriptedBreaker(t *testing.T) {
	const n = requests
	broken := func(cooldown time.Duration) policy.Option {
		return policy.WithBreaker(policy.Breaker{Ratio: 0.5, Window: time.Hour, Minimum: 10, Cooldown: cooldown})
	}
	repeat := func(b behaviour, times int, last behaviour) (list []behaviour) {
		for range times {
			list = append(list, b)
		}
		return append(list, last)
	}
	checkScenarios(t, []scenario{
		{name: "opens", alone: true, policy: persistent(0, broken(time.Hour)), script: []behaviour{{status: 503}},
			want:  counts{Error: 10, Shed: n - 10, Attempts: 10, BreakerOpen: n - 10, Used: 10},
			marks: []string{"breaker open"}},
		{name: "opens at a retry", alone: true, policy: persistent(3, broken(time.Hour)), script: []behaviour{{status: 503}},
			// Four attempts of each of two requests, and two of the third.
			want:  counts{Error: 3, Shed: n - 3, Attempts: 10, Retries: 7, BreakerOpen: n - 2, Used: 3, Discarded: 7},
			marks: []string{"breaker open"}},
		{name: "an error that is an answer does not open it", alone: true, policy: persistent(0, broken(time.Hour)), script: []behaviour{{status: 404}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "half-open", alone: true, policy: persistent(0, broken(1)), nth: repeat(behaviour{status: 503}, 12, behaviour{}),
			want:  counts{Error: 12, OK: n - 12, Attempts: n, Used: n},
			marks: []string{"breaker open", "breaker half-open", "breaker open", "breaker half-open", "breaker open", "breaker half-open", "breaker closed"}},
	})
}

// TestScriptedFaults holds what a fault proxy does to the first messages to the
// exact.
func TestScriptedFaults(t *testing.T) {
	const n = requests
	answers := []behaviour{{}}
	checkScenarios(t, []scenario{
		{name: "errors", policy: persistent(0), script: answers, faults: []string{"error status=418 first=5"},
			want: counts{Error: 5, OK: n - 5, Attempts: n, Used: n}, seen: n - 5},
		{name: "errors, retried", policy: persistent(1), script: answers, faults: []string{"error first=5"}, alone: true,
			// The second and the fourth of them meet a retry.
			want: counts{Error: 2, OK: n - 2, Attempts: n + 3, Retries: 3, Used: n, Discarded: 3}, seen: n - 2},
		{name: "requests dropped", policy: trying(0), script: answers, faults: []string{"drop first=4"},
			want: counts{Timeout: 4, OK: n - 4, Attempts: n, Used: n - 4, Lost: 4}, seen: n - 4},
		{name: "replies dropped", policy: trying(0), script: answers, faults: []string{"drop-reply first=4"},
			want: counts{Timeout: 4, OK: n - 4, Attempts: n, Used: n - 4, Lost: 4}},
		{name: "a reply dropped, and the work done twice", policy: trying(1), script: answers, faults: []string{"drop-reply first=1"},
			want: counts{OK: n, Attempts: n + 1, Retries: 1, Used: n, Lost: 1}},
		{name: "duplicates", policy: persistent(1), script: answers, faults: []string{"duplicate first=6"},
			want: counts{OK: n, Attempts: n, Used: n}, seen: n + 6},
		{name: "resets", alone: true, policy: persistent(0), script: answers, faults: []string{"reset first=3"},
			want: counts{Reset: 3, OK: n - 3, Attempts: n, Used: n - 3}, seen: n - 3},
		{name: "a reset, retried", alone: true, policy: persistent(2, policy.WithRetryOn("reset")), script: answers, faults: []string{"reset first=2"},
			want: counts{OK: n, Attempts: n + 2, Retries: 2, Used: n}, seen: n},
		{name: "answers cut off", alone: true, policy: persistent(0), script: answers, faults: []string{"cut first=3"},
			want: counts{Reset: 3, OK: n - 3, Attempts: n, Used: n - 3}},
		{name: "an answer cut off, retried", alone: true, policy: persistent(1), script: answers, faults: []string{"cut first=1"},
			want: counts{OK: n, Attempts: n + 1, Retries: 1, Used: n}},
		{name: "a black hole", policy: trying(1), script: answers, faults: []string{"blackhole"},
			want: counts{Timeout: n, Attempts: 2 * n, Retries: n, Lost: 2 * n}, seen: -1},
		{name: "delays", policy: persistent(0), script: answers, faults: []string{"latency=30ms±20ms", "reorder=50%"},
			want: counts{OK: n, Attempts: n, Used: n}},
	})
}
