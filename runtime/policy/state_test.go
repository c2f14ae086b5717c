package policy_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestState follows a breaker and a budget, which two policies share.
func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithRetries(1), policy.WithBudget(0.5, 2), policy.WithBreaker(policy.Breaker{Ratio: 1, Minimum: 2, Cooldown: time.Second}))
		shared := p.With(policy.WithTimeout(time.Minute))
		want := func(breaker policy.BreakerState, retries float64) {
			t.Helper()
			if got := shared.State(); got.Breaker != breaker || math.Abs(got.Retries-retries) > 1e-6 {
				t.Errorf("state %+v, want %s and %v", got, breaker, retries)
			}
		}
		want(policy.Closed, 2)
		_ = p.Run(t.Context(), &micro.Request{}, nil, answers(micro.ErrUnreachable)) // earns half a retry and spends one
		want(policy.Open, 1.5)
		<-time.After(time.Second)
		want(policy.Open, 3.5)
		_ = p.Run(t.Context(), &micro.Request{}, nil, answers(nil))
		want(policy.Closed, 4)
	})
	if got := policy.New().State(); got.Breaker != policy.Closed || !math.IsInf(got.Retries, 1) {
		t.Errorf("without either: %+v", got)
	}
}
