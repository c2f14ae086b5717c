package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// Markdown writes the report for a pull request: the verdict, the figures, and the
// thresholds, with the details collapsed.
func (d *Document) Markdown(to io.Writer) error {
	m := markdown{format.NewMarkdown(to)}
	m.Line("## %s msctl bench %s", d.badge(), format.Code(d.Runs[0].Pattern))
	m.Line("")
	m.verdicts(d)
	if len(d.Runs) == 1 && d.Experiment == nil {
		m.figures(&d.Runs[0])
	} else {
		m.cells(d)
	}
	m.thresholds(d)
	if d.Suggestion != nil {
		m.Line("**Suggestion:** %s. %s", format.Code(d.Suggestion.Policy.Text), format.Escape(d.Suggestion.Why))
		m.Line("")
	}
	for i := range d.Runs {
		if len(d.Runs) <= maxDetails {
			m.details(&d.Runs[i])
		}
	}
	m.rerun(d)
	if err := m.Flush(); err != nil {
		return fmt.Errorf("write the Markdown file: %w", err)
	}
	return nil
}

// badge returns one symbol for the document: failed, unclear, or good.
func (d *Document) badge() string {
	switch {
	case len(d.Crossed()) > 0, d.Kind == KindRun && d.Verdict() == collapsed:
		return "❌"
	case d.Kind == KindRun && VerdictRank(d.Verdict()) > VerdictRank(recovered):
		return "⚠️"
	}
	return "✅"
}

// maxDetails is the largest number of runs that are written with details: the length of
// a comment on a pull request is limited.
const maxDetails = 12

// markdown writes the Markdown report of a document.
type markdown struct{ *format.Markdown }

// verdicts writes a sentence for each trigger of a single run.
func (m markdown) verdicts(d *Document) {
	r := &d.Runs[0]
	if len(d.Runs) > 1 {
		m.Line("%s against %s, %s", format.Escape(d.together().Title), format.Code(r.Target), format.Counted(len(d.Runs), "run"))
		m.Line("")
		return
	}
	for i := range r.Triggers {
		t := &r.Triggers[i]
		m.Line("> **%s**%s", t.Verdict, format.Escape(strings.ReplaceAll(strings.TrimPrefix(t.sentence(), t.Verdict), "`", "")))
		m.Line("")
	}
	m.Line("%s, %s against %s with %s", format.Escape(r.Load), format.Counted(r.Connections, "connection"), format.Code(r.Target), format.Code(r.Policy.Text))
	m.Line("")
}

func (m markdown) figures(r *Run) {
	request := r.Latency["request"]
	m.Head("goodput", "offered", "p50", "p99", "max", "amplification", "wasted work")
	wasted := format.Percent(r.Attempts.Wasted)
	if r.Attempts.LateUnknown {
		wasted = "unknown"
	}
	m.Row(format.Percent(r.share("ok")), format.Rate(r.OfferedRate), format.Duration(request.P50), format.Duration(request.P99), format.Duration(request.Max),
		fmt.Sprintf("%.2f", r.Attempts.Amplification), wasted)
	m.Line("")
}

// cells writes the table of several runs.
func (m markdown) cells(d *Document) {
	e := d.together()
	var head []string
	for _, a := range e.Axes {
		head = append(head, format.Escape(a.Name))
	}
	m.Head(append(head, "goodput", "p99", "amplification", "wasted work", "verdict")...)
	for i := range e.Cells {
		c := &e.Cells[i]
		var cells []string
		for _, v := range c.Values {
			cells = append(cells, format.Code(v))
		}
		if i == e.Best && len(cells) > 0 {
			cells[0] = "★ " + cells[0]
		}
		m.Row(append(cells, format.Percent(c.Goodput), format.Duration(c.P99), fmt.Sprintf("%.2f", c.Amplification), format.Percent(c.Wasted), c.outcome())...)
	}
	m.Line("")
	if e.Why != "" {
		m.Line("**Best:** %s", format.Escape(e.Why))
		m.Line("")
	}
}

func (m markdown) thresholds(d *Document) {
	if len(d.Thresholds) == 0 {
		return
	}
	m.Head("threshold", "measured", "")
	for _, t := range d.Thresholds {
		sign, measured := "✅ met", format.Escape(t.Measured)
		if !t.Kept {
			sign = "❌ crossed"
		}
		if t.Run != "" {
			measured += " in " + format.Code(t.Run)
		}
		m.Row(format.Code(t.Text), measured, sign)
	}
	m.Line("")
}

// details writes a run's outcomes, latencies, and errors, collapsed.
func (m markdown) details(r *Run) {
	name := "Outcomes, latencies, and errors"
	if r.Name != "" {
		name += " of " + r.Name
	}
	m.Line("<details><summary>%s</summary>", format.Escape(name))
	m.Line("")
	m.Head("outcome", "count", "share")
	for _, o := range load.Outcomes() {
		m.Row(o.String(), format.Count(r.Outcomes[o.String()]), format.Percent(r.share(o.String())))
	}
	m.Line("")
	m.Head("latency", "min", "mean", "p50", "p90", "p99", "p99.9", "max")
	for _, name := range []string{"request", "attempt", "late_by"} {
		if l := r.Latency[name]; l.Count > 0 {
			m.Row(strings.ReplaceAll(name, "_", " "), format.Duration(l.Min), format.Duration(l.Mean), format.Duration(l.P50), format.Duration(l.P90), format.Duration(l.P99), format.Duration(l.P999), format.Duration(l.Max))
		}
	}
	m.Line("")
	for i, e := range r.Errors {
		if i == 0 {
			m.Head("error", "count", "text")
		}
		m.Row(format.Escape(e.kind()), format.Count(e.Count), format.Code(e.Text))
	}
	m.Line("")
	attempts := attemptLines(r)
	attempts[0] = "attempts: " + attempts[0]
	for _, line := range append(attempts, "wasted work: "+wastedLine(&r.Attempts), doubtfulLine(r), stoppedLine(r)) {
		if line != "" {
			m.Line("- %s", format.Escape(line))
		}
	}
	m.Line("")
	m.Line("</details>")
	m.Line("")
}

// rerun writes the command and the machine.
func (m markdown) rerun(d *Document) {
	m.Line("<details><summary>Rerun</summary>")
	m.Line("")
	m.CodeBlock("sh", d.Command)
	m.Line("")
	m.Line("%s on %s, %s", format.Escape(d.Tool), format.Escape(d.Machine.String()), format.Escape(d.Machine.Go))
	m.Line("")
	m.Line("</details>")
}
