package load

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is the users of a closed load. The goroutine of Run.closed owns users.
// The goroutine of each user ends when its flag is set or when over is closed.
type crowd struct {
	users []*atomic.Bool // each tells its user to leave
	wg    sync.WaitGroup

	mu   sync.Mutex    // guards the fields below, and orders sequence numbers by time
	seq  uint64        // of the next counted request
	over chan struct{} // closed when no more requests are offered
	done bool          // over is closed
}

// closed runs the users until the plan is complete. Their last requests may still
// be in flight when it returns.
func (r *Run) closed(c *crowd) {
	c.over = make(chan struct{})
	r.resize(c, r.plan.Part.Share(r.plan.Users))
	var up <-chan time.Time
	if r.plan.Duration > 0 {
		timer := time.NewTimer(time.Until(r.start.Add(r.plan.Duration)))
		defer timer.Stop()
		up = timer.C
	}
	for {
		select {
		case change := <-r.changes:
			r.resize(c, r.plan.Part.Share(change.users))
			continue
		case <-up:
		case <-r.quit:
		case <-c.over:
		}
		c.end()
		return
	}
}

// resize starts or stops users until there are n.
func (r *Run) resize(c *crowd, n int) {
	for len(c.users) < n {
		leave := new(atomic.Bool)
		c.users = append(c.users, leave)
		c.wg.Go(func() { r.user(c, leave) })
	}
	for len(c.users) > n {
		c.users[len(c.users)-1].Store(true)
		c.users = c.users[:len(c.users)-1]
	}
	r.users.Store(int64(n))
}

// end keeps all users from sending further requests.
func (c *crowd) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.done = true
		close(c.over)
	}
}

// refusedPause is the shortest pause of a user after a request that could not be
// sent, so that users of an unreachable service do not spin.
const refusedPause = 10 * time.Millisecond

// user runs one user until its flag is set or the run ends.
func (r *Run) user(c *crowd, leave *atomic.Bool) {
	think := time.NewTimer(time.Hour)
	defer think.Stop()
	for !leave.Load() {
		k := r.ask(c)
		if k == nil {
			return
		}
		pause := r.plan.Think
		if outcome := r.make(k); outcome == Unreachable || outcome == Shed {
			pause = max(pause, refusedPause)
		}
		if pause == 0 {
			continue
		}
		think.Reset(pause)
		select {
		case <-think.C:
		case <-c.over:
			return
		}
	}
}

// ask returns the next request of a user, which starts now, or nil if the plan is
// complete.
func (r *Run) ask(c *crowd) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return nil
	}
	now := r.now()
	k := r.newCall(c.seq, now, now >= r.plan.Warmup)
	if k.counted {
		c.seq++
	}
	if k.counted && c.seq == r.plan.Part.share(r.plan.Requests) {
		c.done = true
		close(c.over)
	}
	r.rec.offered([]*call{k}, now, math.MaxInt64, "") // a user has one request at a time
	r.calls.Add(1)
	return k
}

// Users returns the current number of users of a closed load; 0 in an open one.
func (r *Run) Users() int { return int(r.users.Load()) }

// SetUsers changes the number of users of a closed load and adds a mark to the time
// axis. It returns an error in an open load.
func (r *Run) SetUsers(n int) error {
	if r.plan.Users == 0 || n < 1 || n > 1_000_000 {
		return fmt.Errorf("cannot change the number of users to %d", n)
	}
	return r.change(change{users: n}, fmt.Sprintf("%d users", n))
}
