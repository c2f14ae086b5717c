package load

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// Combined adds up what several processes count that each run a Part of one plan. Its
// figures are those that a single process would have counted: counts and buckets are exact
// sums. They are those of the last moment that every process has reported. Create it with
// NewCombined. It is safe for concurrent use.
type Combined struct {
	mu      sync.Mutex // guards the fields below
	run     *Run       // has the plan and the merged recorder; it never runs
	parts   []combinedPart
	seconds mergedSeries
	fine    mergedSeries
	marks   []Mark // of this process
}

// combinedPart is the latest report of one process.
type combinedPart struct {
	state   *State
	cohorts []CohortState
	hists   partHistograms
	lost    bool
	ended   bool // the final State has been added
}

// partHistograms are the decoded distributions of a State.
type partHistograms struct {
	ok, failed, replyOK, replyFailed, late, lag, before *Histogram
	messages                                            [][2]*Histogram // ok and failed
}

// NewCombined returns the sum of parts processes that run the plan, whose time 0 is start.
// The messages of the plan need no connections.
func NewCombined(plan Plan, parts int, start time.Time) *Combined {
	r := &Run{plan: plan.withDefaults(), start: start, wall: start.Round(0), done: make(chan struct{}), over: make(chan struct{})}
	for i, m := range r.plan.Messages {
		r.messages = append(r.messages, &message{Message: m, index: i})
	}
	r.policy.Store(plan.Policy)
	c := &Combined{run: r, parts: make([]combinedPart, parts)}
	c.seconds = mergedSeries{parts: parts, step: coarseStep}
	c.fine = mergedSeries{parts: parts, step: fineStep, keep: fineKept}
	r.rec = c.recorder()
	for _, t := range plan.Triggers {
		if t.Fire == nil {
			r.rec.trigger(t)
		}
	}
	c.rebuild()
	return c
}

// Add adds the report of process i. With final, it is the last one. The error is that of a
// report that cannot be from a process with the same plan.
func (c *Combined) Add(i int, s *State, final bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < 0 || i >= len(c.parts) || len(s.Messages) != len(c.run.messages) {
		return errors.New("the report is not of this plan")
	}
	p := &c.parts[i]
	if p.lost || p.ended || p.state != nil && s.Elapsed < p.state.Elapsed {
		return nil // it came too late
	}
	hists, err := decode(s)
	if err != nil {
		return err
	}
	if s.FirstCohort < 0 || s.FirstCohort > len(p.cohorts) {
		return errors.New("the report does not continue the previous one")
	}
	p.cohorts = append(p.cohorts[:s.FirstCohort], s.Cohorts...)
	if err := errors.Join(c.seconds.add(i, s.FirstSecond, s.Seconds), c.fine.add(i, s.FirstFine, s.Fine)); err != nil {
		return err
	}
	p.state, p.hists, p.ended = s, hists, final
	if final {
		c.close(i)
	}
	c.rebuild()
	return nil
}

// Lose removes process i from those that are waited for. It keeps what the process has
// reported, except that a request without an outcome is not counted. It returns how many of
// those there were, and until when the process has reported.
func (c *Combined) Lose(i int) (unknown int64, until time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.parts[i]
	if p.lost || p.ended {
		return 0, 0
	}
	p.lost = true
	if p.state != nil {
		until = p.state.Elapsed
		unknown = p.state.Totals.Offered - p.state.Totals.Finished()
		p.state.Totals.Offered -= unknown
		p.state.InFlight = 0
		for j := range p.state.Messages {
			m := &p.state.Messages[j].Totals
			m.Offered = m.Finished()
		}
		for j := range p.cohorts {
			p.cohorts[j].Due = p.cohorts[j].Ended
		}
	}
	c.close(i)
	c.rebuild()
	return unknown, until
}

// Counts returns what process i has reported: the requests that were offered, and its
// outcomes.
func (c *Combined) Counts(i int) Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.parts[i].state; s != nil {
		return s.Totals
	}
	return Totals{}
}

// Mark adds a mark to the time axis.
func (c *Combined) Mark(at time.Duration, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks = append(c.marks, Mark{at, text})
	c.rebuild()
}

// Doubt marks the seconds from one time to another as doubtful.
func (c *Combined) Doubt(from, until time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seconds.doubts = append(c.seconds.doubts, [2]time.Duration{from, until})
	c.rebuild()
}

// Trigger adds a trigger that was fired.
func (c *Combined) Trigger(t Trigger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run.rec.trigger(t)
	c.rebuild()
}

// Changed records that the rate was changed: what is yet to come cannot be computed from
// the plan.
func (c *Combined) Changed() { c.run.changed.Store(true) }

// Policy returns the current policy, and SetPolicy changes what is reported as such.
func (c *Combined) Policy() *policy.Policy { return c.run.policy.Load() }

// SetPolicy changes the policy that the figures report.
func (c *Combined) SetPolicy(p *policy.Policy) { c.run.policy.Store(p) }

// Snapshot is that of a Run.
func (c *Combined) Snapshot(recent int) Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.complete(c.run.rec.snapshot(c.elapsed(), recent))
}

// BestCase is that of a Run.
func (c *Combined) BestCase() *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run.bestCase(c.elapsed())
}

// Result returns the result when every process has reported its final State or was lost.
func (c *Combined) Result(stopped bool) *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run.phase.Store(int64(Finished))
	res := c.run.resultAt(c.elapsed())
	for i := range c.parts {
		if s := c.parts[i].state; s != nil {
			res.HeldBack.add(s.HeldBack)
			stopped = stopped || s.Stopped
		}
	}
	res.Stopped = stopped
	return res
}

// Failure returns the error of the first process whose run had one, or nil.
func (c *Combined) Failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.parts {
		if s := c.parts[i].state; s != nil && s.Failure != "" {
			return fmt.Errorf("agent %d: %s", i+1, s.Failure)
		}
	}
	return nil
}

// close marks process i as one that will not report anything else. mu must be held.
func (c *Combined) close(i int) {
	c.seconds.close(i)
	c.fine.close(i)
}

// elapsed returns until when every process has reported. mu must be held.
func (c *Combined) elapsed() time.Duration {
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for i := range c.parts {
		p := &c.parts[i]
		if p.state != nil {
			most = max(most, p.state.Elapsed)
		}
		switch {
		case p.ended, p.lost:
		case p.state == nil:
			least = 0
		default:
			least = min(least, p.state.Elapsed)
		}
	}
	return min(least, most)
}

// decode decodes the distributions of a State.
func decode(s *State) (h partHistograms, err error) {
	of := func(d *Distribution) *Histogram {
		one, failed := d.histogram()
		err = errors.Join(err, failed)
		return one
	}
	h = partHistograms{of(s.OK), of(s.Failed), of(s.ReplyOK), of(s.ReplyFailed), of(s.Late), of(s.Lag), nil, nil}
	if s.Before != nil {
		h.before = of(s.Before)
	}
	for i := range s.Messages {
		h.messages = append(h.messages, [2]*Histogram{of(s.Messages[i].OK), of(s.Messages[i].Failed)})
	}
	return h, err
}

// recorder returns an empty recorder of the plan. mu must be held.
func (c *Combined) recorder() *recorder {
	r := newRecorder(c.run.messages...)
	r.warmup = c.run.plan.Warmup
	if limit := c.run.plan.Objective; limit > 0 {
		r.objective.give(limit)
	}
	return r
}

// rebuild computes the sums. mu must be held.
func (c *Combined) rebuild() {
	r := c.recorder()
	if old := c.run.rec; old != nil {
		r.triggers = old.triggers
	}
	b := builder{rec: r, errors: r.errors}
	phase, users, rate := Finished, 0, 0.0
	reported := false
	for i := range c.parts {
		p := &c.parts[i]
		if p.state == nil {
			phase = min(phase, WarmingUp)
			continue
		}
		reported = true
		b.part(i, p)
		if !p.lost && !p.ended {
			phase = min(phase, p.state.Phase)
			users += p.state.Users
			rate = max(rate, p.state.Rate)
		}
		if p.ended { // what it had when it ended
			users, rate = users+p.state.Users, max(rate, p.state.Rate)
		}
	}
	b.histograms()
	if phase == Finished && reported {
		phase = Draining // until Result is called
	}
	r.marks = append(r.marks, c.marks...)
	slices.SortStableFunc(r.marks, func(a, b Mark) int { return int(a.At - b.At) })
	c.sumCohorts(r)
	c.seconds.into(r.coarse, c.elapsed())
	c.fine.into(r.fine, c.elapsed())
	c.run.rec = r
	c.run.phase.Store(int64(phase))
	c.run.users.Store(int64(users))
	c.run.rate.Store(math.Float64bits(rate))
}

// sumCohorts adds the cohorts of all processes. mu must be held.
func (c *Combined) sumCohorts(r *recorder) {
	for i := range c.parts {
		for j := range c.parts[i].cohorts {
			from := &c.parts[i].cohorts[j]
			for len(r.cohorts) <= j {
				r.cohorts = append(r.cohorts, Cohort{})
			}
			to := &r.cohorts[j]
			to.Due, to.Ended, to.OK, to.OnTime = to.Due+from.Due, to.Ended+from.Ended, to.OK+from.OK, to.OnTime+from.OnTime
			if r.objective.settled || len(from.Ladder) != rungs {
				continue
			}
			for len(r.objective.cohorts) <= j {
				r.objective.cohorts = append(r.objective.cohorts, ladder{})
			}
			for k, n := range from.Ladder {
				r.objective.cohorts[j][k] += n
			}
		}
	}
}
