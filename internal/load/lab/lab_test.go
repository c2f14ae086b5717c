package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/load/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

func TestCombinations(t *testing.T) {
	two := []report.Axis{{Name: "timeout", Values: []string{"100ms", "1s"}}, {Name: "retries", Values: []string{"0", "1", "3"}}}
	cases := []struct {
		name string
		axes []report.Axis
		want [][]string
	}{
		{"no axis", nil, [][]string{nil}},
		{"one", two[:1], [][]string{{"100ms"}, {"1s"}}},
		{"two", two, [][]string{{"100ms", "0"}, {"100ms", "1"}, {"100ms", "3"}, {"1s", "0"}, {"1s", "1"}, {"1s", "3"}}},
		{"an axis without values", []report.Axis{two[0], {Name: "none"}}, nil},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, Combinations(c.axes)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
	all := Combinations(append(two, report.Axis{Name: "hedge", Values: []string{"none", "p95"}}))
	seen := map[string]bool{}
	for _, c := range all {
		seen[strings.Join(c, " ")] = true
	}
	if len(all) != 12 || len(seen) != 12 {
		t.Errorf("%d combinations, %d of them different, want 12: no two may share their values", len(all), len(seen))
	}
}

// TestOrder checks that each round is complete, that rounds differ, and that a seed repeats
// them.
func TestOrder(t *testing.T) {
	const cells, rounds = 7, 50
	order := Order(cells, rounds, 3)
	if len(order) != cells*rounds {
		t.Fatalf("%d runs, want %d", len(order), cells*rounds)
	}
	first := make([]int, cells) // how often a cell is the first of its round
	different := map[string]bool{}
	for round := range slices.Chunk(order, cells) {
		if sorted := slices.Sorted(slices.Values(round)); !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5, 6}) {
			t.Errorf("a round has the cells %v", sorted)
		}
		first[round[0]]++
		different[fmt.Sprint(round)] = true
	}
	if slices.Min(first) == 0 || len(different) < rounds*9/10 {
		t.Errorf("%d of %d rounds differ, and the cells come first %v times: no cell may have a fixed position", len(different), rounds, first)
	}
	if !slices.Equal(order, Order(cells, rounds, 3)) {
		t.Error("one seed, two orders")
	}
	if slices.Equal(order, Order(cells, rounds, 4)) {
		t.Error("two seeds, one order")
	}
	if got := Order(3, 0, 1); len(got) != 0 {
		t.Errorf("no rounds are %v", got)
	}
}

// result returns a run of a cell with 1000 requests.
func result(cell int, ok int64, p99 time.Duration, amplification float64, verdict string, took time.Duration) report.Run {
	r := report.Run{
		Cell: cell, Offered: 1000, Outcomes: map[string]int64{"ok": ok, "error": 1000 - ok}, Goodput: float64(ok) / 10, Verdict: verdict,
		Latency:  map[string]report.Latency{report.LatencyOK: {P99: p99}},
		Attempts: report.Attempts{Amplification: amplification, Wasted: amplification / 10},
	}
	if verdict != "" {
		r.Triggers = []report.Trigger{{Took: took / 2}, {Took: took}}
	}
	return r
}

// TestSummarizeMedians checks that a cell has the medians and the worst verdict of its own
// runs.
func TestSummarizeMedians(t *testing.T) {
	e := &report.Experiment{Axes: []report.Axis{{Name: "policy", Values: []string{"a", "b", "c"}}}, Cells: []report.Cell{{Values: []string{"a"}}, {Values: []string{"b"}}, {Values: []string{"c"}}}}
	Summarize(e, []report.Run{
		result(0, 900, 30*ms, 1.5, "RECOVERED", 2*time.Second),
		result(1, 700, 99*ms, 2, "DEGRADED", 0),
		result(0, 1000, 10*ms, 1.1, "COLLAPSED", 0),
		result(0, 100, 20*ms, 1.2, "DEGRADED", 4*time.Second),
		result(1, 800, 1*ms, 3, "RECOVERED", 3*time.Second),
	})
	want := []report.Cell{
		{Values: []string{"a"}, Runs: 3, Goodput: 0.9, GoodputRate: 90, P99: 20 * ms, Amplification: 1.2, Wasted: 0.12, Verdict: "COLLAPSED", Recovery: 2 * time.Second},
		{Values: []string{"b"}, Runs: 2, Goodput: 0.75, GoodputRate: 75, P99: 50 * ms, Amplification: 2.5, Wasted: 0.25, Verdict: "DEGRADED", Recovery: 1500 * ms},
		{Values: []string{"c"}},
	}
	if diff := cmp.Diff(want, e.Cells); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if e.Best != 1 {
		t.Errorf("the best is %d (%s), want b, which did not collapse", e.Best, e.Why)
	}
}

// TestBest checks what decides between two cells, and the reason given.
func TestBest(t *testing.T) {
	cases := []struct {
		name string
		runs []report.Run
		best int
		why  []string // parts of the reason, in order
	}{
		{"the verdict before all else", []report.Run{result(0, 990, ms, 1, "DEGRADED", 0), result(1, 700, 90*ms, 3, "RECOVERED", 3*time.Second)}, 1,
			[]string{"RECOVERED in 3.0 s, 70", "3.00 attempts per request, p99 90", "better than a (DEGRADED, 99", "by verdict"}},
		{"goodput", []report.Run{result(0, 950, ms, 1, "", 0), result(1, 990, 90*ms, 3, "", 0)}, 1, []string{"99", "by goodput"}},
		{"goodput that is almost the same does not decide", []report.Run{result(0, 997, 90*ms, 3, "", 0), result(1, 994, ms, 1, "", 0)}, 1, []string{"by attempts per request"}},
		{"recovery", []report.Run{result(0, 990, ms, 1, "RECOVERED", 4*time.Second), result(1, 990, 90*ms, 3, "RECOVERED", 3*time.Second)}, 1, []string{"RECOVERED in 3.0 s", "by recovery time"}},
		{"p99", []report.Run{result(0, 990, 10*ms, 1, "", 0), result(1, 990, 9*ms, 1.04, "", 0)}, 1, []string{"by p99"}},
		{"nothing", []report.Run{result(0, 990, 100*ms, 1, "", 0), result(1, 990, 101*ms, 1.04, "", 0)}, 0, []string{"; as good as b"}},
		{"one alone", []report.Run{result(1, 990, 100*ms, 1, "", 0)}, 1, []string{"ok, 1.00 attempts per request, p99 100"}},
		{"the next best is named", []report.Run{result(0, 500, ms, 1, "", 0), result(1, 990, ms, 1, "", 0), result(2, 800, ms, 1, "", 0)}, 1, []string{"better than c (80"}},
		{"the next best is named in any position", []report.Run{result(0, 800, ms, 1, "", 0), result(1, 500, ms, 1, "", 0), result(2, 990, ms, 1, "", 0)}, 2, []string{"better than a (80"}},
		{"all collapsed", []report.Run{result(0, 400, ms, 1, "COLLAPSED", 0), result(1, 300, ms, 1, "COLLAPSED", 0)}, -1, []string{"none did well; the best was COLLAPSED, 40"}},
		{"nothing was answered", []report.Run{result(0, 0, 0, 1, "", 0)}, -1, []string{"none did well"}},
		{"no runs", nil, -1, []string{"there are no runs"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := &report.Experiment{Axes: []report.Axis{{Name: "policy", Values: []string{"a", "b", "c"}}}}
			for _, v := range e.Axes[0].Values {
				e.Cells = append(e.Cells, report.Cell{Values: []string{v}})
			}
			Summarize(e, c.runs)
			if e.Best != c.best {
				t.Errorf("the best is %d, want %d: %s", e.Best, c.best, e.Why)
			}
			rest := e.Why
			for _, part := range c.why {
				before, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("the reason is %q, want %q in it after %q", e.Why, part, before)
				}
				rest = after
			}
		})
	}
}

// TestNames checks that axes are named name=value, except a single policy axis.
func TestNames(t *testing.T) {
	axes := []report.Axis{{Name: "timeout"}, {Name: "retries"}}
	if got, want := report.CellName(axes, []string{"1s", "3"}), "timeout=1s retries=3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	e := &report.Experiment{Axes: axes[:1], Cells: []report.Cell{{Values: []string{"1s"}}, {Values: []string{"2s"}}}}
	Summarize(e, []report.Run{result(0, 990, ms, 1, "", 0), result(1, 500, ms, 1, "", 0)})
	if !strings.Contains(e.Why, "better than timeout=2s (") {
		t.Errorf("the reason is %q", e.Why)
	}
}
