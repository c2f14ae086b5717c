package bench

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/micro"
)

// experiment is a bench with several runs of a service.
type experiment struct {
	name    string
	service func(*testing.T) *memory
	words   string
	want    result
	why     string // a part of the reason
}

// result is what an experiment suggests.
type result int

const (
	none     result = iota // nothing
	rejected               // nothing, because the policy that was tried was worse
	made                   // a policy
	either                 // a policy or nothing: random delays of retries decide
)

// resultOf returns the result of an experiment.
func resultOf(s *report.Suggestion) result {
	switch {
	case s.Policy != nil:
		return made
	case s.Tried != nil:
		return rejected
	}
	return none
}

// mock returns a service with workers and a queue.
func mock(c capacity.Config) func(*testing.T) *memory {
	return func(t *testing.T) *memory {
		t.Helper()
		c.Seed = 1
		s := capacity.New(c)
		m := served(t, s.Handler(), s.Stall)
		t.Cleanup(s.Close) // before the server drains
		return m
	}
}

// lossy fails one of 50 messages, and replies to the others after 10 ms.
func lossy() func(*testing.T) *memory {
	return replies(func(n int64, _ *micro.Request) (time.Duration, int) {
		if n%50 == 7 {
			return 10 * ms, 503
		}
		return 10 * ms, 0
	})
}

func experiments() []experiment {
	hundred := capacity.Config{ServiceTime: capacity.Constant(10 * ms)}
	varied := capacity.Config{Workers: 10, ServiceTime: capacity.Exponential(10 * ms)}
	return []experiment{
		{"a stall", mock(hundred), "cmd=x --rate 65/s --fault stall@8s+4s --duration 28s --timeout 1s --sweep policy=none,recommended", rejected, "it was worse by"},
		{"a service that drops expired work", mock(capacity.Config{ServiceTime: capacity.Constant(10 * ms), DropExpired: true}),
			"cmd=x --rate 65/s --fault stall@8s+2s --duration 20s --timeout 500ms --sweep policy=none,recommended", either, ""},
		{"a load that is too light", mock(hundred), "cmd=x --collapse true --sweep policy=none,naive --rate 22/s --timeout 1s --duration 25s --fault stall@3s+500ms", made, "RECOVERED in"},
		{"budgets", mock(hundred), "cmd=x --policy backoff --timeout 300ms --rate 60/s --fault stall@5s+3s --duration 16s --sweep budget=none,20%", either, ""},
		{"random failures", lossy(), "cmd=x --rate 100/s --duration 12s --timeout 1s --sweep retries=0,1,3 --retry-delay 10ms", made, "measured best: retries="},
		{"random failures without retries", lossy(), "cmd=x --rate 100/s --duration 12s --sweep timeout=100ms,1s", rejected, "it was worse by p99"},
		{"nothing ever fails", mock(varied), "cmd=x --rate 100/s --duration 15s --policy recommended --sweep timeout=1s,5s", made, "100% ok"},
		{"users", mock(varied), "cmd=x --think 100ms --duration 15s --sweep users=10,20", made, "100% ok"},
		{"overload", mock(hundred), "cmd=x --rate 130/s --duration 12s --timeout 1s --sweep retries=0,1", none, "of the requests got no reply, so the service was not healthy"},
		{"only errors", failing(), "cmd=x --rate 100/s --duration 12s --sweep retries=0,1", none, "100% of the requests failed with an error"},
		{"a short experiment", mock(varied), "cmd=x --rate 50/s --duration 3s --sweep retries=0,1", none, "at least 1,000 are needed"},
	}
}

// TestSuggestionsHold makes experiments, and then one more run under the policy that each
// of them suggests, on a service of its own. The run must not be worse than the best one
// that was measured by more than a tenth. An experiment that suggests nothing must state
// the reason.
func TestSuggestionsHold(t *testing.T) {
	for _, c := range experiments() {
		t.Run(c.name, func(t *testing.T) { synctest.Test(t, c.check) })
	}
}

func (c *experiment) check(t *testing.T) {
	t.Helper()
	words := strings.Fields(c.words)
	d, _ := documentOf(t, c.service(t), words...)
	s := d.Suggestion
	if s == nil || s.Why == "" {
		t.Fatalf("the suggestion is %+v, without a reason", s)
	}
	t.Log(s.Why)
	if got := resultOf(s); c.want != either && got != c.want || !strings.Contains(s.Why, c.why) {
		t.Errorf("the suggestion is %+v: %s\nwant result %d instead of %d, because %q", s.Policy, s.Why, c.want, got, c.why)
	}
	if s.Policy == nil {
		return
	}
	best := &d.Experiment.Cells[lab.Leader(d.Experiment)]
	spec, err := readSpec(t, "", words...)
	if err != nil {
		t.Fatal(err)
	}
	spec.memory = c.service(t)
	settings := s.Policy.Settings()
	one := spec.single().underPolicy(settings)
	if spec.Trials.Collapse {
		trials, _, err := spec.collapseTrials(d.Experiment.Capacity)
		if err != nil {
			t.Fatal(err)
		}
		one = trials[0].spec.underPolicy(settings)
	}
	b, err := Prepare(t.Context(), one, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Run(t.Context(), waiting{}); err != nil {
		t.Fatal(err)
	}
	tried := report.CellOf(&b.Document().Runs[0])
	t.Logf("%.4f ok, recovered in %s, %.2f attempts per request, p99 %s; the best measured %.4f, %s, %.2f, %s",
		tried.Goodput, tried.Recovery, tried.Amplification, tried.P99, best.Goodput, best.Recovery, best.Amplification, best.P99)
	if tried.Verdict != best.Verdict || tried.Goodput < 0.9*best.Goodput || tried.GoodputRate < 0.9*best.GoodputRate ||
		tried.Recovery > best.Recovery*11/10+250*ms || tried.Amplification > 1.1*best.Amplification || tried.P99 > best.P99*11/10+10*ms {
		t.Errorf("the suggested policy %s is worse by more than a tenth", s.Policy.Text)
	}
}
