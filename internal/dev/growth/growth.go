// Package growth describes how the cost of a message grows with one property of a load or a service: as a table and a plot for
// docs/performance.md. A cost is expected to be the sum of a constant and a part that is proportional to the property. A point that costs
// much more than that is marked as a step, which must be explained.
package growth

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Series is a measured axis.
type Series struct {
	// Name identifies the axis, and is part of the name of its plot's file.
	Name string
	// Title and Unit describe what grows: "connections", or "bytes of data" with the unit "B".
	Title, Unit string
	// Note states what does not grow.
	Note   string
	Points []Point
}

// Point is the cost at one value of the axis.
type Point struct {
	// X is the value of the axis, above 0.
	X float64
	// Cost is the CPU time per message, and Rate the messages per second.
	Cost time.Duration
	Rate float64
}

// stepAbove is how many times the trend's cost a point's must exceed to be a step.
const stepAbove = 1.5

// Step reports whether point i is above the trend.
func (s *Series) Step(i int) bool {
	return float64(s.Points[i].Cost) > stepAbove*float64(s.Trend(s.Points[i].X))
}

// Trend returns the expected cost at a value of the axis. It fits the points best by their relative errors, and neither of its two parts is negative.
func (s *Series) Trend(x float64) time.Duration {
	constant, each := s.fit()
	return time.Duration(constant + each*x)
}

// fit returns the constant part of the trend, and the part for each unit of the axis, in nanoseconds. With weights of 1/cost², the squared errors are relative.
func (s *Series) fit() (constant, each float64) {
	var w, wx, wxx, wy, wxy float64
	for _, p := range s.Points {
		y := float64(max(p.Cost, 1))
		weight := 1 / (y * y)
		w, wx, wxx, wy, wxy = w+weight, wx+weight*p.X, wxx+weight*p.X*p.X, wy+weight*y, wxy+weight*p.X*y
	}
	if d := w*wxx - wx*wx; d > 1e-9*w*wxx {
		constant, each = (wxx*wy-wx*wxy)/d, (w*wxy-wx*wy)/d
	}
	switch {
	case w == 0:
		return 0, 0
	case each <= 0:
		return wy / w, 0
	case constant < 0:
		return 0, wxy / wxx
	}
	return constant, each
}

// Table returns the series as a Markdown table, with its plot. folder is that of the plot, relative to the page.
func (s *Series) Table(folder string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n![CPU per message by %s](%s/%s)\n\n", capital(s.Title), s.Note, s.Title, folder, s.File())
	fmt.Fprintf(&b, "| %s | CPU per message | trend | messages per second | |\n|--:|--:|--:|--:|---|\n", s.Title)
	for i, p := range s.Points {
		mark := ""
		if s.Step(i) {
			mark = fmt.Sprintf("%.1f times the trend", float64(p.Cost)/float64(s.Trend(p.X)))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", quantity(p.X, s.Unit), cost(p.Cost), cost(s.Trend(p.X)), count(p.Rate), mark)
	}
	return b.String()
}

// File returns the name of the plot's file.
func (s *Series) File() string { return "growth-" + s.Name + ".svg" }

// capital returns a title as the beginning of a heading.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// quantity formats a value of an axis: 10,000, or 10 MB with the unit B.
func quantity(x float64, unit string) string {
	if unit == "" {
		return count(x)
	}
	for _, of := range []struct {
		size   float64
		prefix string
	}{{1e6, "M"}, {1e3, "k"}} {
		if x >= of.size {
			return fmt.Sprintf("%.3g %s%s", x/of.size, of.prefix, unit)
		}
	}
	return fmt.Sprintf("%.3g %s", x, unit)
}

// cost formats a duration: 2.5 µs, 40 µs, or 3.1 ms.
func cost(d time.Duration) string {
	n, unit := float64(d)/1e3, "µs"
	if n >= 1000 {
		n, unit = n/1000, "ms"
	}
	if n >= 10 || n == math.Trunc(n) {
		return fmt.Sprintf("%.0f %s", n, unit)
	}
	return fmt.Sprintf("%.1f %s", n, unit)
}

// count formats a number without decimals, in groups of three digits.
func count(n float64) string {
	text := fmt.Sprintf("%.0f", math.Round(n))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// The lines of the page between which the figures are.
const (
	begin = "<!-- growth: written by make bench-growth -->\n"
	end   = "<!-- growth: end -->\n"
)

// Replace returns a page with other text between its marks. It returns an error if the page has no marks.
func Replace(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("the page lacks the line %q or %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}
