package policy_test

import (
	"errors"
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
			"with more hedges": {p.With(policy.WithHedge(policy.Hedge{Quantile: 0.95, Most: 3})), 4},
			"another quantile": {p.With(policy.WithHedge(policy.Hedge{Quantile: 0.9})), 1},
		} {
			s := &script{steps: []step{{takes: 50 * ms, value: "1"}}}
			if _, err := send(t.Context(), c.policy, s, &micro.Request{}); err != nil || len(s.seen) != c.want {
				t.Errorf("%s: %d attempts, %v, want %d", name, len(s.seen), err, c.want)
			}
		}
	})
}

func TestParseHedge(t *testing.T) {
	cases := map[string]policy.Hedge{
		"none":         {},
		"50ms":         {Delay: 50 * ms, Most: 1},
		"1.5s,max=2":   {Delay: 1500 * ms, Most: 2},
		"p95":          {Quantile: 0.95, Most: 1},
		"p99.9,max=12": {Quantile: 0.999, Most: 12},
	}
	for text, want := range cases {
		if got, err := policy.ParseHedge(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v %s, %v, want %+v", text, got, got, err, want)
		}
	}
	wrong := map[string]int{
		"": 0, "50": 0, "p": 0, "p49": 0, "p100": 0, "p99.95": 0, "-5ms": 0, "0s": 0, "px": 0, "p9e1": 0, ",max=2": 0,
		"p95,": 4, "p95,2": 4, "p95,max=0": 8, "50ms,max=x": 9, "p95,max=1,max=2": 10, "p95,min=2": 4,
	}
	for text, offset := range wrong {
		_, err := policy.ParseHedge(text)
		var at *policy.SyntaxError
		if !errors.As(err, &at) || at.Offset != offset || at.What != "hedge" {
			t.Errorf("%q: %v, want the offset %d", text, err, offset)
		}
	}
}

func FuzzParseHedge(f *testing.F) {
	for _, text := range []string{"none", "50ms", "p95", "p99.9,max=3", "1h2m3.5s,max=2", "p,", "p50.00001"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := policy.ParseHedge(text)
		if err != nil {
			checkSyntaxError(t, err, text)
			return
		}
		if again, err := policy.ParseHedge(h.String()); err != nil || again != h {
			t.Errorf("%q is %+v, and %q is %+v, %v", text, h, h.String(), again, err)
		}
	})
}
