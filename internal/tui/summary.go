package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/chart"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/policytext"
)

// result contains only what the line and the chart of a run need, because a sweep has many
// runs.
type result struct {
	name, policy string
	verdict      load.Verdict
	recovery     load.Recovery // the one with the verdict; zero without a trigger
	goodput      float64       // share of the earlier on-time goodput after a trigger, or of the requests
	amplified    float64       // after the trigger, or of the entire run
	p99          time.Duration
	rates        panel
}

// resultOf returns the result of a finished run.
func resultOf(name string, p *picture) result {
	s := p.snap
	r := result{
		name: name, policy: policytext.Describe(s.Policy), verdict: s.Verdict,
		goodput: s.Totals.Share(load.OK), amplified: s.Totals.Amplification(), p99: s.OK.P99,
		rates: p.rates(),
	}
	for _, after := range s.Recoveries {
		if after.Verdict != s.Verdict {
			continue
		}
		r.recovery, r.amplified, r.goodput = after, after.Amplified, after.After
		if after.Before > 0 {
			r.goodput = min(after.After/after.Before, 1)
		}
	}
	return r
}

// word returns the verdict in a few words.
func (r *result) word() string {
	if r.verdict == load.Unjudged {
		return "no trigger"
	}
	return r.recovery.String()
}

// figures returns the figures next to the verdict.
func (r *result) figures() string {
	what := "on time" // after a trigger
	if r.verdict == load.Unjudged {
		what = "goodput"
	}
	return fmt.Sprintf("%s %5s  %s", what, percent(r.goodput), perRequest(r.amplified))
}

func (r *result) slowest() string { return "p99 " + format.Duration(r.p99) }

// look returns the look of the verdict.
func (r *result) look() Look {
	switch r.verdict {
	case load.Recovered:
		return Good
	case load.Collapsed:
		return Bad
	case load.Unjudged:
		return Plain
	}
	return Warn
}

// line returns the result as a line with fixed columns.
func (r *result) line(nameWidth, width int) []Span {
	name := fmt.Sprintf(" %s %-*s  ", glyph(r.verdict), nameWidth, cutTo(r.name, nameWidth))
	spans := []Span{
		{r.look(), name + fmt.Sprintf("%-19s ", r.word())},
		{Plain, fmt.Sprintf("%-35s", r.figures())},
	}
	room := width - nameWidth - 5 - 20 - 35
	if room >= 13 {
		spans = append(spans, Span{Plain, fmt.Sprintf("  %-11s", r.slowest())})
		room -= 13
	}
	if room = min(room-3, 60); room >= 10 {
		spans = append(spans, Span{Plain, "  "}, Span{Good, sparkline(r.goodputs(room), r.offered())})
	}
	return spans
}

// cutTo shortens a text to a number of columns.
func cutTo(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	return string([]rune(text)[:max(columns-1, 0)]) + "…"
}

// goodputs returns the ok requests per second in n equal parts of the run.
func (r *result) goodputs(n int) []float64 {
	sums, counts := make([]float64, n), make([]float64, n)
	c := &r.rates.graph
	times := chart.Time(c.from, c.to, 1)
	for _, p := range c.lines[len(c.lines)-1].points {
		i := int(float64(n-1) * times.Share(p.at))
		sums[i] += p.value
		counts[i]++
	}
	for i := range sums {
		sums[i] /= counts[i] // NaN if there are no points
	}
	return sums
}

// offered returns the highest offered rate.
func (r *result) offered() float64 { return highest(r.rates.graph.lines[:1]) }

// sparkline draws values from 0 to highest as a row of blocks.
func sparkline(values []float64, highest float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		if math.IsNaN(v) || highest <= 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(levels[min(max(int(v/highest*float64(len(levels))), 0), len(levels)-1)])
	}
	return b.String()
}

// strip returns a line for each of the latest results.
func (m *model) strip(width, most int) (lines [][]Span) {
	if m.lab == nil {
		return nil
	}
	latest := m.lab.results
	if extra := len(latest) - most; extra > 0 {
		latest = latest[extra:]
	}
	for i := range latest {
		lines = append(lines, latest[i].line(m.lab.nameWidth(), width))
	}
	return lines
}

// nameWidth returns the width of the column of names.
func (l *lab) nameWidth() int {
	most := 0
	for i := range l.results {
		most = max(most, Width(l.results[i].name))
	}
	return min(most, 28)
}

// The height of the chart of a result in the summary.
const (
	minChart = 7
	maxChart = 14
)

// drawSummary draws all results at the end: as charts with a shared time axis if there is
// room for them, or else as one line each. It returns the number of lines.
func (m *model) drawSummary(a Area) (height int) {
	results := m.lab.results
	a.Ends(0, m.title(), summaryLegend())
	head := 1
	for _, text := range conclusionLines(m.lab.conclusion, a.width-2) {
		a.Write(1, head, Bold, text)
		head++
	}
	a = a.Sub(0, head, a.width, a.height-head)
	if each := min(a.height/len(results), maxChart); each >= minChart {
		values, from, to := common(results)
		for i := range results {
			results[i].draw(a.Sub(0, i*each, a.width, each), values, from, to)
		}
		return head + len(results)*each
	}
	for i := range results {
		a.Spans(0, i, results[i].line(m.lab.nameWidth(), a.width)...)
	}
	return min(head+len(results), a.height+head)
}

// maxConclusion is the largest number of lines of the heading of the summary.
const maxConclusion = 3

// conclusionLines wraps the heading. It returns at least one line.
func conclusionLines(text string, room int) []string {
	lines := strings.Split(ansi.Wordwrap(text, room, ""), "\n")
	return lines[:min(len(lines), maxConclusion)]
}

// summaryLegend returns the legend of the summary's charts.
func summaryLegend() []Span {
	return []Span{
		{Good, "⣿⣿ ok"}, {Plain, "  " + sparse.sample() + " offered  "},
		{Warn, dotted.sample() + " attempts"}, {Plain, "  "}, {Bad, dashed.sample() + " failed"}, {Plain, " "},
	}
}

// common returns the axes that all results share.
func common(results []result) (values chart.Scale, from, to time.Duration) {
	most := 0.0
	from = results[0].rates.graph.from
	for i := range results {
		c := &results[i].rates.graph
		most = max(most, highest(c.lines))
		from, to = min(from, c.from), max(to, c.to)
	}
	return linear(most * 1.05), from, to
}

// draw draws the result's chart with its verdict above.
func (r *result) draw(a Area, values chart.Scale, from, to time.Duration) {
	inner := box(a, "", nil)
	head := a.Sub(2, 0, a.width-4, 1)
	x := head.Write(0, 0, Plain, " ")
	x = head.Write(x, 0, Bold, r.name)
	x = head.Write(x, 0, Plain, " ")
	badge := badgeOf(r.verdict)
	if r.verdict == load.Unjudged {
		badge = Plain
	}
	x = head.Write(x, 0, badge, "[ "+glyph(r.verdict)+" "+r.word()+" ]")
	x = head.Write(x, 0, Plain, "  "+r.figures()+"  "+r.slowest()+"  ")
	head.Write(x, 0, Accent, r.policy+" ")
	c := r.rates.graph
	c.values, c.from, c.to, c.marks = values, from, to, nil
	lines := c.lines
	filled := lines[len(lines)-1]
	filled.filled = true
	c.lines = append(slices.Clone(lines[:len(lines)-1]), filled) // the last one's color wins
	c.draw(inner.Sub(0, 0, inner.width-1, inner.height))
}
