package compare

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// writer writes the text report of a comparison.
type writer struct{ *format.Writer }

// Text writes the comparison as plain text, wrapped at a number of columns.
func (c *Comparison) Text(to io.Writer, p format.Palette, width int) error {
	w := writer{format.NewWriter(to, p, width)}
	w.Line("%s%s %s %s", w.Label("compare"), c.A.Name, p.Dim("→"), c.B.Name)
	for _, s := range []*Side{&c.A, &c.B} {
		w.Wrapped(format.Shorten(s.Name, format.LabelWidth-1), s.String(), p.Dim)
	}
	w.Line("")
	w.Line("%s%s", w.Label("metric"), p.Dim(format.Pad(format.Shorten(c.A.Name, 11), 11)+" "+format.Pad(format.Shorten(c.B.Name, 11), 11)+format.Pad("change", 11)+"   "+c.interval()))
	for i := range c.Metrics {
		w.compared(&c.Metrics[i])
	}
	if r := c.Recovery; r != nil {
		w.Line("  %s%s %s%s", format.Pad("recovery", -12), format.Pad(orNone(r.A), 11), format.Pad(orNone(r.B), 11), format.Pad("", 33)+" "+w.judgment(r.Judgment))
	}
	w.Line("")
	w.Wrapped(strings.ToUpper(string(c.Verdict)), c.sentence(), w.color(c.Verdict))
	for _, text := range c.Warnings {
		w.Wrapped("warning", text, p.Warn)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// interval returns the header of the column of intervals.
func (c *Comparison) interval() string {
	return fmt.Sprintf("%s interval", format.Percent(c.Confidence))
}

// String describes the side in one line.
func (s *Side) String() string {
	text := fmt.Sprintf("%s, %s", s.Pattern, s.Load)
	if s.Runs > 1 {
		text += fmt.Sprintf(", %d runs", s.Runs)
	}
	text += fmt.Sprintf(": %d of %d s, %s", s.Seconds-s.Busy, s.OfSeconds, format.Counted(s.Requests, "request"))
	if !s.Started.IsZero() {
		text += ", " + format.Time(s.Started)
	}
	return text
}

func (w writer) compared(m *Compared) {
	text := "  " + format.Pad(m.Metric, -12) + format.Pad(m.value(m.A), 11) + " " + format.Pad(m.value(m.B), 11)
	if m.Low == 0 && m.High == 0 && m.Change == 0 {
		w.Line("%s%s", w.Dim(text+format.Pad("", 33)+" "), w.judgment(m.Judgment))
		return
	}
	between := change(m.Scale, m.Low, "+") + " to " + change(m.Scale, m.High, "+")
	w.Line("%s%s%s %s", text, format.Pad(change(m.Scale, m.Change, "+"), 11), w.Dim("   "+format.Pad(between, -19)), w.judgment(m.Judgment))
}

// value formats a value of the metric.
func (c *Compared) value(v float64) string {
	switch c.Scale {
	case ScaleDuration:
		if v == 0 {
			return "-" // nothing succeeded
		}
		return format.Duration(time.Duration(v))
	case ScaleShare:
		return format.Percent(v)
	}
	return fmt.Sprintf("%.2f", v)
}

// change formats a change on its scale: +15.2%, or −0.8pt between shares. plus is the
// sign of a change that is not negative.
func change(s Scale, v float64, plus string) string {
	sign, unit := plus, "%"
	if s == ScaleShare {
		unit = "pt"
	}
	rounded := math.Round(math.Abs(v)*1000) / 10
	switch {
	case rounded == 0:
		sign = ""
	case v < 0:
		sign = "−"
	}
	text := fmt.Sprintf("%.1f", rounded)
	if rounded >= 1000 {
		return sign + format.Count(int64(rounded)) + unit
	}
	return sign + strings.TrimSuffix(text, ".0") + unit
}

// sentence returns the reason for the verdict.
func (c *Comparison) sentence() string {
	var parts, unclear []string
	for _, m := range c.Metrics {
		switch {
		case m.Metric == "errors", m.Metric == allP99 && c.judged("p99", m.Judgment): // another one shows the same change
		case m.Judgment == Unclear:
			unclear = append(unclear, m.Metric)
		case m.Judgment == c.Verdict && c.Verdict != Same:
			parts = append(parts, m.sentence())
		}
	}
	if r := c.Recovery; r != nil && r.Judgment == Unclear {
		unclear = append(unclear, "recovery")
	} else if r != nil && r.Judgment == c.Verdict && c.Verdict != Same {
		parts = append(parts, fmt.Sprintf("%s after the fault, compared with %s in %s", orNone(r.B), orNone(r.A), c.A.Name))
	}
	switch {
	case len(parts) > 0:
		return fmt.Sprintf("%s: %s", c.B.Name, strings.Join(parts, "; "))
	case c.Verdict == Same:
		return fmt.Sprintf("no change from %s to %s is both certain and large enough to matter", c.A.Name, c.B.Name)
	}
	return "these runs do not show whether " + together(unclear) + " changed"
}

// judged reports whether a metric has a judgment.
func (c *Comparison) judged(metric string, j Judgment) bool {
	return slices.ContainsFunc(c.Metrics, func(m Compared) bool { return m.Metric == metric && m.Judgment == j })
}

// sentence states how the metric has changed, and by how much at least.
func (c *Compared) sentence() string {
	least := min(math.Abs(c.Low), math.Abs(c.High))
	return fmt.Sprintf("%s %s, at least %s", c.Metric, change(c.Scale, c.Change, "+"), change(c.Scale, least, ""))
}

// judgment returns a judgment in its color.
func (w writer) judgment(j Judgment) string { return w.color(j)(string(j)) }

func (w writer) color(j Judgment) func(string) string {
	switch j {
	case Regressed:
		return w.Bad
	case Better:
		return w.Good
	case Unclear:
		return w.Warn
	}
	return func(text string) string { return text }
}

// Markdown writes the comparison for a pull request.
func (c *Comparison) Markdown(to io.Writer) error {
	m := format.NewMarkdown(to)
	badge := map[Judgment]string{Regressed: "❌", Unclear: "⚠️", Same: "✅", Better: "✅"}[c.Verdict]
	m.Line("## %s msctl bench compare: %s", badge, c.Verdict)
	m.Line("")
	m.Line("%s", format.Escape(format.Sentence(c.sentence())))
	m.Line("")
	m.Head("metric", format.Escape(c.A.Name), format.Escape(c.B.Name), "change", c.interval(), "")
	for i := range c.Metrics {
		one := &c.Metrics[i]
		m.Row(one.Metric, one.value(one.A), one.value(one.B), change(one.Scale, one.Change, "+"),
			change(one.Scale, one.Low, "+")+" to "+change(one.Scale, one.High, "+"), bold(one.Judgment))
	}
	if r := c.Recovery; r != nil {
		m.Row("recovery", orNone(r.A), orNone(r.B), "", "", bold(r.Judgment))
	}
	m.Line("")
	for _, text := range c.Warnings {
		m.Line("> ⚠️ %s", format.Escape(text))
		m.Line("")
	}
	for _, s := range []*Side{&c.A, &c.B} {
		m.Line("- **%s**: %s", format.Escape(s.Name), format.Escape(s.String()))
	}
	if err := m.Flush(); err != nil {
		return fmt.Errorf("write the Markdown file: %w", err)
	}
	return nil
}

// bold emphasizes the judgments that need attention.
func bold(j Judgment) string {
	if j == Same {
		return string(j)
	}
	return "**" + string(j) + "**"
}
