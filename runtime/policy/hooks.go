package policy

import (
	"context"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Hooks are called for every attempt of a policy. Each may be nil. Started, Ended, and
// Refused are called by the goroutine that makes the request, one at a time, even if
// hedged attempts overlap. Late is called by a goroutine of the transport, possibly long
// after the request has returned. Breaker is called by the goroutine that changes the
// breaker's state. Hooks must not block. The context is that of the request.
type Hooks struct {
	// Started is called when an attempt begins. Request, Number, Hedge, and Start are
	// set.
	Started func(ctx context.Context, a Attempt)
	// Ended is called when an attempt has ended, with Next set. It is called once for each
	// started attempt, before the request returns. The last attempt determines the reply or
	// the error of the request.
	Ended func(ctx context.Context, a Attempt)
	// Late is called for a reply that arrives after its attempt was abandoned.
	Late func(ctx context.Context, l Late)
	// Refused is called for an attempt that was due but not made, because of the
	// breaker or the budget. It is called once for each, including a retry that Ended
	// has reported in Next.
	Refused func(ctx context.Context, r Refusal)
	// Breaker is called when the breaker has changed its state, in order, and one call
	// at a time per breaker. Policies that share a breaker each report the changes
	// that their own requests cause. It must not use the policy.
	Breaker func(ctx context.Context, c BreakerChange)
}

// Attempt is one message on the wire for a request.
type Attempt struct {
	// Request is the caller's request, the same for all attempts. It must not be
	// changed.
	Request *micro.Request
	// Number counts from 1, including hedges.
	Number int
	// Hedge reports whether it was sent while another attempt was pending.
	Hedge bool
	// Start is the time the attempt began, before waiting for a connection.
	Start time.Time
	// Wrote is the time the message was written to the connection, or zero if it was
	// not. If the transport resent the message, Wrote is the time of the last write.
	Wrote time.Time
	// End is the time of the reply, or the time the attempt was abandoned.
	End time.Time
	// Err is the error of the attempt, or nil for a reply without an error.
	Err error
	// Next is the step that follows the attempt.
	Next Next
	// Delay is the delay before the next attempt, if there is one.
	Delay time.Duration
}

// Late is a reply to an abandoned attempt.
type Late struct {
	// Request is the caller's request.
	Request *micro.Request
	// Number is the number of the attempt.
	Number int
	// By is the time between the end of the attempt and the reply.
	By time.Duration
	// Err is the peer's error, if the reply was one.
	Err *micro.Error
}

// Refusal is an attempt that was due but not made.
type Refusal struct {
	// Request is the caller's request.
	Request *micro.Request
	// Number is the number that the attempt would have had. 1 means that the request was
	// not sent at all.
	Number int
	// Hedge reports whether it would have been a hedge. The request continues without it.
	Hedge bool
	// Why is BreakerOpen or OverBudget.
	Why Next
	// At is the time it was due, or when it became certain that it would be rejected.
	At time.Time
}

// BreakerChange is a change of a breaker's state.
type BreakerChange struct {
	// State is the new state.
	State BreakerState
	// At is the time of the change.
	At time.Time
}

// Next is the step after an attempt.
type Next int

// The steps after an attempt.
const (
	// Done: the request has its reply, or an error that is not retried.
	Done Next = iota
	// Retry: another attempt follows after Delay.
	Retry
	// Exhausted: the error is retryable, but no attempts are left.
	Exhausted
	// OverBudget: a retry was due, but the budget is spent.
	OverBudget
	// OutOfTime: a retry was due, but the request's deadline is earlier.
	OutOfTime
	// BreakerOpen: a retry was due, but the breaker is open.
	BreakerOpen
	// Pending: it failed while another attempt is pending.
	Pending
	// Outrun: another attempt got the first reply, so this one was abandoned, or its
	// reply dropped.
	Outrun
)

// String returns the name of the step in lower case.
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

// any reports whether there is a hook for attempts.
func (h *Hooks) any() bool { return h.Started != nil || h.Ended != nil || h.Late != nil }

// and returns hooks that call those of h first, and then those of next.
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
