package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// Run is a running load test. Create it with Start. Its methods are safe for
// concurrent use.
//
// One goroutine, main, runs it from beginning to end. It offers the requests
// itself in an open load, and manages the users' goroutines in a closed one. Every
// goroutine has ended when Done is closed.
type Run struct {
	plan    Plan
	rec     *recorder
	workers workers
	calls   sync.WaitGroup // requests in flight
	aside   sync.WaitGroup // triggers and watchSelf

	// Owned by the goroutine that offers requests, or guarded by the crowd's mu.
	messages []*message
	batch    []*call       // in which an open load collects what it offers together
	lines    []*line       // of all connections of an open load; does not change
	made     uint64        // requests of the plan so far, of all processes
	pending  []change      // of the rate, for a time to come
	stall    time.Duration // the end of the last stall of this process; 0 without one

	start time.Time // with the monotonic clock reading, which wall lacks
	wall  time.Time

	policy atomic.Pointer[policy.Policy]
	rate   atomic.Uint64 // bits of the rate currently offered
	users  atomic.Int64
	phase  atomic.Int64

	failed  atomic.Pointer[error] // the error of a trigger
	changed atomic.Bool           // the rate was changed
	changes chan change           // to the goroutine that offers requests
	quit    chan struct{}         // closed by Stop
	over    chan struct{}         // closed when no more requests are offered
	stop    sync.Once
	done    chan struct{}
	stopped bool // the plan was not completed; owned by main
	result  *Result
	cancel  context.CancelCauseFunc
	ctx     context.Context // of all requests
}

// change is a live change of the load.
type change struct {
	rate  float64
	users int
	at    time.Duration // when it takes effect; 0 is now
}

// Start checks the plan and starts a run. When ctx ends, the run is stopped as by
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
	// Requests outlive ctx: when it ends, those in flight still have the grace.
	r.ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	for i, m := range r.plan.Messages {
		r.messages = append(r.messages, r.newMessage(i, m))
	}
	r.rec = newRecorder(r.messages...)
	r.rec.texts.redact = plan.Redact
	r.rec.warmup, r.rec.coalesce = plan.Warmup, plan.Coalesce
	if !plan.Part.alone() {
		r.rec.share()
	}
	if plan.Objective > 0 {
		r.rec.objective.give(plan.Objective)
	}
	r.policy.Store(plan.Policy.With(policy.WithHooks(r.hooks())))
	if r.start = plan.StartAt; r.start.IsZero() {
		r.start = time.Now()
	}
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

// newMessage creates the clients of one of the plan's messages.
func (r *Run) newMessage(index int, m Message) *message {
	out := &message{Message: m, index: index}
	for _, conn := range m.Conns {
		out.lines = append(out.lines, r.lineOf(conn))
		options := []micro.ClientOption{
			micro.WithTimeout(24 * time.Hour),  // the policy's timeout applies
			micro.WithMaxInFlight(math.MaxInt), // the plan's limit applies
			micro.WithInterceptors(r.underPolicy, stamp),
		}
		if r.plan.NoMetadata {
			options = append(options, micro.WithoutMetadata())
		}
		out.clients = append(out.clients, micro.NewClient(conn, options...))
	}
	return out
}

// underPolicy runs each request under the policy that is current when it starts.
func (r *Run) underPolicy(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return r.policy.Load().Run(ctx, req, reply, next)
	}
}

// now returns the time since the start of the run.
func (r *Run) now() time.Duration { return time.Since(r.start) }

// Stop stops offering requests. Those in flight have the plan's grace to finish.
// Further calls do nothing.
func (r *Run) Stop() {
	r.stop.Do(func() { close(r.quit) })
}

// Abort stops the run as Stop does, and adds a mark with the reason to the time axis.
func (r *Run) Abort(why string) {
	r.rec.mark(r.now(), why)
	r.Stop()
}

// Done is closed when the run has finished.
func (r *Run) Done() <-chan struct{} { return r.done }

// Wait waits until the run has finished and returns its result.
func (r *Run) Wait() *Result {
	<-r.done
	return r.result
}

// main runs the plan from beginning to end.
func (r *Run) main() {
	var users crowd
	var until time.Duration
	if r.plan.Pacer != nil {
		until = r.open()
	} else if until = 0; r.await() {
		r.closed(&users)
		until = r.now()
	}
	select {
	case <-r.quit:
		r.stopped = true
	default:
	}
	r.rec.endOffering(max(until, 1)) // 0 would mean that it has not ended
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

// await waits for the start of the run and reports whether it has come.
func (r *Run) await() bool {
	timer := time.NewTimer(time.Until(r.start))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.quit:
		return false
	}
}

// markChange adds a mark for a live change. One of several processes adds none: the
// process that ordered the change does.
func (r *Run) markChange(now time.Duration, text string) {
	if r.plan.Part.alone() {
		r.rec.mark(now, text)
	}
}

// drain waits for the requests in flight: for as long as their policy allows, or
// for the grace once the run has been stopped.
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

// maxSettle limits how long a finished run waits for late answers.
const maxSettle = time.Second

// settle waits for late answers for a while, so that a run whose last request
// timed out still counts its late answer.
func (r *Run) settle() {
	limit := time.NewTimer(maxSettle)
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

// Snapshot returns the figures so far, or those of the result if the run has
// finished. recent limits the points of the fine time series; 0 means all points
// that are kept.
func (r *Run) Snapshot(recent int) Snapshot {
	select {
	case <-r.done:
		return r.result.Snapshot
	default:
	}
	return r.complete(r.rec.snapshot(r.now(), recent))
}

// complete adds the fields that the recorder does not have to a snapshot.
func (r *Run) complete(s Snapshot) Snapshot {
	s.Planned, s.Requests = r.plan.Duration, r.plan.Requests
	s.Phase = Phase(r.phase.Load())
	s.Rate, s.Users = r.Rate(), r.Users()
	s.Policy = r.policy.Load().Settings()
	if s.Phase == WarmingUp && s.Elapsed >= s.Warmup {
		s.Phase = Loading
	}
	return s
}

func (r *Run) finish() *Result {
	res := r.resultAt(r.now())
	res.Stopped, res.HeldBack = r.stopped, r.heldBack()
	return res
}

// resultAt returns what has been counted until a time, which is the end of the run.
func (r *Run) resultAt(now time.Duration) *Result {
	r.rec.freeze()
	last := r.complete(r.rec.snapshot(now, 0))
	seconds, sketches, cohorts, distributions := r.rec.final()
	return &Result{
		Snapshot: last, Started: r.wall,
		Seconds: seconds, Sketches: sketches,
		Cohorts: cohorts, CohortStep: cohortStep, Distributions: distributions,
	}
}

// ChangePolicy changes the policy of requests that start from now on, and adds a
// mark to the time axis. The retry budget keeps its tokens.
func (r *Run) ChangePolicy(text string, opts ...policy.Option) error {
	next := r.policy.Load().With(opts...)
	if s := next.Settings(); s.Timeout == 0 && s.Deadline == 0 {
		return errors.New("a policy requires a timeout or a deadline")
	}
	r.policy.Store(next)
	r.markChange(r.now(), text)
	return nil
}

// SetTimeout changes the attempt timeout of requests that start from now on.
func (r *Run) SetTimeout(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("invalid timeout %s: must be above 0", d)
	}
	return r.ChangePolicy("timeout "+d.String(), policy.WithTimeout(d))
}

// SetRetries changes the retries of requests that start from now on.
func (r *Run) SetRetries(n int) error {
	if n < 0 || n > 1000 {
		return fmt.Errorf("invalid number of retries %d: must be between 0 and 1000", n)
	}
	text := fmt.Sprintf("%d retries", n)
	if n == 1 {
		text = "1 retry"
	}
	return r.ChangePolicy(text, policy.WithRetries(n))
}

// SetPreset changes the policy of requests that start from now on to the preset
// with a name.
func (r *Run) SetPreset(name string) error {
	p, ok := policy.Preset(name)
	if !ok {
		return fmt.Errorf("unknown policy %q", name)
	}
	return r.ChangePolicy("policy "+name, policy.As(p))
}
