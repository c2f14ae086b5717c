package oracle

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// TestRetriesAgainstFailsafe runs the same scripted failures under both: the same
// attempts must start at the same times.
func TestRetriesAgainstFailsafe(t *testing.T) {
	settings := []policy.Settings{
		{},
		{Retries: 3},
		{Retries: 2, Backoff: policy.Constant(time.Second)},
		{Retries: 5, Backoff: policy.Exponential(100*time.Millisecond, time.Second)},
		{Retries: 4, Backoff: policy.Backoff{Delay: 30 * time.Millisecond, Factor: 3, Max: 500 * time.Millisecond}},
		{Retries: 2, Timeout: 300 * time.Millisecond, Backoff: policy.Constant(50 * time.Millisecond)},
		{Retries: 4, Timeout: 200 * time.Millisecond, Backoff: policy.Exponential(10*time.Millisecond, time.Minute)},
	}
	scripts := map[string][]step{
		"answers":                  {{takes: 20 * time.Millisecond}},
		"fails twice":              {{err: remote("503")}, {err: micro.ErrUnreachable}, {takes: time.Millisecond}},
		"always fails":             {{takes: 5 * time.Millisecond, err: micro.ErrConnectionLost}},
		"fails in a way that ends": {{err: remote("503")}, {err: remote("400")}, {}},
		"slow then answers":        {{takes: time.Hour}, {takes: 199 * time.Millisecond}},
		"never answers":            {{takes: time.Hour}},
		"slow, refused, answers":   {{takes: 250 * time.Millisecond, err: remote("504")}, {err: errOther}, {}},
	}
	compareOutcomes(t, settings, scripts, runFailsafe)
}

func runOurs(s policy.Settings, steps []step) outcome {
	p := policy.New(policy.WithTimeout(s.Timeout), policy.WithRetries(s.Retries), policy.WithBackoff(s.Backoff), policy.WithHedge(s.Hedge))
	service := newScript(steps)
	err := p.Run(context.Background(), &micro.Request{Pattern: micro.Cmd("x")}, nil, func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
		return service.attempt(ctx, req.Deadline)
	})
	return service.outcome(err)
}

func runFailsafe(s policy.Settings, steps []step) outcome {
	retry := retrypolicy.NewBuilder[any]().WithMaxRetries(s.Retries).ReturnLastFailure().
		AbortIf(func(_ any, err error) bool {
			return err != nil && !errors.Is(err, timeout.ErrExceeded) && !policy.Transient(err)
		})
	switch {
	case s.Backoff.Factor > 1:
		retry = retry.WithBackoffFactor(s.Backoff.Delay, s.Backoff.Max, s.Backoff.Factor)
	case s.Backoff.Delay > 0:
		retry = retry.WithDelay(s.Backoff.Delay)
	}
	policies := []failsafe.Policy[any]{retry.Build()}
	if s.Timeout > 0 {
		policies = append(policies, timeout.New[any](s.Timeout))
	}
	service := newScript(steps)
	err := failsafe.With(policies...).RunWithExecution(func(exec failsafe.Execution[any]) error {
		return service.attempt(exec.Context(), time.Time{})
	})
	return service.outcome(err)
}
