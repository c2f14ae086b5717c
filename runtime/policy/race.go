package policy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// race is one try of a request whose attempts may overlap. Each attempt runs in its own
// goroutine. The goroutine that makes the request owns the race and does everything
// else, including the hooks and the caller's Reply. It waits for every attempt: abandoned
// ones have their context canceled, so this takes as long as the transport needs to
// notice.
type race struct {
	run      *run
	most     int // hedges
	entrants []*entrant
	running  int      // of entrants
	winner   *entrant // the first one with a reply

	values chan handed // of entrants; the sender waits for its back
	over   chan *entrant
}

// entrant is one attempt of a race.
type entrant struct {
	*attempt
	paid     token // what it cost
	race     *race
	ctx      context.Context
	quit     context.CancelCauseFunc
	back     chan error // the result of a value
	measured bool

	// Set by its goroutine before it is sent to over.
	err      error
	end      time.Time
	panicked any
	stack    []byte
}

// handed is a value that an entrant passes to the caller.
type handed struct {
	from  *entrant
	value micro.Value
}

var (
	// errOutrun is the cause of an abandoned attempt.
	errOutrun = fmt.Errorf("%w: another attempt was answered first", context.Canceled)
	// errExited is the error of an attempt whose goroutine did not return.
	errExited = errors.New("the attempt's goroutine has exited")
)

// race makes one try and decides the next step.
func (r *run) race(try int, through admission, paid token, now time.Time) ending {
	c := &race{run: r, most: r.policy.settings.Hedge.Max, values: make(chan handed), over: make(chan *entrant)}
	defer c.stop()
	c.enter(through, paid, false, now)
	timer, due, delay := r.hedgeTimer()
	if timer != nil {
		defer timer.Stop()
	}
	var last *entrant
	for c.running > 0 {
		select {
		case at := <-due:
			if c.hedge(at) {
				timer.Reset(delay)
			}
		case v := <-c.values:
			c.take(v)
		case e := <-c.over:
			if c.left(e) {
				last = e
			}
		}
	}
	end := r.decide(last.err, try)
	r.ended(last.attempt, end, last.end)
	return end
}

// hedgeTimer fires when a hedge is due: never while there are too few measurements.
func (r *run) hedgeTimer() (timer *time.Timer, due <-chan time.Time, delay time.Duration) {
	delay = r.policy.settings.Hedge.Delay
	if l := r.policy.latencies; l != nil {
		if delay = l.wait(); delay == 0 {
			return nil, nil, 0
		}
	}
	timer = time.NewTimer(delay)
	return timer, timer.C, delay
}

// enter starts an attempt.
func (c *race) enter(through admission, paid token, hedge bool, now time.Time) {
	a := &c.run.first
	if c.run.attempts > 0 {
		a = c.run.policy.newAttempt()
	}
	e := &entrant{attempt: a, paid: paid, race: c, back: make(chan error, 1)}
	e.ctx, e.quit = context.WithCancelCause(c.run.ctx)
	c.entrants = append(c.entrants, e)
	c.run.start(a, hedge, through, now)
	c.running++
	go e.run()
}

// run is the entrant's goroutine.
func (e *entrant) run() {
	e.err = errExited
	defer func() {
		if e.panicked = recover(); e.panicked != nil {
			e.stack = debug.Stack()
		}
		e.end = time.Now()
		e.race.over <- e
	}()
	e.err = e.race.run.send(e.ctx, e.attempt, e)
}

// Send passes a value to the goroutine that makes the request, and waits for the caller's
// result.
func (e *entrant) Send(v micro.Value) error {
	e.race.values <- handed{e, v}
	return <-e.back
}

// hedge starts another attempt if the policy permits it, and reports whether a further
// one may follow.
func (c *race) hedge(now time.Time) bool {
	r := c.run
	switch {
	case c.winner != nil, r.ctx.Err() != nil, !r.deadline.IsZero() && !now.Before(r.deadline):
		return false
	case !r.policy.breaker.closed():
		r.refuse(true, BreakerOpen, now)
		return false
	}
	paid, ok := r.policy.bucket.spend(now)
	if !ok {
		r.refuse(true, OverBudget, now)
		return false
	}
	through, ok := r.admit(true, now)
	if ok {
		c.enter(through, paid, true, now)
	} else {
		r.policy.bucket.refund(paid, now)
	}
	return ok && len(c.entrants) <= c.most
}

// take passes the winner's values to the caller; the first entrant with a value is the
// winner. The others get an error. If the value was their last, their attempt still got a
// reply, and does not count as abandoned.
func (c *race) take(v handed) {
	c.measure(v.from, time.Now())
	if c.winner == nil {
		c.win(v.from)
	}
	err := errOutrun
	defer func() { v.from.back <- err }() // deferred because reply may panic
	switch {
	case c.winner == v.from:
		err = c.run.Send(v.value)
	case v.value.Last:
		err = nil
	}
}

// win abandons all other entrants.
func (c *race) win(winner *entrant) {
	c.winner = winner
	for _, e := range c.entrants {
		if e != winner {
			e.quit(errOutrun)
		}
	}
}

// left records that an entrant has ended, and reports whether its end is that of the try.
// It reports any other end to the hooks at once.
func (c *race) left(e *entrant) bool {
	c.running--
	if e.panicked != nil {
		panic(fmt.Sprintf("%v\n\nin the goroutine of attempt %d:\n%s", e.panicked, e.number, e.stack))
	}
	c.run.settle(e.paid, e.err)
	if e.shows() {
		c.measure(e, e.end)
	}
	if c.winner == nil && c.answers(e.err) {
		c.win(e)
	}
	switch {
	case c.winner == e, c.winner == nil && c.running == 0:
		return true
	case c.winner != nil:
		c.run.ended(e.attempt, ending{err: e.err, next: Outrun}, e.end)
	default:
		c.run.ended(e.attempt, ending{err: e.err, next: Pending}, e.end)
	}
	return false
}

// shows reports whether the duration of an attempt is a measurement of the service. That of
// an attempt that the caller cut short is not.
func (e *entrant) shows() bool {
	return e.race.run.judge(e.attempt, e.err) == good || errors.Is(e.err, errOutrun) ||
		errors.Is(e.err, micro.ErrTimeout) && !e.race.run.impatient(e.attempt)
}

// answers reports whether the end of an attempt is the reply to the request, rather than
// a reason to wait for the others.
func (c *race) answers(err error) bool {
	var remote *micro.Error
	return err == nil || errors.As(err, &remote) && remote.Remote() && !c.run.policy.retryable(err)
}

// measure records the duration of a first attempt: until its first value, until its end
// without one, or, if it was outrun, until then. Without the latter, the quantile would
// decrease with each winning hedge.
func (c *race) measure(e *entrant, at time.Time) {
	if l := c.run.policy.latencies; l != nil && !e.hedge && !e.measured {
		e.measured = true
		l.add(at.Sub(e.start))
	}
}

// stop cancels the contexts of the entrants and, after a panic, waits for those that are
// still running.
func (c *race) stop() {
	for _, e := range c.entrants {
		e.quit(errOutrun)
	}
	for c.running > 0 {
		select {
		case v := <-c.values:
			v.from.back <- errOutrun
		case <-c.over:
			c.running--
		}
	}
}

// serial returns a trace for overlapping attempts: its functions are called one at a
// time.
func serial(t *micro.Trace) *micro.Trace {
	if t == nil {
		return nil
	}
	var mu sync.Mutex
	alone := *t
	if f := t.Connected; f != nil {
		alone.Connected = func(address string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			f(address, took)
		}
	}
	if f := t.Wrote; f != nil {
		alone.Wrote = alonePacket(&mu, f)
	}
	if f := t.Read; f != nil {
		alone.Read = alonePacket(&mu, f)
	}
	if f := t.Stray; f != nil {
		alone.Stray = func(at time.Time, data []byte, why string) {
			mu.Lock()
			defer mu.Unlock()
			f(at, data, why)
		}
	}
	if f := t.Late; f != nil {
		alone.Late = func(l micro.LateReply) {
			mu.Lock()
			defer mu.Unlock()
			f(l)
		}
	}
	return &alone
}

func alonePacket(mu *sync.Mutex, f func(time.Time, []byte)) func(time.Time, []byte) {
	return func(at time.Time, packet []byte) {
		mu.Lock()
		defer mu.Unlock()
		f(at, packet)
	}
}
