package report

import (
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// check reports what in a document that was read cannot be, so that whatever is
// made from it need not ask again. Paths are those of its JSON.
func (d *Document) check() error {
	if d.Kind != KindRun && d.Kind != KindSweep && d.Kind != KindCollapse {
		return fmt.Errorf("kind: %q is none of run, sweep and collapse", d.Kind)
	}
	if len(d.Runs) == 0 {
		return errors.New("runs: there is none")
	}
	cells := 1
	if d.Experiment != nil {
		cells = len(d.Experiment.Cells)
		if err := d.Experiment.check(); err != nil {
			return fmt.Errorf("experiment.%w", err)
		}
	}
	for i := range d.Runs {
		r := &d.Runs[i]
		if r.Cell < 0 || r.Cell >= cells {
			return fmt.Errorf("runs[%d].cell: %d is none of the %d cells", i, r.Cell, cells)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("runs[%d].%w", i, err)
		}
	}
	return nil
}

func (e *Experiment) check() error {
	if len(e.Cells) == 0 {
		return errors.New("cells: there is none")
	}
	if len(e.Axes) == 0 {
		return errors.New("axes: there is none")
	}
	if e.Best < -1 || e.Best >= len(e.Cells) {
		return fmt.Errorf("best: %d is none of the %d cells", e.Best, len(e.Cells))
	}
	for i, c := range e.Cells {
		if len(c.Values) != len(e.Axes) {
			return fmt.Errorf("cells[%d].values: %d of them for %d axes", i, len(c.Values), len(e.Axes))
		}
		if VerdictRank(c.Verdict) < 0 {
			return fmt.Errorf("cells[%d].verdict: %q is no verdict", i, c.Verdict)
		}
	}
	return nil
}

func (r *Run) check() error {
	if err := checkOutcomes(r.Offered, r.Outcomes); err != nil {
		return err
	}
	if VerdictRank(r.Verdict) < 0 {
		return fmt.Errorf("verdict: %q is no verdict", r.Verdict)
	}
	if r.Elapsed < 0 || r.Counted < 0 || r.Warmup < 0 || r.CohortStep < 0 {
		return errors.New("elapsed_ns: a run does not last less than no time")
	}
	for name, l := range r.Latency {
		if err := l.check(); err != nil {
			return fmt.Errorf("latency.%s.%w", name, err)
		}
	}
	for i, t := range r.Triggers {
		if t.At < 0 || t.Length < 0 || VerdictRank(t.Verdict) < 1 {
			return fmt.Errorf("triggers[%d]: a trigger has a start, a length and a verdict", i)
		}
	}
	for i, m := range r.Messages {
		if err := checkOutcomes(m.Offered, m.Outcomes); err != nil {
			return fmt.Errorf("messages[%d].%w", i, err)
		}
	}
	return checkSeconds(r.Seconds)
}

// checkOutcomes: every request that was offered has one outcome.
func checkOutcomes(offered int64, outcomes map[string]int64) error {
	left := offered
	known := 0
	for _, o := range load.Outcomes() {
		n, ok := outcomes[o.String()]
		if n < 0 {
			return fmt.Errorf("outcomes.%s: %d is less than none", o, n)
		}
		if ok {
			known++
		}
		left -= n
	}
	if known != len(outcomes) {
		return fmt.Errorf("outcomes: there is one that is none of %v", load.Outcomes())
	}
	if left != 0 {
		return fmt.Errorf("outcomes: they sum to %d, offered is %d", offered-left, offered)
	}
	return nil
}

func (l *Latency) check() error {
	if l.Count < 0 || l.Min < 0 || l.Max < l.Min {
		return errors.New("count: the figures contradict each other")
	}
	for i, b := range l.Spread {
		if b[1] < 0 || i > 0 && b[0] <= l.Spread[i-1][0] {
			return fmt.Errorf("spread[%d]: buckets ascend and hold counts", i)
		}
	}
	h, err := l.histogram()
	if err != nil {
		return fmt.Errorf("hdr: %w", err)
	}
	if h.TotalCount() != l.Count {
		return fmt.Errorf("hdr: it holds %d values, count is %d", h.TotalCount(), l.Count)
	}
	return nil
}

func checkSeconds(seconds []Second) error {
	last := time.Duration(-1)
	for i, s := range seconds {
		if s.At <= last {
			return fmt.Errorf("seconds[%d].at_ns: seconds follow each other", i)
		}
		if min(s.Offered, s.Attempts, s.OK, s.Error, s.Timeout, s.Lost, s.Shed, s.Late) < 0 {
			return fmt.Errorf("seconds[%d]: a count is less than none", i)
		}
		for j, b := range s.Latencies {
			if b[0] < 0 || b[1] < 0 {
				return fmt.Errorf("seconds[%d].latencies[%d]: less than nothing", i, j)
			}
		}
		last = s.At
	}
	return nil
}
