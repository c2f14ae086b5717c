package load_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// change is a change of the rate.
type change struct {
	rate float64
	at   time.Duration
}

// offeredBy runs a part of a plan in a bubble, and returns when its counted requests were
// due, with their messages and numbers.
func offeredBy(t *testing.T, plan load.Plan, part load.Part, c *change) (list []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var began time.Time
		conns := []micro.Conn{instant{}}
		plan.Part, plan.Policy, plan.OnStart = part, policy.None(), func(at time.Time) { began = at }
		plan.Messages = []load.Message{{Name: "a", Weight: 3, Conns: conns, Pattern: micro.Cmd("a")}, {Name: "b", Weight: 2, Conns: conns, Pattern: micro.Cmd("b")}}
		plan.OnResult = func(r load.Request) {
			mu.Lock()
			defer mu.Unlock()
			list = append(list, fmt.Sprintf("%012d %s %d", r.Intended.Sub(began), r.Message, r.Seq))
		}
		r := start(t, plan)
		if c != nil {
			if err := r.SetRateAt(c.rate, c.at); err != nil {
				t.Error(err)
			}
		}
		checkSum(t, r.Wait())
	})
	return list
}

// TestParts checks that the requests of all parts of a plan are those of the whole plan: their
// due times, their messages, and their numbers. A change of the rate applies to all of them at
// the same request.
func TestParts(t *testing.T) {
	second := vegeta.ConstantPacer{Freq: 1000, Per: time.Second}
	for name, pacer := range map[string]vegeta.Pacer{
		"constant": second,
		"slow":     vegeta.ConstantPacer{Freq: 3, Per: time.Second},
		"stages":   load.Stages{{Rate: 1000, Length: time.Second}, {Rate: 1000, Length: time.Second}, {Rate: 0, Length: time.Second}},
		"sine":     vegeta.SinePacer{Period: time.Second, Mean: second, Amp: vegeta.ConstantPacer{Freq: 500, Per: time.Second}},
	} {
		for _, arrivals := range []load.Arrivals{load.Uniform, load.Poisson} {
			for _, c := range []*change{nil, {700, 1234 * time.Millisecond}} {
				for _, window := range []time.Duration{0, 7 * time.Millisecond} {
					plan := load.Plan{
						Pacer: pacer, Arrivals: arrivals, Seed: 7, Coalesce: window,
						Duration: 3 * time.Second, Warmup: 500 * time.Millisecond, Requests: 1900,
					}
					checkSameRequests(t, fmt.Sprintf("%s, %s, change %v, coalesced %s", name, arrivals, c, window), plan, c)
				}
			}
		}
	}
}

func checkSameRequests(t *testing.T, name string, plan load.Plan, c *change) {
	t.Helper()
	want := offeredBy(t, plan, load.Part{}, c)
	slices.Sort(want)
	if len(want) < 5 {
		t.Errorf("%s: only %d requests", name, len(want))
	}
	for _, of := range []int{1, 2, 3, 7} {
		var all []string
		for i := range of {
			all = append(all, offeredBy(t, plan, load.Part{Index: i, Of: of}, c)...)
		}
		slices.Sort(all)
		if !slices.Equal(all, want) {
			at := 0
			for at < min(len(all), len(want)) && all[at] == want[at] {
				at++
			}
			t.Errorf("%s: the %d requests of %d parts differ from the %d of the plan, from number %d on: %v, want %v",
				name, len(all), of, len(want), at, all[at:min(at+3, len(all))], want[at:min(at+3, len(want))])
		}
	}
}

// TestLateChange checks that a change of the rate that reaches a process too late applies from
// then on: no time is offered twice.
func TestLateChange(t *testing.T) {
	for _, of := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, load.Plan{
				Messages: work([]micro.Conn{instant{}}), Policy: policy.None(), Part: load.Part{Of: of},
				Pacer: perSecond(100), Duration: 3 * time.Second,
			})
			<-time.After(1500 * ms)
			if err := r.SetRateAt(100, 500*ms); err != nil {
				t.Fatal(err)
			}
			res := r.Wait()
			if got, want := res.Totals.Offered, int64(300/of); got < want-2 || got > want+2 {
				t.Errorf("part 1 of %d offered %d requests, want about %d", of, got, want)
			}
			checkSum(t, res)
		})
	}
}
