package policy_test

import (
	"context"
	"errors"
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

func TestCanceledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the user has left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(30*ms, func() { cancel(cause) })
		begin := time.Now()
		transport := &script{steps: []step{{err: micro.ErrUnreachable}}}
		_, err := send(ctx, policy.New(policy.WithRetries(1), policy.WithBackoff(policy.Constant(time.Hour))), transport, &micro.Request{})
		if !errors.Is(err, cause) || time.Since(begin) != 30*ms || len(transport.seen) != 1 {
			t.Errorf("error %v after %s and %d attempts, want %v after 30ms and 1", err, time.Since(begin), len(transport.seen), cause)
		}
	})
}

// TestMetadataIsTheAttemptsOwn: what an interceptor below writes for a retry
// does not reach the first attempt, which a transport may still be reading.
func TestMetadataIsTheAttemptsOwn(t *testing.T) {
	var kept []*micro.Request
	next := func(_ context.Context, req *micro.Request, _ micro.Reply) error {
		kept = append(kept, req)
		if req.Attempt > 1 {
			req.Metadata.Set("k", "changed")
		}
		return micro.ErrUnreachable
	}
	req := &micro.Request{}
	req.Metadata.Set("k", "v")
	_ = policy.New(policy.WithRetries(1)).Run(t.Context(), req, nil, next)
	if got := kept[0].Metadata.Get("k"); got != "v" || kept[1].Metadata.Get("k") != "changed" || req.Attempt != 0 {
		t.Errorf("first attempt's metadata k=%q, want v; the request's attempt %d, want 0", got, req.Attempt)
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

// TestClientWaitsAsLongAsThePolicy: a policy that may take longer than a client
// waits by itself makes the client wait; a later option wins.
func TestClientWaitsAsLongAsThePolicy(t *testing.T) {
	for name, tt := range map[string]struct {
		options []micro.ClientOption
		want    time.Duration
	}{
		"nest":             {[]micro.ClientOption{preset("nest")}, 17*time.Second + 17*time.Second/10 + time.Second},
		"recommended":      {[]micro.ClientOption{policy.Recommended()}, micro.DefaultTimeout},
		"the client's own": {[]micro.ClientOption{preset("nest"), micro.WithTimeout(2 * time.Second)}, 2 * time.Second},
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

type answersAtOnce struct{}

func (answersAtOnce) Exchange(context.Context, *micro.Request, micro.Reply) error { return nil }
func (answersAtOnce) Publish(context.Context, *micro.Request) error               { return nil }
func (answersAtOnce) Close() error                                                { return nil }
