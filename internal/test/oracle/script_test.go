// Package oracle holds runtime/policy to an independent implementation of the
// same policies, failsafe-go. It is outside runtime/, whose modules must not
// require failsafe-go.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// outcome is what both implementations must agree on.
type outcome struct {
	Starts []time.Duration
	Took   time.Duration
	OK     bool
}

// step is how the scripted service treats one attempt.
type step struct {
	takes time.Duration
	err   error
}

// script is a service that treats the n-th attempt as the n-th step prescribes;
// the last step repeats.
type script struct {
	steps []step
	begin time.Time

	mu     sync.Mutex // guards starts: hedged attempts overlap
	starts []time.Duration
}

func newScript(steps []step) *script { return &script{steps: steps, begin: time.Now()} }

// attempt runs one attempt until it completes, ctx ends, or the deadline passes.
func (s *script) attempt(ctx context.Context, deadline time.Time) error {
	s.mu.Lock()
	s.starts = append(s.starts, time.Since(s.begin))
	step := s.steps[min(len(s.starts), len(s.steps))-1]
	s.mu.Unlock()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, deadline, micro.ErrTimeout)
		defer cancel()
	}
	if step.takes <= 0 {
		return step.err // without a timer: Go may crash on one that has expired (golang/go 78156)
	}
	takes := time.NewTimer(step.takes)
	defer takes.Stop()
	select {
	case <-takes.C:
		return step.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *script) outcome(err error) outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return outcome{s.starts, time.Since(s.begin), err == nil}
}

func remote(status string) error {
	return micro.RemoteError([]byte(`{"status":` + status + `,"message":"scripted"}`))
}

var errOther = errors.New("another error")

// compareOutcomes checks that each script ends under each of the settings as it does
// under failsafe-go, which reference runs.
func compareOutcomes(t *testing.T, settings []policy.Settings, scripts map[string][]step, reference func(policy.Settings, []step) outcome) {
	t.Helper()
	for _, s := range settings {
		for name, steps := range scripts {
			t.Run(fmt.Sprintf("%s/%s", policytext.Describe(s), name), func(t *testing.T) {
				var ours, theirs outcome
				synctest.Test(t, func(t *testing.T) { ours = runOurs(s, steps) })
				synctest.Test(t, func(t *testing.T) { theirs = reference(s, steps) })
				if diff := cmp.Diff(theirs, ours); diff != "" {
					t.Errorf("-failsafe +policy\n%s", diff)
				}
			})
		}
	}
}
