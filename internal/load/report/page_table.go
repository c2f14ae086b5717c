package report

import (
	"fmt"
	"math"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/chart"
	"github.com/msctl/msctl/internal/load/format"
)

// tableView is the summary of several runs.
type tableView struct {
	Experiment *Experiment
	Title      string
	Collapse   bool
	Maps       []heatMap   // of a sweep with two axes
	Rows       []tableRow  // of all others
	Panels     []panelView // goodput of each run, on the same axes
	Best       string
}

// tableRow is one cell of the experiment.
type tableRow struct {
	Cell
	Best             bool
	Badge            badge
	Took             string
	After, Amplified string
	PerSecond, All   string // goodput, and p99 of all requests
	Figures          []figure
}

// figure is a value, and how good it is from 0 to 1.
type figure struct {
	Text string
	Good float64
}

// panelView is a small chart of one run.
type panelView struct {
	Name  string
	Badge badge
	Note  string
	Plot  plot
	Hover hover
	Best  bool
}

// heatMap is one metric of a sweep with two axes.
type heatMap struct {
	Title   string
	Columns []string
	Rows    []heatRow
}

type heatRow struct {
	Value string
	Cells []heatCell
}

type heatCell struct {
	figure
	Best  bool
	Badge badge
}

func (d *Document) table() *tableView {
	e := d.together()
	v := &tableView{Experiment: e, Title: format.Capitalize(e.Title), Collapse: d.Kind == KindCollapse}
	if e.Best >= 0 {
		v.Best = e.name(e.Best)
	}
	metrics := metricsOf(e)
	for i := range e.Cells {
		v.Rows = append(v.Rows, d.tableRow(e, i, metrics))
	}
	if len(e.Axes) == 2 {
		for _, m := range metrics {
			v.Maps = append(v.Maps, e.heatMap(m))
		}
	}
	v.Panels = d.panels(e)
	return v
}

func (d *Document) tableRow(e *Experiment, i int, metrics []cellMetric) tableRow {
	c := e.Cells[i]
	row := tableRow{Cell: c, Best: i == e.Best, Badge: badgeOf(c.Verdict), Took: "–", After: "–", Amplified: "–", PerSecond: format.Rate(c.GoodputRate), All: c.allP99()}
	switch c.Verdict {
	case recovered:
		row.Took = format.Seconds(c.Recovery)
	case degraded, collapsed:
		row.Took = "never"
	}
	if c.Verdict != "" {
		after, amplified := d.after(i)
		row.After, row.Amplified = format.WholePercent(after), fmt.Sprintf("%.2f", amplified)
	}
	for _, m := range metrics {
		row.Figures = append(row.Figures, m.figure(&c))
	}
	return row
}

// cellMetric is a metric of a cell: its text, and how good it is from 0 to 1.
type cellMetric struct {
	title string
	text  func(*Cell) string
	good  func(*Cell) float64
}

// worstAmplification is the attempts per request that count as 0 on the scale of how
// good a cell is.
const worstAmplification = 4

// metricsOf returns the metrics of an experiment's tables. Shares and amplification are
// rated on an absolute scale, latencies relative to the experiment's other cells.
func metricsOf(e *Experiment) []cellMetric {
	shortest, longest := math.Inf(1), 0.0
	for i := range e.Cells {
		p99 := math.Log(float64(max(e.Cells[i].P99, 1)))
		shortest, longest = min(shortest, p99), max(longest, p99)
	}
	span := max(longest-shortest, math.Log(4)) // what is close together is alike
	return []cellMetric{
		{"goodput", func(c *Cell) string { return format.Percent(c.Goodput) }, func(c *Cell) float64 { return c.Goodput }},
		{"p99", (*Cell).p99, func(c *Cell) float64 {
			return 1 - (math.Log(float64(max(c.P99, 1)))-shortest)/span
		}},
		{"amplification", func(c *Cell) string { return fmt.Sprintf("%.2f", c.Amplification) }, func(c *Cell) float64 {
			return 1 - (c.Amplification-1)/(worstAmplification-1)
		}},
		{"wasted work", func(c *Cell) string { return format.Percent(c.Wasted) }, func(c *Cell) float64 { return 1 - c.Wasted }},
	}
}

// figure returns the metric's value of a cell.
func (m *cellMetric) figure(c *Cell) figure {
	return figure{m.text(c), math.Round(min(max(m.good(c), 0), 1)*100) / 100}
}

func (e *Experiment) heatMap(m cellMetric) heatMap {
	h := heatMap{Title: m.title}
	for _, v := range e.Axes[1].Values {
		h.Columns = append(h.Columns, e.Axes[1].Name+" "+v)
	}
	for _, v := range e.Axes[0].Values {
		row := heatRow{Value: e.Axes[0].Name + " " + v}
		for _, u := range e.Axes[1].Values {
			cell := heatCell{figure: figure{"–", 0.5}}
			if i := e.find(v, u); i >= 0 {
				cell = heatCell{m.figure(&e.Cells[i]), i == e.Best, badgeOf(e.Cells[i].Verdict)}
			}
			row.Cells = append(row.Cells, cell)
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// panels returns the throughput of every run, on the same axes.
func (d *Document) panels(e *Experiment) []panelView {
	var lines []*timeline
	longest, most := 0, 0.0
	for i := range d.Runs {
		columns := resample(&d.Runs[i])
		t := newTimeline(&d.Runs[i], columns)
		lines = append(lines, t)
		if t.total > lines[longest].total {
			longest = i
		}
		most = max(most, t.highest(offeredRate, attemptRate, goodputRate))
	}
	y := chart.Linear(most, 3, perSecond)
	var panels []panelView
	for i, t := range lines {
		if len(t.columns) == 0 {
			continue
		}
		t.x = lines[longest].x
		p := t.plot("", "")
		p.Class = "panel"
		p.throughput(t, y)
		h := hoverOf(t.columns)
		h.Total = lines[longest].total.Seconds()
		r := &d.Runs[i]
		panels = append(panels, panelView{Name: runName(r, i), Badge: badgeOf(r.Verdict), Note: panelNote(r), Plot: p, Hover: h, Best: r.Cell == e.Best})
	}
	return panels
}

// runName returns the name of a run among others.
func runName(r *Run, i int) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("run %d", i+1)
}

func panelNote(r *Run) string {
	if took, ok := r.Recovery(); ok {
		return "in " + format.Seconds(took)
	}
	return fmt.Sprintf("%s ok, ×%.2f attempts", format.Percent(r.Share(load.OK)), r.Attempts.Amplification)
}
