package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Text writes the comparison for a person to read, in 80 columns.
func (c *Comparison) Text(to io.Writer, p Palette) error {
	w := &writer{out: bufio.NewWriter(to), p: p}
	w.line("%s%s %s %s", w.label("compare"), c.A.Name, p.Dim("→"), c.B.Name)
	for _, s := range []*Side{&c.A, &c.B} {
		w.wrapped(shorten(s.Name, labelWidth-1), s.String(), p.Dim)
	}
	w.line("")
	w.line("%s%s", w.label("metric"), p.Dim(pad(shorten(c.A.Name, 11), 11)+" "+pad(shorten(c.B.Name, 11), 11)+pad("change", 11)+"   "+c.interval()))
	for i := range c.Metrics {
		w.compared(&c.Metrics[i])
	}
	if r := c.Recovery; r != nil {
		w.line("  %s%s %s%s", pad("recovery", -12), pad(orNone(r.A), 11), pad(orNone(r.B), 11), pad("", 33)+" "+w.judgement(r.Judgement))
	}
	w.line("")
	w.wrapped(strings.ToUpper(string(c.Verdict)), c.sentence(), w.colour(c.Verdict))
	for _, text := range c.Warnings {
		w.wrapped("warning", text, p.Warn)
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// interval is the head of the intervals' column.
func (c *Comparison) interval() string {
	return fmt.Sprintf("%s interval", Percent(c.Confidence))
}

// String describes the side in a line.
func (s *Side) String() string {
	text := fmt.Sprintf("%s, %s", s.Pattern, s.Load)
	if s.Runs > 1 {
		text += fmt.Sprintf(", %d runs", s.Runs)
	}
	text += fmt.Sprintf(": %d of %d s, %s", s.Seconds-s.Busy, s.OfSeconds, counted(s.Requests, "request"))
	if !s.Started.IsZero() {
		text += ", made " + s.Started.Format("2006-01-02 15:04")
	}
	return text
}

func (w *writer) compared(m *Compared) {
	text := "  " + pad(m.Metric, -12) + pad(m.value(m.A), 11) + " " + pad(m.value(m.B), 11)
	if m.Low == 0 && m.High == 0 && m.Change == 0 {
		w.line("%s%s", w.p.Dim(text+pad("", 33)+" "), w.judgement(m.Judgement))
		return
	}
	between := change(m.Scale, m.Low, "+") + " to " + change(m.Scale, m.High, "+")
	w.line("%s%s%s %s", text, pad(change(m.Scale, m.Change, "+"), 11), w.p.Dim("   "+pad(between, -19)), w.judgement(m.Judgement))
}

// value writes a value of the metric.
func (c *Compared) value(v float64) string {
	switch c.Scale {
	case ScaleDuration:
		return Duration(time.Duration(v))
	case ScaleShare:
		return Percent(v)
	}
	return fmt.Sprintf("%.2f", v)
}

// change writes a change by its scale: +15.2 %, or −0.8 pt where it is between
// shares. plus is put before what is not less than 0.
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
		return sign + Count(int64(rounded)) + unit
	}
	return sign + strings.TrimSuffix(text, ".0") + unit
}

// sentence says what the verdict is made of.
func (c *Comparison) sentence() string {
	var parts, unclear []string
	for _, m := range c.Metrics {
		switch {
		case m.Judgement == Unclear:
			unclear = append(unclear, m.Metric)
		case m.Metric == "errors": // goodput has said it
		case m.Judgement == c.Verdict && c.Verdict != Same:
			parts = append(parts, m.sentence())
		}
	}
	if r := c.Recovery; r != nil && r.Judgement == Unclear {
		unclear = append(unclear, "the recovery")
	} else if r != nil && r.Judgement == c.Verdict && c.Verdict != Same {
		parts = append(parts, fmt.Sprintf("%s after the fault, where %s had %s", orNone(r.B), c.A.Name, orNone(r.A)))
	}
	switch {
	case len(parts) > 0:
		return fmt.Sprintf("%s: %s", c.B.Name, strings.Join(parts, "; "))
	case c.Verdict == Same:
		return fmt.Sprintf("no change from %s to %s that is certain and large enough to matter", c.A.Name, c.B.Name)
	}
	return "these runs do not tell whether there is a change of " + together(unclear)
}

// sentence says how the metric has changed, and by how much at least.
func (c *Compared) sentence() string {
	least := min(math.Abs(c.Low), math.Abs(c.High))
	return fmt.Sprintf("%s %s, %s at least", c.Metric, change(c.Scale, c.Change, "+"), change(c.Scale, least, ""))
}

// judgement is a judgement in its colour.
func (w *writer) judgement(j Judgement) string { return w.colour(j)(string(j)) }

func (w *writer) colour(j Judgement) func(string) string {
	switch j {
	case Regressed:
		return w.p.Bad
	case Better:
		return w.p.Good
	case Unclear:
		return w.p.Warn
	}
	return func(text string) string { return text }
}

// Markdown writes the comparison for a pull request.
func (c *Comparison) Markdown(to io.Writer) error {
	m := &markdown{out: bufio.NewWriter(to)}
	badge := map[Judgement]string{Regressed: "❌", Unclear: "⚠️", Same: "✅", Better: "✅"}[c.Verdict]
	m.line("## %s msctl bench compare: %s", badge, c.Verdict)
	m.line("")
	m.line("%s", plain(capital(c.sentence())))
	m.line("")
	m.head("metric", plain(c.A.Name), plain(c.B.Name), "change", c.interval(), "")
	for i := range c.Metrics {
		one := &c.Metrics[i]
		m.row(one.Metric, one.value(one.A), one.value(one.B), change(one.Scale, one.Change, "+"),
			change(one.Scale, one.Low, "+")+" to "+change(one.Scale, one.High, "+"), bold(one.Judgement))
	}
	if r := c.Recovery; r != nil {
		m.row("recovery", orNone(r.A), orNone(r.B), "", "", bold(r.Judgement))
	}
	m.line("")
	for _, text := range c.Warnings {
		m.line("> ⚠️ %s", plain(text))
		m.line("")
	}
	for _, s := range []*Side{&c.A, &c.B} {
		m.line("- **%s**: %s", plain(s.Name), plain(s.String()))
	}
	if err := m.out.Flush(); err != nil {
		return fmt.Errorf("write the Markdown file: %w", err)
	}
	return nil
}

// bold marks the judgements that call for a look.
func bold(j Judgement) string {
	if j == Same {
		return string(j)
	}
	return "**" + string(j) + "**"
}
