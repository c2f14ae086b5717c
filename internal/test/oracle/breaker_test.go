package oracle

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// event is one request and its result if it is sent.
type event struct {
	gap time.Duration // since the previous request
	err error
}

// TestBreakerAgainstFailsafe sends the same random requests under both: both must
// send and reject the same ones. Each window holds few requests, because
// failsafe-go rounds ratios to hundredths.
func TestBreakerAgainstFailsafe(t *testing.T) {
	breakers := []policy.Breaker{
		{Ratio: 0.5, Window: time.Second, Cooldown: 500 * ms, Minimum: 5, Probes: 1},
		{Ratio: 0.2, Window: 2 * time.Second, Cooldown: time.Second, Minimum: 10, Probes: 3},
		{Ratio: 1, Window: time.Second, Cooldown: 200 * ms, Minimum: 2, Probes: 2},
		{Ratio: 0.75, Window: 10 * time.Second, Cooldown: 5 * time.Second, Minimum: 20, Probes: 1},
	}
	for i, b := range breakers {
		t.Run(policytext.FormatBreaker(b), func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, uint64(i)))
			events := randomEvents(random, 3000, b.Window/20)
			var ours, theirs []bool
			synctest.Test(t, func(t *testing.T) { ours = sentUnderOurs(b, events) })
			synctest.Test(t, func(t *testing.T) { theirs = sentUnderFailsafe(b, events) })
			rejected := 0
			for n := range events {
				if ours[n] != theirs[n] {
					t.Fatalf("request %d: sent %t, but under failsafe-go %t", n, ours[n], theirs[n])
				}
				if !ours[n] {
					rejected++
				}
			}
			if rejected == 0 || rejected == len(events) {
				t.Errorf("%d of %d requests were rejected: the test compares nothing", rejected, len(events))
			}
		})
	}
}

// randomEvents alternates between healthy and failing periods.
func randomEvents(random *rand.Rand, n int, gap time.Duration) []event {
	failures := []error{remote("503"), micro.ErrTimeout, micro.ErrUnreachable}
	var list []event
	for i := range n {
		e := event{gap: time.Duration(random.Int64N(2*int64(gap/ms)+1)) * ms}
		if bad := i/200%2 == 1; bad && random.IntN(10) < 9 || random.IntN(20) == 0 {
			e.err = failures[random.IntN(len(failures))]
		} else if random.IntN(4) == 0 {
			e.err = remote("404") // the service replied
		}
		list = append(list, e)
	}
	return list
}

func sentUnderOurs(b policy.Breaker, events []event) (sent []bool) {
	p := policy.New(policy.WithBreaker(b))
	for _, e := range events {
		<-time.After(e.gap)
		sent = append(sent, !errors.Is(p.Run(context.Background(), &micro.Request{}, nil, func(context.Context, *micro.Request, micro.Reply) error { return e.err }), micro.ErrShed))
	}
	return sent
}

func sentUnderFailsafe(b policy.Breaker, events []event) (sent []bool) {
	breaker := circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(b.Ratio, uint(b.Minimum), b.Window).
		WithDelay(b.Cooldown).WithSuccessThreshold(uint(b.Probes)).
		HandleIf(func(_ any, err error) bool { return policy.Transient(err) }).Build()
	for _, e := range events {
		<-time.After(e.gap)
		err := failsafe.With[any](breaker).Run(func() error { return e.err })
		sent = append(sent, !errors.Is(err, circuitbreaker.ErrOpen))
	}
	return sent
}

// TestHedgeAgainstFailsafe compares hedged attempts and their start times. In no
// script does an attempt fail before its hedge is due, since failsafe-go would
// still wait for the hedge.
func TestHedgeAgainstFailsafe(t *testing.T) {
	settings := []policy.Settings{
		{Hedge: policy.Hedge{Delay: 50 * ms, Max: 1}},
		{Hedge: policy.Hedge{Delay: 20 * ms, Max: 3}},
		{Retries: 2, Timeout: 200 * ms, Hedge: policy.Hedge{Delay: 50 * ms, Max: 1}},
		{Retries: 1, Timeout: 300 * ms, Hedge: policy.Hedge{Delay: 30 * ms, Max: 2}, Backoff: policy.Constant(20 * ms)},
	}
	scripts := map[string][]step{
		"answers in time":         {{takes: 15 * ms}},
		"the hedge wins":          {{takes: 500 * ms}, {takes: 12 * ms}},
		"the first wins":          {{takes: 77 * ms}, {takes: 500 * ms}},
		"the hedge fails":         {{takes: 170 * ms}, {takes: 60 * ms, err: remote("503")}, {takes: 500 * ms}},
		"the hedge is refused":    {{takes: 170 * ms}, {takes: 60 * ms, err: remote("404")}, {takes: 500 * ms}},
		"all fail, then answered": {{takes: 130 * ms, err: remote("503")}, {takes: 140 * ms, err: micro.ErrConnectionLost}, {takes: 91 * ms}},
		"all fail":                {{takes: 130 * ms, err: micro.ErrUnreachable}},
	}
	compareOutcomes(t, settings, scripts, hedgeFailsafe)
}

func hedgeFailsafe(s policy.Settings, steps []step) outcome {
	again := func(err error) bool { return errors.Is(err, timeout.ErrExceeded) || policy.Transient(err) }
	retry := retrypolicy.NewBuilder[any]().WithMaxRetries(s.Retries).ReturnLastFailure().
		HandleIf(func(_ any, err error) bool { return again(err) })
	if s.Backoff.Delay > 0 {
		retry = retry.WithDelay(s.Backoff.Delay)
	}
	hedge := hedgepolicy.NewBuilderWithDelay[any](s.Hedge.Delay).WithMaxHedges(s.Hedge.Max).
		CancelIf(func(_ any, err error) bool { return !again(err) }).Build()
	policies := []failsafe.Policy[any]{retry.Build(), hedge}
	if s.Timeout > 0 {
		policies = append(policies, timeout.New[any](s.Timeout))
	}
	service := newScript(steps)
	err := failsafe.With(policies...).RunWithExecution(func(exec failsafe.Execution[any]) error {
		return service.attempt(exec.Context(), time.Time{})
	})
	result := service.outcome(err)
	synctest.Wait() // failsafe-go leaves the attempts that lost running
	return result
}
