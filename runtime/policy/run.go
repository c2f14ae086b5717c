package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/internal/deadline"
	"github.com/msctl/msctl/runtime/micro"
)

// Intercept returns the policy as a micro.Interceptor, to order it among others.
func (p *Policy) Intercept(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return p.Run(ctx, req, reply, next)
	}
}

// Run makes one request under the policy: it calls next once for each attempt, with a copy
// of req that has the attempt's deadline and number. Use it instead of the interceptor to
// choose a policy for each request. An error after several attempts contains their number
// and wraps the last error. Run calls next in the calling goroutine; with a Hedge, it
// calls next in a new goroutine per attempt, which has ended when Run returns. Only the
// calling goroutine uses reply.
func (p *Policy) Run(ctx context.Context, req *micro.Request, reply micro.Reply, next micro.Handler) error {
	r := p.newRun()
	r.policy, r.ctx, r.req, r.reply, r.next, r.deadline = p, ctx, req, reply, next, req.Deadline
	if at, ok := ctx.Deadline(); ok {
		r.deadline = earlier(r.deadline, at)
	}
	if p.settings.Hedge != (Hedge{}) && !req.Event {
		r.hedged, r.first.serial = true, serial(req.Trace)
	}
	return r.request(time.Now())
}

// run is one request in progress. It contains its first attempt, so that a request
// without retries costs one allocation. The goroutine that makes the request owns it.
type run struct {
	policy   *Policy
	ctx      context.Context
	req      *micro.Request
	reply    micro.Reply
	next     micro.Handler
	deadline time.Time // of the request; zero means none
	attempts int32     // including hedges; its size keeps that of run in a smaller size class
	hedged   bool      // attempts may overlap
	yielded  bool      // a value has reached the caller
	left     bool      // the caller has rejected a value
	first    attempt
}

// attempt holds what attempts must not share, because a transport may keep it after the
// attempt was abandoned.
type attempt struct {
	req     micro.Request
	ctx     deadline.Context // ends at the deadline of req
	*record                  // nil if the policy needs none
}

// record is what the hooks, the breaker, hedges, and the limit per value have to know about
// an attempt. Other policies do without it, because the memory of a request is most of what
// they cost.
type record struct {
	number int
	start  time.Time
	hedge  bool
	proved bool         // a probe has had a value
	pause  *pause       // nil without a limit on the time between values
	serial *micro.Trace // in the first attempt of a hedged request, the caller's trace for all
	trace  micro.Trace
	wrote  atomic.Int64 // nanoseconds since start, plus 1; 0 means not written
	admission
}

// records reports whether attempts need a record.
func (p *Policy) records() bool {
	s := &p.settings
	return p.breaker != nil || p.hooks.any() || s.Hedge != (Hedge{}) || s.TimeoutPerValue
}

// newRun returns an empty run, whose first attempt has a record if the policy needs it.
func (p *Policy) newRun() *run {
	if !p.records() {
		return new(run)
	}
	r := new(struct { // one allocation
		run
		record
	})
	r.first.record = &r.record
	return &r.run
}

// newAttempt is newRun for further attempts.
func (p *Policy) newAttempt() *attempt {
	if !p.records() {
		return new(attempt)
	}
	a := new(struct {
		attempt
		record
	})
	a.attempt.record = &a.record
	return &a.attempt
}

// request makes tries until there is a reply, or no further try is permitted.
func (r *run) request(now time.Time) error {
	s := &r.policy.settings
	if s.Deadline > 0 {
		r.deadline = earlier(r.deadline, now.Add(s.Deadline))
	}
	r.policy.bucket.earn(now)
	end := ending{token: noToken}
	for try := 1; ; try++ {
		through, ok := r.admit(false, now)
		if !ok {
			r.policy.bucket.refund(end.token, now)
			return refused(end.err, int(r.attempts))
		}
		if end = r.try(try, through, end.token, now); end.next != Retry {
			return finish(end.err, int(r.attempts), end.next)
		}
		err := wait(r.ctx, end.delay)
		if now = time.Now(); err == nil && !r.deadline.IsZero() && !now.Before(r.deadline) {
			err = errTooLate // the timer was late
		}
		if err != nil {
			r.policy.bucket.refund(end.token, now)
			return &abandonedError{err, end.err, int(r.attempts)}
		}
	}
}

// errTooLate ends a request whose deadline has come before its retry.
var errTooLate = fmt.Errorf("%w: the deadline is before the retry", micro.ErrTimeout)

// ending is the result of a try and the next step.
type ending struct {
	err   error
	next  Next
	delay time.Duration // before the next
	token token         // what the next costs
}

// refused returns the error of a request whose next attempt the breaker rejects.
func refused(last error, attempts int) error {
	if attempts == 0 {
		return errOpen
	}
	return finish(last, attempts, BreakerOpen)
}

// finish returns the final error of a request.
func finish(err error, attempts int, why Next) error {
	switch {
	case err == nil:
		return nil
	case why == OverBudget:
		return fmt.Errorf("%w (attempt %d, not retried: the retry budget is spent)", err, attempts)
	case why == BreakerOpen:
		return fmt.Errorf("%w (attempt %d, not retried: the breaker is open)", err, attempts)
	case attempts > 1:
		return fmt.Errorf("%w (after %d attempts)", err, attempts)
	}
	return err
}

// abandonedError is the error of a request that ended during the delay before a retry.
type abandonedError struct {
	cause    error // why it ended
	last     error // of the last attempt
	attempts int
}

func (e *abandonedError) Error() string {
	return fmt.Sprintf("%s (attempt %d failed: %s)", e.cause, e.attempts, e.last)
}

// Unwrap returns both errors, the cause first.
func (e *abandonedError) Unwrap() []error { return []error{e.cause, e.last} }

// ended returns what decides about the end of a request: the cause, if it was abandoned.
// What its last attempt returned is only there for the caller.
func ended(err error) error {
	var abandoned *abandonedError
	if errors.As(err, &abandoned) {
		return abandoned.cause
	}
	return err
}

// admit asks the breaker for the next attempt.
func (r *run) admit(hedge bool, now time.Time) (admission, bool) {
	b := r.policy.breaker
	if b == nil || r.req.Event {
		return admission{}, true
	}
	through, ok := b.admit(r.teller(), now)
	if !ok {
		r.refuse(hedge, BreakerOpen, now)
	}
	return through, ok
}

func (r *run) teller() teller { return teller{r.ctx, r.policy.hooks.Breaker} }

// refuse reports an attempt that is not made.
func (r *run) refuse(hedge bool, why Next, now time.Time) {
	if h := r.policy.hooks.Refused; h != nil {
		h(r.ctx, Refusal{Request: r.req, Number: int(r.attempts) + 1, Hedge: hedge, Why: why, At: now})
	}
}

// try makes one attempt, with its hedges if there are any, and decides the next step.
func (r *run) try(try int, through admission, paid token, now time.Time) ending {
	if r.hedged {
		return r.race(try, through, paid, now)
	}
	a := &r.first
	if try > 1 {
		a = r.policy.newAttempt()
	}
	r.start(a, false, through, now)
	err := r.send(r.ctx, a, r)
	r.settle(paid, err)
	end := r.decide(err, try)
	r.ended(a, end, time.Time{})
	return end
}

// Send passes a value to the caller and records that there was one.
func (r *run) Send(v micro.Value) error {
	r.yielded = true
	err := r.reply.Send(v)
	r.left = r.left || err != nil
	return err
}

// settle returns what an attempt cost if it was held back behind the policy.
func (r *run) settle(paid token, err error) {
	if paid.part != noPart && errors.Is(err, micro.ErrShed) {
		r.policy.bucket.refund(paid, time.Now())
	}
}

// start numbers an attempt, creates its message, and reports it.
func (r *run) start(a *attempt, hedge bool, through admission, now time.Time) {
	r.attempts++
	if a.record != nil {
		a.number, a.start, a.hedge, a.admission = int(r.attempts), now, hedge, through
	}
	a.req = *r.req
	a.req.Attempt = int(r.attempts)
	a.req.Deadline = r.deadline
	a.req.Trace = r.trace()
	// What next changes is this attempt's own: each starts from what the caller gave. The
	// caller may change its request after Run, when the transport may still be reading that
	// of an abandoned attempt.
	a.req.Data = slices.Clip(r.req.Data)
	if r.attempts > 1 || r.hedged {
		a.req.Metadata = r.req.Metadata.Clone()
	} else {
		a.req.Metadata = r.req.Metadata.Shared()
	}
	if t := r.policy.settings.Timeout; t > 0 && !r.policy.settings.TimeoutPerValue {
		a.req.Deadline = earlier(r.deadline, now.Add(t))
	}
	if r.policy.hooks.any() {
		r.observe(a)
	}
}

// trace returns the caller's trace, for one attempt of a request.
func (r *run) trace() *micro.Trace {
	if r.hedged {
		return r.first.serial
	}
	return r.req.Trace
}

// send makes the attempt and reports its end to the breaker, even after a panic. The
// attempt's goroutine calls it.
func (r *run) send(ctx context.Context, a *attempt, reply micro.Reply) error {
	if t := r.policy.settings.Timeout; t > 0 && r.policy.settings.TimeoutPerValue {
		return r.sendPaced(ctx, a, t, reply)
	}
	return r.sendBound(ctx, a, reply)
}

// sendPaced is send with a limit on the time between values.
func (r *run) sendPaced(ctx context.Context, a *attempt, most time.Duration, reply micro.Reply) (err error) {
	a.pause, ctx = newPause(ctx, most, reply)
	defer func() { err = a.pause.stop(err) }()
	return r.sendBound(ctx, a, a.pause)
}

// sendBound makes the attempt under a context that ends at its deadline.
func (r *run) sendBound(ctx context.Context, a *attempt, reply micro.Reply) error {
	if at := a.req.Deadline; !at.IsZero() {
		a.ctx.Start(ctx, at, &micro.ErrTimeout)
		defer a.ctx.End()
		ctx = &a.ctx
	}
	if a.record == nil || a.pass == 0 {
		return a.overdue(r.next(ctx, &a.req, reply))
	}
	v := noVerdict
	defer func() {
		if !a.proved {
			r.policy.breaker.ended(r.teller(), a.pass, v, time.Now())
		}
	}()
	if a.probe {
		reply = &proof{r, a, reply}
	}
	err := r.next(ctx, &a.req, reply)
	v = r.judge(a, err)
	return a.overdue(err)
}

// proof is the Reply of a probe. The first value proves that the service is back, and
// nothing that follows changes that.
type proof struct {
	run   *run
	probe *attempt
	reply micro.Reply
}

// Send reports the first value to the breaker.
func (p *proof) Send(v micro.Value) error {
	if !p.probe.proved {
		p.probe.proved = true
		p.run.policy.breaker.ended(p.run.teller(), p.probe.pass, good, time.Now())
	}
	return p.reply.Send(v)
}

// overdue returns the error of an attempt. An interceptor that waits for its context
// returns the context's error, which at the attempt's deadline is a timeout like any
// other.
func (a *attempt) overdue(err error) error {
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, micro.ErrTimeout) {
		return err
	}
	var remote *micro.Error
	if at := a.req.Deadline; at.IsZero() || time.Now().Before(at) || errors.As(err, &remote) {
		return err
	}
	return fmt.Errorf("%w: %w", micro.ErrTimeout, err)
}

// decide returns the next step after a try, and charges a retry to the budget.
func (r *run) decide(err error, try int) ending {
	s := &r.policy.settings
	end := ending{err: err, token: noToken}
	switch {
	case err == nil, r.left, r.yielded && !s.RetryAfterValue, r.ctx.Err() != nil, s.Retries == 0:
		return end
	case r.req.Event && !errors.Is(err, micro.ErrUnreachable):
		return end // it may have been sent, and a duplicate would go unnoticed
	case !r.policy.retryable(err):
		return end
	case try > s.Retries:
		end.next = Exhausted
		return end
	}
	delay := s.Jitter.apply(s.Backoff.Before(try))
	now := time.Now()
	due := now.Add(delay)
	switch {
	case !r.deadline.IsZero() && !due.Before(r.deadline):
		end.next = OutOfTime
		return end
	case !r.req.Event && r.policy.breaker.shut(due):
		end.next = BreakerOpen
	default:
		var paid bool
		if end.token, paid = r.policy.bucket.spend(now); paid {
			end.next, end.delay = Retry, delay
			return end
		}
		end.next = OverBudget
	}
	r.refuse(false, end.next, now)
	return end
}

// observe reports the start of an attempt and traces its message.
func (r *run) observe(a *attempt) {
	h := &r.policy.hooks
	if h.Started != nil {
		h.Started(r.ctx, Attempt{Request: r.req, Number: a.number, Hedge: a.hedge, Start: a.start})
	}
	if a.req.Trace != nil {
		a.trace = *a.req.Trace
	}
	wrote, late := a.trace.Wrote, a.trace.Late
	a.trace.Wrote = func(at time.Time, packet []byte) {
		a.wrote.Store(int64(max(at.Sub(a.start), 0)) + 1)
		if wrote != nil {
			wrote(at, packet)
		}
	}
	if h.Late != nil {
		ctx, req := r.ctx, r.req
		a.trace.Late = func(l micro.LateReply) {
			h.Late(ctx, Late{Request: req, Number: a.number, By: l.By, Err: l.Err})
			if late != nil {
				late(l)
			}
		}
	}
	a.req.Trace = &a.trace
}

// ended reports the end of an attempt, at a time of which zero means now.
func (r *run) ended(a *attempt, end ending, at time.Time) {
	if r.policy.hooks.Ended == nil {
		return
	}
	if at.IsZero() {
		at = time.Now()
	}
	told := Attempt{
		Request: r.req, Number: a.number, Hedge: a.hedge, Start: a.start, End: at,
		Err: end.err, Next: end.next, Delay: end.delay,
	}
	if wrote := a.wrote.Load(); wrote > 0 {
		told.Wrote = a.start.Add(time.Duration(wrote - 1))
	}
	r.policy.hooks.Ended(r.ctx, told)
}

// earlier returns the earlier of two times. A zero a means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// wait waits for d, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	if ctx.Err() == nil {
		if d <= 0 {
			return nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errTooLate
	}
	return context.Cause(ctx)
}
