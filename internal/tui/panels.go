package tui

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/chart"
	"github.com/msctl/msctl/internal/load/format"
)

// picture is a run at one moment: the data of all panels.
type picture struct {
	snap     *load.Snapshot
	points   []load.Point // while requests were offered
	from, to time.Duration
	marks    []mark
	windows  []window
	doubtful []time.Duration
}

// pictureOf returns the picture of a run. planned are the planned triggers.
func pictureOf(s *load.Snapshot, h *history, planned []load.Trigger) *picture {
	p := &picture{snap: s, points: h.offering(s), doubtful: h.doubtful}
	p.from, p.to = shown(s)
	p.windows = windowsOf(s, planned)
	for _, k := range s.Marks {
		if !p.isTrigger(k) {
			p.marks = append(p.marks, mark{k.At, k.Text, Accent})
		}
	}
	if s.Warmup > 0 {
		p.marks = append(p.marks, mark{s.Warmup, "warm", Dim})
	}
	return p
}

// windowsOf returns the triggers that have started and those that are planned.
func windowsOf(s *load.Snapshot, planned []load.Trigger) []window {
	var all []window
	add := func(t *load.Trigger) {
		end, ends := t.End()
		all = append(all, window{from: t.At, to: end, endless: !ends, text: t.Text})
	}
	for i := range s.Recoveries {
		add(&s.Recoveries[i].Trigger)
	}
	for i := range planned {
		if planned[i].At > s.Elapsed {
			add(&planned[i])
		}
	}
	return all
}

// isTrigger reports whether a mark duplicates a window.
func (p *picture) isTrigger(k load.Mark) bool {
	for _, w := range p.windows {
		if k.Text == w.text && (k.At-w.from).Abs() < time.Second {
			return true
		}
	}
	return false
}

// recent returns the share of requests that have succeeded in the last two seconds; 1 if
// there were none.
func (p *picture) recent() float64 {
	var offered, answered int64
	for i := max(len(p.points)-2*secondOf(p.snap.Step), 0); i < len(p.points); i++ {
		offered += p.points[i].Offered
		answered += p.points[i].OK()
	}
	if offered == 0 {
		return 1
	}
	return min(float64(answered)/float64(offered), 1)
}

// panel is a chart with its title and legend.
type panel struct {
	title  string
	legend []legend
	graph  graph
}

// legend is the entry of a line: its name with its current value.
type legend struct {
	text string
	look Look
	dash dash
}

// panel returns a panel with the run's time axis and a legend for each line.
func (p *picture) panel(title string, values chart.Scale, lines []line, texts []string) panel {
	made := panel{title: title, graph: graph{
		from: p.from, to: p.to, now: p.snap.Elapsed, values: values, lines: lines,
		marks: p.marks, windows: p.windows, doubtful: p.doubtful,
	}}
	for i := range lines {
		made.legend = append(made.legend, legend{texts[i], lines[i].look, lines[i].dash})
	}
	return made
}

func (p *panel) draw(a Area) {
	p.graph.draw(box(a, p.title, p.legend).Sub(0, 0, a.width-3, a.height-2))
}

// withoutTexts returns the panel without the texts of marks, which the panel above has.
func (p panel) withoutTexts() panel {
	marks := make([]mark, len(p.graph.marks))
	for i, k := range p.graph.marks {
		marks[i] = mark{at: k.at, look: k.look}
	}
	p.graph.marks = marks
	return p
}

// rates returns the panel of rates per second.
func (p *picture) rates() panel {
	lines := []line{
		{points: smooth(p.points, p.snap.Step, (*load.Point).OK), look: Good},
		{points: smooth(p.points, p.snap.Step, func(p *load.Point) int64 { return p.Offered }), look: Plain, dash: sparse},
		{points: smooth(p.points, p.snap.Step, func(p *load.Point) int64 { return p.Attempts }), look: Warn, dash: dotted},
		{points: smooth(p.points, p.snap.Step, func(p *load.Point) int64 { return p.Failed() + p.Shed() }), look: Bad, dash: dashed},
	}
	names := []string{"ok", "offered", "attempts", "failed"}
	made := p.panel("rates", linear(highest(lines)*1.05), lines, withLatest(names, lines))
	// The first entry of the legend is drawn last, on top of the others.
	made.graph.lines = []line{lines[1], lines[2], lines[3], lines[0]}
	return made
}

// highest returns the highest value of all lines, or 0.
func highest(lines []line) (most float64) {
	for _, l := range lines {
		for _, p := range l.points {
			if p.value > most { // false for NaN
				most = p.value
			}
		}
	}
	return most
}

// withLatest adds the latest value of its line to each name.
func withLatest(names []string, lines []line) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name
		if n := len(lines[i].points); n > 0 && !math.IsNaN(lines[i].points[n-1].value) {
			out[i] += " " + rounded(lines[i].points[n-1].value)
		}
	}
	return out
}

// latencies returns the panel of the latencies of ok requests.
func (p *picture) latencies() panel {
	quantile := func(of func(*load.Point) time.Duration) []dot {
		return at(p.points, p.snap.Step, func(p *load.Point) (float64, bool) { return of(p).Seconds(), of(p) > 0 })
	}
	lines := []line{
		{points: quantile(func(p *load.Point) time.Duration { return p.P50 }), look: Good},
		{points: quantile(func(p *load.Point) time.Duration { return p.P90 }), look: Warn, dash: dotted},
		{points: quantile(func(p *load.Point) time.Duration { return p.P99 }), look: Bad, dash: dashed},
	}
	last := [3]time.Duration{p.snap.Last.P50, p.snap.Last.P90, p.snap.Last.P99}
	if p.snap.Phase == load.Finished {
		last = [3]time.Duration{p.snap.OK.P50, p.snap.OK.P90, p.snap.OK.P99}
	}
	texts := []string{"p50 " + format.Duration(last[0]), "p90 " + format.Duration(last[1]), "p99 " + format.Duration(last[2])}
	made := p.panel("latency", logarithmic(lowest(lines, 1e-3), max(highest(lines), 1e-3)), lines, texts)
	made.graph.lines = []line{lines[2], lines[1], lines[0]}
	return made
}

// valueSteps is the number of steps on a value axis.
const valueSteps = 4

// linear returns a scale of plain numbers from 0.
func linear(highest float64) chart.Scale { return chart.Linear(highest, valueSteps, short) }

// logarithmic returns a scale of durations in seconds, from a microsecond up.
func logarithmic(lowest, highest float64) chart.Scale {
	return chart.Log(max(lowest, 1e-6), highest, func(v float64) string {
		return time.Duration(math.Round(v * 1e9)).String()
	})
}

// lowest returns the lowest value of all lines, or otherwise if there is none.
func lowest(lines []line, otherwise float64) float64 {
	least := math.Inf(1)
	for _, l := range lines {
		for _, p := range l.points {
			if p.value < least {
				least = p.value
			}
		}
	}
	if math.IsInf(least, 1) {
		return otherwise
	}
	return least
}

// amplification returns the panel of attempts per request.
func (p *picture) amplification() panel {
	attempts := smooth(p.points, p.snap.Step, func(p *load.Point) int64 { return p.Attempts })
	offered := smooth(p.points, p.snap.Step, func(p *load.Point) int64 { return p.Offered })
	for i := range attempts {
		if offered[i].value > 0 {
			attempts[i].value /= offered[i].value
		} else {
			attempts[i].value = math.NaN()
		}
	}
	lines := []line{{points: attempts, look: Warn}}
	return p.panel("attempts per request", linear(max(highest(lines), 2)), lines, withLatest([]string{""}, lines))
}

// inFlight returns the panel of requests in flight.
func (p *picture) inFlight() panel {
	lines := []line{{look: Accent, points: at(p.points, p.snap.Step, func(p *load.Point) (float64, bool) {
		return float64(p.InFlight), true
	})}}
	return p.panel("in flight", linear(highest(lines)*1.05), lines, []string{format.Count(p.snap.InFlight)})
}

// box draws a border with a title and as much of a legend as fits in its upper edge. It
// returns the area inside.
func box(a Area, title string, legends []legend) Area {
	inner, x := frameOf(a, Dim, Span{Bold, title})
	head := a.Sub(2, 0, a.width-4, 1)
	drawLegend(head.Sub(x+1, 0, head.width-x-1, 1), legends)
	return inner
}

// drawLegend writes the legend with a sample of each line if that fits, or else without
// samples, for as many lines as fit.
func drawLegend(a Area, legends []legend) {
	var full, terse []Span
	for _, l := range legends {
		full = append(full, Span{l.look, strings.TrimSpace(l.dash.sample() + " " + strings.TrimSpace(l.text))})
		terse = append(terse, Span{l.look, l.text})
	}
	if _, fits := spaced(full, "  ", a.width-2); fits {
		terse = full
	}
	for n := len(terse); n > 0; n-- {
		for _, gap := range []string{"  ", " "} {
			if all, fits := spaced(terse[:n], gap, a.width-2); fits {
				a.Sub(1, 0, a.width-1, 1).Spans(0, 0, append(all, Span{Plain, " "})...)
				a.Set(0, 0, ' ', Plain)
				return
			}
		}
	}
}

// spaced adds gaps between spans, and reports whether all fit.
func spaced(spans []Span, gap string, room int) (all []Span, fits bool) {
	for i, s := range spans {
		if i > 0 {
			all = append(all, Span{Plain, gap})
			room -= Width(gap)
		}
		all = append(all, s)
		room -= Width(s.Text)
	}
	return all, room >= 0
}

// short formats a number in at most five characters.
func short(v float64) string {
	switch {
	case v >= 9_999_500:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + "M"
	case v >= 999_950:
		return strings.TrimSuffix(strconv.FormatFloat(v/1e6, 'f', 1, 64), ".0") + "M"
	case v >= 10_000:
		return strings.TrimSuffix(strconv.FormatFloat(v/1e3, 'f', 1, 64), ".0") + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// rounded formats a number as precisely as a legend needs it.
func rounded(v float64) string {
	switch {
	case v >= 100:
		return short(math.Round(v))
	case v >= 1 || v == 0:
		return short(math.Round(v*10) / 10)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}
