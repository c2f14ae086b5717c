package report

import (
	"fmt"

	"github.com/msctl/msctl/internal/load"
)

// messages tells of each message where there are several.
func (w *writer) messages(r *Run) {
	if len(r.Messages) < 2 {
		return
	}
	width := 24
	for _, m := range r.Messages {
		width = min(max(width, len([]rune(m.Name))), 30)
	}
	w.line("")
	w.line("%s%s", w.p.Bold(pad("messages", -width-2)), w.p.Dim(pad("offered", 10)+pad("ok", 9)+pad("attempts", 11)+pad("p50", 9)+pad("p99", 9)))
	for _, m := range r.Messages {
		w.line("  %s%s%s%s%s%s", pad(shorten(m.Name, width), -width), pad(Count(m.Offered), 10), pad(m.ok(), 9), pad(Count(m.Attempts), 11),
			pad(Duration(m.P50), 9), pad(Duration(m.P99), 9))
	}
}

// ok is the share of a message's requests that were answered.
func (m *Message) ok() string {
	if m.Offered == 0 {
		return "-"
	}
	return Percent(float64(m.Outcomes[load.OK.String()]) / float64(m.Offered))
}

// How many ways to fail are listed, and where their texts begin.
const (
	mostErrors  = 12
	errorIndent = 25
)

func (w *writer) errors(r *Run) {
	if len(r.Errors) == 0 {
		return
	}
	w.line("")
	w.line("%s", w.p.Bold("errors"))
	var rest int64
	for i, e := range r.Errors {
		if i >= mostErrors {
			rest += e.Count
			continue
		}
		for j, line := range wrap(e.Text, textWidth-errorIndent) {
			if j > 0 {
				w.line("%s%s", pad("", errorIndent), line)
				continue
			}
			w.line("  %s  %s %s", pad(Count(e.Count), 8), w.p.Bad(pad(e.kind(), -12)), line)
		}
	}
	if rest > 0 {
		w.line("  %s  in %s", pad(Count(rest), 8), countedAs(int64(len(r.Errors)-mostErrors), "other way", "other ways"))
	}
}

// kind is the outcome, with the status of an error: "error 503".
func (e *ErrorCount) kind() string {
	if e.Status > 0 {
		return fmt.Sprintf("%s %d", e.Outcome, e.Status)
	}
	return e.Outcome
}

// triggers tells what was done to the system, what came of it, and the verdict.
func (w *writer) triggers(r *Run) {
	if len(r.Triggers) == 0 {
		return
	}
	w.line("")
	for i := range r.Triggers {
		t := &r.Triggers[i]
		w.wrapped("trigger", t.line(), nil)
		w.wrapped("VERDICT", t.sentence(), w.verdict(t.Verdict))
	}
}

// line describes a trigger by its goodput.
func (t *Trigger) line() string {
	text := fmt.Sprintf("%s at %s: goodput %s before, %s during", t.Text, seconds(t.At), whole(t.Before), whole(t.During))
	if t.Verdict == undecided {
		return text
	}
	return text + fmt.Sprintf(", %s at the end, with %.1f attempts a request", whole(t.After), t.Amplified)
}

// sentence is the verdict in words.
func (t *Trigger) sentence() string {
	if t.Verdict == recovered {
		return fmt.Sprintf("%s %s after `%s`", t.Verdict, seconds(t.Took), t.Text)
	}
	if t.Why == "" {
		return t.Verdict
	}
	return t.Verdict + ": " + t.Why
}

// verdict is the colour of a verdict.
func (w *writer) verdict(word string) func(string) string {
	switch word {
	case recovered:
		return w.p.Good
	case undecided, degraded:
		return w.p.Warn
	case collapsed:
		return w.p.Bad
	}
	return func(text string) string { return text }
}

func (w *writer) thresholds(d *Document) {
	if len(d.Thresholds) == 0 {
		return
	}
	width := 0
	for _, t := range d.Thresholds {
		width = min(max(width, len([]rune(t.Text))), 40)
	}
	w.line("")
	w.line("%s", w.p.Bold("thresholds"))
	for _, t := range d.Thresholds {
		verdict := w.p.Good("kept   ")
		if !t.Kept {
			verdict = w.p.Bad("crossed")
		}
		in := ""
		if t.Run != "" {
			in = w.p.Dim(" in " + t.Run)
		}
		w.line("  %s  %s  measured %s%s", verdict, pad(t.Text, -width), t.Measured, in)
	}
}

func (w *writer) suggestion(d *Document) {
	if d.Suggestion == nil {
		return
	}
	w.line("")
	w.wrapped("suggestion", d.Suggestion.Policy.Text, w.p.Good)
	w.wrapped("", d.Suggestion.Why, nil)
}
