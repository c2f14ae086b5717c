// Package lab plans and evaluates experiments of several load tests: the combinations of
// a sweep, the order of the runs, which keeps a noisy machine from deciding the result,
// the search for a service's capacity, and the choice of the best cell.
package lab

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
)

// Combinations returns every combination of the axes' values. The last axis varies
// fastest. Without axes, there is one empty combination.
func Combinations(axes []report.Axis) [][]string {
	all := [][]string{nil}
	for _, axis := range axes {
		var longer [][]string
		for _, c := range all {
			for _, v := range axis.Values {
				longer = append(longer, append(slices.Clone(c), v))
			}
		}
		all = longer
	}
	return all
}

// Order returns the order in which the cells of a sweep are run. Each round contains every
// cell once, in random order, so that changes on the machine affect all cells alike.
func Order(cells, rounds int, seed uint64) []int {
	random := rand.New(rand.NewPCG(seed, 0x7377656570))
	var order []int
	for range rounds {
		order = append(order, random.Perm(cells)...)
	}
	return order
}

// Summarize sets an experiment's cells from its runs, and selects the best one. It does
// not change cells without a run.
func Summarize(e *report.Experiment, runs []report.Run) {
	for i := range e.Cells {
		var own []report.Run
		for _, r := range runs {
			if r.Cell == i {
				own = append(own, r)
			}
		}
		if len(own) > 0 {
			fill(&e.Cells[i], own)
		}
	}
	e.Best, e.Why = best(e)
}

// fill sets a cell from its runs: medians, and the worst verdict.
func fill(c *report.Cell, runs []report.Run) {
	median := func(of func(*report.Run) float64) float64 {
		values := make([]float64, len(runs))
		for i := range runs {
			values[i] = of(&runs[i])
		}
		slices.Sort(values)
		n := len(values)
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	c.Runs = len(runs)
	c.Policy = runs[0].Policy
	c.Goodput = median(goodShare)
	c.GoodputRate = median(func(r *report.Run) float64 { return r.Goodput })
	c.P99 = time.Duration(median(func(r *report.Run) float64 { return float64(r.Latency["request"].P99) }))
	c.Amplification = median(func(r *report.Run) float64 { return r.Attempts.Amplification })
	c.Wasted = median(func(r *report.Run) float64 { return r.Attempts.Wasted })
	c.Verdict = slices.MaxFunc(runs, func(a, b report.Run) int { return cmp.Compare(rank(a.Verdict), rank(b.Verdict)) }).Verdict
	c.Recovery = time.Duration(median(func(r *report.Run) float64 { return float64(longestRecovery(r)) }))
}

// goodShare returns the share of the offered requests that succeeded.
func goodShare(r *report.Run) float64 {
	if r.Offered == 0 {
		return 0
	}
	return float64(r.Outcomes[load.OK.String()]) / float64(r.Offered)
}

func longestRecovery(r *report.Run) (longest time.Duration) {
	for _, t := range r.Triggers {
		longest = max(longest, t.Took)
	}
	return longest
}

// rank orders verdicts from the best to the worst.
func rank(verdict string) int {
	for v := load.Unjudged; v <= load.Collapsed; v++ {
		if v.String() == verdict {
			return int(v)
		}
	}
	return int(load.Collapsed)
}

// Differences below which two cells count as equally good.
const (
	sameShare    = 0.005 // of the requests
	sameRecovery = 500 * time.Millisecond
	sameRatio    = 1.05
)

// better compares two cells: order is negative if a is better, and by is the figure that
// decided.
func better(a, b *report.Cell) (order int, by string) {
	if c := cmp.Compare(rank(a.Verdict), rank(b.Verdict)); c != 0 {
		return c, "verdict"
	}
	if d := a.Goodput - b.Goodput; d > sameShare || d < -sameShare {
		return cmp.Compare(b.Goodput, a.Goodput), "goodput"
	}
	if d := a.Recovery - b.Recovery; d > sameRecovery || d < -sameRecovery {
		return cmp.Compare(a.Recovery, b.Recovery), "recovery time"
	}
	if differ(a.Amplification, b.Amplification) {
		return cmp.Compare(a.Amplification, b.Amplification), "attempts per request"
	}
	if differ(float64(a.P99), float64(b.P99)) {
		return cmp.Compare(a.P99, b.P99), "p99"
	}
	return 0, ""
}

func differ(a, b float64) bool { return max(a, b) > sameRatio*min(a, b) }

// best returns the index of the best cell, or -1 if all collapsed or nothing succeeded.
func best(e *report.Experiment) (index int, why string) {
	index = -1
	var next *report.Cell
	for i := range e.Cells {
		c := &e.Cells[i]
		switch {
		case c.Runs == 0:
		case index < 0:
			index = i
		default:
			if order, _ := better(c, &e.Cells[index]); order < 0 {
				next, index = &e.Cells[index], i
			} else if next == nil {
				next = c
			} else if order, _ := better(c, next); order < 0 {
				next = c
			}
		}
	}
	if index < 0 {
		return -1, "there are no runs"
	}
	c := &e.Cells[index]
	if c.Goodput == 0 || rank(c.Verdict) >= int(load.Collapsed) {
		return -1, "none did well; the best was " + describe(c)
	}
	return index, reason(e, c, next)
}

// reason explains why a cell is the best one.
func reason(e *report.Experiment, c, next *report.Cell) string {
	text := describe(c)
	if next == nil {
		return text
	}
	order, by := better(c, next)
	if order == 0 {
		return text + "; as good as " + report.CellName(e.Axes, next.Values)
	}
	return text + fmt.Sprintf("; better than %s (%s) by %s", report.CellName(e.Axes, next.Values), describe(next), by)
}

func describe(c *report.Cell) string {
	var parts []string
	if c.Verdict != "" {
		verdict := c.Verdict
		if verdict == load.Recovered.String() {
			verdict += fmt.Sprintf(" in %.1f s", c.Recovery.Seconds())
		}
		parts = append(parts, verdict)
	}
	parts = append(parts, format.Percent(c.Goodput)+" ok", fmt.Sprintf("%.2f attempts per request", c.Amplification),
		"p99 "+format.Duration(c.P99))
	return strings.Join(parts, ", ")
}
