package policy_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// small is a breaker that four attempts can open.
var small = policy.Breaker{Ratio: 0.5, Window: time.Second, Cooldown: 2 * time.Second, Minimum: 4}

// breakerRig makes requests under a breaker and writes down what its hooks tell.
type breakerRig struct {
	begin  time.Time
	policy *policy.Policy

	mu      sync.Mutex // guards what follows
	changes []change
	refused []policy.Refusal
	started int
}

type change struct {
	At time.Duration
	To string
}

func newBreakerRig(opts ...policy.Option) *breakerRig {
	r := &breakerRig{begin: time.Now()}
	r.policy = policy.New(opts...).With(policy.WithHooks(policy.Hooks{
		Started: func(context.Context, policy.Attempt) { r.note(func() { r.started++ }) },
		Refused: func(_ context.Context, f policy.Refusal) { r.note(func() { r.refused = append(r.refused, f) }) },
		Breaker: func(_ context.Context, c policy.BreakerChange) {
			r.note(func() { r.changes = append(r.changes, change{c.At.Sub(r.begin), c.State.String()}) })
		},
	}))
	return r
}

func (r *breakerRig) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// answers is a transport whose every attempt ends with err.
func answers(err error) micro.Handler {
	return func(context.Context, *micro.Request, micro.Reply) error { return err }
}

// waits is one whose attempts end with what comes over a channel.
func waits(end <-chan error) micro.Handler {
	return func(context.Context, *micro.Request, micro.Reply) error { return <-end }
}

// send makes n requests that all end with err.
func (r *breakerRig) send(n int, err error) (last error) {
	for range n {
		last = r.policy.Run(context.Background(), &micro.Request{}, nil, answers(err))
	}
	return last
}

// TestBreakerCycle goes through all states, with the moment of each change.
func TestBreakerCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBreakerRig(policy.WithBreaker(small))
		r.send(2, nil)
		r.send(1, remote("503"))
		<-time.After(10 * ms)
		r.send(1, micro.ErrTimeout) // 2 of 4
		if err := r.send(3, nil); !errors.Is(err, micro.ErrShed) || err.Error() != "not sent: the breaker is open" {
			t.Errorf("open: %v", err)
		}
		<-time.After(2*time.Second - 1)
		r.send(1, nil) // still open
		<-time.After(1)
		r.send(1, micro.ErrUnreachable) // the probe fails
		<-time.After(2 * time.Second)
		r.send(1, remote("404")) // an answer
		r.send(3, micro.ErrTimeout)
		r.send(1, nil) // the fourth: 3 of 4 have failed
		r.send(1, nil)
		const open2, open3 = 2010 * ms, 4010 * ms
		want := []change{
			{10 * ms, "open"}, {open2, "half-open"}, {open2, "open"}, {open3, "half-open"}, {open3, "closed"}, {open3, "open"},
		}
		if diff := cmp.Diff(want, r.changes); diff != "" {
			t.Errorf("changes -want +got\n%s", diff)
		}
		if len(r.refused) != 5 || r.started != 10 {
			t.Errorf("%d refused and %d started, want 5 and 10", len(r.refused), r.started)
		}
		for _, f := range r.refused {
			if f.Number != 1 || f.Hedge || f.Why != policy.BreakerOpen || f.Request == nil {
				t.Errorf("refused: %+v", f)
			}
		}
	})
}

// TestBreakerJudges checks which results count as failures, which as successes, and
// which do not count.
func TestBreakerJudges(t *testing.T) {
	cases := map[string]struct {
		err  error
		want string // the state after half of the attempts have ended so
	}{
		"timeout":         {micro.ErrTimeout, "open"},
		"unreachable":     {micro.ErrUnreachable, "open"},
		"connection lost": {micro.ErrConnectionLost, "open"},
		"429":             {remote("429"), "open"},
		"502":             {remote("502"), "open"},
		"503":             {remote("503"), "open"},
		"504":             {remote("504"), "open"},
		"404":             {remote("404"), "closed"},
		"500":             {remote("500"), "closed"},
		"no status":       {remote(`"error"`), "closed"},
		"canceled":        {context.Canceled, "closed"},
		"shed below":      {micro.ErrShed, "closed"},
		"closed client":   {micro.ErrClosed, "closed"},
		"the caller's":    {errOther, "closed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newBreakerRig(policy.WithBreaker(small), policy.WithRetryIf(policy.AnyError))
				for range 10 {
					r.send(1, nil)
					r.send(1, c.err)
				}
				if opened := len(r.changes) > 0; opened != (c.want == "open") {
					t.Errorf("changes %v, want %s", r.changes, c.want)
				}
			})
		})
	}
}

// TestBreakerIgnoresWhatCameTooLate: an attempt that began after its deadline is
// no failure of the service's.
func TestBreakerIgnoresWhatCameTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBreakerRig(policy.WithBreaker(small))
		for range 10 {
			_ = r.policy.Run(t.Context(), &micro.Request{Deadline: time.Now()}, nil, answers(micro.ErrTimeout))
		}
		if len(r.changes) > 0 {
			t.Errorf("the breaker opened: %v", r.changes)
		}
	})
}

// TestBreakerWindow: failures that are long ago do not count, in tenths of the
// window.
func TestBreakerWindow(t *testing.T) {
	cases := []struct {
		name string
		gap  time.Duration // between 4 attempts that fail
		want bool
	}{
		{"all at once", 0, true},
		{"within the window", 300 * ms, true},
		{"the first is out", 334 * ms, false},
		{"one at a time", time.Hour, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newBreakerRig(policy.WithBreaker(small))
				for range 4 {
					r.send(1, micro.ErrTimeout)
					<-time.After(c.gap)
				}
				if opened := len(r.changes) == 1; opened != c.want {
					t.Errorf("opened: %t, want %t", opened, c.want)
				}
			})
		})
	}
}

// TestBreakerAndRetries: a retry that is sure to be held back is not waited for,
// one that is due after the cooldown is made, and one that meets an opened
// breaker after its wait is reported.
func TestBreakerAndRetries(t *testing.T) {
	one := policy.Breaker{Ratio: 1, Minimum: 1, Window: time.Second, Cooldown: 100 * ms}
	cases := []struct {
		name    string
		delay   time.Duration
		meddle  bool // another request opens the breaker again meanwhile
		breaker policy.Breaker
		took    time.Duration
		next    policy.Next
		refused int
		text    string
	}{
		{"held back", 50 * ms, false, one, 0, policy.BreakerOpen, 1, "unreachable (attempt 1, not retried: the breaker is open)"},
		{"at once", 0, false, one, 0, policy.BreakerOpen, 1, "unreachable (attempt 1, not retried: the breaker is open)"},
		{"after the cool-down", 100 * ms, false, one, 100 * ms, policy.Exhausted, 0, "unreachable (after 2 attempts)"},
		{"met open", 150 * ms, true, one, 150 * ms, policy.Retry, 1, "unreachable (attempt 1, not retried: the breaker is open)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newBreakerRig(policy.WithBreaker(c.breaker), policy.WithRetries(1), policy.WithBackoff(policy.Constant(c.delay)))
				if c.meddle {
					other := r.policy.With(policy.WithRetries(0))
					time.AfterFunc(120*ms, func() { _ = other.Run(t.Context(), &micro.Request{}, nil, answers(micro.ErrTimeout)) })
				}
				var next policy.Next
				p := r.policy.With(policy.WithHooks(policy.Hooks{Ended: func(_ context.Context, a policy.Attempt) { next = a.Next }}))
				err := p.Run(t.Context(), &micro.Request{}, nil, answers(micro.ErrUnreachable))
				end := time.Since(r.begin)
				checkError(t, err, micro.ErrUnreachable, c.text)
				if end != c.took || next != c.next || len(r.refused) != c.refused {
					t.Errorf("took %s, next %s, %d refused; want %s, %s, %d", end, next, len(r.refused), c.took, c.next, c.refused)
				}
				for _, f := range r.refused {
					if f.Number != 2 || f.Why != policy.BreakerOpen {
						t.Errorf("refused %+v, want attempt 2", f)
					}
				}
			})
		})
	}
}

// TestBreakerProbes checks that the configured number of probes is let through at a time;
// a probe that ends without a verdict, also in a panic, makes room for another.
func TestBreakerProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := small
		two.Probes = 2
		r := newBreakerRig(policy.WithBreaker(two))
		r.send(4, micro.ErrTimeout)
		<-time.After(2 * time.Second)
		func() {
			defer func() { _ = recover() }()
			_ = r.policy.Run(t.Context(), &micro.Request{}, nil, func(context.Context, *micro.Request, micro.Reply) error { panic("x") })
		}()
		r.send(5, context.Canceled)
		release := make(chan error)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _ = r.policy.Run(t.Context(), &micro.Request{}, nil, waits(release)) })
			synctest.Wait()
		}
		if err := r.send(1, nil); !errors.Is(err, micro.ErrShed) {
			t.Errorf("a third probe: %v", err)
		}
		close(release)
		wg.Wait()
		want := []change{{0, "open"}, {2 * time.Second, "half-open"}, {2 * time.Second, "closed"}}
		if diff := cmp.Diff(want, r.changes); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// TestBreakerForgetsOldAttempts checks that attempts from before the breaker opened do not
// count after it.
func TestBreakerForgetsOldAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBreakerRig(policy.WithBreaker(small))
		end := make(chan error)
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.policy.Run(t.Context(), &micro.Request{}, nil, waits(end)) })
		synctest.Wait()
		r.send(4, micro.ErrTimeout)
		<-time.After(2 * time.Second)
		probe := make(chan error)
		wg.Go(func() { _ = r.policy.Run(t.Context(), &micro.Request{}, nil, waits(probe)) })
		synctest.Wait()
		end <- micro.ErrTimeout
		synctest.Wait()
		probe <- nil
		wg.Wait()
		if got := r.changes[len(r.changes)-1].To; got != "closed" {
			t.Errorf("the breaker is %s, want closed", got)
		}
	})
}

// TestBreakerIsShared: by policies made of one another, unless it is changed;
// events go past it.
func TestBreakerIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBreakerRig(policy.WithBreaker(small))
		r.send(4, micro.ErrTimeout)
		wide := small
		wide.Minimum = 5
		for name, c := range map[string]struct {
			policy *policy.Policy
			event  bool
			shed   bool
		}{
			"the same":            {r.policy, false, true},
			"with another limit":  {r.policy.With(policy.WithTimeout(time.Second), policy.WithBudget(1, 1)), false, true},
			"with the same again": {r.policy.With(policy.WithBreaker(small)), false, true},
			"with another":        {r.policy.With(policy.WithBreaker(wide)), false, false},
			"without":             {r.policy.With(policy.WithBreaker(policy.Breaker{})), false, false},
			"as a new one":        {r.policy.With(policy.As(policy.New())), false, false},
			"an event":            {r.policy, true, false},
		} {
			err := c.policy.Run(t.Context(), &micro.Request{Event: c.event}, nil, answers(nil))
			if shed := errors.Is(err, micro.ErrShed); shed != c.shed {
				t.Errorf("%s: %v, want shed: %t", name, err, c.shed)
			}
		}
	})
}

// TestBreakerFromManyGoroutines: every request is either sent or refused, and
// the changes come in an order that is possible.
func TestBreakerFromManyGoroutines(t *testing.T) {
	const workers, each = 8, 500
	var (
		wg                  sync.WaitGroup
		sent, refused, shed atomic.Int64
		states              []policy.BreakerState // the breaker's lock guards it
	)
	p := policy.New(
		policy.WithBreaker(policy.Breaker{Ratio: 0.3, Minimum: 5, Window: time.Second, Cooldown: time.Microsecond, Probes: 2}),
		policy.WithHooks(policy.Hooks{
			Refused: func(context.Context, policy.Refusal) { refused.Add(1) },
			Breaker: func(_ context.Context, c policy.BreakerChange) { states = append(states, c.State) },
		}),
	)
	for range workers {
		wg.Go(func() {
			for i := range each {
				err := p.Run(t.Context(), &micro.Request{}, nil, func(context.Context, *micro.Request, micro.Reply) error {
					sent.Add(1)
					if i%2 == 0 {
						return micro.ErrTimeout
					}
					return nil
				})
				if errors.Is(err, micro.ErrShed) {
					shed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if sent.Load()+shed.Load() != workers*each || refused.Load() != shed.Load() {
		t.Errorf("%d sent, %d shed, %d refused of %d", sent.Load(), shed.Load(), refused.Load(), workers*each)
	}
	last := policy.Closed
	for _, s := range states {
		if ok := s == policy.Open && last != policy.Open || s == policy.HalfOpen && last == policy.Open || s == policy.Closed && last == policy.HalfOpen; !ok {
			t.Fatalf("from %s to %s", last, s)
		}
		last = s
	}
	if len(states) == 0 {
		t.Error("the breaker never opened")
	}
}
