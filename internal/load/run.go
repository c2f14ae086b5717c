package load

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// Run is a load test that goes on. Make it with Start; all its methods are safe
// for use from many goroutines.
type Run struct {
	plan    Plan
	rec     *recorder
	workers workers
	calls   sync.WaitGroup // requests in flight
	aside   sync.WaitGroup // triggers and the self-check

	// Of the goroutine that offers, or guarded by the crowd's mu.
	messages []*message

	start time.Time // has the monotonic clock, wall has not
	wall  time.Time

	policy atomic.Pointer[policy.Policy]
	rate   atomic.Uint64 // bits of the rate offered now
	users  atomic.Int64
	phase  atomic.Int64
	ended  atomic.Int64 // until when requests were offered; 0 while that goes on

	failed  atomic.Pointer[error] // why a trigger could not be fired
	changes chan change           // to the goroutine that offers
	quit    chan struct{}         // closed by Stop
	over    chan struct{}         // closed when nothing more is offered
	stop    sync.Once
	done    chan struct{}
	stopped bool // the plan was not carried out to its end; for main alone
	result  *Result
	cancel  context.CancelCauseFunc
	ctx     context.Context // of all requests
}

// change is what is done to the offering of a run while it goes on.
type change struct {
	rate  float64
	users int
}

// Start checks the plan and starts it. When ctx ends the run is stopped as by
// Stop.
func Start(ctx context.Context, plan Plan) (*Run, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	r := &Run{
		plan:    plan.withDefaults(),
		changes: make(chan change),
		quit:    make(chan struct{}),
		over:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	r.workers.handle = r.handle
	r.ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	for i, m := range r.plan.Messages {
		r.messages = append(r.messages, r.newMessage(i, m))
	}
	r.rec = newRecorder(r.messages...)
	r.rec.warmup = plan.Warmup
	r.policy.Store(plan.Policy.With(policy.WithHooks(r.hooks())))
	r.start = time.Now()
	r.wall = r.start.Round(0)
	if plan.OnStart != nil {
		plan.OnStart(r.start)
	}
	for _, t := range plan.Triggers {
		r.schedule(t)
	}
	r.aside.Go(r.watchSelf)
	release := context.AfterFunc(ctx, r.Stop)
	go func() {
		defer release()
		r.main()
	}()
	return r, nil
}

// newMessage makes the clients of one of the plan's messages.
func (r *Run) newMessage(index int, m Message) *message {
	out := &message{Message: m, index: index}
	for _, conn := range m.Conns {
		out.clients = append(out.clients, micro.NewClient(conn,
			micro.WithTimeout(24*time.Hour),    // the policy's timeout applies
			micro.WithMaxInFlight(math.MaxInt), // the plan's limit applies
			micro.WithInterceptors(r.underPolicy, stamp)))
	}
	return out
}

// underPolicy makes each request under the policy that holds when it starts.
func (r *Run) underPolicy(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return r.policy.Load().Run(ctx, req, reply, next)
	}
}

// now is the time since the start.
func (r *Run) now() time.Duration { return time.Since(r.start) }

// Stop ends the offering of requests; those in flight have the plan's grace to
// be answered. The second call and later ones do nothing.
func (r *Run) Stop() {
	r.stop.Do(func() { close(r.quit) })
}

// Done is closed when the run has finished.
func (r *Run) Done() <-chan struct{} { return r.done }

// Wait waits until the run has finished and returns its result.
func (r *Run) Wait() *Result {
	<-r.done
	return r.result
}

// main is the run from beginning to end.
func (r *Run) main() {
	var users crowd
	var until time.Duration
	if r.plan.Pacer != nil {
		until = r.open()
	} else {
		r.closed(&users)
		until = r.now()
	}
	select {
	case <-r.quit:
		r.stopped = true
	default:
	}
	r.ended.Store(int64(max(until, 1)))
	r.rec.endOffering(max(until, 1))
	r.phase.Store(int64(Draining))
	close(r.over)
	r.drain()
	users.wg.Wait()
	r.workers.close()
	r.settle()
	r.aside.Wait()
	r.phase.Store(int64(Finished))
	r.result = r.finish()
	close(r.done)
}

// drain waits for the requests in flight: as long as their policy lets them,
// or, once the run was stopped, for its grace.
func (r *Run) drain() {
	drained := make(chan struct{})
	go func() {
		r.calls.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-r.quit:
		r.stopped = true
		grace := time.NewTimer(r.plan.Grace)
		defer grace.Stop()
		select {
		case <-drained:
		case <-grace.C:
			r.cancel(errStopped)
			<-drained
		}
	}
	r.cancel(errStopped)
}

// settleMost bounds how long a finished run waits for late answers.
const settleMost = time.Second

// settle waits a while for answers that are still out, so that a run that ends
// with a timeout still counts its late answer.
func (r *Run) settle() {
	limit := time.NewTimer(settleMost)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.rec.awaitedLate() > 0 {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		}
	}
}

// Snapshot returns the run as it stands, and its result's once it has finished,
// with at most recent points of the fine
// time series, all that are kept for 0.
func (r *Run) Snapshot(recent int) Snapshot {
	select {
	case <-r.done:
		return r.result.Snapshot
	default:
	}
	return r.complete(r.rec.snapshot(r.now(), recent))
}

// complete adds to a snapshot what the recorder does not know.
func (r *Run) complete(s Snapshot) Snapshot {
	s.Planned, s.Warmup, s.Requests = r.plan.Duration, r.plan.Warmup, r.plan.Requests
	s.Phase = Phase(r.phase.Load())
	s.Rate, s.Users = r.Rate(), r.Users()
	s.Policy = r.policy.Load().Settings()
	offering := time.Duration(r.ended.Load())
	if offering == 0 {
		offering = s.Elapsed
		if s.Phase == WarmingUp && s.Elapsed >= s.Warmup {
			s.Phase = Loading
		}
	}
	s.Counted = max(offering-s.Warmup, 0)
	return s
}

func (r *Run) finish() *Result {
	r.rec.freeze()
	return &Result{
		Snapshot: r.complete(r.rec.snapshot(r.now(), 0)), Started: r.wall, Stopped: r.stopped,
		Seconds: r.rec.coarse.copy(0, 0), Sketches: r.rec.coarse.allSketches(),
		Cohorts: r.rec.cohorts, CohortStep: cohortStep,
		RequestHistogram: r.rec.request, AttemptHistogram: r.rec.attempt,
		LatenessHistogram: r.rec.late, LagHistogram: r.rec.lag,
	}
}

// ChangePolicy changes the policy of requests that start from now on, and marks
// it on the time axis. What is left of the retry budget is kept.
func (r *Run) ChangePolicy(text string, opts ...policy.Option) error {
	next := r.policy.Load().With(opts...)
	if s := next.Settings(); s.Timeout == 0 && s.Deadline == 0 {
		return fmt.Errorf("a policy needs a timeout or a deadline")
	}
	r.policy.Store(next)
	r.rec.mark(r.now(), text)
	return nil
}

// SetTimeout changes the attempt timeout from now on and marks it.
func (r *Run) SetTimeout(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("the timeout cannot be changed to %s", d)
	}
	return r.ChangePolicy("timeout "+d.String(), policy.WithTimeout(d))
}

// SetRetries changes the number of retries from now on and marks it.
func (r *Run) SetRetries(n int) error {
	if n < 0 || n > 1000 {
		return fmt.Errorf("the retries cannot be changed to %d", n)
	}
	text := fmt.Sprintf("%d retries", n)
	if n == 1 {
		text = "1 retry"
	}
	return r.ChangePolicy(text, policy.WithRetries(n))
}

// SetPreset has requests follow the preset policy of that name from now on, and
// marks it.
func (r *Run) SetPreset(name string) error {
	p, ok := policy.Preset(name)
	if !ok {
		return fmt.Errorf("there is no policy %q", name)
	}
	return r.ChangePolicy("policy "+name, policy.As(p))
}
