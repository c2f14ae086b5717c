package policy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// hedgeAt hedges after a fixed time.
func hedgeAt(d time.Duration, most int) policy.Option {
	return policy.WithHedge(policy.Hedge{Delay: d, Most: most})
}

// ended is an attempt as Ended tells of it.
type ended struct {
	Number int
	Hedge  bool
	End    time.Duration
	Err    string
	Next   policy.Next
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestHedge holds attempts, values, errors and what the hooks tell to the exact.
// A hedge is 50 ms after its try's first attempt.
func TestHedge(t *testing.T) {
	const outrun = "context canceled: another attempt was answered first"
	cases := []struct {
		name   string
		policy []policy.Option
		req    micro.Request
		steps  []step
		want   []seen
		values []string
		text   string
		ended  []ended
		late   []int // numbers of attempts
	}{
		{
			name:   "answered in time",
			steps:  []step{{takes: 49 * ms, value: "1"}},
			want:   []seen{{0, 1, 100 * ms}},
			values: []string{"1"},
			ended:  []ended{{1, false, 49 * ms, "", policy.Done}},
		},
		{
			name:   "the hedge wins",
			steps:  []step{{takes: 90 * ms, value: "1"}, {takes: 10 * ms, value: "2"}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			values: []string{"2"},
			ended:  []ended{{1, false, 60 * ms, outrun, policy.Outrun}, {2, true, 60 * ms, "", policy.Done}},
			late:   []int{1},
		},
		{
			name:   "the first wins all the same",
			steps:  []step{{takes: 60 * ms, value: "1"}, {takes: 90 * ms, value: "2"}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			values: []string{"1"},
			ended:  []ended{{2, true, 60 * ms, outrun, policy.Outrun}, {1, false, 60 * ms, "", policy.Done}},
			late:   []int{2},
		},
		{
			name:  "an error of the service's is an answer",
			steps: []step{{takes: 90 * ms, value: "1"}, {takes: 10 * ms, err: remote("404")}},
			want:  []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			text:  "scripted (status 404) (after 2 attempts)",
			ended: []ended{{1, false, 60 * ms, outrun, policy.Outrun}, {2, true, 60 * ms, "scripted (status 404)", policy.Done}},
			late:  []int{1},
		},
		{
			name:   "a failure waits for the other",
			steps:  []step{{takes: 90 * ms, value: "1"}, {takes: 10 * ms, err: remote("503")}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			values: []string{"1"},
			ended:  []ended{{2, true, 60 * ms, "scripted (status 503)", policy.Pending}, {1, false, 90 * ms, "", policy.Done}},
		},
		{
			name:   "a timeout waits for the hedge also where it is not retried",
			policy: []policy.Option{policy.WithRetryOn("never")},
			steps:  []step{{takes: time.Hour}, {takes: 90 * ms, value: "2"}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			values: []string{"2"},
			ended:  []ended{{1, false, 100 * ms, "no answer in time", policy.Pending}, {2, true, 140 * ms, "", policy.Done}},
			late:   []int{1},
		},
		{
			name:  "a failure before the hedge is due is not hedged",
			steps: []step{{takes: 10 * ms, err: micro.ErrConnectionLost}},
			want:  []seen{{0, 1, 100 * ms}},
			text:  "connection closed",
			ended: []ended{{1, false, 10 * ms, "connection closed", policy.Done}},
		},
		{
			name:   "all fail and the try is retried, with a hedge again",
			policy: []policy.Option{policy.WithRetries(1), policy.WithBackoff(policy.Constant(20 * ms))},
			steps:  []step{{takes: 70 * ms, err: remote("503")}, {takes: 30 * ms, err: remote("504")}, {takes: time.Hour}, {takes: 5 * ms, value: "4"}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}, {100 * ms, 3, 200 * ms}, {150 * ms, 4, 250 * ms}},
			values: []string{"4"},
			ended: []ended{
				{1, false, 70 * ms, "scripted (status 503)", policy.Pending}, {2, true, 80 * ms, "scripted (status 504)", policy.Retry},
				{3, false, 155 * ms, outrun, policy.Outrun}, {4, true, 155 * ms, "", policy.Done},
			},
			late: []int{3},
		},
		{
			name:   "several hedges",
			policy: []policy.Option{hedgeAt(20*ms, 3)},
			steps:  []step{{takes: time.Hour}, {takes: time.Hour}, {takes: 15 * ms, value: "3"}},
			want:   []seen{{0, 1, 100 * ms}, {20 * ms, 2, 120 * ms}, {40 * ms, 3, 140 * ms}},
			values: []string{"3"},
			ended: []ended{
				{1, false, 55 * ms, outrun, policy.Outrun}, {2, true, 55 * ms, outrun, policy.Outrun}, {3, true, 55 * ms, "", policy.Done},
			},
			late: []int{1, 2},
		},
		{
			name:   "a stream is whose value came first, and nobody else's",
			steps:  []step{{takes: 60 * ms, values: []string{"a", "b"}, every: 10 * ms, value: "c"}, {takes: 15 * ms, values: []string{"x", "y"}, every: ms, value: "z"}},
			want:   []seen{{0, 1, 100 * ms}, {50 * ms, 2, 150 * ms}},
			values: []string{"a", "b", "c"},
			ended:  []ended{{2, true, 60 * ms, outrun, policy.Outrun}, {1, false, 80 * ms, "", policy.Done}},
			late:   []int{2},
		},
		{
			name:   "no hedge once a value has come",
			steps:  []step{{takes: 40 * ms, values: []string{"a"}, every: 40 * ms, value: "b"}},
			want:   []seen{{0, 1, 100 * ms}},
			values: []string{"a", "b"},
			ended:  []ended{{1, false, 80 * ms, "", policy.Done}},
		},
		{
			name:   "a stream that breaks is not retried",
			policy: []policy.Option{policy.WithRetries(3)},
			steps:  []step{{takes: 40 * ms, values: []string{"a"}, err: micro.ErrConnectionLost}},
			want:   []seen{{0, 1, 100 * ms}},
			values: []string{"a"},
			text:   "connection closed",
			ended:  []ended{{1, false, 40 * ms, "connection closed", policy.Done}},
		},
		{
			name:  "an event never",
			req:   micro.Request{Event: true},
			steps: []step{{takes: 90 * ms}},
			want:  []seen{{0, 1, 100 * ms}},
			ended: []ended{{1, false, 90 * ms, "", policy.Done}},
		},
		{
			name:   "no hedge past the request's deadline",
			policy: []policy.Option{policy.WithDeadline(50 * ms)},
			steps:  []step{{takes: 90 * ms}},
			want:   []seen{{0, 1, 50 * ms}},
			text:   "no answer in time",
			ended:  []ended{{1, false, 50 * ms, "no answer in time", policy.Done}},
			late:   []int{1},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var gotEnded []ended
				var mu sync.Mutex // guards late
				var late []int
				started := 0
				p := policy.New(policy.WithTimeout(100*ms), hedgeAt(50*ms, 0)).With(c.policy...).With(policy.WithHooks(policy.Hooks{
					Started: func(_ context.Context, a policy.Attempt) { started++ },
					Ended: func(_ context.Context, a policy.Attempt) {
						gotEnded = append(gotEnded, ended{a.Number, a.Hedge, a.End.Sub(begin), errorText(a.Err), a.Next})
					},
					Late: func(_ context.Context, l policy.Late) {
						mu.Lock()
						defer mu.Unlock()
						late = append(late, l.Number)
					},
				}))
				transport := &script{steps: c.steps}
				values, err := send(t.Context(), p, transport, &c.req)
				hooks := len(gotEnded)
				<-time.After(2 * time.Hour) // for late answers, and hooks too late
				synctest.Wait()
				slices.SortFunc(gotEnded[:hooks-1], func(a, b ended) int { return a.Number - b.Number }) // they end together
				if diff := cmp.Diff(c.want, transport.seen); diff != "" {
					t.Errorf("attempts -want +got\n%s", diff)
				}
				if diff := cmp.Diff(c.values, values); diff != "" {
					t.Errorf("values -want +got\n%s", diff)
				}
				if diff := cmp.Diff(c.ended, gotEnded); diff != "" {
					t.Errorf("ended -want +got\n%s", diff)
				}
				if diff := cmp.Diff(c.late, late); diff != "" {
					t.Errorf("late -want +got\n%s", diff)
				}
				if started != len(c.want) || hooks != started {
					t.Errorf("%d attempts started and %d ended before the request did, want %d", started, hooks, len(c.want))
				}
				if got := errorText(err); got != c.text {
					t.Errorf("error %q, want %q", got, c.text)
				}
			})
		})
	}
}

// TestHedgeBudget: a hedge takes a token, and without one there is none, while
// the request goes on.
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
// closed, and one that was outrun says nothing.
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

// TestHedgeCancelled: when the caller leaves, all attempts do, and none is called
// outrun.
func TestHedgeCancelled(t *testing.T) {
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
// transport is told that nobody wants the rest.
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

// TestHedgeReplyStops: a caller that wants no more values ends the request with
// its own error.
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
