package load_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// crisis is BENCH's truth check 2: a service of known capacity under 65 % load
// that stands still for a while. All its times are in units of unit, a second in
// full size.
type crisis struct {
	name     string
	policy   *policy.Policy
	unit     time.Duration
	capacity int // a second
	length   int // of the run, in units
	want     load.Verdict
}

// floor keeps the budget's floor in the proportion to the load that it has in
// full size, 10 of 650 a second.
func (c *crisis) floor() float64 { return float64(10*c.capacity) / 1000 }

func crises(unit time.Duration, perSecond int) []crisis {
	naive := crisis{name: "naive", unit: unit, capacity: perSecond, length: 20, want: load.Collapsed}
	naive.policy = policy.Naive(policy.WithTimeout(unit))
	recommended := crisis{name: "recommended", unit: unit, capacity: perSecond, length: 28, want: load.Recovered}
	recommended.policy = policy.Recommended(
		policy.WithTimeout(unit), policy.WithBackoff(policy.Exponential(unit/20, unit)), policy.WithDeadline(3*unit),
		policy.WithBudget(0.2, recommended.floor()),
	)
	return []crisis{naive, recommended}
}

// TestCollapse runs it at half of all times and half of the capacity, which bends
// no proportion, and with MSCTL_TEST_LONG=1 in full size.
func TestCollapse(t *testing.T) {
	unit, perSecond := 500*ms, 500
	if os.Getenv("MSCTL_TEST_LONG") == "1" {
		unit, perSecond = time.Second, 1000
	}
	atOnce(t, crises(unit, perSecond), func(c crisis) string { return c.name }, checkCrisis)
}

// checkCrisis allows for a machine that stands still itself: where the process did
// not run for a good part of a timeout, that was another trigger, and the run is
// made again.
func checkCrisis(t *testing.T, c crisis) {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		machine := watchHiccups(t)
		res := c.run(t)
		checkParts(t, res)
		if len(res.Recoveries) != 1 {
			t.Fatalf("%d triggers were judged", len(res.Recoveries))
		}
		r := res.Recoveries[0]
		stood := time.Duration(machine.worst.Load())
		t.Logf("try %d: %s: %s (the process did not run for up to %s)", try, r.String(), r.Why, stood)
		wrong := c.compare(res)
		if wrong == "" {
			return
		}
		if stood < c.unit/5 || try == tries {
			t.Fatal(wrong)
		}
	}
}

// compare says what is wrong with a result; "" is nothing.
func (c *crisis) compare(res *load.Result) string {
	switch r := res.Recoveries[0]; {
	case r.Verdict != c.want || res.Verdict != c.want:
		return fmt.Sprintf("the verdict is %s, want %s", r.Verdict, c.want)
	case r.Before < 0.9:
		return fmt.Sprintf("%.2f were answered before the trigger", r.Before)
	case c.want == load.Collapsed && (r.After > 0.1 || r.Amplified < 3):
		return fmt.Sprintf("%.2f were answered after it, at %.1f attempts a request: that is no retry storm", r.After, r.Amplified)
	case c.want == load.Recovered && r.Amplified > 1.3:
		return fmt.Sprintf("%.1f attempts a request after it: the budget does not hold", r.Amplified)
	}
	return ""
}

// run makes the run on a service of its own.
func (c *crisis) run(t *testing.T) *load.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	const workers = 10
	config := capacity.Config{Workers: workers, ServiceTime: capacity.Exponential(workers * time.Second / time.Duration(c.capacity)), Seed: 1}
	service, err := capacity.Serve(ctx, "127.0.0.1:0", config, micro.Cmd("work"))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	defer func() {
		cancel()
		if err := service.Wait(); err != nil {
			t.Error(err)
		}
	}()
	stall := 4 * c.unit
	trigger := load.Trigger{At: 3 * c.unit, Length: stall, Text: "stall", Fire: func() error {
		service.Stall(stall)
		return nil
	}}
	return run(t, load.Plan{
		Messages: work(dial(t, service.Address, 4)), Policy: c.policy, Triggers: []load.Trigger{trigger}, Grace: ms,
		Pacer: vegeta.ConstantPacer{Freq: 65 * c.capacity / 100, Per: time.Second}, Duration: time.Duration(c.length) * c.unit,
	})
}
