package policy_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestBudgetOfABurst checks that what a burst earned is there for the burst.
func TestBudgetOfABurst(t *testing.T) {
	for name, c := range map[string]struct {
		ratio, floor     float64
		requests, failed int
		want             int // retries
	}{
		"20%":          {0.2, 0, 1000, 50, 50},
		"20%+10/s":     {0.2, 10, 5000, 250, 250},
		"more than 1":  {2, 0, 10, 10, 10},
		"all of them":  {0.2, 0, 1000, 1000, 200},
		"both, all":    {0.2, 10, 1000, 1000, 210},
		"a low floor":  {0.2, 0.05, 1000, 1000, 200},
		"as much as …": {math.MaxFloat64, math.MaxFloat64, 100, 100, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := policy.New(policy.WithRetries(1), policy.WithBudget(c.ratio, c.floor))
				var wg sync.WaitGroup
				retries := make(chan struct{}, c.requests)
				for i := range c.requests {
					wg.Go(func() {
						_ = p.Run(t.Context(), &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
							<-time.After(10 * ms) // so all of them are in flight at once
							switch {
							case req.Attempt == 2:
								retries <- struct{}{}
							case i < c.failed:
								return micro.ErrUnreachable
							}
							return nil
						})
					})
				}
				wg.Wait()
				if got := len(retries); got != c.want {
					t.Errorf("%d retries, want %d", got, c.want)
				}
			})
		})
	}
}

// TestBudgetExpires checks for how long retries that were earned are available.
func TestBudgetExpires(t *testing.T) {
	for _, c := range []struct {
		ratio, floor float64
		idle         time.Duration
		want         int // retries of one request
	}{
		{1, 0, 0, 21}, {1, 0, 9999 * ms, 21}, {1, 0, 10 * time.Second, 21}, {1, 0, 10501 * ms, 1}, {1, 0, time.Hour, 1},
		{0.1, 0, 10 * time.Second, 2}, {0.1, 0, time.Hour, 0}, {0.1, 0.05, time.Hour, 0}, {0.4, 0.07, time.Hour, 1}, {0, 0.05, 20 * time.Second, 1}, {0, 0.05, time.Hour, 1},
		{0, 5, time.Hour, 50}, {1, 5, time.Hour, 51}, {1, 5, 10 * time.Second, 71},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := policy.New(policy.WithRetries(1000), policy.WithBudget(c.ratio, c.floor))
			for range 20 {
				_ = p.Run(t.Context(), &micro.Request{}, nil, answers(nil))
			}
			<-time.After(c.idle)
			if got := attemptsOn(p, micro.ErrUnreachable) - 1; got != c.want {
				t.Errorf("%g+%g/s after %s: %d retries, want %d", c.ratio, c.floor, c.idle, got, c.want)
			}
		})
	}
}

// TestRetriesThatAreNotMadeCostNothing checks, for every reason why a retry or a hedge may not
// be made after its token was taken, that another request still has the token.
func TestRetriesThatAreNotMadeCostNothing(t *testing.T) {
	const tokens = 10
	wait := policy.WithBackoff(policy.Constant(time.Second))
	cases := map[string]struct {
		opts []policy.Option
		// spoil makes one request whose retry or hedge is due and not made.
		spoil func(ctx context.Context, p *policy.Policy)
	}{
		"canceled": {[]policy.Option{wait}, func(ctx context.Context, p *policy.Policy) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*ms, cancel)
			_ = p.Run(ctx, &micro.Request{}, nil, answers(micro.ErrUnreachable))
		}},
		"the breaker has opened": {[]policy.Option{wait, policy.WithBreaker(policy.Breaker{Ratio: 0.9, Minimum: 20, Cooldown: 10 * time.Second, Window: time.Second})}, func(ctx context.Context, p *policy.Policy) {
			// The breaker opens while the retry waits.
			time.AfterFunc(100*ms, func() {
				plain := p.With(policy.WithRetries(0))
				for range 200 {
					_ = plain.Run(context.Background(), &micro.Request{}, nil, answers(micro.ErrTimeout))
				}
			})
			_ = p.Run(ctx, &micro.Request{}, nil, answers(micro.ErrUnreachable))
			<-time.After(20 * time.Second)
			_ = p.With(policy.WithRetries(0)).Run(ctx, &micro.Request{}, nil, answers(nil)) // closes it
		}},
		"held back behind the policy": {nil, func(ctx context.Context, p *policy.Policy) {
			_ = p.Run(ctx, &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
				if req.Attempt > 1 {
					return micro.ErrShed
				}
				return micro.ErrUnreachable
			})
		}},
		"a hedge that is held back": {[]policy.Option{policy.WithHedge(policy.Hedge{Delay: 10 * ms})}, func(ctx context.Context, p *policy.Policy) {
			_ = p.Run(ctx, &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
				if req.Attempt > 1 {
					return micro.ErrShed
				}
				<-time.After(20 * ms)
				return nil
			})
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The floor of 1/s fills up to ten tokens.
				p := policy.New(append(c.opts, policy.WithRetries(1), policy.WithBudget(0, 1))...)
				<-time.After(time.Minute)
				for range 3 * tokens {
					c.spoil(t.Context(), p)
				}
				count := p.With(policy.WithBackoff(policy.Backoff{}), policy.WithBreaker(policy.Breaker{}), policy.WithHedge(policy.Hedge{}))
				if retries := failing(t, count, 3*tokens); retries != tokens {
					t.Errorf("%d retries are left, want %d", retries, tokens)
				}
			})
		})
	}
}

// TestBudgetBound checks the bound that WithBudget states, for random traffic that retries
// whenever it may, in every period between two retries.
func TestBudgetBound(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		ratio := []float64{0, 0.013, 0.1, 0.2, 0.5, 1, 1.7}[random.IntN(7)]
		floor := []float64{0, 0.01, 0.07, 0.3, 1, 4}[random.IntN(6)]
		if ratio+floor == 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var requests, retries []time.Duration
			p := policy.New(policy.WithRetries(3), policy.WithBudget(ratio, floor))
			for range 300 {
				switch random.IntN(20) {
				case 0:
					<-time.After(time.Duration(random.IntN(30_000)) * ms)
				case 1, 2, 3, 4, 5:
					<-time.After(time.Duration(random.IntN(1000)) * ms)
				}
				requests = append(requests, time.Since(begin))
				fails, cancels := random.IntN(3) > 0, random.IntN(10) == 0
				_ = p.Run(t.Context(), &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
					switch {
					case req.Attempt > 1 && cancels:
						return micro.ErrShed // returns the token
					case req.Attempt > 1:
						retries = append(retries, time.Since(begin))
					}
					if fails {
						return micro.ErrUnreachable
					}
					return nil
				})
			}
			checkBound(t, ratio, floor, requests, retries)
		})
	}
}

func checkBound(t *testing.T, ratio, floor float64, requests, retries []time.Duration) {
	t.Helper()
	count := func(list []time.Duration, from, to time.Duration) int { // inclusive
		first, _ := slices.BinarySearch(list, from)
		last, _ := slices.BinarySearch(list, to+1)
		return last - first
	}
	for i, from := range retries {
		for _, to := range retries[i:] {
			bound := ratio*float64(count(requests, from-10500*ms, to)) + floor*((to-from).Seconds()+10) + 1
			if got := count(retries, from, to); float64(got) > bound+1e-6 {
				t.Fatalf("budget %g+%g/s: %d retries from %s to %s, more than %g", ratio, floor, got, from, to, bound)
			}
		}
	}
}

// TestCanceledBackoffs is a client whose users leave during the backoff: nothing was
// retried, so a request that follows may be.
func TestCanceledBackoffs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy.New(policy.WithRetries(1), policy.WithBackoff(policy.Constant(time.Second)), policy.WithBudget(0, 1))
		<-time.After(time.Minute)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(100*ms, cancel)
				err := p.Run(ctx, &micro.Request{}, nil, answers(micro.ErrUnreachable))
				if !errors.Is(err, context.Canceled) || !errors.Is(err, micro.ErrUnreachable) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		transport := &script{steps: []step{{err: micro.ErrUnreachable}, {}}}
		if _, err := send(t.Context(), p, transport, &micro.Request{}); err != nil {
			t.Errorf("the eleventh request: %v", err)
		}
	})
}
