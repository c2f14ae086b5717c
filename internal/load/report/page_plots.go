package report

import (
	"math"
	"time"

	"github.com/msctl/msctl/internal/load/chart"
	"github.com/msctl/msctl/internal/load/format"
)

// plot is a chart, as data of the template.
type plot struct {
	Title, Note, Class string
	Legend             []legend
	X, Y               []chart.Tick
	Shapes             []shape
	Bands              []span // triggers
	Marks              []span // live changes
	Doubts             []span // doubtful seconds
	Time               bool   // the X axis is time
}

type legend struct{ Class, Label string }

// shape is an SVG path: an area, a line, or boxes.
type shape struct{ Class, Kind, Path string }

// span is a range on the X axis, in percent. Flip puts its label on the left, because
// there is no room on the right.
type span struct {
	Left, Width float64
	Label       string
	Flip        bool
}

// one is a line of a chart.
type one[V any] struct {
	class, label string
	of           func(*Second) V
}

// series returns the outcomes in the order in which they are stacked.
func series() []one[int64] {
	return []one[int64]{
		{"ok", "ok", func(s *Second) int64 { return s.OK }},
		{"error", "error", func(s *Second) int64 { return s.Error }},
		{"timeout", "timeout", func(s *Second) int64 { return s.Timeout }},
		{"lost", "unreachable or reset", func(s *Second) int64 { return s.Lost }},
		{"shed", "shed", func(s *Second) int64 { return s.Shed }},
	}
}

// quantiles returns the lines of the latency chart.
func quantiles() []one[time.Duration] {
	return []one[time.Duration]{
		{"all", "p99 of all", func(s *Second) time.Duration { return s.AllLatency.P99 }},
		{"max", "max", func(s *Second) time.Duration { return s.OKLatency.Max }},
		{"p99", "p99", func(s *Second) time.Duration { return s.OKLatency.P99 }},
		{"p90", "p90", func(s *Second) time.Duration { return s.OKLatency.P90 }},
		{"p50", "p50", func(s *Second) time.Duration { return s.OKLatency.P50 }},
	}
}

// timeline is what the charts of a run over time have in common.
type timeline struct {
	run     *Run
	columns []column
	x       chart.Scale
	total   time.Duration
}

// timeTicks is the largest number of steps on the time axis.
const timeTicks = 8

func newTimeline(r *Run, columns []column) *timeline {
	t := &timeline{run: r, columns: columns}
	if n := len(columns); n > 0 {
		t.total = columns[n-1].At + columns[n-1].Length
	}
	t.x = chart.Time(0, t.total, timeTicks)
	return t
}

func timePlots(r *Run, columns []column) []plot {
	if len(columns) == 0 {
		return nil
	}
	t := newTimeline(r, columns)
	return []plot{t.rates(), t.outcomes(), t.latency(), t.inFlight()}
}

// plot returns a chart with triggers, changes, and doubtful seconds.
func (t *timeline) plot(title, note string) plot {
	p := plot{Title: title, Note: note, X: t.x.Ticks, Time: true}
	for i := range t.run.Triggers {
		g := &t.run.Triggers[i]
		left := t.x.At(g.At.Seconds())
		p.Bands = append(p.Bands, span{Left: left, Width: t.x.At(g.end(t.run).Seconds()) - left, Label: g.Text, Flip: left > 75})
	}
	for _, c := range t.run.Changes {
		left := t.x.At(c.At.Seconds())
		if !t.trigger(c) {
			p.Marks = append(p.Marks, span{Left: left, Label: c.Text, Flip: left > 75})
		}
	}
	for i := range t.columns {
		c := &t.columns[i]
		if c.Doubtful {
			left := t.x.At(c.At.Seconds())
			p.Doubts = append(p.Doubts, span{Left: left, Width: t.x.At((c.At + c.Length).Seconds()) - left})
		}
	}
	return p
}

// trigger reports whether a change is the start of a trigger, which has a band.
func (t *timeline) trigger(c Change) bool {
	for _, g := range t.run.Triggers {
		if g.At == c.At && g.Text == c.Text {
			return true
		}
	}
	return false
}

// points returns the values of all columns on a chart. The first and the last value
// extend to the ends.
func (t *timeline) points(y chart.Scale, value func(*column) float64) []chart.Point {
	points := make([]chart.Point, 0, len(t.columns)+2)
	for i := range t.columns {
		c := &t.columns[i]
		at := chart.Point{X: t.x.At(c.middle()), Y: y.At(value(c))}
		if i == 0 {
			points = append(points, chart.Point{X: t.x.At(c.At.Seconds()), Y: at.Y})
		}
		points = append(points, at)
		if i == len(t.columns)-1 {
			points = append(points, chart.Point{X: t.x.At((c.At + c.Length).Seconds()), Y: at.Y})
		}
	}
	return points
}

// highest returns the highest value of all columns.
func (t *timeline) highest(values ...func(*column) float64) (most float64) {
	for i := range t.columns {
		for _, v := range values {
			most = max(most, v(&t.columns[i]))
		}
	}
	return most
}

func offeredRate(c *column) float64 { return c.rate(c.Offered) }
func attemptRate(c *column) float64 { return c.rate(c.Attempts) }
func goodputRate(c *column) float64 { return c.rate(c.OK) }
func failedRate(c *column) float64  { return c.rate(c.failed()) }
func flight(c *column) float64      { return float64(c.InFlight) }
func perSecond(v float64) string    { return format.Rate(v) }
func wholeNumber(v float64) string  { return format.Count(int64(v)) }
func logDuration(v float64) string  { return time.Duration(math.Round(v)).String() }

// rates returns the chart of requests, attempts, and goodput.
func (t *timeline) rates() plot {
	p := t.plot("Throughput", "requests and attempts per second")
	y := chart.Linear(t.highest(offeredRate, attemptRate, goodputRate, failedRate), 4, perSecond)
	p.throughput(t, y)
	if t.highest(failedRate) > 0 {
		p.line("failed", "failed", t.points(y, failedRate))
	}
	return p
}

// throughput adds goodput, offered requests, and attempts.
func (p *plot) throughput(t *timeline, y chart.Scale) {
	p.Y = y.Ticks
	p.area("ok", "goodput", t.points(y, goodputRate))
	p.line("offered", "offered", t.points(y, offeredRate))
	p.line("attempts", "attempts", t.points(y, attemptRate))
}

// outcomes returns the stacked chart of outcomes.
func (t *timeline) outcomes() plot {
	p := t.plot("Outcomes", "requests that ended, per second")
	all := func(c *column) float64 { return c.rate(c.OK + c.failed() + c.Shed) }
	y := chart.Linear(t.highest(all), 4, perSecond)
	p.Y = y.Ticks
	below := make([]float64, len(t.columns))
	for _, o := range series() {
		var boxes []chart.Box
		for i := range t.columns {
			c := &t.columns[i]
			v := c.rate(o.of(&c.Second))
			left, right := t.x.At(c.At.Seconds()), t.x.At((c.At + c.Length).Seconds())
			gap := (right - left) * 0.08
			boxes = append(boxes, chart.Box{Left: left + gap/2, Low: y.At(below[i]), Width: right - left - gap, Height: y.At(below[i]+v) - y.At(below[i])})
			below[i] += v
		}
		if path := chart.Boxes(boxes); path != "" {
			p.add(o.class, o.label, "boxes", path)
		}
	}
	return p
}

// latency returns the chart of the latencies: quantiles of the ok requests on top of the
// distribution of all requests in each second.
func (t *timeline) latency() plot {
	p := t.plot("Latency", "of ok requests, from the intended start, at the time when they ended; the shading is the distribution of all requests")
	least, most := math.Inf(1), 0.0
	for i := range t.columns {
		c := &t.columns[i]
		if c.AllLatency.Max == 0 {
			continue
		}
		low := float64(max(c.AllLatency.P50, 1))
		if all := c.allLatencies(); len(all) > 0 {
			low = min(low, float64(max(all[0][0], 1)))
		}
		least, most = min(least, low), max(most, float64(c.AllLatency.Max))
	}
	if most == 0 {
		least, most = float64(time.Millisecond), float64(time.Second)
	}
	y := chart.Log(least, most, logDuration)
	p.Y = y.Ticks
	t.shading(&p, y)
	for _, q := range quantiles() {
		if q.class == "all" && t.run.Latency[LatencyAll].Count == t.run.Latency[LatencyOK].Count {
			continue // it would hide the other line
		}
		p.line(q.class, q.label, t.points(y, func(c *column) float64 {
			if d := q.of(&c.Second); d > 0 {
				return float64(d)
			}
			return math.NaN()
		}))
	}
	return p
}

// The resolution of the latency chart's shading.
const (
	shadeRows   = 36
	shadeLevels = 5
)

// shading adds the distribution of each column, in levels.
func (t *timeline) shading(p *plot, y chart.Scale) {
	levels := make([][]chart.Box, shadeLevels)
	for i := range t.columns {
		c := &t.columns[i]
		var rows [shadeRows]int64
		var all int64
		for _, b := range c.allLatencies() {
			rows[min(int(y.At(float64(b[0]))/100*shadeRows), shadeRows-1)] += b[1]
			all += b[1]
		}
		left, right := t.x.At(c.At.Seconds()), t.x.At((c.At + c.Length).Seconds())
		for row, n := range rows {
			if n == 0 {
				continue
			}
			level := min(int(math.Sqrt(float64(n)/float64(all))*shadeLevels), shadeLevels-1)
			levels[level] = append(levels[level], chart.Box{Left: left, Low: float64(row) * 100 / shadeRows, Width: right - left, Height: 100.0 / shadeRows})
		}
	}
	for level, boxes := range levels {
		if path := chart.Boxes(boxes); path != "" {
			p.Shapes = append(p.Shapes, shape{"shade" + string(rune('1'+level)), "boxes", path})
		}
	}
}

// inFlight returns the chart of the requests in flight.
func (t *timeline) inFlight() plot {
	p := t.plot("In flight", "requests without an outcome at the end of each second")
	p.Class = "low"
	y := chart.Linear(max(t.highest(flight), 3), 3, wholeNumber)
	p.Y = y.Ticks
	p.area("flight", "in flight", t.points(y, flight))
	return p
}

// add adds a shape and its entry in the legend.
func (p *plot) add(class, label, kind, path string) {
	p.Shapes = append(p.Shapes, shape{class, kind, path})
	p.Legend = append(p.Legend, legend{class, label})
}

func (p *plot) line(class, label string, points []chart.Point) {
	p.add(class, label, "line", chart.Line(points))
}

// area adds a line with the area below it filled.
func (p *plot) area(class, label string, points []chart.Point) {
	p.Shapes = append(p.Shapes, shape{class, "area", chart.Area(points)})
	p.add(class, label, "line", chart.Line(points))
}

// quantileSteps is the number of points of a distribution.
const quantileSteps = 240

// quantilePlot returns the chart of the latency distributions by quantile. It omits
// invalid histograms, which Load does not accept.
func quantilePlot(r *Run) plot {
	p := plot{Title: "Latency distribution", Note: "latency by percentile; each additional nine has the same width"}
	var lines []one[time.Duration]
	least, most, count := math.Inf(1), 0.0, int64(0)
	for _, row := range latencyRows(r) {
		if row.Count > 0 && row.name != LatencyLag {
			lines = append(lines, one[time.Duration]{class: row.name, label: row.label})
			least, most, count = min(least, float64(max(row.Min, 1))), max(most, float64(row.Max)), max(count, row.Count)
		}
	}
	if len(lines) == 0 {
		return plot{}
	}
	x, y := chart.Nines(count), chart.Log(least, most, logDuration)
	p.X, p.Y = x.Ticks, y.Ticks
	for _, line := range lines {
		if path := quantilePath(r.Latency[line.class], x, y, count); path != "" {
			p.add("latency-"+line.class, line.label, "line", path)
		}
	}
	return p
}

// quantilePath returns the line of one distribution, up to the quantile of its longest
// value.
func quantilePath(l Latency, x, y chart.Scale, count int64) string {
	h, err := l.histogram()
	if err != nil {
		return ""
	}
	var percentiles []float64
	for i := range quantileSteps + 1 {
		q := chart.Quantile(float64(i)*100/quantileSteps, count)
		percentiles = append(percentiles, q*100)
		if 1-q <= 1/float64(l.Count) {
			break // beyond the longest value
		}
	}
	var points []chart.Point
	for i, v := range h.ValueAtPercentilesSlice(percentiles) {
		points = append(points, chart.Point{X: x.At(percentiles[i] / 100), Y: y.At(min(max(float64(v), float64(l.Min)), float64(l.Max)))})
	}
	return chart.Line(points)
}
