package report

import (
	"errors"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// check returns an error if a loaded document is inconsistent, so that reports need not
// check it again. Paths in errors are those of its JSON.
func (d *Document) check() error {
	if d.Kind != KindRun && d.Kind != KindSweep && d.Kind != KindCollapse {
		return fmt.Errorf("kind: %q is not run, sweep, or collapse", d.Kind)
	}
	if len(d.Runs) == 0 {
		return errors.New("runs: must not be empty")
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
		if r.Cell != TriedCell && (r.Cell < 0 || r.Cell >= cells) {
			return fmt.Errorf("runs[%d].cell: %d is not one of the %d cells", i, r.Cell, cells)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("runs[%d].%w", i, err)
		}
	}
	return nil
}

func (e *Experiment) check() error {
	if len(e.Cells) == 0 {
		return errors.New("cells: must not be empty")
	}
	if len(e.Axes) == 0 {
		return errors.New("axes: must not be empty")
	}
	if e.Best < -1 || e.Best >= len(e.Cells) {
		return fmt.Errorf("best: %d is not one of the %d cells", e.Best, len(e.Cells))
	}
	for i, c := range e.Cells {
		if len(c.Values) != len(e.Axes) {
			return fmt.Errorf("cells[%d].values: %d values for %d axes", i, len(c.Values), len(e.Axes))
		}
		if VerdictRank(c.Verdict) < 0 {
			return fmt.Errorf("cells[%d].verdict: unknown verdict %q", i, c.Verdict)
		}
	}
	return nil
}

func (r *Run) check() error {
	if err := checkOutcomes(r.Offered, r.Outcomes); err != nil {
		return err
	}
	if VerdictRank(r.Verdict) < 0 {
		return fmt.Errorf("verdict: unknown verdict %q", r.Verdict)
	}
	if min(r.Elapsed, r.Counted, r.Served, r.Warmup, r.CohortStep, r.Objective.Limit, r.Backlog.Drain) < 0 {
		return errors.New("elapsed_ns: durations must not be negative")
	}
	if min(r.OnTime, r.Backlog.Peak, r.Backlog.AtEnd, r.BytesSent, r.BytesReceived) < 0 || r.OnTime > r.Outcomes[load.OK.String()] {
		return errors.New("on_time: counts must not be negative, and at most all ok requests are on time")
	}
	for name, l := range r.Latency {
		if err := l.check(); err != nil {
			return fmt.Errorf("latency.%s.%w", name, err)
		}
	}
	for i, t := range r.Triggers {
		if t.At < 0 || t.Length < 0 || VerdictRank(t.Verdict) < 1 {
			return fmt.Errorf("triggers[%d]: a trigger requires a start, a length, and a verdict", i)
		}
	}
	for i, m := range r.Messages {
		if err := checkOutcomes(m.Offered, m.Outcomes); err != nil {
			return fmt.Errorf("messages[%d].%w", i, err)
		}
		for name, l := range m.Latency {
			if err := l.check(); err != nil {
				return fmt.Errorf("messages[%d].latency.%s.%w", i, name, err)
			}
		}
	}
	for i, s := range r.Statuses {
		if s.Status < 100 || s.Status > 999 || s.Count < 0 {
			return fmt.Errorf("statuses[%d]: a status has three digits, and a count is not negative", i)
		}
	}
	return checkSeconds(r.Seconds)
}

// checkOutcomes checks that every offered request has one outcome.
func checkOutcomes(offered int64, outcomes map[string]int64) error {
	left := offered
	known := 0
	for _, o := range load.Outcomes() {
		n, ok := outcomes[o.String()]
		if n < 0 {
			return fmt.Errorf("outcomes.%s: %d is negative", o, n)
		}
		if ok {
			known++
		}
		left -= n
	}
	if known != len(outcomes) {
		return fmt.Errorf("outcomes: unknown outcome, not one of %v", load.Outcomes())
	}
	if left != 0 {
		return fmt.Errorf("outcomes: the sum is %d, but offered is %d", offered-left, offered)
	}
	return nil
}

func (l *Latency) check() error {
	if l.Count < 0 || l.Min < 0 || l.Max < l.Min {
		return errors.New("count: inconsistent with min_ns and max_ns")
	}
	for i, b := range l.Spread {
		if b[1] < 0 || i > 0 && b[0] <= l.Spread[i-1][0] {
			return fmt.Errorf("spread[%d]: buckets must ascend, and counts must not be negative", i)
		}
	}
	h, err := l.histogram()
	if err != nil {
		return fmt.Errorf("hdr: %w", err)
	}
	if h.TotalCount() != l.Count {
		return fmt.Errorf("hdr: it contains %d values, but count is %d", h.TotalCount(), l.Count)
	}
	return nil
}

func checkSeconds(seconds []Second) error {
	last := time.Duration(-1)
	for i, s := range seconds {
		if s.At <= last {
			return fmt.Errorf("seconds[%d].at_ns: seconds must ascend", i)
		}
		if min(s.Offered, s.Attempts, s.OK, s.Error, s.Timeout, s.Lost, s.Shed, s.Late) < 0 {
			return fmt.Errorf("seconds[%d]: a count is negative", i)
		}
		for _, list := range [][][2]int64{s.Latencies, s.FailedLatencies, s.AttemptLatencies} {
			for j, b := range list {
				if b[0] < 0 || b[1] < 0 {
					return fmt.Errorf("seconds[%d].latencies[%d]: must not be negative", i, j)
				}
			}
		}
		last = s.At
	}
	return nil
}
