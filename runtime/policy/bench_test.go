package policy_test

import (
	"context"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// BenchmarkRun is what a policy costs a request that needs no retry.
func BenchmarkRun(b *testing.B) {
	next := func(context.Context, *micro.Request, micro.Reply) error { return nil }
	hooks := policy.WithHooks(policy.Hooks{Ended: func(context.Context, policy.Attempt) {}})
	for name, p := range map[string]*policy.Policy{
		"recommended": policy.Recommended(), "none": policy.None(), "hooked": policy.Recommended(hooks),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			handler := p.Intercept(next)
			req := &micro.Request{Pattern: micro.Cmd("x")}
			for b.Loop() {
				_ = handler(b.Context(), req, nil)
			}
		})
	}
}

// TestOneAllocation: a request that needs no retry costs one allocation.
func TestOneAllocation(t *testing.T) {
	next := func(context.Context, *micro.Request, micro.Reply) error { return nil }
	handler := policy.Recommended().Intercept(next)
	req := &micro.Request{Pattern: micro.Cmd("x")}
	if got := testing.AllocsPerRun(100, func() { _ = handler(t.Context(), req, nil) }); got > 1 {
		t.Errorf("%.0f allocations, want 1", got)
	}
}
