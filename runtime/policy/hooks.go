package policy

import (
	"context"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Hooks are told of every attempt of a policy. Each may be nil. Started, Ended
// and Refused are called by the goroutine that makes the request, one at a time,
// also where hedged attempts overlap; Late by one of the transport, maybe after
// the request has long returned; Breaker by whichever changes the breaker. They
// must not block. The context is the request's own.
type Hooks struct {
	// Started tells that an attempt begins; Request, Number, Hedge and Start are
	// set.
	Started func(ctx context.Context, a Attempt)
	// Ended tells that an attempt has ended, and what follows. It is called once
	// for each that has started, before the request returns; the request's last
	// one is that whose answer or error the request has.
	Ended func(ctx context.Context, a Attempt)
	// Late tells of an answer that came after its attempt had been given up.
	Late func(ctx context.Context, l Late)
	// Refused tells of an attempt that was due and is not made, because the
	// breaker or the budget holds it back. It is told of each of them once, also
	// of a retry of which Ended says so in Next.
	Refused func(ctx context.Context, r Refusal)
	// Breaker tells that the breaker has changed its state, in order and one at a
	// time for a breaker. The policies that share a breaker each tell of the
	// changes that their own requests cause. It must not use the policy.
	Breaker func(ctx context.Context, c BreakerChange)
}

// Attempt is one message on the wire for a request.
type Attempt struct {
	// Request is the caller's request, the same for all its attempts. It must
	// not be changed.
	Request *micro.Request
	// Number counts from 1, hedges included.
	Number int
	// Hedge tells that it was sent beside an attempt that was not answered yet.
	Hedge bool
	// Start is when the attempt began, before it waited for a connection.
	Start time.Time
	// Wrote is when the message was handed to the connection; zero when it
	// never was. Where a transport had to send it again, it is the last time.
	Wrote time.Time
	// End is when the attempt was answered or given up.
	End time.Time
	// Err is how it ended; nil is an answer without error.
	Err error
	// Next is what follows.
	Next Next
	// Delay is the wait before the next attempt, when there is one.
	Delay time.Duration
}

// Late is an answer nobody waited for any more.
type Late struct {
	// Request is the caller's request.
	Request *micro.Request
	// Number is the attempt's.
	Number int
	// By is how long after its attempt was given up the answer came.
	By time.Duration
	// Err is the peer's error if the answer was one.
	Err *micro.Error
}

// Refusal is an attempt that was due and is not made.
type Refusal struct {
	// Request is the caller's request.
	Request *micro.Request
	// Number is what the attempt's would have been. 1 is that the request was
	// not sent at all.
	Number int
	// Hedge tells that it would have been one; the request goes on without.
	Hedge bool
	// Why is BreakerOpen or OverBudget.
	Why Next
	// At is when it was due, or when it was clear that it would be refused.
	At time.Time
}

// BreakerChange is a breaker's change to another state.
type BreakerChange struct {
	// State is the new one.
	State BreakerState
	// At is when.
	At time.Time
}

// Next is what follows an attempt.
type Next int

// What can follow an attempt.
const (
	// Done: the request has its answer, or an error that is not retried.
	Done Next = iota
	// Retry: another attempt follows, after Delay.
	Retry
	// Exhausted: the error could be retried, but all attempts are used up.
	Exhausted
	// OverBudget: a retry was due, but the budget is spent.
	OverBudget
	// OutOfTime: a retry was due, but the request's deadline comes first.
	OutOfTime
	// BreakerOpen: a retry was due, but the breaker is open.
	BreakerOpen
	// Pending: it failed, and an attempt beside it is still on its way.
	Pending
	// Outrun: an attempt beside it was answered first, so it was given up, or its
	// answer dropped.
	Outrun
)

// String names what follows, in lower case.
func (n Next) String() string {
	switch n {
	case Retry:
		return "retry"
	case Exhausted:
		return "attempts used up"
	case OverBudget:
		return "retry budget spent"
	case OutOfTime:
		return "deadline before the retry"
	case BreakerOpen:
		return "breaker open"
	case Pending:
		return "another attempt pending"
	case Outrun:
		return "outrun by another attempt"
	}
	return "done"
}

// any reports whether somebody listens to the attempts.
func (h *Hooks) any() bool { return h.Started != nil || h.Ended != nil || h.Late != nil }

// and returns hooks that tell h first, then next.
func (h Hooks) and(next Hooks) Hooks {
	return Hooks{
		Started: both(h.Started, next.Started),
		Ended:   both(h.Ended, next.Ended),
		Late:    both(h.Late, next.Late),
		Refused: both(h.Refused, next.Refused),
		Breaker: both(h.Breaker, next.Breaker),
	}
}

func both[T any](first, second func(context.Context, T)) func(context.Context, T) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context, v T) {
		first(ctx, v)
		second(ctx, v)
	}
}
