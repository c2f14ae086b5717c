package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

const ms = time.Millisecond

// TestRun holds attempts, deadlines, values and the final error to the exact.
func TestRun(t *testing.T) {
	cases := []struct {
		name   string
		policy []policy.Option
		req    micro.Request
		within time.Duration // the request's deadline; 0 is none
		steps  []step
		want   []seen
		values []string
		is     error
		text   string
	}{
		{
			name:   "an attempt has the earlier of both deadlines",
			policy: []policy.Option{policy.WithTimeout(100 * ms), policy.WithRetries(2)},
			within: 250 * ms,
			steps:  []step{{takes: time.Hour}},
			want:   []seen{{0, 1, 100 * ms}, {100 * ms, 2, 200 * ms}, {200 * ms, 3, 250 * ms}},
			is:     micro.ErrTimeout,
			text:   "no answer in time (after 3 attempts)",
		},
		{
			name:   "the policy's deadline bounds the request",
			policy: []policy.Option{policy.WithTimeout(100 * ms), policy.WithRetries(9), policy.WithDeadline(150 * ms)},
			within: time.Hour,
			steps:  []step{{takes: time.Hour}},
			want:   []seen{{0, 1, 100 * ms}, {100 * ms, 2, 150 * ms}},
			is:     micro.ErrTimeout,
			text:   "no answer in time (after 2 attempts)",
		},
		{
			name:   "no retry that could not end in time",
			policy: []policy.Option{policy.WithRetries(3), policy.WithBackoff(policy.Constant(time.Second))},
			within: time.Second,
			steps:  []step{{err: micro.ErrUnreachable}},
			want:   []seen{{0, 1, time.Second}},
			is:     micro.ErrUnreachable,
			text:   "unreachable",
		},
		{
			name:   "never after a value was yielded",
			policy: []policy.Option{policy.WithRetries(3)},
			steps:  []step{{value: "1", err: micro.ErrConnectionLost}},
			want:   []seen{{0, 1, 0}},
			values: []string{"1"},
			is:     micro.ErrConnectionLost,
			text:   "connection closed",
		},
		{
			name:   "an event that may have been sent is not sent again",
			policy: []policy.Option{policy.WithRetries(3)},
			req:    micro.Request{Event: true},
			steps:  []step{{err: micro.ErrConnectionLost}},
			want:   []seen{{0, 1, 0}},
			is:     micro.ErrConnectionLost,
			text:   "connection closed",
		},
		{
			name:   "an event that was not sent is",
			policy: []policy.Option{policy.WithRetries(3)},
			req:    micro.Request{Event: true},
			steps:  []step{{err: micro.ErrUnreachable}, {}},
			want:   []seen{{0, 1, 0}, {0, 2, 0}},
		},
		{
			name:   "another predicate",
			policy: []policy.Option{policy.WithRetries(1), policy.WithRetryIf(policy.AnyError)},
			steps:  []step{{err: remote("400")}, {value: "7"}},
			want:   []seen{{0, 1, 0}, {0, 2, 0}},
			values: []string{"7"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &script{steps: c.steps}
				if c.within > 0 {
					c.req.Deadline = time.Now().Add(c.within)
				}
				values, err := send(t.Context(), policy.New(c.policy...), transport, &c.req)
				if diff := cmp.Diff(c.want, transport.seen); diff != "" {
					t.Errorf("attempts -want +got\n%s", diff)
				}
				if diff := cmp.Diff(c.values, values); diff != "" {
					t.Errorf("values -want +got\n%s", diff)
				}
				checkError(t, err, c.is, c.text)
			})
		})
	}
}

func checkError(t *testing.T, err, is error, text string) {
	t.Helper()
	switch {
	case is == nil && err != nil:
		t.Errorf("error %v, want none", err)
	case is != nil && !errors.Is(err, is):
		t.Errorf("error %v, want %v", err, is)
	case is != nil && err.Error() != text:
		t.Errorf("error %q, want %q", err, text)
	}
}

// TestCanceledWhileWaiting checks that a request that ends during the delay before a retry
// returns why, and the error of its last attempt.
func TestCanceledWhileWaiting(t *testing.T) {
	cause := errors.New("the user has left")
	for name, c := range map[string]struct {
		last error
		text string
	}{
		"unreachable":        {micro.ErrUnreachable, "the user has left (attempt 1 failed: unreachable)"},
		"the service's 503":  {remote("503"), "the user has left (attempt 1 failed: " + remote("503").Error() + ")"},
		"no answer in time":  {micro.ErrTimeout, "the user has left (attempt 1 failed: no answer in time)"},
		"a wrapped sentinel": {fmt.Errorf("dial: %w", micro.ErrUnreachable), "the user has left (attempt 1 failed: dial: unreachable)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(30*ms, func() { cancel(cause) })
				begin := time.Now()
				transport := &script{steps: []step{{err: c.last}}}
				p := policy.New(policy.WithRetries(1), policy.WithBackoff(policy.Constant(time.Hour)))
				_, err := send(ctx, p, transport, &micro.Request{})
				if !errors.Is(err, cause) || !errors.Is(err, c.last) || err.Error() != c.text {
					t.Errorf("got %v, want %s, which wraps both", err, c.text)
				}
				var ours, theirs *micro.Error
				if errors.As(err, &ours) != errors.As(c.last, &theirs) || ours != theirs {
					t.Errorf("the service's error is %v, want %v", ours, theirs)
				}
				if took := time.Since(begin); took != 30*ms || len(transport.seen) != 1 {
					t.Errorf("ended after %s and %d attempts, want 30ms and 1", took, len(transport.seen))
				}
				if policy.Transient(err) || !policy.AnyError(err) {
					t.Error("the last attempt decides about the request, not why it ended")
				}
			})
		})
	}
}

// TestAttemptsStartFromTheRequest checks that what an interceptor behind the policy changes
// for an attempt reaches neither the other attempts nor the caller, and that no attempt
// changes what a transport may still be reading.
func TestAttemptsStartFromTheRequest(t *testing.T) {
	for name, opt := range map[string]policy.Option{"retries": policy.WithRetries(2), "hedges": policy.WithHedge(policy.Hedge{Delay: ms, Max: 2})} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex // guards what follows
				var users, added, data []string
				var kept []*micro.Request
				sign := func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
					mu.Lock()
					req.Metadata.Set("user", "signed("+req.Metadata.Get("user")+")")
					added = append(added, req.Metadata.Get("nonce"))
					req.Metadata.Set("nonce", strconv.Itoa(req.Attempt))
					req.Data = append(req.Data, '!')
					users, data, kept = append(users, req.Metadata.Get("user")), append(data, string(req.Data)), append(kept, req)
					mu.Unlock()
					if name == "hedges" && req.Attempt < 3 {
						<-ctx.Done()
						return context.Cause(ctx)
					}
					return micro.ErrUnreachable
				}
				req := &micro.Request{Data: append(make([]byte, 0, 16), "{}"...)}
				req.Metadata.Set("a", "1")
				req.Metadata.Set("b", "2")
				req.Metadata.Set("user", "u") // with room for another pair
				time.AfterFunc(10*ms, func() {})
				ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
				defer cancel()
				_ = policy.New(opt).Run(ctx, req, nil, sign)
				if diff := cmp.Diff([]string{"signed(u)", "signed(u)", "signed(u)"}, users); diff != "" {
					t.Errorf("users -want +got\n%s", diff)
				}
				if diff := cmp.Diff([]string{"", "", ""}, added); diff != "" {
					t.Errorf("nonces before -want +got\n%s", diff)
				}
				if diff := cmp.Diff([]string{"{}!", "{}!", "{}!"}, data); diff != "" {
					t.Errorf("data -want +got\n%s", diff)
				}
				for i, one := range kept {
					if got := one.Metadata.Get("nonce"); got != strconv.Itoa(i+1) {
						t.Errorf("attempt %d later has nonce %q", i+1, got)
					}
				}
				if req.Metadata.Get("user") != "u" || req.Metadata.Get("nonce") != "" || req.Attempt != 0 || string(req.Data[:3]) == "{}!" {
					t.Errorf("the caller's request has changed: %+v", req)
				}
			})
		})
	}
}

func TestTransient(t *testing.T) {
	cases := []struct {
		err            error
		transient, any bool
	}{
		{nil, false, false},
		{micro.ErrTimeout, true, true},
		{micro.ErrUnreachable, true, true},
		{micro.ErrNotServed, true, true},
		{micro.ErrRefused, false, true},
		{micro.ErrConnectionLost, true, true},
		{micro.ErrShed, false, false},
		{micro.ErrClosed, false, false},
		{context.Canceled, false, false},
		{errOther, false, true},
		{remote("429"), true, true},
		{remote("500"), false, true},
		{remote("502"), true, true},
		{remote("503"), true, true},
		{remote("504"), true, true},
		{remote(`"error"`), false, true},
		{micro.Errorf(503, "made here"), false, true},
	}
	for _, c := range cases {
		if got := policy.Transient(c.err); got != c.transient {
			t.Errorf("Transient(%v) = %t", c.err, got)
		}
		if got := policy.AnyError(c.err); got != c.any {
			t.Errorf("AnyError(%v) = %t", c.err, got)
		}
		if policy.Never(c.err) {
			t.Errorf("Never(%v) = true", c.err)
		}
	}
}

// TestClientWaitsAsLongAsThePolicy checks that a client waits for as long as the policy
// that may take the longest, in any order, unless its own timeout is set.
func TestClientWaitsAsLongAsThePolicy(t *testing.T) {
	short := preset("naive", policy.WithTimeout(2*time.Second))
	for name, tt := range map[string]struct {
		options []micro.ClientOption
		want    time.Duration
	}{
		"backoff":                  {[]micro.ClientOption{preset("backoff", policy.WithTimeout(5*time.Second))}, 23*time.Second - 230*ms + 1*time.Second},
		"recommended":              {[]micro.ClientOption{policy.Recommended()}, micro.DefaultTimeout},
		"the longer one first":     {[]micro.ClientOption{long(), short}, 19*time.Second + 700*ms},
		"the longer one last":      {[]micro.ClientOption{short, long()}, 19*time.Second + 700*ms},
		"the client's own":         {[]micro.ClientOption{long(), micro.WithTimeout(2 * time.Second)}, 2 * time.Second},
		"the client's own, before": {[]micro.ClientOption{micro.WithTimeout(2 * time.Second), long(), short}, 2 * time.Second},
		"as long as possible":      {[]micro.ClientOption{short.With(policy.WithRetries(math.MaxInt))}, math.MaxInt64},
		"a deadline as long":       {[]micro.ClientOption{policy.New(policy.WithDeadline(math.MaxInt64))}, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var waits time.Duration
				outermost := micro.WithInterceptors(func(next micro.Handler) micro.Handler {
					return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
						waits = time.Until(req.Deadline)
						return next(ctx, req, reply)
					}
				})
				c := micro.NewClient(answersAtOnce{}, append([]micro.ClientOption{outermost}, tt.options...)...)
				if _, err := micro.Call[micro.None](t.Context(), c, micro.Cmd("x"), nil); err != nil {
					t.Fatal(err)
				}
				if waits != tt.want {
					t.Errorf("the client waits %v, want %v", waits, tt.want)
				}
			})
		})
	}
}

// long takes 17 s if every attempt times out.
func long() *policy.Policy {
	return policy.New(policy.WithTimeout(5*time.Second), policy.WithRetries(2), policy.WithBackoff(policy.Constant(time.Second)))
}

// silent is a connection to a service that never answers.
type silent struct{ answersAtOnce }

func (silent) Exchange(_ context.Context, req *micro.Request, _ micro.Reply) error {
	<-time.After(time.Until(req.Deadline))
	return micro.ErrTimeout
}

// TestTwoPoliciesOnOneClient checks that the shorter policy behind the longer one does
// not cut it off.
func TestTwoPoliciesOnOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := micro.NewClient(silent{}, long(), preset("naive", policy.WithTimeout(2*time.Second)))
		_, err := micro.Call[micro.None](t.Context(), c, micro.Cmd("x"), nil)
		if took := time.Since(begin); took != 17*time.Second || !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("%v after %s, want a timeout after 17s", err, took)
		}
	})
}

type answersAtOnce struct{}

func (answersAtOnce) Exchange(context.Context, *micro.Request, micro.Reply) error { return nil }
func (answersAtOnce) Publish(context.Context, *micro.Request) error               { return nil }
func (answersAtOnce) Close() error                                                { return nil }
