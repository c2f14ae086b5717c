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
	mostVain    = 2    // steps without a gain: one may have met a busy moment of the machine
	stepLength  = 3 * time.Second
	stepWarmup  = time.Second
	answersLeft = 20 // a step with fewer answers than this is told to be longer
)

// Step makes one step of the search: a closed load of some users for a while, the
// first part of which is not counted.
type Step func(ctx context.Context, users int, length, warmup time.Duration) (*load.Result, error)

// ErrNoCapacity is a search in which nothing was answered.
var ErrNoCapacity = errors.New("nothing was answered, so there is no capacity to be found")

// Capacity searches how many requests a second a service answers at most, and
// returns that and the users with which it was reached, to within a tenth.
func Capacity(ctx context.Context, step Step) (perSecond float64, users int, err error) {
	for n, vain := firstUsers, 0; n <= mostUsers && vain < mostVain; n *= moreUsers {
		res, err := longEnough(ctx, step, n)
		if err != nil {
			return 0, 0, err
		}
		got := answered(res)
		if got == 0 && perSecond == 0 {
			return 0, 0, ErrNoCapacity // more users would not help, and take minutes
		}
		if vain++; got >= perSecond*enough {
			vain, users = 0, n
		}
		perSecond = max(perSecond, got)
	}
	return perSecond, users, nil
}

// answered is how many requests a second were answered in the whole seconds after
// the warm-up, whenever they began: a crowd that takes long to set out would have
// its first requests counted as if they had been answered in that time.
func answered(res *load.Result) float64 {
	var n, seconds int64
	for _, p := range res.Seconds {
		if p.At >= res.Warmup && p.At+time.Second <= res.Warmup+res.Counted {
			n, seconds = n+p.OK(), seconds+1
		}
	}
	return float64(n) / float64(max(seconds, 1))
}

// longEnough makes a step, and makes it again for longer when it had few answers.
func longEnough(ctx context.Context, step Step, users int) (*load.Result, error) {
	res, err := step(ctx, users, stepLength, stepWarmup)
	if err == nil && res.Totals.Outcomes[load.OK] < answersLeft && ctx.Err() == nil {
		res, err = step(ctx, users, 3*stepLength, stepWarmup)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // what was cut short tells nothing
	}
	return res, err
}
