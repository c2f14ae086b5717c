package tui

import (
	"math"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load/chart"
)

// graph draws lines over time with braille dots. It has no state of its own: each
// frame is a new graph of points that its owner keeps.
type graph struct {
	from, to time.Duration // the time axis
	now      time.Duration // the current time of the run
	values   chart.Scale
	times    chart.Scale // made by draw, which knows the width
	lines    []line      // later ones are drawn over earlier ones
	marks    []mark
	windows  []window
	doubtful []time.Duration // the starts of doubtful seconds
}

// line is one line of a graph; a NaN interrupts it.
type line struct {
	points []dot
	look   Look
	dash   dash
	filled bool // down to the bottom
}

// dot is a value at a time.
type dot struct {
	at    float64 // seconds since the start of the run
	value float64
}

// dash is the dash pattern of a line, so that lines differ without colors.
type dash int

// The dash patterns, from the densest to the sparsest.
const (
	solid dash = iota
	dashed
	dotted
	sparse
)

// drawn reports whether the i-th dot of a line is drawn.
func (d dash) drawn(i int) bool {
	switch d {
	case dashed:
		return i%7 < 4
	case dotted:
		return i%2 == 0
	case sparse:
		return i%4 == 0
	}
	return true
}

// sample returns an example of the dash pattern, two columns wide.
func (d dash) sample() string {
	text := [2]rune{0x2800, 0x2800}
	for i, bit := range [4]rune{0x04, 0x20, 0x04, 0x20} {
		if d.drawn(i) || d == dashed && i < 3 {
			text[i/2] |= bit
		}
	}
	if d == dashed {
		text[1] &^= 0x20
	}
	return string(text[:])
}

// mark is a moment on the time axis.
type mark struct {
	at   time.Duration
	text string
	look Look
}

// window is a range of the time axis: a trigger with its duration. An endless one extends
// to the end of the axis.
type window struct {
	from, to time.Duration
	endless  bool
	text     string
}

const (
	labelWidth     = 5 // of the value axis
	timeLabelWidth = 9 // of the time axis, with the space around a label
)

// draw draws the plot, the axes, and their labels.
func (g *graph) draw(a Area) {
	plot := a.Sub(labelWidth+1, 0, a.width-labelWidth-1, a.height-1)
	if plot.width < 4 || plot.height < 2 {
		return
	}
	g.times = chart.Time(g.from, g.to, plot.width/timeLabelWidth)
	for i := range g.lines {
		g.drawLine(plot, &g.lines[i])
	}
	for _, w := range g.windows {
		g.upright(plot, w.from, Bad)
		if !w.endless {
			g.upright(plot, w.to, Bad)
		}
	}
	g.drawMarks(plot)
	g.drawValues(a.Sub(0, 0, labelWidth+1, a.height-1))
	g.drawTimes(a.Sub(labelWidth, a.height-1, a.width-labelWidth, 1))
}

// column returns the position of a moment, in seconds, among n columns.
func (g *graph) column(at float64, n int) int {
	return int(float64(n-1) * g.times.Share(at))
}

func (g *graph) drawLine(plot Area, l *line) {
	pen := braille{plot: plot, look: l.look}
	width, height := 2*plot.width, 4*plot.height
	lastX, lastY, have, count := 0, 0, false, 0
	for _, p := range l.points {
		if math.IsNaN(p.value) || p.at < g.from.Seconds() || p.at > g.to.Seconds() {
			have = false
			continue
		}
		x := g.column(p.at, width)
		y := height - 1 - int(math.Round(g.values.Share(p.value)*float64(height-1)))
		if !have {
			lastX, lastY = x, y
		}
		steps(lastX, lastY, x, y, func(i, x, y int) {
			if have && i == 0 {
				return // the end of the previous piece
			}
			if l.dash.drawn(count) {
				pen.dot(x, y)
			}
			if l.filled {
				pen.drop(x, y+1, height)
			}
			count++
		})
		lastX, lastY, have = x, y, true
	}
}

// steps calls f with each dot of a straight line, including both ends.
func steps(x0, y0, x1, y1 int, f func(i, x, y int)) {
	n := max(abs(x1-x0), abs(y1-y0))
	for i := range n + 1 {
		at := 0.0
		if n > 0 {
			at = float64(i) / float64(n)
		}
		f(i, x0+int(math.Round(at*float64(x1-x0))), y0+int(math.Round(at*float64(y1-y0))))
	}
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}

// braille draws dots, eight per cell. A cell with several lines has the dots of all of them
// and the look of the last one.
type braille struct {
	plot Area
	look Look
}

func (b braille) dot(x, y int) {
	c := b.plot.at(x/2, y/4)
	if c == nil {
		return
	}
	if c.r < 0x2800 || c.r > 0x28ff {
		c.r = 0x2800
	}
	c.r |= [8]rune{0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80}[y%4*2+x%2]
	c.look = b.look
}

// drop draws the dots from y down to bottom, exclusive.
func (b braille) drop(x, y, bottom int) {
	for ; y < bottom; y++ {
		b.dot(x, y)
	}
}

// upright draws a vertical line at a moment, in cells that are empty.
func (g *graph) upright(plot Area, at time.Duration, l Look) (x int, drawn bool) {
	if at < g.from || at > g.to {
		return 0, false
	}
	x = g.column(at.Seconds(), plot.width)
	for y := range plot.height {
		if plot.at(x, y).r == 0 {
			plot.Set(x, y, '┊', l)
		}
	}
	return x, true
}

// drawMarks draws a vertical line for each mark, and its text next to it in the highest row
// where it covers no other text.
func (g *graph) drawMarks(plot Area) {
	written := make([][]bool, min(plot.height, maxMarkRows))
	for y := range written {
		written[y] = make([]bool, plot.width)
	}
	for _, k := range g.marks {
		if x, drawn := g.upright(plot, k.at, k.look); drawn {
			g.writeMark(plot, k, x, written)
		}
	}
}

// maxMarkRows is the largest number of rows for the texts of marks.
const maxMarkRows = 4

// writeMark writes a mark's text to the right of its column, or to the left if there is no
// room. It omits the text if neither side is free.
func (g *graph) writeMark(plot Area, k mark, x int, written [][]bool) {
	length := Width(k.text)
	if length == 0 {
		return
	}
	for _, start := range []int{x + 1, x - length} {
		for y, row := range written {
			if start < 0 || start+length > len(row) || slices.Contains(row[max(start-1, 0):start+length], true) {
				continue
			}
			plot.Write(start, y, k.look, k.text)
			for i := range length {
				row[start+i] = true
			}
			return
		}
	}
}

func (g *graph) drawValues(a Area) {
	for y := range a.height {
		a.Set(labelWidth, y, '│', Dim)
	}
	free := a.height // labels ascend, each at least one row above the previous one
	for _, t := range g.values.Ticks {
		y := a.height - 1 - int(math.Round(g.values.Share(t.Value)*float64(a.height-1)))
		if y >= free {
			continue
		}
		free = y
		a.Write(max(labelWidth-Width(t.Label), 0), y, Dim, t.Label)
		a.Set(labelWidth, y, '┤', Dim)
	}
}

// drawTimes draws the time axis with its windows, and labels between them.
func (g *graph) drawTimes(a Area) {
	a.Set(0, 0, '└', Dim)
	a = a.Sub(1, 0, a.width-1, 1)
	a.Fill(0, 0, a.width, '─', Dim)
	for _, at := range g.doubtful {
		if at >= g.from && at <= g.to {
			a.Set(g.column(at.Seconds(), a.width), 0, '!', Warn)
		}
	}
	g.drawWindows(a)
	for _, t := range g.times.Ticks {
		if x := min(g.column(t.Value, a.width), a.width-len(t.Label)); a.free(x-1, len(t.Label)+2) {
			a.Write(x, 0, Dim, t.Label)
		}
	}
}

// free reports whether n columns of the first row contain only the axis.
func (a Area) free(x, n int) bool {
	for i := range n {
		if c := a.at(x+i, 0); c != nil && c.r != '─' && c.r != '!' {
			return false
		}
	}
	return true
}

// drawWindows draws the triggers as bands on the time axis: solid up to now, and shaded
// after it. Their texts are inside or next to the bands, where they cover nothing.
func (g *graph) drawWindows(a Area) {
	now := g.column(g.now.Seconds(), a.width)
	for _, w := range g.windows {
		first, last := g.band(w, a.width)
		for x := first; x <= last; x++ {
			fill := '█'
			if x > now {
				fill = '░'
			}
			a.Set(x, 0, fill, Bad)
		}
	}
	for _, w := range g.windows {
		first, last := g.band(w, a.width)
		length := Width(w.text)
		inside := first + (last-first+1-length)/2
		switch {
		case last < first:
		case inside > first && g.now >= w.from:
			a.Write(inside, 0, BadBadge, w.text)
		case inside > first:
			a.Write(inside, 0, Bad, w.text)
		case last+length < a.width && a.free(last+1, length):
			a.Write(last+1, 0, Bad, w.text)
		case first >= length && a.free(first-length, length):
			a.Write(first-length, 0, Bad, w.text)
		}
	}
}

// band returns the first and the last column of a window; last is below first if the window
// is not visible.
func (g *graph) band(w window, width int) (first, last int) {
	if w.endless {
		w.to = g.to
	}
	if w.to < g.from || w.from > g.to {
		return 0, -1
	}
	return max(g.column(w.from.Seconds(), width), 0), min(g.column(w.to.Seconds(), width), width-1)
}
