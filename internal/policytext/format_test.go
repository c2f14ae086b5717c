package policytext

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/policy"
)

const ms = time.Millisecond

// everything has no zero value.
var everything = policy.New(
	policy.WithTimeout(300*ms), policy.WithDeadline(2*time.Second), policy.WithRetries(2),
	policy.WithBackoff(policy.Exponential(50*ms, time.Second)), policy.WithJitter(policy.EqualJitter),
	policy.WithRetryOn("timeout", "5xx"), policy.WithBudget(0.2, 10),
	policy.WithBreaker(policy.Breaker{Ratio: 0.5, Minimum: 7}), policy.WithHedge(policy.Hedge{Quantile: 0.95, Max: 2}),
).Settings()

func TestDescribe(t *testing.T) {
	want := "timeout 300ms, 2 retries 50ms to 1s apart with equal jitter on timeout,5xx, hedge p95,max=2, budget 20%+10/s, breaker 50%/10s+5s,min=7, deadline 2s"
	if got := Describe(everything); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for retryOn, want := range map[string]string{
		"": "no timeout, 1 retry at once", "any": "no timeout, 1 retry at once on any error", "never": "no timeout, 1 retry at once on never",
		"5xx,timeout": "no timeout, 1 retry at once on 5xx,timeout", "custom": "no timeout, 1 retry at once on custom",
	} {
		if got := Describe(policy.Settings{Retries: 1, RetryOn: retryOn}); got != want {
			t.Errorf("%q: %q, want %q", retryOn, got, want)
		}
	}
	for b, want := range map[policy.Backoff]string{
		{}: "at once", policy.Constant(-1): "at once", policy.Constant(time.Second): "1s apart",
		policy.Exponential(100*ms, 300*ms): "100ms to 300ms apart", policy.Exponential(100*ms, 0): "100ms apart and doubling",
		{Delay: 10 * ms, Factor: 0.5}:                   "10ms apart",
		{Delay: 10 * ms, Factor: 3}:                     "10ms apart and growing by a factor of 3",
		{Delay: 10 * ms, Factor: 1.5, Max: time.Second}: "10ms to 1s apart and growing by a factor of 1.5",
		policy.Exponential(2*time.Second, time.Second):  "1s apart", policy.Exponential(time.Second, time.Second): "1s apart",
		{Delay: 2 * time.Second, Factor: 1, Max: time.Second}: "1s apart",
	} {
		if got := describeBackoff(b); got != want {
			t.Errorf("%+v: %q, want %q", b, got, want)
		}
	}
	once := policy.New(policy.WithRetries(1), policy.WithBackoff(policy.Exponential(50*ms, time.Second))).Settings()
	if got := Describe(once); got != "no timeout, 1 retry 50ms apart" {
		t.Error(got)
	}
	for want, opts := range map[string][]policy.Option{
		"timeout 1s, no retries, hedge 2s (never sent: the timeout is 1s)":               {policy.WithTimeout(time.Second)},
		"timeout 2s, no retries, hedge 2s (never sent: the timeout is 2s)":               {policy.WithTimeout(2 * time.Second)},
		"timeout 3s, no retries, hedge 2s":                                               {policy.WithTimeout(3 * time.Second)},
		"no timeout, no retries, hedge 2s (never sent: the deadline is 1s), deadline 1s": {policy.WithDeadline(time.Second)},
		"timeout 5s, no retries, hedge 2s (never sent: the deadline is 1s), deadline 1s": {policy.WithTimeout(5 * time.Second), policy.WithDeadline(time.Second)},
		"no timeout, no retries, hedge 2s":                                               nil,
	} {
		if got := Describe(policy.New(append(opts, policy.WithHedge(policy.Hedge{Delay: 2 * time.Second}))...).Settings()); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	hedged := policy.New(policy.WithTimeout(time.Second), policy.WithHedge(policy.Hedge{Delay: 50 * ms}), policy.WithBudget(0.1, 0))
	if got := Describe(hedged.Settings()); got != "timeout 1s, no retries, hedge 50ms, budget 10%" {
		t.Error(got)
	}
}

func TestPresets(t *testing.T) {
	want := map[string]string{
		"none":        "timeout 5s, no retries",
		"nest":        "timeout 5s per value, 2 retries 1s apart on any error even after a value",
		"naive":       "timeout 1s, 3 retries at once",
		"backoff":     "timeout 1s, 3 retries 100ms to 5s apart with full jitter",
		"budget":      "timeout 1s, 3 retries 100ms to 5s apart with full jitter, budget 10%+1/s",
		"recommended": "timeout 1s, 2 retries 50ms to 1s apart with full jitter, budget 20%+10/s, deadline 3s",
	}
	got := map[string]string{}
	for _, name := range policy.PresetNames() {
		p, ok := policy.Preset(name)
		if !ok {
			t.Fatalf("no preset %q", name)
		}
		got[name] = Describe(p.Settings())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	p, _ := policy.Preset("naive", policy.WithTimeout(300*ms), policy.WithRetries(1))
	if got := Describe(p.Settings()); got != "timeout 300ms, 1 retry at once" {
		t.Errorf("changed preset: %q", got)
	}
}
