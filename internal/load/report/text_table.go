package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// experiment writes the results of several runs.
func (w writer) experiment(d *Document) {
	e := d.together()
	w.Wrapped(string(d.Kind), e.Title, w.Bold)
	for _, what := range d.distinct(func(r *Run) string { return r.Pattern + " " + w.Dim("→ "+r.Target) }) {
		w.Line("%s%s", w.Label(""), what)
	}
	w.Wrapped("", d.loads(), w.Dim)
	if e.Capacity > 0 {
		w.Wrapped("capacity", format.Rate(e.Capacity), nil)
	}
	w.Line("")
	switch {
	case d.Kind == KindCollapse:
		w.collapse(d, e)
	case len(e.Axes) == 2 && gridFits(e):
		w.grid(e)
	default:
		w.list(e)
	}
	if e.Best >= 0 && e.Why != "" {
		w.Line("")
		w.Wrapped("best", "★ "+e.name(e.Best)+": "+e.Why, w.Good)
	} else if e.Why != "" {
		w.Line("")
		w.Wrapped("best", e.Why, nil)
	}
	w.runLoads(d)
	w.runNotes(d)
}

// together returns the document's experiment. For a document without one, it returns
// an experiment with a cell for each run.
func (d *Document) together() *Experiment {
	if d.Experiment != nil {
		return d.Experiment
	}
	e := &Experiment{Title: d.title(), Axes: []Axis{{Name: "run"}}, Best: -1}
	for i := range d.Runs {
		r := &d.Runs[i]
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("%d", i+1)
		}
		e.Axes[0].Values = append(e.Axes[0].Values, name)
		c := CellOf(r)
		c.Values = []string{name}
		e.Cells = append(e.Cells, c)
	}
	return e
}

// CellOf returns the figures of one run as a cell without values.
func CellOf(r *Run) Cell {
	took, _ := r.Recovery()
	return Cell{
		Policy: r.Policy, Runs: 1, Goodput: r.Share(load.OK), GoodputRate: r.Goodput, P99: r.Latency[LatencyOK].P99, AllP99: r.Latency[LatencyAll].P99,
		Amplification: r.Attempts.Amplification, Wasted: r.Attempts.Wasted, Verdict: r.Verdict, Recovery: took,
	}
}

// p99 returns the p99 of the cell's ok requests: a dash without one.
func (c *Cell) p99() string { return latencyOf(c.P99, c.Goodput > 0) }

// allP99 returns the p99 of all its requests.
func (c *Cell) allP99() string { return latencyOf(c.AllP99, c.AllP99 > 0) }

func latencyOf(d time.Duration, measured bool) string {
	if !measured {
		return "-"
	}
	return format.Duration(d)
}

// CellName returns the name of a combination of values: name=value for each axis, or
// only the value if the policy is the only axis.
func CellName(axes []Axis, values []string) string {
	if len(axes) == 1 && axes[0].Name == "policy" {
		return values[0]
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = axes[i].Name + "=" + v
	}
	return strings.Join(parts, " ")
}

// name returns the name of cell i.
func (e *Experiment) name(i int) string { return CellName(e.Axes, e.Cells[i].Values) }

// outcome returns a cell's verdict with its recovery time: "RECOVERED in 1.2 s".
func (c *Cell) outcome() string {
	if c.Verdict == recovered {
		return c.Verdict + " in " + format.Seconds(c.Recovery)
	}
	return c.Verdict
}

// star marks the best cell.
func star(e *Experiment, i int) string {
	if i == e.Best {
		return "★ "
	}
	return "  "
}

// list writes a line for each cell.
func (w writer) list(e *Experiment) {
	widths := axisWidths(e)
	head := "  "
	for j, a := range e.Axes {
		head += format.Pad(format.Shorten(a.Name, widths[j]), -widths[j]-2)
	}
	w.Line("%s", w.Dim(head+format.Pad("goodput", 8)+format.Pad("p99", 9)+format.Pad("amplified", 11)+format.Pad("wasted", 8)))
	for i := range e.Cells {
		c := &e.Cells[i]
		text := star(e, i)
		for j, v := range c.Values {
			text += format.Pad(format.Shorten(v, widths[j]), -widths[j]-2)
		}
		text += format.Pad(format.Percent(c.Goodput), 8) + format.Pad(c.p99(), 9) + format.Pad(fmt.Sprintf("%.2f", c.Amplification), 11) + format.Pad(format.Percent(c.Wasted), 8)
		w.marked(e, i, text, c.Verdict, strings.Replace(c.outcome(), " in ", " ", 1))
	}
}

// axisWidths returns the widths of a list's axis columns: what they need, or a fair
// share of the line.
func axisWidths(e *Experiment) []int {
	widths := make([]int, len(e.Axes))
	for j, a := range e.Axes {
		widths[j] = len([]rune(a.Name))
		for i := range e.Cells {
			widths[j] = max(widths[j], len([]rune(e.Cells[i].Values[j])))
		}
		widths[j] = min(widths[j], max(24/len(e.Axes), 8))
	}
	return widths
}

// marked writes a cell's line: the verdict in color, and the best cell in bold.
func (w writer) marked(e *Experiment, i int, text, verdict, words string) {
	if i == e.Best {
		text = w.Bold(text)
	}
	if words != "" {
		text += "  " + w.verdict(verdict)(words)
	}
	w.Line("%s", text)
}

// collapse writes a line for each policy with its verdict.
func (w writer) collapse(d *Document, e *Experiment) {
	width := axisWidths(e)[0]
	w.Line("%s", w.Dim("  "+format.Pad("policy", -width-2)+format.Pad("verdict", -11)+format.Pad("recovery", 10)+format.Pad("on time after", 15)+format.Pad("amplified", 11)+format.Pad("wasted", 9)))
	for i := range e.Cells {
		c := &e.Cells[i]
		after, amplified := d.after(i)
		took := "never"
		switch c.Verdict {
		case recovered:
			took = format.Seconds(c.Recovery)
		case undecided, "":
			took = "-"
		}
		name := star(e, i) + format.Pad(format.Shorten(c.Values[0], width), -width-2)
		if i == e.Best {
			name = w.Bold(name)
		}
		w.Line("%s%s%s%s%s%s", name, w.verdict(c.Verdict)(format.Pad(c.Verdict, -11)), format.Pad(took, 10), format.Pad(format.WholePercent(after), 15),
			format.Pad(fmt.Sprintf("%.2f", amplified), 11), format.Pad(format.WholePercent(c.Wasted), 9))
	}
}

// after returns the share of the requests answered on time, and the attempts per request,
// at the end of a cell's worst run.
func (d *Document) after(cell int) (onTime, amplified float64) {
	found := false
	for i := range d.Runs {
		r := &d.Runs[i]
		if r.Cell != cell || len(r.Triggers) == 0 {
			continue
		}
		last := &r.Triggers[len(r.Triggers)-1]
		if !found || last.After < onTime {
			onTime, amplified, found = last.After, last.Amplified, true
		}
	}
	return onTime, amplified
}

// maxLoadNotes is how many runs are listed with a backlog.
const maxLoadNotes = 5

// runLoads writes which runs did not keep up with the load.
func (w writer) runLoads(d *Document) {
	lines := d.loadNotes()
	if len(lines) > 0 {
		w.Line("")
	}
	for i, line := range lines {
		if i == maxLoadNotes {
			w.Wrapped("", fmt.Sprintf("and %s more", format.Counted(len(lines)-i, "run")), w.Warn)
			return
		}
		w.Wrapped(line.Label, line.Text, line.paint(w))
	}
}

// runNotes writes what a reader must know about the runs to trust the table.
func (w writer) runNotes(d *Document) {
	doubtful, total, stopped := 0, 0, 0
	for i := range d.Runs {
		doubtful += d.Runs[i].Doubtful
		total += len(d.Runs[i].Seconds)
		if d.Runs[i].Stopped {
			stopped++
		}
	}
	if doubtful > 0 || stopped > 0 {
		w.Line("")
	}
	if doubtful > 0 {
		w.Wrapped("generator", fmt.Sprintf("doubtful: %d of %s: the generator fell behind", doubtful, format.Counted(total, "second")), w.Warn)
	}
	if stopped > 0 {
		w.Wrapped("stopped", format.Counted(stopped, "run")+" stopped early", w.Warn)
	}
}

// Column widths of a sweep's grid.
const (
	gridColumn = 15
	gridHead   = 20
)

// gridFits reports whether a sweep over two axes fits as a grid.
func gridFits(e *Experiment) bool {
	return len(e.Cells) == len(e.Axes[0].Values)*len(e.Axes[1].Values) &&
		gridHead+gridColumn*len(e.Axes[1].Values) <= format.Width
}

// grid writes a sweep over two axes: a row of three lines for each value of the
// first axis.
func (w writer) grid(e *Experiment) {
	rows, columns := e.Axes[0], e.Axes[1]
	head := format.Pad("", -gridHead)
	for _, v := range columns.Values {
		head += format.Pad(format.Shorten(columns.Name+" "+v, gridColumn-1), -gridColumn)
	}
	w.Line("%s", w.Dim(strings.TrimRight(head, " ")))
	for _, v := range rows.Values {
		var lines [3]string
		lines[0] = w.Bold(format.Pad(format.Shorten(rows.Name+" "+v, gridHead-2), -gridHead))
		lines[1], lines[2] = format.Pad("p99 ×amplified", -gridHead), format.Pad("", -gridHead)
		for _, u := range columns.Values {
			w.gridCell(e, e.find(v, u), &lines)
		}
		w.Line("%s", strings.TrimRight(lines[0], " "))
		w.Line("%s", w.Dim(strings.TrimRight(lines[1], " ")))
		if e.judged() {
			w.Line("%s", strings.TrimRight(lines[2], " "))
		}
	}
}

// gridCell adds a cell to the three lines of its row.
func (w writer) gridCell(e *Experiment, i int, lines *[3]string) {
	if i < 0 {
		for l := range lines {
			lines[l] += format.Pad("", gridColumn)
		}
		return
	}
	c := &e.Cells[i]
	goodput := format.Percent(c.Goodput)
	if i == e.Best {
		goodput += " ★"
	}
	padded := format.Pad(goodput, -gridColumn)
	if i == e.Best {
		padded = w.Good(padded)
	}
	lines[0] += padded
	lines[1] += format.Pad(fmt.Sprintf("%s ×%.2f", c.p99(), c.Amplification), -gridColumn)
	lines[2] += w.verdict(c.Verdict)(format.Pad(c.Verdict, -gridColumn))
}

// find returns the index of the cell with a row's and a column's value, or -1.
func (e *Experiment) find(row, column string) int {
	for i, c := range e.Cells {
		if c.Values[0] == row && c.Values[1] == column {
			return i
		}
	}
	return -1
}

// judged reports whether any cell has a verdict.
func (e *Experiment) judged() bool {
	for _, c := range e.Cells {
		if c.Verdict != "" {
			return true
		}
	}
	return false
}
