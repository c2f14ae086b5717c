package lab

import (
	"context"
	"errors"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// The search for a capacity adds users without think time until more users do not get more
// replies.
const (
	firstUsers = 2
	growth     = 4 // factor from step to step
	maxUsers   = 8192
	minGain    = 1.10 // a smaller gain does not count
	maxVain    = 2    // steps without a gain: the machine may have been busy in one
	stepLength = 3 * time.Second
	stepWarmup = time.Second
	minReplies = 20 // a step with fewer replies is repeated for longer
)

// Step runs one step of the search: a closed load with some users for length, of which
// warmup is not counted.
type Step func(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error)

// ErrNoCapacity is the error of a search in which no request succeeded.
var ErrNoCapacity = errors.New("cannot measure the capacity: no request succeeded")

// Capacity searches for the largest number of requests per second that a service handles,
// to within a tenth. It returns that and the number of users that reached it.
func Capacity(ctx context.Context, step Step) (perSecond float64, users int, err error) {
	for n, vain := firstUsers, 0; n <= maxUsers && vain < maxVain; n *= growth {
		res, err := longEnough(ctx, step, n)
		if err != nil {
			return 0, 0, err
		}
		got := answered(res)
		if got == 0 && perSecond == 0 {
			return 0, 0, ErrNoCapacity // more users would not help and would take minutes
		}
		if vain++; got >= perSecond*minGain {
			vain, users = 0, n
		}
		perSecond = max(perSecond, got)
	}
	return perSecond, users, nil
}

// answered returns the successful requests per second in the complete seconds after the
// warm-up, no matter when they were sent. Counting requests by their start would credit
// this time with replies to requests of the warm-up.
func answered(res *load.Result) float64 {
	var n, seconds int64
	for _, p := range res.Seconds {
		if p.At >= res.Warmup && p.At+time.Second <= res.Warmup+res.Counted {
			n, seconds = n+p.OK(), seconds+1
		}
	}
	return float64(n) / float64(max(seconds, 1))
}

// longEnough runs a step, and repeats it for longer if it had few replies.
func longEnough(ctx context.Context, step Step, users int) (*load.Result, error) {
	res, err := step(ctx, users, stepLength, stepWarmup)
	if err == nil && res.Totals.Outcomes[load.OK] < minReplies && ctx.Err() == nil {
		res, err = step(ctx, users, 3*stepLength, stepWarmup)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // the result of an interrupted step is meaningless
	}
	return res, err
}
