package policy_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// after is a connection whose service answers after a while, with a value or an error.
type after struct {
	answersAtOnce
	takes time.Duration
	err   error
}

func (a after) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	if err := (&step{takes: a.takes}).wait(ctx, req, time.Now()); errors.Is(err, context.DeadlineExceeded) {
		return micro.ErrTimeout
	} else if err != nil {
		return err
	}
	if a.err != nil {
		return a.err
	}
	return reply.Send(micro.Value{Raw: []byte("1"), Last: true})
}

// TestBreakerAndPatience checks that a timeout opens the breaker if the service had the time
// that the policy grants, and not if the caller left it less.
func TestBreakerAndPatience(t *testing.T) {
	second, guarded := policy.WithTimeout(time.Second), policy.WithBreaker(policy.Breaker{Ratio: 0.5, Minimum: 20})
	never := after{takes: time.Hour}
	cases := map[string]struct {
		conn   micro.Conn
		opts   []policy.Option
		client []micro.ClientOption
		caller time.Duration // of the context; 0 is none
		opens  bool
	}{
		"impatient, healthy":                     {conn: after{takes: 20 * ms}, opts: []policy.Option{second}, caller: 5 * ms},
		"impatient, dead":                        {conn: never, opts: []policy.Option{second}, caller: 900 * ms},
		"no deadline, dead":                      {conn: never, opts: []policy.Option{second}, opens: true},
		"the policy's timeout":                   {conn: never, opts: []policy.Option{second}, caller: time.Second, opens: true},
		"nearly so":                              {conn: never, opts: []policy.Option{second}, caller: time.Second - 500*time.Microsecond, opens: true},
		"the client's timeout":                   {conn: never, opens: true},
		"the client's own timeout":               {conn: never, client: []micro.ClientOption{micro.WithTimeout(50 * ms)}, opens: true},
		"the client's own, below the policy's":   {conn: never, opts: []policy.Option{second}, client: []micro.ClientOption{micro.WithTimeout(50 * ms)}, opens: true},
		"less than the client's timeout":         {conn: never, caller: 4 * time.Second},
		"the policy's deadline":                  {conn: never, opts: []policy.Option{policy.WithDeadline(300 * ms)}, opens: true},
		"less than the policy's deadline":        {conn: never, opts: []policy.Option{policy.WithDeadline(300 * ms)}, caller: 200 * ms},
		"the rest of the policy's deadline":      {conn: never, opts: []policy.Option{second, policy.WithDeadline(1200 * ms), policy.WithRetries(1)}, caller: time.Minute, opens: true},
		"behind a shorter policy":                {conn: never, opts: []policy.Option{second}, client: []micro.ClientOption{policy.New(policy.WithTimeout(100 * ms))}},
		"behind one without limits":              {conn: never, client: []micro.ClientOption{policy.New()}, opens: true},
		"504, impatient":                         {conn: after{takes: ms, err: remote("504")}, opts: []policy.Option{second}, caller: 5 * ms},
		"504, no deadline":                       {conn: after{takes: ms, err: remote("504")}, opts: []policy.Option{second}, opens: true},
		"503, impatient":                         {conn: after{takes: ms, err: remote("503")}, opts: []policy.Option{second}, caller: 5 * ms, opens: true},
		"unreachable at once, impatient":         {conn: after{err: micro.ErrUnreachable}, opts: []policy.Option{second}, caller: 5 * ms, opens: true},
		"unreachable at the deadline, impatient": {conn: dialing{}, opts: []policy.Option{second}, caller: 5 * ms},
		"unreachable at the policy's timeout":    {conn: dialing{}, opts: []policy.Option{second}, opens: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newBreakerRig(append(c.opts, guarded)...)
				client := micro.NewClient(c.conn, append(c.client, r.policy)...)
				var wg sync.WaitGroup
				for range 25 {
					wg.Go(func() {
						ctx, cancel := context.WithCancel(t.Context())
						if c.caller > 0 {
							ctx, cancel = context.WithTimeout(t.Context(), c.caller)
						}
						defer cancel()
						_, _ = micro.Call[micro.None](ctx, client, micro.Cmd("x"), nil)
					})
				}
				wg.Wait()
				if opened := len(r.changes) > 0; opened != c.opens {
					t.Errorf("the breaker opened: %t, want %t", opened, c.opens)
				}
			})
		})
	}
}

// dialing is a connection that is still being established at the deadline.
type dialing struct{ answersAtOnce }

func (dialing) Exchange(_ context.Context, req *micro.Request, _ micro.Reply) error {
	<-time.After(time.Until(req.Deadline))
	return micro.ErrUnreachable
}

// TestHedgesIgnoreImpatience checks that impatient callers do not make the hedges of others
// come early.
func TestHedgesIgnoreImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hedges := 0
		p := policy.New(policy.WithTimeout(time.Second), policy.WithHedge(policy.Hedge{Quantile: 0.95}), policy.WithHooks(policy.Hooks{
			Started: func(_ context.Context, a policy.Attempt) {
				if a.Hedge {
					hedges++
				}
			},
		}))
		client := micro.NewClient(after{takes: 20 * ms}, p)
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*ms)
			_, _ = micro.Call[micro.None](ctx, client, micro.Cmd("x"), nil)
			cancel()
		}
		for range 50 {
			_, _ = micro.Call[micro.None](t.Context(), client, micro.Cmd("x"), nil)
		}
		if hedges > 0 {
			t.Errorf("%d hedges of requests that all take equally long", hedges)
		}
	})
}

// TestProbeThatStreams checks that the first value of a probe closes the breaker, and that
// nothing that follows opens it again.
func TestProbeThatStreams(t *testing.T) {
	for name, c := range map[string]struct {
		probes int
		err    error // the end of each probe, after its values
		hedged bool
	}{
		"one": {probes: 1}, "lost later": {probes: 1, err: micro.ErrConnectionLost}, "several": {probes: 3, err: micro.ErrConnectionLost},
		"hedged": {probes: 2, err: remote("503"), hedged: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := small
				b.Probes = c.probes
				opts := []policy.Option{policy.WithBreaker(b)}
				if c.hedged {
					opts = append(opts, policy.WithHedge(policy.Hedge{Delay: time.Hour}))
				}
				r := newBreakerRig(opts...)
				r.send(4, micro.ErrTimeout)
				<-time.After(b.Cooldown)
				end := make(chan struct{})
				streams := func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
					<-time.After(50 * ms)
					for range 3 {
						if err := reply.Send(micro.Value{Raw: []byte("1")}); err != nil {
							return err
						}
						<-time.After(50 * ms)
					}
					<-end
					return c.err
				}
				reply := micro.ReplyFunc(func(micro.Value) error { return nil })
				done := make(chan error)
				for range c.probes {
					go func() { done <- r.policy.Run(t.Context(), &micro.Request{}, reply, streams) }()
				}
				synctest.Wait()
				if err := r.send(1, nil); !errors.Is(err, micro.ErrShed) {
					t.Errorf("before the first value: %v, want a rejection", err)
				}
				<-time.After(50 * ms)
				synctest.Wait()
				if err := r.send(1, nil); err != nil {
					t.Errorf("after the first value of each probe: %v", err)
				}
				close(end)
				for range c.probes {
					<-done
				}
				if err := r.send(1, nil); err != nil {
					t.Errorf("after the end of the probes: %v", err)
				}
				first := 2*time.Second + 50*ms
				want := []change{{0, "open"}, {2 * time.Second, "half-open"}, {first, "closed"}}
				if diff := cmp.Diff(want, r.changes); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		})
	}
}

// TestProvenProbesFailure checks that a probe with a value counts as successful while another
// probe has not ended, even if it fails after the value.
func TestProvenProbesFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := small
		b.Probes = 2
		r := newBreakerRig(policy.WithBreaker(b))
		r.send(4, micro.ErrTimeout)
		<-time.After(b.Cooldown)
		_ = r.policy.Run(t.Context(), &micro.Request{}, micro.ReplyFunc(func(micro.Value) error { return nil }),
			func(_ context.Context, _ *micro.Request, reply micro.Reply) error {
				_ = reply.Send(micro.Value{Raw: []byte("1")})
				return micro.ErrConnectionLost
			})
		r.send(1, nil)
		if got := r.changes[len(r.changes)-1].To; got != "closed" {
			t.Errorf("the breaker is %s, want closed", got)
		}
	})
}
