package policy_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

func TestBackoff(t *testing.T) {
	cases := []struct {
		backoff policy.Backoff
		want    []time.Duration
	}{
		{policy.Backoff{}, []time.Duration{0, 0, 0}},
		{policy.Constant(-1), []time.Duration{0, 0, 0}},
		{policy.Constant(time.Second), []time.Duration{time.Second, time.Second, time.Second}},
		{policy.Exponential(100*ms, 300*ms), []time.Duration{100 * ms, 200 * ms, 300 * ms, 300 * ms}},
		{policy.Exponential(100*ms, 0), []time.Duration{100 * ms, 200 * ms, 400 * ms}},
		{policy.Backoff{Delay: 10 * ms, Factor: 0.5}, []time.Duration{10 * ms, 10 * ms}},
		{policy.Backoff{Delay: 10 * ms, Factor: math.NaN()}, []time.Duration{10 * ms, 10 * ms}},
		{policy.Backoff{Delay: 10 * ms, Factor: math.Inf(1), Max: time.Second}, []time.Duration{10 * ms, time.Second}},
		{policy.Exponential(math.MaxInt64, math.MaxInt64), []time.Duration{math.MaxInt64, math.MaxInt64}},
	}
	for _, c := range cases {
		var got []time.Duration
		for n := range c.want {
			got = append(got, c.backoff.Before(n+1))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v -want +got\n%s", c.backoff, diff)
		}
	}
	if got := policy.Exponential(time.Second, 0).Before(5000); got <= 0 || got > 400*24*time.Hour {
		t.Errorf("retry 5000 waits %s", got)
	}
}

// TestJitter looks at many delays of real requests: in bounds, spread, and with
// the mean the name promises.
func TestJitter(t *testing.T) {
	const delay, rounds = 100 * ms, 2000
	cases := []struct {
		jitter      policy.Jitter
		least, most time.Duration
		mean        time.Duration
	}{
		{policy.NoJitter, delay, delay, delay},
		{policy.FullJitter, 0, delay, delay / 2},
		{policy.EqualJitter, delay / 2, delay, delay * 3 / 4},
	}
	for _, c := range cases {
		t.Run(c.jitter.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := policy.New(policy.WithRetries(1), policy.WithBackoff(policy.Constant(delay)), policy.WithJitter(c.jitter))
				var sum time.Duration
				for range rounds {
					s := &script{steps: []step{{err: micro.ErrUnreachable}, {}}}
					if _, err := send(t.Context(), p, s, &micro.Request{}); err != nil {
						t.Fatal(err)
					}
					waited := s.seen[1].At
					if waited < c.least || waited > c.most {
						t.Fatalf("waited %s, want %s to %s", waited, c.least, c.most)
					}
					sum += waited
				}
				if off := sum/rounds - c.mean; off.Abs() > 5*ms {
					t.Errorf("mean %s, want %s", sum/rounds, c.mean)
				}
			})
		})
	}
}

// TestBudget: 1000 failing requests within one moment get the retries the
// budget allows, and not one more; a second later the floor's come on top.
func TestBudget(t *testing.T) {
	cases := []struct {
		name               string
		ratio, floor       float64
		want, aSecondLater int
	}{
		{"ratio", 0.1, 0, 100, 100},
		{"floor", 0, 5, 5, 5},
		{"both", 0.2, 10, 210, 210},
		{"no bound", 0, 0, 1000, 1000},
		{"not a number", math.NaN(), math.Inf(1), 1000, 1000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := policy.New(policy.WithRetries(1), policy.WithBudget(c.ratio, c.floor))
				if got := failing(t, p, 1000); got != c.want {
					t.Errorf("%d retries, want %d", got, c.want)
				}
				<-time.After(time.Second)
				if got := failing(t, p, 1000); got != c.aSecondLater {
					t.Errorf("one second later: %d retries, want %d", got, c.aSecondLater)
				}
			})
		})
	}
}

// TestBudgetDoesNotSaveUp: after an idle hour there are ten seconds' worth.
func TestBudgetDoesNotSaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithRetries(1), policy.WithBudget(0, 5))
		<-time.After(time.Hour)
		if got := failing(t, p, 1000); got != 50 {
			t.Errorf("%d retries, want 50", got)
		}
	})
}

// TestWithSharesTheBudget checks that a changed policy continues with the remaining budget.
func TestWithSharesTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithRetries(1), policy.WithBudget(0, 5))
		failing(t, p, 3)
		if got := failing(t, p.With(policy.WithTimeout(time.Second)), 10); got != 2 {
			t.Errorf("%d retries, want the 2 that were left", got)
		}
		if got := failing(t, p.With(policy.WithBudget(0, 7)), 10); got != 7 {
			t.Errorf("%d retries under another budget, want 7", got)
		}
	})
}

// failing makes n requests that all fail, one after the other, and returns how
// many retries there were.
func failing(t *testing.T, p *policy.Policy, n int) (retries int) {
	t.Helper()
	for range n {
		_ = p.Run(t.Context(), &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
			retries += req.Attempt - 1 // at most one retry
			return micro.ErrUnreachable
		})
	}
	return retries
}

// TestBudgetFromManyGoroutines: the bound holds when all ask at once.
func TestBudgetFromManyGoroutines(t *testing.T) {
	const workers, each = 8, 200
	var (
		wg      sync.WaitGroup
		retries atomic.Int64
		p       = policy.New(policy.WithRetries(1), policy.WithBudget(0.5, 0))
	)
	for range workers {
		wg.Go(func() { retries.Add(int64(failing(t, p, each))) })
	}
	wg.Wait()
	const earned = workers * each / 2
	if got := retries.Load(); got > earned || got < earned-workers {
		t.Errorf("%d retries, want all or nearly all of %d", got, earned)
	}
}

// preset returns a preset that exists.
func preset(name string, opts ...policy.Option) *policy.Policy {
	p, ok := policy.Preset(name, opts...)
	if !ok {
		panic("no preset " + name)
	}
	return p
}

func TestUnknownPreset(t *testing.T) {
	if p, ok := policy.Preset("other"); ok || p != nil {
		t.Errorf(`Preset("other") = %v, %t`, p, ok)
	}
}

func TestLongest(t *testing.T) {
	cases := []struct {
		policy *policy.Policy
		want   time.Duration
	}{
		{policy.New(), 0},
		{policy.New(policy.WithDeadline(time.Second), policy.WithRetries(1)), time.Second},
		{preset("nest"), 17 * time.Second},
		{policy.Recommended(), 3 * time.Second},
		{preset("backoff"), 4*time.Second + 700*ms},
		{preset("nest", hedgeAt(50*ms, 2)), 17*time.Second + 300*ms},
		{preset("nest", policy.WithHedge(policy.Hedge{Quantile: 0.95})), 32 * time.Second},
		{preset("naive", hedgeAt(time.Hour, 1)), 4 * time.Second}, // the hedge is never sent
		{preset("naive", hedgeAt(time.Second, 1)), 4 * time.Second},
		{preset("nest", policy.WithRetries(1<<40)), math.MaxInt64},
		{preset("naive", policy.WithRetries(math.MaxInt)), math.MaxInt64},
		{preset("naive", policy.WithRetries(math.MaxInt), policy.WithDeadline(time.Minute)), time.Minute},
		{preset("naive", policy.WithTimeout(math.MaxInt64)), math.MaxInt64},
		{preset("naive", hedgeAt(50*ms, math.MaxInt)), math.MaxInt64},
		{policy.New(policy.WithDeadline(math.MaxInt64)), math.MaxInt64},
		{policy.New(policy.WithTimeout(1), policy.WithRetries(math.MaxInt), policy.WithBackoff(policy.Constant(math.MaxInt64))), math.MaxInt64},
		{policy.New(policy.WithTimeout(1), policy.WithRetries(3), policy.WithBackoff(policy.Exponential(math.MaxInt64/2, math.MaxInt64))), math.MaxInt64},
		{policy.New(policy.WithTimeout(1), policy.WithRetries(1000), policy.WithBackoff(policy.Exponential(100*ms, time.Second))), 100*ms + 200*ms + 400*ms + 800*ms + 996*time.Second + 1001},
		{policy.New(policy.WithTimeout(1), policy.WithRetries(1e6), policy.WithBackoff(policy.Backoff{Delay: 1, Factor: math.Inf(1), Max: 2})), 2e6 - 1 + 1e6 + 1},
		{policy.New(policy.WithTimeout(1), policy.WithRetries(9), policy.WithBackoff(policy.Backoff{Delay: 3, Factor: math.NaN()})), 37},
	}
	for _, c := range cases {
		if got := c.policy.Longest(); got != c.want {
			t.Errorf("%+v: Longest is %s, want %s", c.policy.Settings(), got, c.want)
		}
	}
}
