// Package lab is what several load tests come to together: which combinations a
// sweep has, in which order they are run so that a noisy machine does not decide,
// how much a service can do, and which policy did best and why.
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

// Combinations returns every combination of the axes' values; the last axis
// changes fastest. No axes are one empty combination.
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

// Order returns the cells of a sweep in the order in which they are run: each of
// rounds has every cell once, in an order of its own, so that what changes on the
// machine meanwhile meets all of them alike.
func Order(cells, rounds int, seed uint64) []int {
	random := rand.New(rand.NewPCG(seed, 0x7377656570))
	var order []int
	for range rounds {
		order = append(order, random.Perm(cells)...)
	}
	return order
}

// Summarise fills in an experiment's cells from its runs, and says which is best.
// Cells without a run are left as they are.
func Summarise(e *report.Experiment, runs []report.Run) {
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

// fill makes a cell of its runs: medians, and the worst verdict.
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

// goodShare is how much of what was offered was answered.
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

// rank orders verdicts from good to bad.
func rank(verdict string) int {
	for v := load.Unjudged; v <= load.Collapsed; v++ {
		if v.String() == verdict {
			return int(v)
		}
	}
	return int(load.Collapsed)
}

// What makes two cells as good as each other.
const (
	sameShare    = 0.005 // of the requests
	sameRecovery = 500 * time.Millisecond
	sameRatio    = 1.05
)

// better compares two cells, the better one first, and says by what.
func better(a, b *report.Cell) (order int, by string) {
	if c := cmp.Compare(rank(a.Verdict), rank(b.Verdict)); c != 0 {
		return c, "its verdict"
	}
	if d := a.Goodput - b.Goodput; d > sameShare || d < -sameShare {
		return cmp.Compare(b.Goodput, a.Goodput), "its goodput"
	}
	if d := a.Recovery - b.Recovery; d > sameRecovery || d < -sameRecovery {
		return cmp.Compare(a.Recovery, b.Recovery), "its recovery"
	}
	if differ(a.Amplification, b.Amplification) {
		return cmp.Compare(a.Amplification, b.Amplification), "its few attempts a request"
	}
	if differ(float64(a.P99), float64(b.P99)) {
		return cmp.Compare(a.P99, b.P99), "its p99"
	}
	return 0, ""
}

func differ(a, b float64) bool { return max(a, b) > sameRatio*min(a, b) }

// best picks the best cell. None is where all collapsed, or nothing was answered.
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
		return -1, "nothing was run"
	}
	c := &e.Cells[index]
	if c.Goodput == 0 || rank(c.Verdict) >= int(load.Collapsed) {
		return -1, "none is good: " + describe(c)
	}
	return index, reason(e, c, next)
}

// reason says why a cell is the best one.
func reason(e *report.Experiment, c, next *report.Cell) string {
	text := describe(c)
	if next == nil {
		return text
	}
	order, by := better(c, next)
	if order == 0 {
		return text + "; " + report.CellName(e.Axes, next.Values) + " does as well"
	}
	return text + fmt.Sprintf("; before %s (%s) for %s", report.CellName(e.Axes, next.Values), describe(next), by)
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
	parts = append(parts, format.Percent(c.Goodput)+" answered", fmt.Sprintf("%.2f attempts a request", c.Amplification),
		"p99 "+format.Duration(c.P99))
	return strings.Join(parts, ", ")
}
