package load_test

import (
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// Retries, attempts, late answers, and outcomes of scripted services must be exact.
// Nothing in a script depends on how long anything takes, so the scenarios also hold
// on a real clock: an attempt is answered immediately, or never, or after all requests
// have ended.

// requests is the number of requests of each scenario.
const requests = 40

// counts are the totals that scripted services determine exactly.
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

// scenario is a scripted service, a policy, and the expected counts.
type scenario struct {
	name   string
	policy func() *policy.Policy // each run has its own budget and breaker
	script []behavior            // of the first attempt of a request, the second, …
	nth    []behavior            // instead of script: of the first message, the second, …
	faults []string              // injected in front of the service
	alone  bool                  // one request at a time, because their order matters
	want   counts
	seen   int64    // messages that reached the service; 0 means as many as attempts, -1 means none
	marks  []string // on the time axis
}

// behavior is what a scripted service does with an attempt. The last one of a script
// also applies to all further attempts.
type behavior struct {
	values int  // before anything else
	never  bool // no reply until the test ends
	late   bool // reply after all requests have ended
	status int  // of the error; 0 is success
	held   bool // no reply before another attempt of the request was denied
	joined bool // no reply before as many attempts of the request have arrived as the script has
}

// longTimeout is for attempts that must not time out, and shortTimeout for those that
// must; it leaves time for immediate replies on a real clock.
const (
	longTimeout  = 30 * time.Second
	shortTimeout = 1500 * ms
)

// trying returns a policy with some retries whose attempts may time out.
func trying(retries int, more ...policy.Option) func() *policy.Policy {
	return func() *policy.Policy {
		return policy.New(policy.WithTimeout(shortTimeout), policy.WithRetries(retries)).With(more...)
	}
}

// persistent returns a policy with some retries none of which must time out.
func persistent(retries int, more ...policy.Option) func() *policy.Policy {
	return trying(retries, append([]policy.Option{policy.WithTimeout(longTimeout)}, more...)...)
}

// TestScriptedServices checks retries, budgets, and deadlines.
func TestScriptedServices(t *testing.T) {
	const n = requests
	checkScenarios(t, []scenario{
		{name: "answers", policy: persistent(3), script: []behavior{{}},
			want: counts{OK: n, Attempts: n, Used: n}},
		{name: "fails twice, then answers", policy: persistent(3), script: []behavior{{status: 503}, {status: 429}, {}},
			want: counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{name: "fails twice, one retry", policy: persistent(1), script: []behavior{{status: 503}, {status: 502}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{name: "an error that is not retried", policy: persistent(3), script: []behavior{{status: 400}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "any error is retried", policy: persistent(2, policy.WithRetryIf(policy.AnyError)), script: []behavior{{status: 400}, {status: 500}, {}},
			want: counts{OK: n, Attempts: 3 * n, Retries: 2 * n, Used: n, Discarded: 2 * n}},
		{name: "only some classes are retried", policy: persistent(3, policy.WithRetryOn("5xx")), script: []behavior{{status: 500}, {status: 429}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
		{name: "timeouts are retried, errors are not", policy: trying(2, policy.WithRetryOn("timeout")), script: []behavior{{never: true}, {status: 503}, {}},
			want: counts{Error: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}},
		{name: "answers after the timeout", policy: trying(0), script: []behavior{{late: true}},
			want: counts{Timeout: n, Attempts: n, Late: n, Lost: n}},
		{name: "the first attempt is late, the second answers", policy: trying(1), script: []behavior{{late: true}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{name: "the first attempt is late with an error", policy: trying(1), script: []behavior{{late: true, status: 503}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Late: n, Lost: n}},
		{name: "every attempt is late", policy: trying(2), script: []behavior{{late: true}},
			want: counts{Timeout: n, Attempts: 3 * n, Retries: 2 * n, Late: 3 * n, Lost: 3 * n}},
		{name: "never answers", policy: trying(2), script: []behavior{{never: true}},
			want: counts{Timeout: n, Attempts: 3 * n, Retries: 2 * n, Lost: 3 * n}},
		{name: "never answers the first attempt", policy: trying(2), script: []behavior{{never: true}, {}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Lost: n}},
		{name: "a budget that is spent", policy: persistent(1, policy.WithBudget(0.25, 0)), script: []behavior{{status: 503}},
			want: counts{Error: n, Attempts: n + n/4, Retries: n / 4, OverBudget: n - n/4, Used: n, Discarded: n / 4}},
		{name: "the deadline comes before the retry", policy: persistent(1, policy.WithBackoff(policy.Constant(time.Minute)), policy.WithDeadline(longTimeout)), script: []behavior{{status: 503}},
			want: counts{Error: n, Attempts: n, OutOfTime: n, Used: n}},
		{name: "the deadline cuts the second attempt", policy: trying(5, policy.WithDeadline(shortTimeout+shortTimeout/2)), script: []behavior{{never: true}},
			want: counts{Timeout: n, Attempts: 2 * n, Retries: n, OutOfTime: n, Lost: 2 * n}},
		{name: "values, then the end", policy: persistent(3), script: []behavior{{values: 3}},
			want: counts{OK: n, Attempts: n, Used: n}},
		{name: "values, then an error", policy: persistent(3), script: []behavior{{values: 2, status: 503}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "values, then nothing", policy: trying(3), script: []behavior{{values: 2, never: true}},
			want: counts{Timeout: n, Attempts: n, Lost: n}},
		{name: "an error, then values", policy: persistent(3), script: []behavior{{status: 503}, {values: 2}},
			want: counts{OK: n, Attempts: 2 * n, Retries: n, Used: n, Discarded: n}},
	})
}

// TestScriptedHedges checks attempts that overlap.
func TestScriptedHedges(t *testing.T) {
	const n = requests
	hedged := func(more ...policy.Option) func() *policy.Policy {
		return persistent(0, append([]policy.Option{policy.WithHedge(policy.Hedge{Delay: 20 * ms})}, more...)...)
	}
	checkScenarios(t, []scenario{
		{name: "the hedge answers, the first attempt never", policy: hedged(), script: []behavior{{never: true}, {joined: true}},
			want: counts{OK: n, Attempts: 2 * n, Hedges: n, Used: n, Lost: n}},
		{name: "the hedge answers, the first attempt late", policy: hedged(), script: []behavior{{late: true}, {joined: true}},
			want: counts{OK: n, Attempts: 2 * n, Hedges: n, Used: n, Late: n, Lost: n}},
		{name: "the second hedge answers", policy: hedged(policy.WithHedge(policy.Hedge{Delay: 20 * ms, Max: 2})), script: []behavior{{late: true}, {late: true, status: 503}, {joined: true}},
			want: counts{OK: n, Attempts: 3 * n, Hedges: 2 * n, Used: n, Late: 2 * n, Lost: 2 * n}},
		{name: "the hedge fails, and is waited on no more", policy: hedged(), script: []behavior{{late: true}, {joined: true, status: 400}},
			want: counts{Error: n, Attempts: 2 * n, Hedges: n, Used: n, Late: n, Lost: n}},
		{name: "hedges over budget", policy: hedged(policy.WithBudget(0.25, 0)), script: []behavior{{held: true}, {joined: true}},
			want: counts{OK: n, Attempts: n + n/4, Hedges: n / 4, OverBudget: n - n/4, Used: n, Lost: n / 4}},
		{name: "no hedge in time", policy: persistent(0, policy.WithHedge(policy.Hedge{Delay: longTimeout})), script: []behavior{{}},
			want: counts{OK: n, Attempts: n, Used: n}},
	})
}

// TestScriptedBreaker checks a breaker that opens after ten failures and stays open, or
// lets single requests probe whether the service is back.
func TestScriptedBreaker(t *testing.T) {
	const n = requests
	broken := func(cooldown time.Duration) policy.Option {
		return policy.WithBreaker(policy.Breaker{Ratio: 0.5, Window: time.Hour, Minimum: 10, Cooldown: cooldown})
	}
	repeat := func(b behavior, times int, last behavior) (list []behavior) {
		for range times {
			list = append(list, b)
		}
		return append(list, last)
	}
	checkScenarios(t, []scenario{
		{name: "opens", alone: true, policy: persistent(0, broken(time.Hour)), script: []behavior{{status: 503}},
			want:  counts{Error: 10, Shed: n - 10, Attempts: 10, BreakerOpen: n - 10, Used: 10},
			marks: []string{"breaker open"}},
		{name: "opens at a retry", alone: true, policy: persistent(3, broken(time.Hour)), script: []behavior{{status: 503}},
			// Four attempts of each of two requests, and two of the third.
			want:  counts{Error: 3, Shed: n - 3, Attempts: 10, Retries: 7, BreakerOpen: n - 2, Used: 3, Discarded: 7},
			marks: []string{"breaker open"}},
		{name: "an error that is an answer does not open it", alone: true, policy: persistent(0, broken(time.Hour)), script: []behavior{{status: 404}},
			want: counts{Error: n, Attempts: n, Used: n}},
		{name: "half-open", alone: true, policy: persistent(0, broken(1)), nth: repeat(behavior{status: 503}, 12, behavior{}),
			want:  counts{Error: 12, OK: n - 12, Attempts: n, Used: n},
			marks: []string{"breaker open", "breaker half-open", "breaker open", "breaker half-open", "breaker open", "breaker half-open", "breaker closed"}},
	})
}

// TestScriptedFaults checks faults that apply to the first messages.
func TestScriptedFaults(t *testing.T) {
	const n = requests
	answers := []behavior{{}}
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
