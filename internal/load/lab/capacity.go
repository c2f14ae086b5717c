package lab

import (
	"context"
	"errors"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// How a capacity is searched for: ever more users who ask without a pause, until
// more of them get no more answers.
const (
	firstUsers  = 2
	moreUsers   = 4 // times as many
	mostUsers   = 8192
	enough      = 1.10 // less gain than this is none
	stepLength  = 2 * time.Second
	stepWarmup  = 500 * time.Millisecond
	answersLeft = 20 // a step with fewer answers than this is told to be longer
)

// Step makes one step of the search: a closed load of some users for a while, the
// first part of which is not counted.
type Step func(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error)

// ErrNoCapacity is a search in which nothing was answered.
var ErrNoCapacity = errors.New("nothing was answered, so there is no capacity to be found")

// Capacity searches how many requests a second a service answers at most, and
// returns that and with how many users it was reached.
func Capacity(ctx context.Context, step Step) (perSecond float64, users int, err error) {
	for n := firstUsers; n <= mostUsers; n *= moreUsers {
		res, err := step(ctx, n, stepLength, stepWarmup)
		if err != nil {
			return 0, 0, err
		}
		if res.Totals.Outcomes[load.OK] < answersLeft && ctx.Err() == nil {
			if res, err = step(ctx, n, 3*stepLength, stepWarmup); err != nil {
				return 0, 0, err
			}
		}
		if ctx.Err() != nil {
			return 0, 0, context.Cause(ctx)
		}
		got := res.Goodput()
		if got == 0 && perSecond == 0 {
			return 0, 0, ErrNoCapacity // more users would not help, and take minutes
		}
		if got > perSecond {
			users = n
		}
		if got < perSecond*enough {
			return max(got, perSecond), users, nil
		}
		perSecond = got
	}
	return perSecond, users, nil
}
