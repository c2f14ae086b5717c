package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// writer writes the text report of a document.
type writer struct{ *format.Writer }

// Text writes the report for a person to read, made for 80 columns. A single run
// is told in full, several as the table that they are.
func (d *Document) Text(to io.Writer, p format.Palette) error {
	w := writer{format.NewWriter(to, p)}
	if len(d.Runs) == 1 && d.Experiment == nil {
		w.run(&d.Runs[0])
	} else {
		w.experiment(d)
	}
	w.thresholds(d)
	w.suggestion(d)
	if d.Command != "" {
		w.Line("")
		w.Line("%s%s", w.Label("again"), d.Command)
	}
	return w.Flush()
}

// run tells all of a single run.
func (w writer) run(r *Run) {
	w.head(r)
	w.outcomes(r)
	w.latencies(r)
	w.attempts(r)
	w.notes(r)
	w.messages(r)
	w.errors(r)
	w.triggers(r)
}

func (w writer) head(r *Run) {
	w.Line("%s %s %s", w.Bold("bench"), r.Pattern, w.Dim("→ "+r.Target))
	w.Line("%s", w.Dim(r.offered()))
	about := []string{r.Policy.Text}
	for _, f := range r.Faults {
		about = append(about, f.Text)
	}
	for i, text := range about {
		if i > 0 {
			text = "fault " + text
		}
		for _, line := range format.Wrap(text, format.Width) {
			w.Line("%s", w.Dim(line))
		}
	}
}

// offered is how much was offered, and over how many connections where the
// transport keeps them apart.
func (r *Run) offered() string {
	if r.Connections == 0 {
		return r.Load
	}
	return r.Load + " on " + format.Counted(r.Connections, "connection")
}

func (w writer) outcomes(r *Run) {
	w.Line("")
	w.Line("%s%s", w.Label("outcomes"), w.Dim(format.Pad("count", 12)+format.Pad("share", 12)+format.Pad("rate", 14)))
	for _, o := range load.Outcomes() {
		n := r.Outcomes[o.String()]
		text := "  " + format.Pad(o.String(), -12)
		row := format.Pad(format.Count(n), 12) + format.Pad(format.Percent(r.share(o.String())), 12)
		switch {
		case o == load.OK:
			w.Line("%s%s", w.Good(text), row+format.Pad(format.Rate(r.Goodput), 14)+"  goodput")
		case n == 0:
			w.Line("%s", w.Dim(text+row))
		default:
			w.Line("%s%s", w.Bad(text), row)
		}
	}
	w.Line("  %s%s", format.Pad("offered", -12), format.Pad(format.Count(r.Offered), 12)+format.Pad("= the sum", 12)+format.Pad(format.Rate(r.OfferedRate), 14))
}

func (w writer) latencies(r *Run) {
	w.Line("")
	head := ""
	for _, name := range []string{"min", "mean", "p50", "p90", "p99", "p99.9", "max"} {
		head += format.Pad(name, 9)
	}
	w.Line("%s%s", w.Label("latency"), w.Dim(head))
	w.Line("  %s%s", format.Pad("request", -12), row(r.Latency["request"]))
	w.Line("  %s%s", format.Pad("attempt", -12), row(r.Latency["attempt"]))
	if late := r.Latency["late_by"]; late.Count > 0 {
		w.Line("  %s%s", format.Pad("late by", -12), row(late))
	}
}

// row is a distribution as one line of the latency table.
func row(l Latency) string {
	if l.Count == 0 {
		return format.Pad("-", 9)
	}
	text := ""
	for _, d := range []time.Duration{l.Min, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
		text += format.Pad(format.Duration(d), 9)
	}
	return text
}

// attempts tells what the policy made of the requests, and what that cost.
func (w writer) attempts(r *Run) {
	w.Line("")
	for i, text := range attemptLines(r) {
		label := "attempts"
		if i > 0 {
			label = ""
		}
		w.Wrapped(label, text, nil)
	}
	w.Wrapped("wasted work", wastedLine(&r.Attempts), nil)
	label := "faults"
	for i := range r.Faults {
		w.Wrapped(label, r.Faults[i].line(), nil)
		label = ""
	}
}

// line says what came of a fault. What it swallowed is work that the service did
// and the client cannot know of.
func (f *Fault) line() string {
	if strings.HasPrefix(f.Text, "pause") { // of a process, not of messages
		return f.Text
	}
	if f.Messages == 0 && f.Hit == 0 {
		return f.Text + ": met no message"
	}
	text := fmt.Sprintf("%s: done to %s of %s", f.Text, format.Count(f.Hit), format.Counted(f.Messages, "message"))
	if f.Swallowed > 0 {
		text += fmt.Sprintf("; %s swallowed, whose work was for nobody", format.Counted(f.Swallowed, "answer"))
	}
	return text
}

// attemptLines are the sentences about a run's attempts.
func attemptLines(r *Run) []string {
	a := &r.Attempts
	lines := []string{fmt.Sprintf("%s for %s: amplification %.2f", format.Count(a.Total), format.Counted(r.Offered, "request"), a.Amplification)}
	if a.Hedges > 0 {
		lines = append(lines, format.CountedAs(a.Hedges, "hedge", "hedges")+" sent while an earlier attempt was out")
	}
	if a.OverBudget > 0 {
		lines = append(lines, format.CountedAs(a.OverBudget, "retry", "retries")+" not made: the budget was spent")
	}
	if a.BreakerOpen > 0 {
		lines = append(lines, format.CountedAs(a.BreakerOpen, "attempt", "attempts")+" not made: the breaker was open")
	}
	if a.OutOfTime > 0 {
		lines = append(lines, format.CountedAs(a.OutOfTime, "retry", "retries")+" not made: the deadline would have come first")
	}
	return lines
}

// wastedLine says which answers nobody used.
func wastedLine(a *Attempts) string {
	retried := ""
	if a.Discarded > 0 {
		retried = fmt.Sprintf(", %s retried", format.Counted(a.Discarded, "error"))
	}
	if a.LateUnknown {
		return "not known over http, where a client that gives up hangs up" + retried
	}
	if a.answers() == 0 {
		return "the service answered nothing"
	}
	text := fmt.Sprintf("%s of %s", format.Percent(a.Wasted), format.Counted(a.answers(), "answer"))
	if a.Late > 0 {
		text += fmt.Sprintf(", %s late", format.Count(a.Late))
	}
	return text + retried
}

// notes tells what a reader must know to trust the figures.
func (w writer) notes(r *Run) {
	for i, text := range generatorLines(r) {
		label := "generator"
		if i > 0 {
			label = ""
		}
		w.Wrapped(label, text, nil)
	}
	if text := doubtfulLine(r); text != "" {
		w.Wrapped("", text, w.Warn)
	}
	for _, c := range r.Changes {
		w.Wrapped("changed", fmt.Sprintf("%s at %s", c.Text, format.Duration(c.At)), nil)
	}
	if text := stoppedLine(r); text != "" {
		w.Wrapped("stopped", text, w.Warn)
	}
}

func stoppedLine(r *Run) string {
	switch {
	case !r.Stopped:
		return ""
	case r.CutShort > 0:
		return fmt.Sprintf("the run was stopped early with %s unanswered", format.Counted(r.CutShort, "request"))
	}
	return "the run was stopped early"
}

// generatorLines tell how well the generator itself kept up.
func generatorLines(r *Run) (lines []string) {
	if lag := r.Latency["lag"]; lag.Count > 0 && r.Users == 0 {
		lines = append(lines, fmt.Sprintf("sent p50 %s, p99 %s, max %s after the intended start", format.Duration(lag.P50), format.Duration(lag.P99), format.Duration(lag.Max)))
	}
	var cpu float64
	var gc time.Duration
	for _, s := range r.Seconds {
		cpu, gc = max(cpu, s.CPU), max(gc, s.GC)
	}
	if cpu > 0 {
		text := fmt.Sprintf("used up to %.0f%% of the processors", cpu*100)
		if gc > 0 {
			text += fmt.Sprintf(", paused up to %s for GC", format.Duration(gc))
		}
		lines = append(lines, text)
	}
	return lines
}

// doubtfulLine names the seconds in which the generator was short of time.
func doubtfulLine(r *Run) string {
	if r.Doubtful == 0 {
		return ""
	}
	return fmt.Sprintf("doubtful: %s of %s (%s): this machine was busy", format.Counted(r.Doubtful, "second"), format.Count(int64(len(r.Seconds))), doubtfulRanges(r))
}

// mostRanges is how many stretches of doubtful seconds are named.
const mostRanges = 6

// doubtfulRanges names doubtful seconds, those in a row together: 3 s, 7–9 s.
func doubtfulRanges(r *Run) string {
	var ranges []string
	for i := 0; i < len(r.Seconds); i++ {
		if !r.Seconds[i].Doubtful {
			continue
		}
		first := i
		for i+1 < len(r.Seconds) && r.Seconds[i+1].Doubtful {
			i++
		}
		text := fmt.Sprintf("%.0f", r.Seconds[first].At.Seconds())
		if i > first {
			text += fmt.Sprintf("–%.0f", r.Seconds[i].At.Seconds())
		}
		ranges = append(ranges, text+" s")
	}
	if len(ranges) > mostRanges {
		ranges = append(ranges[:mostRanges], "…")
	}
	return strings.Join(ranges, ", ")
}
