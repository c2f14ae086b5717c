package policy_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// observed is an attempt with its times since the request began.
type observed struct {
	Number            int
	Start, Wrote, End time.Duration
	Err               error
	Next              policy.Next
	Delay             time.Duration
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			begin   = time.Now()
			req     = &micro.Request{Deadline: begin.Add(time.Second)}
			started []int
			ended   []observed
			late    []policy.Late
		)
		p := policy.New(
			policy.WithTimeout(100*ms), policy.WithRetries(3), policy.WithBackoff(policy.Exponential(10*ms, 0)),
			policy.WithHooks(policy.Hooks{Started: func(_ context.Context, a policy.Attempt) { started = append(started, a.Number) }}),
			policy.WithHooks(policy.Hooks{
				Ended: func(_ context.Context, a policy.Attempt) {
					if a.Request != req {
						t.Error("an attempt's Request is not the caller's")
					}
					ended = append(ended, observed{a.Number, a.Start.Sub(begin), a.Wrote.Sub(begin), a.End.Sub(begin), a.Err, a.Next, a.Delay})
				},
				Late: func(_ context.Context, l policy.Late) { late = append(late, l) },
			}),
		)
		transport := &script{steps: []step{{takes: 150 * ms}, {takes: 5 * ms, err: remote("503")}, {value: "1"}}}
		if _, err := send(t.Context(), p, transport, req); err != nil {
			t.Fatal(err)
		}
		<-time.After(100 * ms) // for the late answer
		synctest.Wait()
		want := []observed{
			{1, 0, 0, 100 * ms, micro.ErrTimeout, policy.Retry, 10 * ms},
			{2, 110 * ms, 110 * ms, 115 * ms, remote("503"), policy.Retry, 20 * ms},
			{3, 135 * ms, 135 * ms, 135 * ms, nil, policy.Done, 0},
		}
		sameText := cmp.Comparer(func(a, b error) bool { return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error() })
		if diff := cmp.Diff(want, ended, sameText); diff != "" {
			t.Errorf("ended -want +got\n%s", diff)
		}
		if diff := cmp.Diff([]int{1, 2, 3}, started); diff != "" {
			t.Errorf("started -want +got\n%s", diff)
		}
		wantLate := []policy.Late{{Request: req, Number: 1, By: 50 * ms}}
		if diff := cmp.Diff(wantLate, late, cmpopts.IgnoreFields(policy.Late{}, "Request")); diff != "" || late[0].Request != req {
			t.Errorf("late -want +got\n%s", diff)
		}
	})
}

func TestNextTellsWhyNot(t *testing.T) {
	cases := map[policy.Next][]policy.Option{
		policy.Done:       {policy.WithRetries(0)},
		policy.Exhausted:  {policy.WithRetries(1)},
		policy.OverBudget: {policy.WithRetries(1), policy.WithBudget(0.5, 0)},
		policy.OutOfTime:  {policy.WithRetries(1), policy.WithBackoff(policy.Constant(2 * time.Second))},
	}
	for want, opts := range cases {
		t.Run(want.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var last policy.Next
				p := policy.New(opts...).With(policy.WithHooks(policy.Hooks{
					Ended: func(_ context.Context, a policy.Attempt) { last = a.Next },
				}))
				req := &micro.Request{Deadline: time.Now().Add(time.Second)}
				if _, err := send(t.Context(), p, &script{steps: []step{{err: micro.ErrUnreachable}}}, req); err == nil {
					t.Fatal("no error")
				}
				if last != want {
					t.Errorf("the last attempt is followed by %q, want %q", last, want)
				}
			})
		})
	}
}

// TestCallersTraceIsKept checks that the hooks of bench and the trace of -v both work.
func TestCallersTraceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrote, late := 0, 0
		req := &micro.Request{Trace: &micro.Trace{
			Wrote: func(time.Time, []byte) { wrote++ },
			Late:  func(micro.LateReply) { late++ },
		}}
		p := policy.New(policy.WithTimeout(10*ms), policy.WithHooks(policy.Hooks{Late: func(context.Context, policy.Late) {}}))
		_, _ = send(t.Context(), p, &script{steps: []step{{takes: 20 * ms}}}, req)
		<-time.After(20 * ms)
		synctest.Wait()
		if wrote != 1 || late != 1 {
			t.Errorf("the caller's trace got %d writes and %d late answers, want 1 and 1", wrote, late)
		}
	})
}
