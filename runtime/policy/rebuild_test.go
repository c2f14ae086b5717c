package policy_test

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// everything is a policy of which no setting is zero.
func everything() *policy.Policy {
	return policy.New(
		policy.WithTimeout(300*ms), policy.WithDeadline(2*time.Second), policy.WithRetries(2),
		policy.WithBackoff(policy.Exponential(50*ms, time.Second)), policy.WithJitter(policy.EqualJitter),
		policy.WithRetryOn("timeout", "5xx"), policy.WithBudget(0.2, 10),
		policy.WithBreaker(policy.Breaker{Ratio: 0.5, Minimum: 7}), policy.WithHedge(policy.Hedge{Quantile: 0.95, Max: 2}),
	)
}

// TestFromSettings: what was stored of a policy makes the same policy again.
func TestFromSettings(t *testing.T) {
	policies := map[string]*policy.Policy{"everything": everything(), "nothing": policy.New()}
	for _, name := range policy.PresetNames() {
		policies[name], _ = policy.Preset(name)
	}
	for name, p := range policies {
		text, err := json.Marshal(p.Settings())
		if err != nil {
			t.Fatal(err)
		}
		var stored policy.Settings
		if err := json.Unmarshal(text, &stored); err != nil {
			t.Fatal(err)
		}
		again, err := policy.FromSettings(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(p.Settings(), again.Settings()); diff != "" {
			t.Errorf("%s -want +got\n%s", name, diff)
		}
		if before, after := attemptsOn(p, remote("400")), attemptsOn(again, remote("400")); before != after {
			t.Errorf("%s: %d attempts on a 400, then %d", name, before, after)
		}
	}
}

// attemptsOn counts the attempts of a request of which all fail with err,
// without the policy's waits.
func attemptsOn(p *policy.Policy, err error) (n int) {
	_ = p.With(policy.WithBackoff(policy.Backoff{})).Run(context.Background(), &micro.Request{}, nil, func(context.Context, *micro.Request, micro.Reply) error {
		n++
		return err
	})
	return n
}

func TestFromSettingsThatAreWrong(t *testing.T) {
	if _, err := policy.FromSettings(policy.Settings{RetryOn: "sometimes"}); err == nil {
		t.Error("an unknown class is accepted")
	}
	custom := policy.New(policy.WithRetries(1), policy.WithRetryIf(policy.AnyError)).Settings()
	if _, err := policy.FromSettings(custom); err == nil {
		t.Error("a function is made of nothing")
	}
	p, err := policy.FromSettings(custom, policy.WithRetryIf(policy.AnyError))
	if err != nil || p.Settings() != custom || attemptsOn(p, remote("400")) != 2 {
		t.Errorf("with the function: %v, %v", p, err)
	}
	odd := policy.Settings{
		Timeout: -1, Deadline: -1, Retries: -1, Budget: policy.Budget{Ratio: math.NaN(), Floor: -1},
		Breaker: policy.Breaker{Ratio: math.NaN(), Minimum: 3}, Hedge: policy.Hedge{Quantile: math.NaN(), Max: 3},
	}
	if p, err := policy.FromSettings(odd); err != nil || p.Settings() != (policy.Settings{}) {
		t.Errorf("numbers out of range: %+v, %v", p.Settings(), err)
	}
}

// TestAs checks that everything except the hooks is copied, and that an equal budget
// continues.
func TestAs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reported := 0
		hooks := policy.WithHooks(policy.Hooks{Ended: func(context.Context, policy.Attempt) { reported++ }})
		p := preset("nest", policy.WithBudget(0, 5), hooks)
		failing(t, p.With(policy.WithBackoff(policy.Backoff{})), 3) // 2 retries each: 5 tokens are spent
		reported = 0
		for name, c := range map[string]struct {
			other   *policy.Policy
			retries int
		}{
			"the same budget": {policy.New(policy.WithRetries(1), policy.WithBudget(0, 5)), 0},
			"another budget":  {policy.New(policy.WithRetries(1), policy.WithBudget(0, 6)), 6},
			"no budget":       {policy.New(policy.WithRetries(1)), 10},
			"never":           {policy.New(policy.WithRetries(1), policy.WithRetryOn("never")), 0},
		} {
			reported = 0
			next := p.With(policy.As(c.other))
			if next.Settings() != c.other.Settings() {
				t.Errorf("%s: %+v, want %+v", name, next.Settings(), c.other.Settings())
			}
			if got := failing(t, next, 10); got != c.retries || reported != 10+got {
				t.Errorf("%s: %d retries and %d attempts reported, want %d retries", name, got, reported, c.retries)
			}
		}
		if reported == 0 {
			t.Error("the hooks are gone")
		}
	})
}

// TestTimeLeftInTheMetadata: what an attempt tells the service is its own time:
// the attempt's timeout, or what is left of the request's deadline.
func TestTimeLeftInTheMetadata(t *testing.T) {
	cases := map[string]struct {
		opts   []policy.Option
		within time.Duration
		want   []string // at the beginning of each attempt
	}{
		"the attempt's":        {[]policy.Option{policy.WithTimeout(300 * ms), policy.WithRetries(2)}, time.Minute, []string{"300", "300", "300"}},
		"the caller's is less": {[]policy.Option{policy.WithTimeout(300 * ms), policy.WithRetries(2)}, 450 * ms, []string{"300", "150"}},
		"the policy's is less": {[]policy.Option{policy.WithTimeout(300 * ms), policy.WithRetries(2), policy.WithDeadline(700 * ms)}, 0, []string{"300", "300", "100"}},
		"none":                 {nil, 0, []string{""}},
		"a hedge has its own":  {[]policy.Option{policy.WithTimeout(300 * ms), hedgeAt(100*ms, 1)}, time.Minute, []string{"300", "300"}},
		"a hedge has less":     {[]policy.Option{policy.WithTimeout(300 * ms), hedgeAt(100*ms, 1)}, 350 * ms, []string{"300", "250"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				req := &micro.Request{}
				req.Metadata.Set(micro.MetaTimeout, "a stale one")
				if c.within > 0 {
					req.Deadline = time.Now().Add(c.within)
				} else {
					req.Metadata = micro.Metadata{}
				}
				var mu sync.Mutex // guards got
				var got []string
				s := &script{steps: []step{{takes: 350 * ms, err: remote("400")}}}
				_ = policy.New(c.opts...).Run(t.Context(), req, nil, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
					sent := maps.Collect(micro.SentMetadata(req, time.Now()))
					mu.Lock()
					got = append(got, sent[micro.MetaTimeout])
					mu.Unlock()
					return s.handle(ctx, req, reply)
				})
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		})
	}
}
