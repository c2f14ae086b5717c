package load_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// reaction is how a scripted service treats one attempt: it sends values, each after a
// while, and then ends the reply after a while.
type reaction struct {
	values []time.Duration
	end    time.Duration // an hour is never
	err    error
}

// witness is a connection to a scripted service that records the attempts.
type witness struct {
	script []reaction

	mu   sync.Mutex // guards the fields below
	seen []arrival
}

// arrival is an attempt as the service sees it.
type arrival struct {
	At     time.Duration // since the first one
	Number int
	Took   time.Duration // until it ended or was abandoned

	at time.Time
}

func (w *witness) Publish(context.Context, *micro.Request) error { return nil }
func (w *witness) Close() error                                  { return nil }

func (w *witness) Exchange(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	begin := time.Now()
	defer func() {
		w.mu.Lock()
		w.seen = append(w.seen, arrival{Number: req.Attempt, Took: time.Since(begin), at: begin})
		w.mu.Unlock()
	}()
	ctx, cancel := context.WithDeadlineCause(ctx, req.Deadline, micro.ErrTimeout)
	defer cancel()
	wait := func(d time.Duration) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r := w.script[min(req.Attempt, len(w.script))-1]
	for _, pause := range r.values {
		if err := wait(pause); err != nil {
			return err
		}
		if err := reply.Send(micro.Value{Raw: []byte("1")}); err != nil {
			return err
		}
	}
	if err := wait(r.end); err != nil {
		return err
	}
	return r.err
}

// arrivals returns the attempts in order.
func (w *witness) arrivals() []arrival {
	slices.SortFunc(w.seen, func(a, b arrival) int {
		return cmp.Or(a.at.Compare(b.at), a.Number-b.Number, cmp.Compare(a.Took, b.Took))
	})
	for i := range w.seen {
		w.seen[i].At = w.seen[i].at.Sub(w.seen[0].at)
	}
	for i := range w.seen {
		w.seen[i].at = time.Time{}
	}
	return w.seen
}

// TestSamePolicy checks that a service sees the same attempts at the same times from a client
// of the library and from a load test, under the same policy.
func TestSamePolicy(t *testing.T) {
	never := reaction{end: time.Hour}
	scripts := map[string][]reaction{
		"one":                  {{end: 7 * ms}},
		"slow":                 {{end: 5407 * ms}},
		"several":              {{values: []time.Duration{3 * ms, 411 * ms, 5 * ms}, end: 11 * ms}},
		"several, slowly":      {{values: []time.Duration{2003 * ms, 2003 * ms, 2003 * ms}, end: 901 * ms}},
		"a value, then no end": {{values: []time.Duration{3 * ms}, end: time.Hour}},
		"never":                {never},
		"never, then one":      {never, {end: 7 * ms}},
		"refused":              {{end: 1 * ms, err: micro.ErrUnreachable}},
		"refused, then one":    {{end: 1 * ms, err: micro.ErrUnreachable}, {end: 13 * ms}},
		"lost after a value":   {{values: []time.Duration{17 * ms}, end: 19 * ms, err: micro.ErrConnectionLost}},
		"busy":                 {{end: 2 * ms, err: micro.RemoteError([]byte(`{"status":503}`))}},
		"wrong":                {{end: 2 * ms, err: micro.RemoteError([]byte(`{"status":404}`))}},
	}
	policies := map[string]func() *policy.Policy{}
	for _, name := range policy.PresetNames() {
		policies[name] = func() *policy.Policy {
			p, _ := policy.Preset(name, policy.WithJitter(policy.NoJitter))
			return p
		}
	}
	for name, opts := range map[string][]policy.Option{
		"breaker":  {policy.WithTimeout(1013 * ms), policy.WithRetries(1), policy.WithBreaker(policy.Breaker{Ratio: 0.5, Minimum: 5, Cooldown: 733 * ms})},
		"hedge":    {policy.WithTimeout(1013 * ms), policy.WithRetries(1), policy.WithHedge(policy.Hedge{Delay: 91 * ms, Max: 2}), policy.WithBudget(0.5, 1)},
		"deadline": {policy.WithDeadline(1500 * ms), policy.WithRetries(5), policy.WithBackoff(policy.Exponential(70*ms, 0)), policy.WithRetryOn("any")},
	} {
		policies[name] = func() *policy.Policy { return policy.New(opts...) }
	}
	for name, newPolicy := range policies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for shape, script := range scripts {
					library, bench := callLibrary(t, newPolicy(), script), callBench(t, newPolicy(), script)
					if diff := gocmp.Diff(library, bench, gocmp.AllowUnexported(arrival{})); diff != "" {
						t.Errorf("%s: -library +bench\n%s", shape, diff)
					}
				}
			})
		})
	}
}

// The load of TestSamePolicy. Nothing else takes a multiple of its interval, so that no two
// requests depend on each other at the same time.
const (
	sameRequests = 12
	sameInterval = 257 * time.Millisecond
)

func callLibrary(t *testing.T, p *policy.Policy, script []reaction) []arrival {
	t.Helper()
	w := &witness{script: script}
	client := micro.NewClient(w, p)
	var wg sync.WaitGroup
	for i := range sameRequests {
		wg.Go(func() {
			if i > 0 {
				<-time.After(time.Duration(i) * sameInterval)
			}
			_, err := micro.Call[micro.None](t.Context(), client, micro.Cmd("work"), nil)
			if errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return w.arrivals()
}

func callBench(t *testing.T, p *policy.Policy, script []reaction) []arrival {
	t.Helper()
	w := &witness{script: script}
	run(t, load.Plan{
		Messages: work([]micro.Conn{w}), Policy: p,
		Pacer: vegeta.ConstantPacer{Freq: 1, Per: sameInterval}, Requests: sameRequests, Duration: sameRequests * sameInterval,
	})
	return w.arrivals()
}
