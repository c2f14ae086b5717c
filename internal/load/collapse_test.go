package load_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/policy"
)

// crisis is a service of known capacity at 65% load that stalls for a while. All times
// are multiples of unit, which is one second in full size.
type crisis struct {
	name     string
	policy   *policy.Policy
	unit     time.Duration
	capacity int // requests per second
	length   int // of the run, in units
	want     load.Verdict
}

// floor returns a budget's floor in the same proportion to the load as in full size,
// 10 to 650 per second.
func (c *crisis) floor() float64 { return float64(10*c.capacity) / 1000 }

func crises(unit time.Duration, perSecond int) []crisis {
	naive := crisis{name: "naive", unit: unit, capacity: perSecond, length: 20, want: load.Collapsed}
	naive.policy, _ = policy.Preset("naive", policy.WithTimeout(unit))
	recommended := crisis{name: "recommended", unit: unit, capacity: perSecond, length: 28, want: load.Recovered}
	recommended.policy = policy.Recommended(
		policy.WithTimeout(unit), policy.WithBackoff(policy.Exponential(unit/20, unit)), policy.WithDeadline(3*unit),
		policy.WithBudget(0.2, recommended.floor()),
	)
	return []crisis{naive, recommended}
}

// TestCollapse runs it in memory at half of all times and half of the capacity,
// which changes no proportion, and in full size over TCP if real clocks are asked
// for.
func TestCollapse(t *testing.T) {
	name := func(c crisis) string { return c.name }
	bubble(t, crises(500*ms, 500), name, func(t testing.TB, c crisis) { t.Helper(); c.check(t, memoryPlace()) })
	if !realClock() {
		return
	}
	for _, c := range crises(time.Second, 1000) {
		t.Run("tcp/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, tcpPlace())
		})
	}
}

// check runs the crisis and checks its verdict.
func (c *crisis) check(t testing.TB, in place) {
	t.Helper()
	res := c.run(t, in)
	checkParts(t, res)
	if len(res.Recoveries) != 1 {
		t.Fatalf("%d triggers were judged", len(res.Recoveries))
	}
	r := res.Recoveries[0]
	t.Logf("%s: %s", r.String(), r.Why)
	if wrong := c.compare(res); wrong != "" {
		t.Error(wrong)
	}
}

// compare returns what is wrong with a result, or "".
func (c *crisis) compare(res *load.Result) string {
	switch r := res.Recoveries[0]; {
	case r.Verdict != c.want || res.Verdict != c.want:
		return fmt.Sprintf("the verdict is %s, want %s", r.Verdict, c.want)
	case r.Before < 0.9:
		return fmt.Sprintf("%.2f of the requests succeeded before the trigger", r.Before)
	case c.want == load.Collapsed && (r.After > 0.1 || r.Amplified < 3):
		return fmt.Sprintf("%.2f of the requests succeeded after it, at %.1f attempts per request: that is not a retry storm", r.After, r.Amplified)
	case c.want == load.Recovered && r.Amplified > 1.3:
		return fmt.Sprintf("%.1f attempts per request after it: the budget has no effect", r.Amplified)
	}
	return ""
}

// run runs the plan against a service of its own.
func (c *crisis) run(t testing.TB, in place) *load.Result {
	t.Helper()
	const workers = 10
	config := capacity.Config{Workers: workers, ServiceTime: capacity.Exponential(workers * time.Second / time.Duration(c.capacity)), Seed: 1}
	ctx, cancel := context.WithCancel(t.Context())
	service, err := capacity.ServeOn(ctx, in.listener, in.ready, config, micro.Cmd("work"))
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
	conn := in.dial()
	defer conn.Close()
	stall := 4 * c.unit
	trigger := load.Trigger{At: 3 * c.unit, Length: stall, Text: "stall", Fire: func() error {
		service.Stall(stall)
		return nil
	}}
	return in.run(t, load.Plan{
		Messages: work([]micro.Conn{conn}), Policy: c.policy, Triggers: []load.Trigger{trigger}, Grace: ms,
		Pacer: vegeta.ConstantPacer{Freq: 65 * c.capacity / 100, Per: time.Second}, Duration: time.Duration(c.length) * c.unit,
	})
}

// place is where a crisis takes place.
type place struct {
	listener micro.Listener
	ready    func(context.Context) error
	dial     func() micro.Conn
	run      func(testing.TB, load.Plan) *load.Result
}

func memoryPlace() place {
	n := microtest.New()
	return place{n, func(context.Context) error { return nil }, n.Dial, run}
}

func tcpPlace() place {
	l := microtcp.Listen("127.0.0.1:0")
	var address string
	return place{l, func(ctx context.Context) error {
		bound, err := l.Addr(ctx)
		if err == nil {
			address = bound.String()
		}
		return err
	}, func() micro.Conn { return microtcp.Dial(address) }, runReal}
}
