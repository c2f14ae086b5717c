package policy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestBoundsReachTheContext checks that an interceptor behind the policy that waits until
// its context ends, as rate limiters do, waits for no longer than the attempt may take.
func TestBoundsReachTheContext(t *testing.T) {
	second := policy.WithTimeout(time.Second)
	cases := map[string]struct {
		opts    []policy.Option
		request time.Duration // the request's deadline; 0 is none
		caller  time.Duration // the context's deadline; 0 is none
		want    time.Duration
		calls   int
	}{
		"timeout":                         {opts: []policy.Option{second}, want: time.Second, calls: 1},
		"timeout and retry":               {opts: []policy.Option{second, policy.WithRetries(1)}, want: 2 * time.Second, calls: 2},
		"deadline":                        {opts: []policy.Option{policy.WithDeadline(3 * time.Second)}, want: 3 * time.Second, calls: 1},
		"timeout, deadline, and retries":  {opts: []policy.Option{second, policy.WithDeadline(2500 * ms), policy.WithRetries(9)}, want: 2500 * ms, calls: 3},
		"the request's deadline":          {request: 700 * ms, want: 700 * ms, calls: 1},
		"the context's deadline":          {caller: 700 * ms, want: 700 * ms, calls: 1},
		"the context's is the earlier":    {opts: []policy.Option{second}, request: 800 * ms, caller: 600 * ms, want: 600 * ms, calls: 1},
		"no retry beyond the context's":   {opts: []policy.Option{second, policy.WithRetries(9), policy.WithBackoff(policy.Constant(time.Second))}, caller: 1500 * ms, want: time.Second, calls: 1},
		"each attempt of a hedged try":    {opts: []policy.Option{second, policy.WithHedge(policy.Hedge{Delay: 300 * ms})}, want: 1300 * ms, calls: 2},
		"a hedged try under the deadline": {opts: []policy.Option{policy.WithDeadline(time.Second), policy.WithHedge(policy.Hedge{Delay: 300 * ms})}, want: time.Second, calls: 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, ctx, req, starts := time.Now(), t.Context(), &micro.Request{}, make(chan time.Duration, 10)
				if c.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.caller)
					defer cancel()
				}
				if c.request > 0 {
					req.Deadline = begin.Add(c.request)
				}
				limiter := func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
					starts <- time.Since(begin)
					if at, ok := ctx.Deadline(); !ok || !at.Equal(req.Deadline) {
						t.Errorf("the context ends at %v, the request at %v", at, req.Deadline)
					}
					<-ctx.Done()
					return ctx.Err()
				}
				err := policy.New(c.opts...).Run(ctx, req, nil, limiter)
				if took := time.Since(begin); took != c.want || len(starts) != c.calls {
					t.Errorf("ended after %s and %d attempts, want %s and %d", took, len(starts), c.want, c.calls)
				}
				if !errors.Is(err, micro.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want a timeout", err)
				}
			})
		})
	}
}

// TestContextEndsWithItsAttempt checks that work that an interceptor leaves behind sees that
// its attempt is over.
func TestContextEndsWithItsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lazy, waiting context.Context
		next := func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
			if lazy = ctx; req.Attempt == 2 {
				waiting = ctx
				<-time.After(0 * time.Second)
				select {
				case <-ctx.Done():
					t.Error("the context has ended before its attempt")
				default:
				}
			}
			return remote("503")
		}
		_ = policy.New(policy.WithTimeout(time.Minute), policy.WithRetries(2)).Run(t.Context(), &micro.Request{}, nil, next)
		for name, ctx := range map[string]context.Context{"lazy": lazy, "waiting": waiting} {
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("%s: the error is %v, want canceled", name, ctx.Err())
			}
			<-ctx.Done()
		}
	})
}

// TestInterceptorsErrorIsNotTheServices checks that an interceptor that used up an attempt's
// time does not open the breaker, and that a timeout of the transport does.
func TestInterceptorsErrorIsNotTheServices(t *testing.T) {
	for name, c := range map[string]struct {
		err   func(context.Context) error
		opens bool
	}{
		"the context's error": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, false},
		"a timeout":           {func(ctx context.Context) error { <-ctx.Done(); return micro.ErrTimeout }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newBreakerRig(policy.WithBreaker(small), policy.WithTimeout(10*ms))
				for range 10 {
					_ = r.policy.Run(t.Context(), &micro.Request{}, nil, func(ctx context.Context, _ *micro.Request, _ micro.Reply) error { return c.err(ctx) })
				}
				if opened := len(r.changes) > 0; opened != c.opens {
					t.Errorf("the breaker opened: %t, want %t", opened, c.opens)
				}
			})
		})
	}
}

func TestWithRetryIfNil(t *testing.T) {
	p := policy.New(policy.WithRetries(2), policy.WithRetryIf(policy.AnyError), policy.WithRetryIf(nil))
	if got, want := p.Settings(), policy.New(policy.WithRetries(2)).Settings(); got != want {
		t.Errorf("the settings are %+v, want %+v", got, want)
	}
	if transient, other := attemptsOn(p, remote("503")), attemptsOn(p, remote("400")); transient != 3 || other != 1 {
		t.Errorf("%d attempts on a 503 and %d on a 400, want 3 and 1", transient, other)
	}
	custom := policy.Settings{RetryOn: policy.Custom}
	if p, err := policy.FromSettings(custom, policy.WithRetryIf(nil)); err != nil || p.Settings().RetryOn != "" {
		t.Errorf("from settings: %v", err)
	}
	if _, err := policy.FromSettings(custom); err == nil {
		t.Error("settings without their function are accepted")
	}
}
