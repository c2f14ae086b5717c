package policy_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestHedgeQuantile: nothing is hedged until enough is known, then what takes
// longer than the quantile; hedges that win do not make it sink, and what is
// long ago is forgotten.
func TestHedgeQuantile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithHedge(policy.Hedge{Quantile: 0.9}), policy.WithTimeout(time.Second))
		hedges := 0
		request := func(i int, usual time.Duration) {
			first := usual
			if i%20 == 0 {
				first = 10 * usual
			}
			s := &script{steps: []step{{takes: first, value: "1"}, {takes: usual, value: "2"}}}
			if _, err := send(t.Context(), p, s, &micro.Request{}); err != nil {
				t.Fatal(err)
			}
			hedges += len(s.seen) - 1
		}
		for i := range 100 {
			request(i, 10*ms)
		}
		if hedges != 0 {
			t.Errorf("%d hedges before anything is known", hedges)
		}
		for i := range 2000 {
			request(i, 10*ms)
		}
		if hedges != 100 {
			t.Errorf("%d hedges of 2000 requests of which 100 are slow", hedges)
		}
		hedges = 0
		for i := range 3000 {
			request(i, 40*ms)
		}
		if hedges > 1200 {
			t.Errorf("%d hedges while all became slower, of 3000", hedges)
		}
		hedges = 0
		for i := range 1000 {
			request(i, 40*ms)
		}
		if hedges != 50 {
			t.Errorf("%d hedges of 1000 requests of which 50 are slow", hedges)
		}
	})
}

// TestHedgeQuantileIsShared: by policies made of one another.
func TestHedgeQuantileIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithHedge(policy.Hedge{Quantile: 0.95}))
		for range 100 {
			_, _ = send(t.Context(), p, &script{steps: []step{{takes: 10 * ms, value: "1"}}}, &micro.Request{})
		}
		for name, c := range map[string]struct {
			policy *policy.Policy
			want   int
		}{
			"the same":         {p.With(policy.WithTimeout(time.Second)), 2},
			"with more hedges": {p.With(policy.WithHedge(policy.Hedge{Quantile: 0.95, Max: 3})), 4},
			"another quantile": {p.With(policy.WithHedge(policy.Hedge{Quantile: 0.9})), 1},
		} {
			s := &script{steps: []step{{takes: 50 * ms, value: "1"}}}
			if _, err := send(t.Context(), c.policy, s, &micro.Request{}); err != nil || len(s.seen) != c.want {
				t.Errorf("%s: %d attempts, %v, want %d", name, len(s.seen), err, c.want)
			}
		}
	})
}
