package load

import (
	"errors"
	"fmt"
	"time"
)

// Part is the part of a plan that one of several processes runs. Request k of the plan
// belongs to the process k mod Of, user u to the process u mod Of. All processes compute
// the complete schedule, so that together they send what a single process would: the
// message of a request, its row of data, and its templates depend on k alone.
//
// The zero Part is the whole plan.
type Part struct {
	// Index is the number of the process, from 0.
	Index int
	// Of is the number of processes; 0 is a run without others.
	Of int
}

// check returns an error if the part is invalid for a plan.
func (p Part) check() error {
	if p.Of < 0 || p.Index < 0 || p.Index > 0 && p.Index >= p.Of {
		return fmt.Errorf("part %d of %d does not exist", p.Index, p.Of)
	}
	return nil
}

// alone reports whether no other process runs a part of the plan.
func (p Part) alone() bool { return p.Of == 0 }

// owns reports whether request k of the plan belongs to the part.
func (p Part) owns(k uint64) bool { return p.Of < 2 || k%uint64(p.Of) == uint64(p.Index) }

// Share returns the part's share of a number of users, requests, or other units. The
// remainder of a division goes to the lowest indexes.
func (p Part) Share(n int) int {
	if p.Of < 2 {
		return n
	}
	return (n - p.Index + p.Of - 1) / p.Of
}

// share is Share for requests.
func (p Part) share(n uint64) uint64 {
	switch {
	case p.Of < 2:
		return n
	case n <= uint64(p.Index):
		return 0
	}
	return (n - uint64(p.Index) + uint64(p.Of) - 1) / uint64(p.Of)
}

// lookahead limits how early the pacer passes over the requests of other processes. A
// change of the rate must be known for longer than that, so that every process applies it
// at the same request.
const lookahead = 50 * time.Millisecond

// maxStall is how late the pacer of one of several processes may be. After a longer stall,
// what was due is shed: sent at once, it would be a burst that no user has caused.
const maxStall = time.Second

// stalledText is the text under which the requests of a stall are counted.
const stalledText = "the agent was stalled"

// pass passes over the requests of other processes that are due soon, up to the next one of
// this process or the next change of the rate. n is the number of the next counted request,
// and pass returns that of the one after those it has passed over.
func (r *Run) pass(s *schedule, n uint64, now time.Duration) uint64 {
	until := min(now+lookahead, r.untilChange())
	for due := s.first(); !r.plan.Part.owns(r.made) && due <= until && !r.past(due); due = s.first() {
		if r.plan.Requests > 0 && n >= r.plan.Requests {
			break
		}
		if due >= r.plan.Warmup {
			n++
		}
		r.skip()
		s.skip()
	}
	return n
}

// past reports whether a time is past the plan's end.
func (r *Run) past(due time.Duration) bool {
	return due >= never || r.plan.Duration > 0 && due >= r.plan.Duration
}

// skip passes over the next request of the plan.
func (r *Run) skip() {
	r.pick().made++
	r.made++
}

// stalled reports whether a request that is due was due during a stall of this process.
func (r *Run) stalled(due, now time.Duration) bool {
	if r.plan.Part.alone() {
		return false
	}
	if now-due > maxStall && due >= r.stall {
		r.stall = now
		r.rec.stalled(due, now)
		r.rec.mark(now, fmt.Sprintf("stalled for %s", (now-due).Round(100*time.Millisecond)))
	}
	return due < r.stall
}

// stalled makes the points of a stall doubtful.
func (r *recorder) stalled(from, until time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(until, func(*Point) {})
	for _, s := range []*series{r.coarse, r.fine} {
		for i := range s.points {
			if p := &s.points[i]; p.At+s.step > from && p.At <= until {
				p.Lag = max(p.Lag, until-max(from, p.At))
			}
		}
	}
}

// errPartRequests is the error of a plan with more processes than there are requests or users.
var errPartRequests = errors.New("the part has no requests")

// checkPart returns an error if the plan's part has nothing to send.
func (p *Plan) checkPart() error {
	if err := p.Part.check(); err != nil {
		return err
	}
	if p.Pacer == nil && p.Part.Share(p.Users) == 0 || p.Requests > 0 && p.Part.share(p.Requests) == 0 {
		return errPartRequests
	}
	return nil
}
