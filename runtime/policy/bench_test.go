package policy_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// variants are the policies whose costs are compared.
func variants() map[string]*policy.Policy {
	retry := policy.New(policy.WithTimeout(time.Second), policy.WithRetries(2), policy.WithBackoff(policy.Constant(time.Second)))
	return map[string]*policy.Policy{
		"bare":         policy.New(),
		"retry":        retry,
		"budget":       retry.With(policy.WithBudget(0.2, 10)),
		"breaker":      retry.With(policy.WithBreaker(policy.Breaker{Ratio: 0.5})),
		"hedge":        retry.With(hedgeAt(time.Second, 1)),
		"hedge at p95": retry.With(policy.WithHedge(policy.Hedge{Quantile: 0.95})),
		"recommended":  policy.Recommended(),
		"hooked":       policy.Recommended(policy.WithHooks(policy.Hooks{Ended: func(context.Context, policy.Attempt) {}})),
	}
}

// BenchmarkRun is what a policy costs a request that needs no retry, and whose
// hedge is not due.
func BenchmarkRun(b *testing.B) {
	for name, p := range variants() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			handler := p.Intercept(answers(nil))
			req := &micro.Request{Pattern: micro.Cmd("x")}
			for b.Loop() {
				_ = handler(b.Context(), req, nil)
			}
		})
	}
}

// BenchmarkShed is what a request costs that an open breaker holds back.
func BenchmarkShed(b *testing.B) {
	p := policy.New(policy.WithBreaker(policy.Breaker{Ratio: 1, Minimum: 1, Cooldown: time.Hour}))
	req := &micro.Request{Pattern: micro.Cmd("x")}
	_ = p.Run(b.Context(), req, nil, answers(micro.ErrTimeout))
	next := answers(nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Run(b.Context(), req, nil, next)
	}
}

// TestOneAllocation: a request that needs no retry costs one allocation, unless it may be
// hedged, and no more memory than its policy needs.
func TestOneAllocation(t *testing.T) {
	req := &micro.Request{Pattern: micro.Cmd("x")}
	next := answers(nil)
	for name, most := range map[string]uint64{"bare": 416, "retry": 416, "budget": 416, "recommended": 416, "breaker": 576} {
		handler := variants()[name].Intercept(next)
		call := func() { _ = handler(t.Context(), req, nil) }
		if got := testing.AllocsPerRun(100, call); got > 1 {
			t.Errorf("%s: %.0f allocations, want 1", name, got)
		}
		const calls = 1000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			call()
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / calls; got > most+most/50 { // something else may allocate, too
			t.Errorf("%s: %d bytes, want at most %d", name, got, most)
		}
	}
}
