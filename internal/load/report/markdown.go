package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// Markdown writes the report for a pull request: the verdict, the figures, and the
// thresholds, with the details collapsed.
func (d *Document) Markdown(to io.Writer) error {
	m := markdown{format.NewMarkdown(to)}
	m.Line("## %s msctl bench %s", d.badge(), format.Code(d.title()))
	m.Line("")
	m.verdicts(d)
	if len(d.Runs) == 1 && d.Experiment == nil {
		m.figures(&d.Runs[0])
	} else {
		m.cells(d)
	}
	m.thresholds(d)
	m.suggestion(d.Suggestion)
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

// suggestion writes the suggested policy, or why there is none.
func (m markdown) suggestion(s *Suggestion) {
	switch {
	case s == nil:
		return
	case s.Policy == nil:
		m.Line("**Suggestion:** none: %s.", format.Escape(s.Why))
	default:
		m.Line("**Suggestion:** %s. %s", format.Code(s.Policy.Text), format.Escape(s.Why))
	}
	m.Line("")
}

// badge returns one symbol for the document: failed, unclear, or good.
func (d *Document) badge() string {
	switch {
	case len(d.Crossed()) > 0, d.FailedRun() != nil, d.Kind == KindRun && d.Verdict() == collapsed:
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
		m.Line("%s against %s: %s", format.Escape(d.together().Title), format.Code(d.target()), format.Escape(d.loads()))
		m.Line("")
		for _, note := range d.loadNotes() {
			m.Line("> **%s** %s", note.Label, format.Escape(note.Text))
			m.Line("")
		}
		return
	}
	if r.Failed() {
		m.Line("> **FAILED** %s", failedLine)
		m.Line("")
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
	ok, all := r.Latency[LatencyOK], r.Latency[LatencyAll]
	m.Head("goodput", "per second", "offered", "p50", "p99", "max", "p99 of all", "amplification", "wasted work")
	wasted := format.Percent(r.Attempts.Wasted)
	if r.Attempts.LateUnknown {
		wasted = "unknown"
	}
	m.Row(format.Percent(r.Share(load.OK)), format.Rate(r.Goodput), format.Rate(r.OfferedRate), figureOf(ok, "p50"), figureOf(ok, "p99"), figureOf(ok, "max"),
		figureOf(all, "p99"), fmt.Sprintf("%.2f", r.Attempts.Amplification), wasted)
	m.Line("")
	if text := backlogLine(r); text != "" {
		m.Line("**Backlog:** %s", format.Escape(text))
		m.Line("")
	}
}

// cells writes the table of several runs.
func (m markdown) cells(d *Document) {
	e := d.together()
	var head []string
	for _, a := range e.Axes {
		head = append(head, format.Escape(a.Name))
	}
	m.Head(append(head, "goodput", "per second", "p99", "p99 of all", "amplification", "wasted work", "verdict")...)
	for i := range e.Cells {
		c := &e.Cells[i]
		var cells []string
		for _, v := range c.Values {
			cells = append(cells, format.Code(v))
		}
		if i == e.Best && len(cells) > 0 {
			cells[0] = "★ " + cells[0]
		}
		m.Row(append(cells, format.Percent(c.Goodput), format.Rate(c.GoodputRate), c.p99(), c.allP99(), fmt.Sprintf("%.2f", c.Amplification), format.Percent(c.Wasted), c.outcome())...)
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
		m.Row(o.String(), format.Count(r.Outcomes[o.String()]), format.Percent(r.Share(o)))
	}
	m.Line("")
	m.statuses(r)
	head := []string{"latency"}
	for _, f := range latencyFigures() {
		head = append(head, f.name)
	}
	m.Head(head...)
	for _, row := range latencyRows(r) {
		m.Row(append([]string{row.label}, row.cells(0)...)...)
	}
	m.Line("")
	m.messages(r)
	for i, e := range r.Errors {
		if i == 0 {
			m.Head("error", "count", "text")
		}
		m.Row(format.Escape(e.kind()), format.Count(e.Count), format.Code(e.Text))
	}
	m.Line("")
	lines := attemptLines(r)
	lines[0] = "attempts: " + lines[0]
	lines = append(lines, "wasted work: "+wastedLine(&r.Attempts), "bytes: "+bytesLine(r))
	if text := onTimeLine(r); text != "" {
		lines = append(lines, "on time: "+text)
	}
	for i := range r.Triggers {
		lines = append(lines, "trigger: "+r.Triggers[i].line())
	}
	for _, text := range generatorLines(r) {
		lines = append(lines, "generator: "+text)
	}
	lines = append(lines, doubtfulLines(r)...)
	if text := stoppedLine(r); text != "" {
		lines = append(lines, text)
	}
	for _, line := range lines {
		m.Line("- %s", format.Escape(line))
	}
	m.Line("")
	m.Line("</details>")
	m.Line("")
}

// statuses writes a row for each status of HTTP.
func (m markdown) statuses(r *Run) {
	if len(r.Statuses) == 0 {
		return
	}
	m.Head("status", "count", "share")
	for _, s := range r.Statuses {
		m.Row(strconv.Itoa(s.Status), format.Count(s.Count), format.Percent(r.part(s.Count)))
	}
	m.Line("")
}

// messages writes a row for each message if there are several.
func (m markdown) messages(r *Run) {
	if len(r.Messages) < 2 {
		return
	}
	m.Head("message", "offered", "ok", "attempts", "p50", "p99", "p99 of all")
	for i := range r.Messages {
		one := &r.Messages[i]
		m.Row(format.Code(one.Name), format.Count(one.Offered), one.ok(), format.Count(one.Attempts),
			one.latency(LatencyOK, "p50"), one.latency(LatencyOK, "p99"), one.latency(LatencyAll, "p99"))
	}
	m.Line("")
}

// rerun writes the command and the machine.
func (m markdown) rerun(d *Document) {
	m.Line("<details><summary>Rerun</summary>")
	m.Line("")
	m.CodeBlock("sh", d.Command)
	m.Line("")
	if note := d.rerunNote(); note != "" {
		m.Line("%s", format.Escape(format.Sentence(note)))
		m.Line("")
	}
	m.Line("%s on %s", format.Escape(d.Tool), format.Escape(d.Machine.withGo()))
	m.Line("")
	m.Line("</details>")
}
