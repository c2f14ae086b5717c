package policy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Intercept is the policy as a micro.Interceptor, for a place of its own among
// others.
func (p *Policy) Intercept(next micro.Handler) micro.Handler {
	return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {
		return p.Run(ctx, req, reply, next)
	}
}

// Run makes one request under the policy: it calls next once for each attempt,
// with a copy of req that has the attempt's deadline and number. It is what the
// interceptor does, for those who choose the policy anew for each request. An
// error after several attempts says how many there were and wraps the last
// one's.
func (p *Policy) Run(ctx context.Context, req *micro.Request, reply micro.Reply, next micro.Handler) error {
	now := time.Now()
	r := &run{policy: p, ctx: ctx, req: req, reply: reply, next: next, deadline: req.Deadline}
	if p.settings.Deadline > 0 {
		r.deadline = earlier(r.deadline, now.Add(p.settings.Deadline))
	}
	p.bucket.earn()
	a := &r.first
	for number := 1; ; number++ {
		if number > 1 {
			a = new(attempt)
			now = time.Now()
		}
		what, delay, err := r.try(a, number, now)
		if what != Retry {
			return finish(err, number, what)
		}
		if err := wait(ctx, delay); err != nil {
			return err
		}
	}
}

// finish words the error a request ends with.
func finish(err error, attempts int, why Next) error {
	switch {
	case err == nil:
		return nil
	case why == OverBudget:
		return fmt.Errorf("%w (attempt %d, not retried: the retry budget is spent)", err, attempts)
	case attempts > 1:
		return fmt.Errorf("%w (after %d attempts)", err, attempts)
	}
	return err
}

// run is one request on its way. It is made with room for its first attempt, so
// that a request that needs no retry costs one allocation.
type run struct {
	policy   *Policy
	ctx      context.Context
	req      *micro.Request
	reply    micro.Reply
	next     micro.Handler
	deadline time.Time // zero: none
	yielded  bool      // a value has reached the caller
	first    attempt
}

// attempt is what must not be shared with another attempt, because a transport
// may hold on to it after the attempt was given up.
type attempt struct {
	req    micro.Request
	trace  micro.Trace
	wrote  atomic.Int64 // nanoseconds from start, plus 1; 0 is not yet
	start  time.Time
	number int
}

// Send passes a value on and remembers that there was one.
func (r *run) Send(v micro.Value) error {
	r.yielded = true
	return r.reply.Send(v)
}

// try makes one attempt and decides what follows it.
func (r *run) try(a *attempt, number int, now time.Time) (Next, time.Duration, error) {
	a.number, a.start = number, now
	a.req = *r.req
	a.req.Attempt = number
	a.req.Deadline = r.deadline
	if number > 1 {
		a.req.Metadata = r.req.Metadata.Clone() // an earlier attempt's may still be read
	}
	if t := r.policy.settings.Timeout; t > 0 {
		a.req.Deadline = earlier(r.deadline, now.Add(t))
	}
	told := r.policy.hooks.any()
	if told {
		r.observe(a)
	}
	err := r.next(r.ctx, &a.req, r)
	what, delay := r.decide(err, number)
	if told {
		r.ended(a, what, delay, err)
	}
	return what, delay, err
}

// decide says what follows an attempt, and takes the retry off the budget when
// it is one.
func (r *run) decide(err error, number int) (Next, time.Duration) {
	s := &r.policy.settings
	switch {
	case err == nil, r.yielded, r.ctx.Err() != nil, s.Retries == 0:
		return Done, 0
	case r.req.Event && !errors.Is(err, micro.ErrUnreachable):
		return Done, 0 // it may have been sent, and nobody would know of the second
	case !r.policy.retryable(err):
		return Done, 0
	case number > s.Retries:
		return Exhausted, 0
	}
	delay := s.Jitter.apply(s.Backoff.Before(number))
	now := time.Now()
	if !r.deadline.IsZero() && !now.Add(delay).Before(r.deadline) {
		return OutOfTime, 0
	}
	if !r.policy.bucket.spend(now) {
		return OverBudget, 0
	}
	return Retry, delay
}

// observe tells that an attempt begins and listens on the wire for it.
func (r *run) observe(a *attempt) {
	h := &r.policy.hooks
	if h.Started != nil {
		h.Started(r.ctx, Attempt{Request: r.req, Number: a.number, Start: a.start})
	}
	if r.req.Trace != nil {
		a.trace = *r.req.Trace
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

func (r *run) ended(a *attempt, what Next, delay time.Duration, err error) {
	if r.policy.hooks.Ended == nil {
		return
	}
	told := Attempt{Request: r.req, Number: a.number, Start: a.start, End: time.Now(), Err: err, Next: what, Delay: delay}
	if wrote := a.wrote.Load(); wrote > 0 {
		told.Wrote = a.start.Add(time.Duration(wrote - 1))
	}
	r.policy.hooks.Ended(r.ctx, told)
}

// earlier returns the earlier of two times, of which a may be zero for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// wait waits for d, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: the deadline came before the retry", micro.ErrTimeout)
		}
		return context.Cause(ctx)
	}
}
