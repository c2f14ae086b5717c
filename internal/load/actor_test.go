package load_test

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// checkScenarios runs each scenario in both models, in memory and, if real clocks
// are asked for, over TCP.
func checkScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	type variant struct {
		scenario
		users int
	}
	var all []variant
	for _, s := range scenarios {
		if s.alone {
			all = append(all, variant{s, 1})
		} else {
			all = append(all, variant{s, 0}, variant{s, 10})
		}
	}
	name := func(v variant) string { return v.name + "/users=" + strconv.Itoa(v.users) }
	bubble(t, all, name, func(t testing.TB, v variant) { t.Helper(); v.check(t, v.users, inMemory, run) })
	if !realClock() {
		return
	}
	for _, v := range all {
		if v.users == 0 && v.want.Lost > 0 {
			v.users = requests // each costs a timeout
		}
		t.Run("tcp/"+name(v), func(t *testing.T) { v.check(t, v.users, overTCP, runReal) })
	}
}

// check runs a scenario with some users, or at a rate for 0, and compares.
func (s *scenario) check(t testing.TB, users int, over network, run func(testing.TB, load.Plan) *load.Result) {
	t.Helper()
	actor := newActor(s)
	service := over(t, map[string]micro.Handler{"work": actor.handle}, s.faults...)
	t.Cleanup(func() { close(actor.end) }) // before the service drains
	plan := load.Plan{
		Messages: work(service.conns), Requests: requests, OnResult: actor.ended, OnStart: service.begin, Users: users,
		Policy: s.policy().With(policy.WithHooks(policy.Hooks{Refused: actor.refused})),
	}
	if users == 0 {
		plan.Pacer = vegeta.ConstantPacer{Freq: 200, Per: time.Second}
	}
	if s.alone {
		plan.Think = ms // a cooldown passes between two requests
	}
	res := run(t, plan)
	checkParts(t, res)
	if diff := gocmp.Diff(s.want, countsOf(res.Totals)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, want := res.Distributions.All.Count(), requests-s.want.Shed; got != want {
		t.Errorf("%d request latencies, want %d", got, want)
	}
	if got, want := actor.messages(), max(cmp.Or(s.seen, s.want.Attempts), 0); got != want {
		t.Errorf("%d messages reached the service, want %d", got, want)
	}
	var marks []string
	for _, m := range res.Marks {
		marks = append(marks, m.Text)
	}
	if diff := gocmp.Diff(s.marks, marks); diff != "" {
		t.Errorf("marks -want +got\n%s", diff)
	}
}

// actor is a scripted service.
type actor struct {
	scenario *scenario
	end      chan struct{} // closed when the test ends
	over     chan struct{} // closed when all requests have ended

	mu   sync.Mutex // guards the fields below
	left int        // requests that have not ended
	seen int64      // messages
	free map[string]chan struct{}
	came map[string]*visits
}

// visits counts the attempts of one request that have arrived.
type visits struct {
	n   int
	all chan struct{} // closed when there are as many as the script has
}

func newActor(s *scenario) *actor {
	return &actor{scenario: s, end: make(chan struct{}), over: make(chan struct{}), left: requests, free: map[string]chan struct{}{}, came: map[string]*visits{}}
}

// ended is called for each request that has ended.
func (a *actor) ended(load.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left--; a.left == 0 {
		close(a.over)
	}
}

// refused is called for each attempt that was denied.
func (a *actor) refused(_ context.Context, no policy.Refusal) {
	if no.Hedge {
		close(a.release(no.Request.CorrelationID()))
	}
}

// release returns a channel that is closed when a hedge of the request is denied.
func (a *actor) release(request string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.free[request] == nil {
		a.free[request] = make(chan struct{})
	}
	return a.free[request]
}

func (a *actor) messages() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

// visit counts an attempt of a request and returns the request's visits. mu must be
// held.
func (a *actor) visit(request string) *visits {
	v := a.came[request]
	if v == nil {
		v = &visits{all: make(chan struct{})}
		a.came[request] = v
	}
	if v.n++; v.n == len(a.scenario.script) {
		close(v.all)
	}
	return v
}

// next counts a message. It returns what to do with it, and a channel that is closed
// when all attempts of its request have arrived.
func (a *actor) next(req *micro.Request) (b behavior, all <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen++
	all = a.visit(req.CorrelationID()).all
	if nth := a.scenario.nth; nth != nil {
		return nth[min(int(a.seen), len(nth))-1], all
	}
	attempt := 1
	if text := req.Metadata.Get(micro.MetaAttempt); text != "" {
		attempt, _ = strconv.Atoi(text) // a bad one fails the counts
	}
	return a.scenario.script[min(attempt, len(a.scenario.script))-1], all
}

func (a *actor) handle(ctx context.Context, req *micro.Request, reply micro.Reply) error {
	b, all := a.next(req)
	for range b.values {
		if err := reply.Send(micro.Value{Raw: []byte(`"value"`)}); err != nil {
			return err
		}
	}
	var until <-chan struct{}
	switch {
	case b.late:
		until = a.over
	case b.held:
		until = a.release(req.CorrelationID())
	case b.joined:
		until = all
	}
	if until != nil || b.never {
		select {
		case <-until:
		case <-a.end:
		}
	}
	if b.status > 0 {
		return micro.Errorf(b.status, "scripted")
	}
	return answer(ctx, req, reply)
}
