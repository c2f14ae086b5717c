package tui

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/NimbleMarkets/ntcharts/canvas"
	"github.com/NimbleMarkets/ntcharts/canvas/graph"
	"github.com/charmbracelet/lipgloss"
)

// chart draws lines over time with braille dots. It keeps nothing: each frame
// is a new one, made from points its owner keeps.
type chart struct {
	width, height int
	from, to      time.Duration // the time axis
	axis          axis
	lines         []line // later ones are drawn over earlier ones
	marks         []mark
	dim           lipgloss.Style // axes and labels
}

// line is one line of a chart; a NaN interrupts it.
type line struct {
	points []canvas.Float64Point // seconds since the start, and the value
	style  lipgloss.Style
	gap    int // dots left out after each: 0 is solid, so that lines differ without colours
}

// mark is a moment on the time axis.
type mark struct {
	at    time.Duration
	text  string
	style lipgloss.Style
}

// axis is the value axis of a chart.
type axis struct {
	least, most float64
	labels      []label // at values
	log         bool
}

type label struct {
	at   float64
	text string
}

// scaled is where a value is on the axis.
func (a axis) scaled(v float64) float64 {
	if a.log {
		v, least, most := math.Log10(max(v, a.least)), math.Log10(a.least), math.Log10(a.most)
		return (min(v, most) - least) / (most - least)
	}
	return (min(max(v, a.least), a.most) - a.least) / (a.most - a.least)
}

// linear is an axis from 0 to a round number at or above most.
func linear(most float64) axis {
	step := niceStep(most / 4)
	a := axis{most: step}
	for a.most < most {
		a.most += step
	}
	for v := 0.0; v <= a.most*1.001; v += step {
		a.labels = append(a.labels, label{v, short(v)})
	}
	return a
}

// niceStep is the round number at or above v: 1, 2 or 5 and zeros.
func niceStep(v float64) float64 {
	if !(v > 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*power*1.0001 {
			return n * power
		}
	}
	return 10 * power
}

// short writes a number in at most five characters.
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

// decades is a logarithmic axis over durations in seconds that holds least and
// most, between round numbers, and names the powers of ten.
func decades(least, most float64) axis {
	least = max(least, 1e-6)
	a := axis{least: niceStep(least), most: niceStep(max(most, least)), log: true}
	if a.least > least {
		a.least = niceStep(a.least / 2.2)
	}
	if a.most < 10*a.least {
		a.most = 10 * a.least
	}
	for e := math.Ceil(math.Log10(a.least) - 1e-9); e <= math.Log10(a.most)+1e-9; e++ {
		v := math.Pow(10, e)
		a.labels = append(a.labels, label{v, decade(v)})
	}
	return a
}

func decade(seconds float64) string {
	switch {
	case seconds < 0.99e-3:
		return strconv.FormatFloat(seconds*1e6, 'f', 0, 64) + "µs"
	case seconds < 0.99:
		return strconv.FormatFloat(seconds*1e3, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(seconds, 'f', 0, 64) + "s"
}

// labelWidth is the room for the value axis' labels.
const labelWidth = 5

// view draws the chart: the plot, the time axis below it, and labels.
func (c *chart) view() string {
	left := labelWidth + 1
	plotWidth, plotHeight := c.width-left, c.height-1
	if plotWidth < 4 || plotHeight < 2 {
		return strings.Repeat("\n", max(c.height-1, 0))
	}
	m := canvas.New(c.width, c.height)
	for _, l := range c.lines {
		c.draw(&m, l, left, plotWidth, plotHeight)
	}
	c.drawMarks(&m, left, plotWidth, plotHeight)
	c.drawValues(&m, plotHeight)
	c.drawTimes(&m, left, plotWidth, plotHeight)
	return m.View()
}

func (c *chart) draw(m *canvas.Model, l line, left, width, height int) {
	grid := graph.NewBrailleGrid(width, height, c.from.Seconds(), c.to.Seconds(), 0, 1)
	var last canvas.Point
	have, count := false, 0
	for _, p := range l.points {
		if math.IsNaN(p.Y) || p.X < c.from.Seconds() || p.X > c.to.Seconds() {
			have = false
			continue
		}
		at := grid.GridPoint(canvas.Float64Point{X: p.X, Y: c.axis.scaled(p.Y)})
		dots := []canvas.Point{at}
		if have {
			dots = graph.GetLinePoints(last, at)[1:]
		}
		for _, dot := range dots {
			if count%(l.gap+1) == 0 {
				grid.Set(dot)
			}
			count++
		}
		last, have = at, true
	}
	graph.DrawBraillePatterns(m, canvas.Point{X: left, Y: 0}, grid.BraillePatterns(), l.style)
}

// drawMarks draws a line down from each mark where no other line is, with its
// text beside it, in the highest row where that covers no other text.
func (c *chart) drawMarks(m *canvas.Model, left, width, height int) {
	written := make([][]bool, height)
	for y := range written {
		written[y] = make([]bool, left+width)
	}
	for _, k := range c.marks {
		if k.at < c.from || k.at > c.to {
			continue
		}
		x := left + int(float64(width-1)*(k.at-c.from).Seconds()/(c.to-c.from).Seconds())
		for y := range height {
			if m.Cell(canvas.Point{X: x, Y: y}).Rune == 0 {
				m.SetRuneWithStyle(canvas.Point{X: x, Y: y}, '┊', k.style)
			}
		}
		c.writeMark(m, k, x, written)
	}
}

// mostMarkRows is how many rows the texts of marks may take.
const mostMarkRows = 4

// writeMark writes a mark's text to the right of its column, or to the left
// where there is no room; it is left out where neither is free.
func (c *chart) writeMark(m *canvas.Model, k mark, x int, written [][]bool) {
	length := utf8.RuneCountInString(k.text)
	for _, start := range []int{x + 1, x - length} {
		for y := range min(len(written), mostMarkRows) {
			row := written[y]
			if length == 0 || start <= labelWidth || start+length > len(row) || slices.Contains(row[start-1:start+length], true) {
				continue
			}
			m.SetStringWithStyle(canvas.Point{X: start, Y: y}, k.text, k.style)
			for i := start; i < start+length; i++ {
				row[i] = true
			}
			return
		}
	}
}

func (c *chart) drawValues(m *canvas.Model, height int) {
	for y := range height {
		m.SetRuneWithStyle(canvas.Point{X: labelWidth, Y: y}, '│', c.dim)
	}
	free := height // labels go up, each at least a row above the last
	for _, l := range c.axis.labels {
		y := height - 1 - int(math.Round(c.axis.scaled(l.at)*float64(height-1)))
		if y >= free {
			continue
		}
		free = y
		text := l.text
		m.SetStringWithStyle(canvas.Point{X: max(labelWidth-utf8.RuneCountInString(text), 0), Y: y}, text, c.dim)
		m.SetRuneWithStyle(canvas.Point{X: labelWidth, Y: y}, '┤', c.dim)
	}
}

// drawTimes draws the time axis with a label every few columns.
func (c *chart) drawTimes(m *canvas.Model, left, width, height int) {
	m.SetStringWithStyle(canvas.Point{X: labelWidth, Y: height}, "└"+strings.Repeat("─", width), c.dim)
	span := (c.to - c.from).Seconds()
	step := timeStep(span * 9 / float64(width))
	for t := math.Ceil(c.from.Seconds()/step) * step; t <= c.to.Seconds()+1e-9; t += step {
		x := left + int(float64(width-1)*(t-c.from.Seconds())/span)
		text := clock(t)
		start := min(x, left+width-len(text))
		m.SetStringWithStyle(canvas.Point{X: start, Y: height}, text, c.dim)
	}
}

// timeStep is the round number of seconds at or above v.
func timeStep(v float64) float64 {
	for _, n := range []float64{0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		if v <= n {
			return n
		}
	}
	return 7200
}

// clock writes seconds as 2s, 90s, 2m, 1m30s.
func clock(seconds float64) string {
	d := time.Duration(seconds*10) * (time.Second / 10)
	if d < 2*time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'g', 4, 64) + "s"
	}
	return strings.TrimSuffix(d.String(), "0s")
}
