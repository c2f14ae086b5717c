package policy_test

import (
	"context"
	"slices"
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
	return policy.WithHedge(policy.Hedge{Delay: d, Max: most})
}

// ended is an attempt as Ended reports it.
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
			name:   "the first value decides which attempt's stream it is",
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
