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
// not change cells without a run, and ignores the run that tries a suggestion.
func Summarize(e *report.Experiment, runs []report.Run) {
	for i := range e.Cells {
		var own []report.Run
		for _, r := range runs {
			if r.Cell == i {
				own = append(own, r)
			}
		}
		if len(own) > 0 {
			values := e.Cells[i].Values
			e.Cells[i] = cellOf(own)
			e.Cells[i].Values = values
		}
	}
	e.Best, e.Why = best(e)
	if why := tooLight(e, runs); why != "" && e.Best >= 0 {
		e.Best, e.Why = -1, why
	}
}

// tooLight returns why the load of an experiment with a known capacity could not tell its
// policies apart, or "": even if every request were retried as often as any of them
// allows, the service would have room for all attempts.
func tooLight(e *report.Experiment, runs []report.Run) string {
	var most, offered float64
	for i := range runs {
		r := &runs[i]
		if r.Verdict != "" && r.Verdict != load.Recovered.String() {
			return "" // it was enough
		}
		offered = max(offered, r.OfferedRate)
		most = max(most, r.OfferedRate*(1+float64(r.Policy.Retries)))
	}
	if e.Capacity <= 0 || most >= e.Capacity || most == offered { // no policy retries
		return ""
	}
	return fmt.Sprintf("the load was too light to tell: %s, even with every retry (%s), is below the capacity of %s, so no policy can overload the service; try --rate %s",
		format.Rate(offered), format.Rate(most), format.Rate(e.Capacity), format.Rate(UsualLoad*e.Capacity))
}

// UsualLoad is the share of the capacity at which policies differ: the service has room
// for the requests, but not for a storm of retries.
const UsualLoad = 0.65

// cellOf returns a cell of some runs: medians, and the worst verdict.
func cellOf(runs []report.Run) report.Cell {
	cells := make([]report.Cell, len(runs))
	for i := range runs {
		cells[i] = report.CellOf(&runs[i])
	}
	median := func(of func(*report.Cell) float64) float64 {
		values := make([]float64, len(cells))
		for i := range cells {
			values[i] = of(&cells[i])
		}
		slices.Sort(values)
		n := len(values)
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	duration := func(of func(*report.Cell) time.Duration) time.Duration {
		return time.Duration(median(func(c *report.Cell) float64 { return float64(of(c)) }))
	}
	return report.Cell{
		Runs: len(runs), Policy: runs[0].Policy,
		Goodput:       median(func(c *report.Cell) float64 { return c.Goodput }),
		GoodputRate:   median(func(c *report.Cell) float64 { return c.GoodputRate }),
		P99:           duration(func(c *report.Cell) time.Duration { return c.P99 }),
		AllP99:        duration(func(c *report.Cell) time.Duration { return c.AllP99 }),
		Amplification: median(func(c *report.Cell) float64 { return c.Amplification }),
		Wasted:        median(func(c *report.Cell) float64 { return c.Wasted }),
		Verdict:       slices.MaxFunc(cells, func(a, b report.Cell) int { return cmp.Compare(rank(a.Verdict), rank(b.Verdict)) }).Verdict,
		Recovery:      duration(func(c *report.Cell) time.Duration { return c.Recovery }),
	}
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
	index, next := ranking(e)
	if index < 0 {
		return -1, "there are no runs"
	}
	c := &e.Cells[index]
	if c.Goodput == 0 || rank(c.Verdict) >= int(load.Collapsed) {
		return -1, "none did well; the best was " + describe(c)
	}
	return index, reason(e, c, next)
}

// Leader returns the index of the cell that did better than all others, whether or not it
// did well; -1 without runs.
func Leader(e *report.Experiment) int {
	index, _ := ranking(e)
	return index
}

// ranking returns the index of the cell that did better than all others, or -1 without
// runs, and the next best one, or nil.
func ranking(e *report.Experiment) (index int, next *report.Cell) {
	index = -1
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
	return index, next
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
