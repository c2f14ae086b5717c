package policy_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// The models check invariants of the policy with random schedules on a simulated clock. No
// two events of a schedule happen in the same nanosecond, so that their order is certain.
// Without MSCTL_TEST_ALL, a model checks the first quarter of the schedules.
const schedules = 10_000

// simulate runs all schedules, many of them in each bubble.
func simulate(t *testing.T, one func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	t.Parallel()
	const each = 250
	parts := schedules / each
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		parts /= 4
	}
	for part := range parts {
		if t.Failed() {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			for i := range each {
				seed := part*each + i
				if one(t, rand.New(rand.NewPCG(uint64(seed), 5))); t.Failed() {
					t.Fatalf("schedule %d", seed)
				}
			}
		})
	}
}

// randomly returns one of the values.
func randomly[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

// breakerEvent is the beginning or the end of a request in the model of the breaker.
type breakerEvent struct {
	at      time.Duration
	request int
	begins  bool
	verdict int // at its end: 1 is good, -1 is bad, and 0 is none
}

// TestBreakerModel checks, for each request, whether it is rejected, with a model that keeps
// all results instead of counting them.
func TestBreakerModel(t *testing.T) {
	simulate(t, func(t *testing.T, random *rand.Rand) {
		t.Helper()
		b := policy.Breaker{
			Ratio: randomly(random, 0.2, 0.5, 1), Minimum: 1 + random.IntN(5), Probes: 1 + random.IntN(3),
			Window: randomly(random, 300*ms, time.Second), Cooldown: randomly(random, 100*ms, 700*ms),
		}
		p := policy.New(policy.WithBreaker(b), policy.WithTimeout(400*ms))
		begin := time.Now()
		requests := 10 + random.IntN(20)
		var mu sync.Mutex // guards what follows
		var log []breakerEvent
		shed := make([]bool, requests)
		var wg sync.WaitGroup
		for i := range requests {
			at, takes, kind := time.Duration(random.Int64N(int64(3*time.Second))), time.Duration(1+random.Int64N(int64(300*ms))), random.IntN(8)
			wg.Go(func() {
				<-time.After(at + 1)
				note := func(begins bool, verdict int) {
					mu.Lock()
					log = append(log, breakerEvent{time.Since(begin), i, begins, verdict})
					mu.Unlock()
				}
				ctx, cancel := context.WithCancel(context.Background())
				if kind == 7 { // impatient
					ctx, cancel = context.WithTimeout(ctx, takes)
				}
				defer cancel()
				note(true, 0)
				err := p.Run(ctx, &micro.Request{}, ignore, func(ctx context.Context, _ *micro.Request, reply micro.Reply) error {
					if kind == 6 { // a value at once, and then a failure
						_ = reply.Send(micro.Value{Raw: []byte("1")})
						note(false, 2)
					}
					<-time.After(takes)
					end := []struct {
						err     error
						verdict int
					}{
						{nil, 1}, {remote("404"), 1}, {remote("503"), -1}, {micro.ErrTimeout, -1}, {micro.ErrConnectionLost, -1},
						{context.Canceled, 0}, {micro.ErrConnectionLost, -1}, {micro.ErrTimeout, 0},
					}[kind]
					note(false, end.verdict)
					return end.err
				})
				shed[i] = errors.Is(err, micro.ErrShed)
			})
		}
		wg.Wait()
		slices.SortStableFunc(log, func(a, b breakerEvent) int { return cmp.Compare(a.at, b.at) })
		checkBreaker(t, b, log, shed)
	})
}

// checkBreaker replays the events of the schedule.
func checkBreaker(t *testing.T, b policy.Breaker, log []breakerEvent, shed []bool) {
	t.Helper()
	type result struct {
		part int64
		bad  bool
	}
	var (
		state    = policy.Closed
		since    time.Duration
		turn     = 1
		results  []result // while closed
		admitted = map[int]int{}
		probes   = map[int]bool{} // in flight: false, successful: true
	)
	change := func(to policy.BreakerState, at time.Duration) {
		state, since, results, probes = to, at, nil, map[int]bool{}
		turn++
	}
	for _, e := range log {
		if e.begins {
			if state == policy.Open && e.at >= since+b.Cooldown {
				change(policy.HalfOpen, e.at)
			}
			reject := state == policy.Open || state == policy.HalfOpen && len(probes) == b.Probes
			if reject != shed[e.request] {
				t.Errorf("%+v: at %s, request %d was rejected: %t, want %t (%s)", b, e.at, e.request, shed[e.request], reject, state)
				return
			}
			if !reject {
				if admitted[e.request] = turn; state == policy.HalfOpen {
					probes[e.request] = false
				}
			}
			continue
		}
		if admitted[e.request] != turn {
			continue
		}
		proven, probe := probes[e.request]
		switch {
		case probe && proven, e.verdict == 2 && !probe:
		case probe && e.verdict > 0:
			probes[e.request] = true
			if n := len(probes); n == b.Probes && !slices.Contains(slices.Collect(maps.Values(probes)), false) {
				change(policy.Closed, e.at)
			}
		case probe && e.verdict < 0:
			change(policy.Open, e.at)
		case probe:
			delete(probes, e.request)
		case e.verdict != 0:
			part := int64(e.at / (b.Window / 10))
			results = append(results, result{part, e.verdict < 0})
			all, bad := 0, 0
			for _, r := range results {
				if r.part > part-10 {
					all++
					if r.bad {
						bad++
					}
				}
			}
			if all >= b.Minimum && float64(bad) >= b.Ratio*float64(all)-1e-9 {
				change(policy.Open, e.at)
			}
		}
	}
}

// ignore is a Reply that takes everything.
var ignore = micro.ReplyFunc(func(micro.Value) error { return nil })

// TestBudgetModel checks with a model that keeps every token: a retry is granted if and only if
// there is a token that was earned in the current half second or the 20 before it, or one of the
// floor. It also checks the bound of WithBudget.
func TestBudgetModel(t *testing.T) {
	const halfSecond = 500 * ms
	simulate(t, func(t *testing.T, random *rand.Rand) {
		t.Helper()
		ratio, floor := randomly(random, 0, 0.1, 0.25, 1, 1.5), randomly(random, 0, 0.05, 0.5, 3)
		if ratio+floor == 0 {
			return
		}
		begin := time.Now()
		most := 10 * floor
		if ratio == 0 {
			most = max(most, 1)
		}
		var (
			remainder, available = 0.0, floor
			filled               time.Duration
			tokens               []time.Duration
			requests, retries    []time.Duration
		)
		p := policy.New(policy.WithRetries(2), policy.WithBudget(ratio, floor), policy.WithBackoff(policy.Constant(time.Duration(random.IntN(2))*100*ms)))
		for range 25 {
			<-time.After(1 + randomly(random, 0, time.Duration(random.Int64N(int64(time.Second))), time.Duration(random.Int64N(int64(20*time.Second)))))
			requests = append(requests, time.Since(begin))
			for remainder += ratio; remainder >= 1-1e-9; remainder-- {
				tokens = append(tokens, time.Since(begin))
			}
			fails, leaves := random.IntN(4) > 0, random.IntN(4) == 0
			ctx, cancel := context.WithCancel(context.Background())
			ended := p.With(policy.WithHooks(policy.Hooks{Ended: func(_ context.Context, a policy.Attempt) {
				now := a.End.Sub(begin)
				available, filled = min(available+(now-filled).Seconds()*floor, most), now
				tokens = slices.DeleteFunc(tokens, func(at time.Duration) bool { return now/halfSecond-at/halfSecond > 20 })
				switch a.Next {
				case policy.OverBudget:
					if len(tokens) > 0 || available+remainder >= 1+1e-6 {
						t.Errorf("%g+%g/s: refused at %s with tokens %v and %g of the floor", ratio, floor, now, tokens, available)
					}
				case policy.Retry:
					if leaves {
						cancel() // before the retry
						return
					}
					switch {
					case len(tokens) > 0:
						tokens = tokens[1:]
					case available+remainder < 1-1e-6:
						t.Errorf("%g+%g/s: granted at %s with %g of the floor", ratio, floor, now, available)
					default:
						remainder += min(available-1, 0)
						available = max(available-1, 0)
					}
				}
			}}))
			_ = ended.Run(ctx, &micro.Request{}, nil, func(_ context.Context, req *micro.Request, _ micro.Reply) error {
				if req.Attempt > 1 {
					retries = append(retries, time.Since(begin))
				}
				if fails {
					return micro.ErrUnreachable
				}
				return nil
			})
			cancel()
			if t.Failed() {
				return
			}
		}
		checkBound(t, ratio, floor, requests, retries)
	})
}

// TestHedgeModel checks what holds for every hedged request: how many attempts there are and
// when, that all of them have ended and been reported when the request ends, that the values
// are those of one attempt, in order, and that the request ends as that attempt does.
func TestHedgeModel(t *testing.T) {
	simulate(t, func(t *testing.T, random *rand.Rand) {
		t.Helper()
		hedge := policy.Hedge{Delay: time.Duration(1 + random.Int64N(int64(200*ms))), Max: 1 + random.IntN(3)}
		timeout, retries := time.Duration(random.Int64N(int64(500*ms))), random.IntN(3)
		var mu sync.Mutex // guards what follows
		starts, ends := map[int]time.Time{}, map[int]error{}
		var order []policy.Attempt
		running := 0
		p := policy.New(policy.WithHedge(hedge), policy.WithTimeout(timeout), policy.WithRetries(retries), policy.WithHooks(policy.Hooks{
			Started: func(_ context.Context, a policy.Attempt) { starts[a.Number] = a.Start; order = append(order, a) },
			Ended: func(_ context.Context, a policy.Attempt) {
				if _, again := ends[a.Number]; again || starts[a.Number].IsZero() {
					t.Errorf("attempt %d has ended twice, or was not started", a.Number)
				}
				ends[a.Number] = a.Err
			},
		}))
		seed := random.Uint64()
		var values []string
		err := p.Run(context.Background(), &micro.Request{}, micro.ReplyFunc(func(v micro.Value) error {
			values = append(values, string(v.Raw))
			return nil
		}), func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
			mu.Lock()
			running++
			mu.Unlock()
			defer func() {
				mu.Lock()
				running--
				mu.Unlock()
			}()
			own := rand.New(rand.NewPCG(seed, uint64(req.Attempt)))
			for i := range own.IntN(3) {
				if err := (&step{takes: time.Duration(1 + own.Int64N(int64(300*ms)))}).wait(ctx, req, time.Now()); err != nil {
					return err
				}
				if err := reply.Send(micro.Value{Raw: []byte{byte('0' + req.Attempt), byte('a' + i)}}); err != nil {
					return err
				}
			}
			if err := (&step{takes: time.Duration(1 + own.Int64N(int64(400*ms)))}).wait(ctx, req, time.Now()); err != nil {
				return err
			}
			return randomly(own, nil, nil, remote("404"), remote("503"), micro.ErrConnectionLost)
		})
		if running != 0 || len(ends) != len(starts) {
			t.Errorf("%d attempts are running; %d started and %d ended", running, len(starts), len(ends))
		}
		hedges := 0
		for i, a := range order {
			if !a.Hedge {
				hedges = 0
				continue
			}
			if hedges++; hedges > hedge.Max {
				t.Errorf("more than %d hedges", hedge.Max)
			}
			if gap := a.Start.Sub(order[i-1].Start); gap < hedge.Delay {
				t.Errorf("hedge %d came %s after attempt %d, want %s", a.Number, gap, order[i-1].Number, hedge.Delay)
			}
		}
		if tries := len(order) - count(order, func(a policy.Attempt) bool { return a.Hedge }); tries > retries+1 {
			t.Errorf("%d tries with %d retries", tries, retries)
		}
		for i, v := range values {
			if v[0] != values[0][0] || v[1] != byte('a'+i) {
				t.Errorf("the values %q are not those of one attempt in order", values)
			}
		}
		if len(values) > 0 {
			if last := ends[int(values[0][0]-'0')]; (last == nil) != (err == nil) || last != nil && !errors.Is(err, last) {
				t.Errorf("the request ended with %v, but attempt %c with %v", err, values[0][0], last)
			}
		}
	})
}

func count[T any](list []T, is func(T) bool) (n int) {
	for _, v := range list {
		if is(v) {
			n++
		}
	}
	return n
}

// bounds are the limits of a request in the models of the deadline; 0 is none.
type bounds struct {
	timeout, deadline time.Duration
	retries           int
	backoff           policy.Backoff
}

func randomBounds(random *rand.Rand) bounds {
	some := func(most time.Duration) time.Duration {
		return randomly(random, 0, time.Duration(1+random.Int64N(int64(most))))
	}
	return bounds{some(2 * time.Second), some(8 * time.Second), random.IntN(4), randomly(random,
		policy.Backoff{}, policy.Constant(some(time.Second)), policy.Exponential(time.Duration(1+random.Int64N(int64(400*ms))), some(time.Second)))}
}

func (b bounds) policy() *policy.Policy {
	return policy.New(policy.WithTimeout(b.timeout), policy.WithDeadline(b.deadline), policy.WithRetries(b.retries), policy.WithBackoff(b.backoff))
}

// forever stands for no limit.
const forever = time.Duration(1) << 60

// expect returns when a request ends that begins at a time and must end by another, if inner
// makes an attempt in the same way, and no attempt ever gets an answer.
func (b bounds) expect(begin, by time.Duration, inner func(begin, by time.Duration) time.Duration) (end time.Duration) {
	if b.deadline > 0 {
		by = min(by, begin+b.deadline)
	}
	for retry := 1; ; retry++ {
		until := by
		if b.timeout > 0 {
			until = min(by, begin+b.timeout)
		}
		end = inner(begin, until)
		if begin = end + b.backoff.Before(retry); retry > b.retries || begin >= by {
			return end
		}
	}
}

// TestDeadlineModel checks when attempts begin and end that wait for their context or for
// their request's deadline, and that both are the same.
func TestDeadlineModel(t *testing.T) {
	simulate(t, func(t *testing.T, random *rand.Rand) {
		t.Helper()
		b, caller, request := randomBounds(random), forever, forever
		begin := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		req := &micro.Request{}
		if random.IntN(2) == 0 || b.timeout == 0 && b.deadline == 0 {
			caller = time.Duration(1 + random.Int64N(int64(9*time.Second)))
			ctx, cancel = context.WithTimeout(ctx, caller)
		}
		defer cancel()
		if random.IntN(2) == 0 {
			request = time.Duration(1 + random.Int64N(int64(9*time.Second)))
			req.Deadline = begin.Add(request)
		}
		var got, want [][2]time.Duration
		byContext := random.IntN(2) == 0
		err := b.policy().Run(ctx, req, nil, func(ctx context.Context, req *micro.Request, _ micro.Reply) error {
			if at, ok := ctx.Deadline(); !ok || !at.Equal(req.Deadline) {
				t.Errorf("the context ends at %v, and the request at %v", at, req.Deadline)
			}
			start := time.Since(begin)
			defer func() { got = append(got, [2]time.Duration{start, time.Since(begin)}) }()
			if byContext {
				<-ctx.Done()
				return ctx.Err()
			}
			<-time.After(time.Until(req.Deadline))
			return micro.ErrTimeout
		})
		end := b.expect(0, min(caller, request), func(begin, by time.Duration) time.Duration {
			want = append(want, [2]time.Duration{begin, by})
			return by
		})
		// The context of the caller ends at the same time as the last attempt.
		if !slices.Equal(got, want) || time.Since(begin) != end || !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("%+v, caller %s, request %s: attempts %v and %v after %s, want %v and a timeout after %s", b, caller, request, got, err, time.Since(begin), want, end)
		}
	})
}

// TestTwoPoliciesModel checks when messages are sent under two policies on one client, and
// that the client's own timeout does not end the request before they do.
func TestTwoPoliciesModel(t *testing.T) {
	simulate(t, func(t *testing.T, random *rand.Rand) {
		t.Helper()
		outer, inner := randomBounds(random), randomBounds(random)
		if outer.timeout == 0 {
			outer.timeout = time.Duration(1 + random.Int64N(int64(3*time.Second)))
		}
		begin, by := time.Now(), forever
		ctx, cancel := context.WithCancel(context.Background())
		if random.IntN(3) == 0 {
			by = time.Duration(1 + random.Int64N(int64(9*time.Second)))
			ctx, cancel = context.WithTimeout(ctx, by)
		}
		defer cancel()
		var got, want []time.Duration
		recorder := micro.WithInterceptors(func(next micro.Handler) micro.Handler {
			return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
				got = append(got, time.Since(begin))
				return next(ctx, req, reply)
			}
		})
		client := micro.NewClient(silent{}, outer.policy(), inner.policy(), recorder)
		err := client.Do(ctx, &micro.Request{Pattern: micro.Cmd("x")}, ignore)
		end := outer.expect(0, by, func(begin, by time.Duration) time.Duration {
			return inner.expect(begin, by, func(begin, by time.Duration) time.Duration {
				want = append(want, begin)
				return by
			})
		})
		if !slices.Equal(got, want) || time.Since(begin) != end || !errors.Is(err, micro.ErrTimeout) {
			t.Errorf("%+v around %+v, by %s: messages at %v and %v after %s, want %v and a timeout after %s", outer, inner, by, got, err, time.Since(begin), want, end)
		}
	})
}
