package report

import (
	"fmt"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// messages writes a row for each message if there are several.
func (w writer) messages(r *Run) {
	if len(r.Messages) < 2 {
		return
	}
	width := 24
	for _, m := range r.Messages {
		width = min(max(width, len([]rune(m.Name))), 25)
	}
	w.Line("")
	w.Line("%s%s", w.Bold(format.Pad("messages", -width-2)), w.Dim(format.Pad("offered", 10)+format.Pad("ok", 8)+format.Pad("attempts", 10)+format.Pad("p50", 8)+format.Pad("p99", 8)+format.Pad("p99 all", 9)))
	for i := range r.Messages {
		m := &r.Messages[i]
		w.Line("  %s%s%s%s%s%s%s", format.Pad(format.Shorten(m.Name, width), -width), format.Pad(format.Count(m.Offered), 10), format.Pad(m.ok(), 8),
			format.Pad(format.Count(m.Attempts), 10), format.Pad(m.latency(LatencyOK, "p50"), 8), format.Pad(m.latency(LatencyOK, "p99"), 8), format.Pad(m.latency(LatencyAll, "p99"), 9))
	}
}

// ok returns the share of a message's requests that succeeded.
func (m *Message) ok() string {
	if m.Offered == 0 {
		return "-"
	}
	return format.Percent(m.Share(load.OK))
}

// latency returns a figure of one of the message's distributions.
func (m *Message) latency(name, figure string) string { return figureOf(m.Latency[name], figure) }

// How many kinds of errors are listed, and the column where their texts begin.
const (
	maxErrors   = 12
	errorIndent = 25
)

func (w writer) errors(r *Run) {
	if len(r.Errors) == 0 {
		return
	}
	w.Line("")
	w.Line("%s", w.Bold("errors"))
	var rest int64
	for i, e := range r.Errors {
		if i >= maxErrors {
			rest += e.Count
			continue
		}
		for j, line := range format.Wrap(e.Text, max(w.Width-errorIndent, format.LeastWidth)) {
			if j > 0 {
				w.Line("%s%s", format.Pad("", errorIndent), line)
				continue
			}
			w.Line("  %s  %s %s", format.Pad(format.Count(e.Count), 8), w.Bad(format.Pad(e.kind(), -12)), line)
		}
	}
	if rest > 0 {
		w.Line("  %s  others, of %s", format.Pad(format.Count(rest), 8), format.CountedAs(len(r.Errors)-maxErrors, "kind", "kinds"))
	}
}

// kind returns the outcome, with the status of an error: "error 503".
func (e *ErrorCount) kind() string {
	if e.Status > 0 {
		return fmt.Sprintf("%s %d", e.Outcome, e.Status)
	}
	return e.Outcome
}

// triggers writes each trigger with its effect and its verdict.
func (w writer) triggers(r *Run) {
	if len(r.Triggers) == 0 {
		return
	}
	w.Line("")
	for i := range r.Triggers {
		t := &r.Triggers[i]
		w.Wrapped("trigger", t.line(), nil)
		w.Wrapped("VERDICT", t.sentence(), w.verdict(t.Verdict))
	}
}

// line describes the effect of a trigger: which requests were answered on time, and which
// late.
func (t *Trigger) line() string {
	text := fmt.Sprintf("%s at %s: on time %s before, %s during%s", t.Text, format.Seconds(t.At),
		format.WholePercent(t.Before), format.WholePercent(t.During), lateToo(t.LateDuring))
	if t.Verdict == undecided {
		return text
	}
	return text + fmt.Sprintf(", %s%s at the end, with %.1f attempts per request", format.WholePercent(t.After), lateToo(t.LateAfter), t.Amplified)
}

// lateToo adds the share of the requests that were answered, but late.
func lateToo(share float64) string {
	if share == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s late)", format.WholePercent(share))
}

// sentence returns the verdict with its reason.
func (t *Trigger) sentence() string {
	if t.Verdict == recovered {
		return fmt.Sprintf("%s %s after `%s` ended", t.Verdict, format.Seconds(t.Took), t.Text)
	}
	if t.Why == "" {
		return t.Verdict
	}
	return t.Verdict + ": " + t.Why
}

// verdict returns the color of a verdict.
func (w writer) verdict(word string) func(string) string {
	switch word {
	case recovered:
		return w.Good
	case undecided, degraded:
		return w.Warn
	case collapsed:
		return w.Bad
	}
	return func(text string) string { return text }
}

func (w writer) thresholds(d *Document) {
	if len(d.Thresholds) == 0 {
		return
	}
	width := 0
	for _, t := range d.Thresholds {
		width = min(max(width, len([]rune(t.Text))), 40)
	}
	w.Line("")
	w.Line("%s", w.Bold("thresholds"))
	for _, t := range d.Thresholds {
		verdict := w.Good("met    ")
		if !t.Kept {
			verdict = w.Bad("crossed")
		}
		in := ""
		if t.Run != "" {
			in = w.Dim(" in " + t.Run)
		}
		w.Line("  %s  %s  measured %s%s", verdict, format.Pad(t.Text, -width), t.Measured, in)
	}
}

func (w writer) suggestion(d *Document) {
	s := d.Suggestion
	if s == nil {
		return
	}
	w.Line("")
	if s.Policy == nil {
		w.Wrapped("suggestion", "none: "+s.Why, nil)
		return
	}
	w.Wrapped("suggestion", s.Policy.Text, w.Good)
	w.Wrapped("", s.Why, nil)
}
