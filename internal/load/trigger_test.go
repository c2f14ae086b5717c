package load_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// idle returns a plan with few requests, for tests of everything else.
func idle(t *testing.T, length time.Duration, triggers ...load.Trigger) load.Plan {
	t.Helper()
	return load.Plan{
		Messages: work(workers(t, answer)), Policy: policy.None(), Triggers: triggers,
		Pacer: vegeta.ConstantPacer{Freq: 20, Per: time.Second}, Duration: length,
	}
}

// texts returns the texts of the triggers that a result judges.
func texts(res *load.Result) (list []string) {
	for _, r := range res.Recoveries {
		list = append(list, r.Trigger.Text)
	}
	return list
}

// TestTriggersFireOnce checks that each trigger fires once, at its time, in any order
// in the plan, and that one without Fire is recorded, too.
func TestTriggersFireOnce(t *testing.T) { synctest.Test(t, testTriggersFireOnce) }

func testTriggersFireOnce(t *testing.T) {
	t.Helper()
	var began time.Time
	var first, second atomic.Int64 // since the start; each is fired once
	var fired atomic.Int64
	note := func(at *atomic.Int64) func() error {
		return func() error {
			at.Store(int64(time.Since(began)))
			fired.Add(1)
			return nil
		}
	}
	plan := idle(t, 600*ms,
		load.Trigger{At: 300 * ms, Length: 100 * ms, Text: "second", Fire: note(&second)},
		load.Trigger{At: 100 * ms, Length: 100 * ms, Text: "first", Fire: note(&first)},
		load.Trigger{At: 200 * ms, Length: 50 * ms, Text: "by itself"},
	)
	plan.OnStart = func(at time.Time) { began = at }
	r := start(t, plan)
	res := r.Wait()
	if fired.Load() != 2 || first.Load() != int64(100*ms) || second.Load() != int64(300*ms) {
		t.Errorf("%d fired, at %s and %s: want 2, at 100ms and 300ms", fired.Load(), time.Duration(first.Load()), time.Duration(second.Load()))
	}
	if diff := cmp.Diff([]string{"first", "by itself", "second"}, texts(res)); diff != "" {
		t.Errorf("judged -want +got\n%s", diff)
	}
	if r.TriggerError() != nil {
		t.Errorf("error %v", r.TriggerError())
	}
}

// TestTriggerError checks that the error of a trigger is returned and marked, and that
// the trigger is not judged.
func TestTriggerError(t *testing.T) { synctest.Test(t, testTriggerError) }

func testTriggerError(t *testing.T) {
	t.Helper()
	why := errors.New("the process is gone")
	r := start(t, idle(t, 200*ms, load.Trigger{At: 50 * ms, Length: 50 * ms, Text: "pause 50ms", Fire: func() error { return why }}))
	res := r.Wait()
	if !errors.Is(r.TriggerError(), why) {
		t.Errorf("the error is %v, want %v", r.TriggerError(), why)
	}
	if len(res.Recoveries) != 0 || res.Verdict != load.Unjudged || len(res.Marks) != 1 || res.Marks[0].Text != "pause 50ms failed" {
		t.Errorf("recoveries %v, verdict %q, marks %v", res.Recoveries, res.Verdict, res.Marks)
	}
}

// TestStoppedBeforeATrigger checks that a trigger does not fire after the run was
// stopped, and does not delay its end.
func TestStoppedBeforeATrigger(t *testing.T) { synctest.Test(t, testStoppedBeforeATrigger) }

func testStoppedBeforeATrigger(t *testing.T) {
	t.Helper()
	var fired atomic.Int64
	plan := idle(t, time.Hour, load.Trigger{At: 30 * time.Minute, Length: time.Second, Fire: func() error {
		fired.Add(1)
		return nil
	}})
	r := start(t, plan)
	<-time.After(time.Second) // of the bubble
	r.Stop()
	res := r.Wait()
	if fired.Load() != 0 || len(res.Recoveries) != 0 || !res.Stopped || r.TriggerError() != nil {
		t.Errorf("fired %d times, recoveries %v, stopped %t, error %v", fired.Load(), res.Recoveries, res.Stopped, r.TriggerError())
	}
}

// TestLiveTrigger checks that a trigger fired by hand starts now and returns its error,
// and that none can be fired after the run.
func TestLiveTrigger(t *testing.T) { synctest.Test(t, testLiveTrigger) }

func testLiveTrigger(t *testing.T) {
	t.Helper()
	r := start(t, idle(t, time.Hour))
	<-time.After(time.Second) // of the bubble
	before := r.Snapshot(1).Elapsed
	calls := 0
	fire := func() error { calls++; return nil }
	if err := r.Trigger(load.Trigger{At: time.Hour, Length: 20 * ms, Text: "by hand", Fire: fire}); err != nil || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
	why := errors.New("no")
	if err := r.Trigger(load.Trigger{Length: time.Second, Text: "cannot", Fire: func() error { return why }}); !errors.Is(err, why) {
		t.Errorf("the error is %v, want %v", err, why)
	}
	live := r.Snapshot(1)
	if len(live.Recoveries) != 1 || live.Recoveries[0].Trigger.At < before || live.Recoveries[0].Trigger.At > live.Elapsed {
		t.Errorf("recoveries %+v: want one, between %s and %s", live.Recoveries, before, live.Elapsed)
	}
	r.Stop()
	res := r.Wait()
	if diff := cmp.Diff([]string{"by hand"}, texts(res)); diff != "" {
		t.Errorf("judged -want +got\n%s", diff)
	}
	if r.Trigger(load.Trigger{Fire: fire}) == nil || calls != 1 {
		t.Error("a trigger is fired after the run")
	}
}
