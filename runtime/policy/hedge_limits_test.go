package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestHedgeBudget checks that a hedge takes a token, and that without a token there is no
// hedge while the request continues.
func TestHedgeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused []policy.Refusal
		p := policy.New(hedgeAt(10*ms, 1), policy.WithBudget(0.25, 0), policy.WithHooks(policy.Hooks{
			Refused: func(_ context.Context, f policy.Refusal) { refused = append(refused, f) },
		}))
		attempts := 0
		for range 8 {
			s := &script{steps: []step{{takes: 30 * ms, value: "1"}}}
			if values, err := send(t.Context(), p, s, &micro.Request{}); err != nil || len(values) != 1 {
				t.Fatalf("%v, %v", values, err)
			}
			attempts += len(s.seen)
		}
		if attempts != 10 || len(refused) != 6 {
			t.Errorf("%d attempts and %d refused hedges, want 10 and 6", attempts, len(refused))
		}
		for _, f := range refused {
			if !f.Hedge || f.Number != 2 || f.Why != policy.OverBudget {
				t.Errorf("refused %+v", f)
			}
		}
	})
}

// TestHedgeBreaker: hedges count for the breaker, there are none unless it is
// closed, and one that lost does not count.
func TestHedgeBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBreakerRig(hedgeAt(10*ms, 1), policy.WithTimeout(100*ms), policy.WithBreaker(small))
		outrun := &script{steps: []step{{takes: 90 * ms, value: "1"}, {takes: ms, value: "2"}}}
		for range 10 {
			outrun.seen = nil
			if _, err := send(t.Context(), r.policy, outrun, &micro.Request{}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		silent := &script{steps: []step{{takes: time.Hour}}}
		for range 2 { // each with a hedge: four failures
			_, _ = send(t.Context(), r.policy, silent, &micro.Request{})
		}
		if len(r.changes) != 1 || len(silent.seen) != 4 {
			t.Fatalf("changes %v after %d attempts, want an open breaker after 4", r.changes, len(silent.seen))
		}
		<-time.After(2 * time.Second)
		probe := &script{steps: []step{{takes: 30 * ms, value: "1"}}}
		if _, err := send(t.Context(), r.policy, probe, &micro.Request{}); err != nil || len(probe.seen) != 1 {
			t.Errorf("a probe was hedged: %v, %v", probe.seen, err)
		}
		if len(r.refused) != 1 || !r.refused[0].Hedge || r.refused[0].Why != policy.BreakerOpen {
			t.Errorf("refused %+v, want one hedge", r.refused)
		}
	})
}

// TestHedgeCanceled: when the caller leaves, all attempts do, and none is called
// outrun.
func TestHedgeCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the user has left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*ms, func() { cancel(cause) })
		var next []policy.Next
		p := policy.New(hedgeAt(10*ms, 5), policy.WithRetries(3), policy.WithHooks(policy.Hooks{
			Ended: func(_ context.Context, a policy.Attempt) { next = append(next, a.Next) },
		}))
		begin := time.Now()
		_, err := send(ctx, p, &script{steps: []step{{takes: time.Hour}}}, &micro.Request{})
		if !errors.Is(err, cause) || time.Since(begin) != 30*ms {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if len(next) < 3 || next[0] != policy.Pending || next[len(next)-1] != policy.Done {
			t.Errorf("followed by %v", next)
		}
	})
}

// TestHedgeAnsweredTogether: what a transport still does after its attempt was
// outrun: an answer that is complete was one, only dropped; of any other the
// transport is notified that the rest is not needed.
func TestHedgeAnsweredTogether(t *testing.T) {
	cases := map[string]struct {
		values []micro.Value
		err    error
		want   string // the attempt's error
	}{
		"answered":            {values: []micro.Value{{Raw: []byte("1"), Last: true}}},
		"answered undefined":  {},
		"part of a stream":    {values: []micro.Value{{Raw: []byte("1")}}, want: "context canceled: another attempt was answered first"},
		"answered with a 404": {err: remote("404"), want: "scripted (status 404)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []policy.Attempt
				p := policy.New(hedgeAt(10*ms, 1), policy.WithHooks(policy.Hooks{
					Ended: func(_ context.Context, a policy.Attempt) { all = append(all, a) },
				}))
				var values []string
				reply := micro.ReplyFunc(func(v micro.Value) error { values = append(values, string(v.Raw)); return nil })
				err := p.Run(t.Context(), &micro.Request{}, reply, func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
					if req.Attempt == 2 {
						return reply.Send(micro.Value{Raw: []byte("2"), Last: true})
					}
					<-ctx.Done()
					for _, v := range c.values {
						if err := reply.Send(v); err != nil {
							return err
						}
					}
					return c.err
				})
				if err != nil || len(all) != 2 || cmp.Diff([]string{"2"}, values) != "" {
					t.Fatalf("values %q, %v, %d attempts ended", values, err, len(all))
				}
				if got := errorText(all[0].Err); all[0].Number != 1 || all[0].Next != policy.Outrun || got != c.want {
					t.Errorf("%+v, want the error %q", all[0], c.want)
				}
			})
		})
	}
}

// TestHedgePanics: a panic of an attempt reaches the goroutine that makes the
// request, as does one of the caller's Reply; no goroutine is left behind.
func TestHedgePanics(t *testing.T) {
	cases := map[string]struct {
		steps []step
		reply micro.Reply
		want  string
	}{
		"an attempt": {[]step{{takes: time.Hour}, {takes: 10 * ms, panics: true}}, micro.ReplyFunc(func(micro.Value) error { return nil }), "scripted\n\nin the goroutine of attempt 2:"},
		"the reply":  {[]step{{takes: 20 * ms, value: "1"}, {takes: 10 * ms, value: "1"}}, micro.ReplyFunc(func(micro.Value) error { panic("reply") }), "reply"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer func() {
					if got := fmt.Sprint(recover()); !strings.HasPrefix(got, c.want) {
						t.Errorf("panic %q, want %q", got, c.want)
					}
				}()
				_ = policy.New(hedgeAt(10*ms, 1)).Run(t.Context(), &micro.Request{}, c.reply, (&script{steps: c.steps}).handle)
			})
		})
	}
}

// TestHedgeReplyStops checks that a caller that rejects further values ends the request
// with its own error.
func TestHedgeReplyStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{takes: 20 * ms, values: []string{"1", "2"}, every: ms}}}
		reply := micro.ReplyFunc(func(micro.Value) error { return errOther })
		err := policy.New(hedgeAt(10*ms, 1), policy.WithRetries(2)).Run(t.Context(), &micro.Request{}, reply, s.handle)
		if !errors.Is(err, errOther) || len(s.seen) != 2 {
			t.Errorf("%v after %d attempts, want %v after 2", err, len(s.seen), errOther)
		}
	})
}

// TestHedgeMetadata: attempts that overlap do not share what interceptors below
// may change, and the caller's trace is called by one at a time.
func TestHedgeMetadata(t *testing.T) {
	req := &micro.Request{}
	req.Metadata.Set("k", "v")
	wrote := 0 // the race detector sees whether calls overlap
	req.Trace = &micro.Trace{
		Wrote: func(time.Time, []byte) { wrote++ }, Read: func(time.Time, []byte) { wrote++ },
		Connected: func(string, time.Duration) { wrote++ }, Late: func(micro.LateReply) { wrote++ },
	}
	both := make(chan struct{}, 2)
	next := func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
		both <- struct{}{}
		for len(both) < 2 && ctx.Err() == nil { // wait for the other
			<-time.After(time.Millisecond / 10)
		}
		for range 100 {
			req.Metadata.Set("k", fmt.Sprint(req.Attempt))
			req.Trace.Wrote(time.Now(), nil)
			req.Trace.Read(time.Now(), nil)
			req.Trace.Connected("", 0)
			req.Trace.Late(micro.LateReply{})
		}
		if got := req.Metadata.Get("k"); got != fmt.Sprint(req.Attempt) {
			t.Errorf("attempt %d reads %s", req.Attempt, got)
		}
		return micro.ErrUnreachable
	}
	_ = policy.New(hedgeAt(time.Millisecond, 1)).Run(t.Context(), req, nil, next)
	if wrote != 800 || req.Metadata.Get("k") != "v" {
		t.Errorf("%d calls of the trace, want 800; the caller's metadata is %q", wrote, req.Metadata.Get("k"))
	}
}
