package growth

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/chart"
)

// The geometry of a plot, in pixels.
const (
	width, height                    = 720, 360
	left, right, top, bottom float64 = 84, 40, 44, 52
)

// trendSteps is the number of points of the trend's line, which is curved on logarithmic axes.
const trendSteps = 120

// style are the colors, which follow the reader's light or dark scheme. The background is the page's.
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 14px; font-weight: 600; }
.grid { stroke: #24292f; stroke-opacity: .15; }
.cost { stroke: #0969da; stroke-width: 2; fill: none; }
.point { fill: #0969da; }
.trend { stroke: #6e7781; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
.step { stroke: #cf222e; stroke-width: 2; fill: none; }
.step-text { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.grid { stroke: #e6edf3; }
.cost { stroke: #58a6ff; }
.point { fill: #58a6ff; }
.trend { stroke: #8b949e; }
.step { stroke: #ff7b72; }
.step-text { fill: #ff7b72; }
}
</style>
`

// Plot returns the series as an SVG picture with logarithmic axes: the measured cost, the trend as a dashed line, and a circle around each step.
func (s *Series) Plot() string {
	x, y := s.scales()
	at := func(v float64, c time.Duration) (float64, float64) {
		return left + x.Share(v)*(width-left-right), height - bottom - y.Share(float64(c))*(height-top-bottom)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, "<title>CPU per message by %s</title>\n%s", escape(s.Title), style)
	fmt.Fprintf(&b, `<text class="title" x="%g" y="20">CPU per message by %s</text>`+"\n", left, escape(s.Title))
	for _, t := range x.Ticks {
		px, _ := at(t.Value, 1)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %gV%g"/><text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n", px, top, height-bottom, px, height-bottom+18, escape(t.Label))
	}
	for _, t := range y.Ticks {
		_, py := at(1, time.Duration(t.Value))
		fmt.Fprintf(&b, `<path class="grid" d="M%g %.1fH%g"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`+"\n", left, py, width-right, left-8, py+4, escape(t.Label))
	}
	fmt.Fprintf(&b, `<text x="%g" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-12, escape(s.Title))
	fmt.Fprintf(&b, `<text x="%g" y="36" text-anchor="end">dashed: constant + proportional part</text>`+"\n", width-right)
	s.lines(&b, at)
	b.WriteString("</svg>\n")
	return b.String()
}

// scales returns the axes, which include every point and the trend.
func (s *Series) scales() (x, y chart.Scale) {
	lowX, highX, lowY, highY := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, p := range s.Points {
		c, t := float64(p.Cost), float64(s.Trend(p.X))
		lowX, highX, lowY, highY = min(lowX, p.X), max(highX, p.X), min(lowY, c, t), max(highY, c, t)
	}
	return chart.Log(lowX, highX, func(v float64) string { return quantity(v, s.Unit) }),
		chart.Log(lowY/1.2, highY*1.2, func(v float64) string { return cost(time.Duration(v)) })
}

// lines draws the trend, the measured cost, and the steps.
func (s *Series) lines(b *strings.Builder, at func(x float64, c time.Duration) (float64, float64)) {
	first, last := s.Points[0].X, s.Points[len(s.Points)-1].X
	var trend, measured, points strings.Builder
	for i := range trendSteps + 1 {
		x := first * math.Pow(last/first, float64(i)/trendSteps)
		px, py := at(x, s.Trend(x))
		fmt.Fprintf(&trend, " %.1f,%.1f", px, py)
	}
	for i, p := range s.Points {
		px, py := at(p.X, p.Cost)
		fmt.Fprintf(&measured, " %.1f,%.1f", px, py)
		fmt.Fprintf(&points, `<circle class="point" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", px, py)
		if s.Step(i) {
			fmt.Fprintf(&points, `<circle class="step" cx="%.1f" cy="%.1f" r="8"/><text class="step-text" x="%.1f" y="%.1f">step</text>`+"\n", px, py, px+14, py+4)
		}
	}
	fmt.Fprintf(b, `<polyline class="trend" points="%s"/>`+"\n", strings.TrimSpace(trend.String()))
	fmt.Fprintf(b, `<polyline class="cost" points="%s"/>`+"\n%s", strings.TrimSpace(measured.String()), points.String())
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder accepts everything
	return b.String()
}
