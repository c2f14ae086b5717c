package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// Text writes the report for a person to read, made for 80 columns. A single run
// is told in full, several as the table that they are.
func (d *Document) Text(to io.Writer, p Palette) error {
	w := &writer{out: bufio.NewWriter(to), p: p}
	if len(d.Runs) == 1 && d.Experiment == nil {
		w.run(&d.Runs[0])
	} else {
		w.experiment(d)
	}
	w.thresholds(d)
	w.suggestion(d)
	if d.Command != "" {
		w.line("")
		w.line("%s%s", w.label("again"), d.Command)
	}
	return w.out.Flush()
}

// run tells all of a single run.
func (w *writer) run(r *Run) {
	w.head(r)
	w.outcomes(r)
	w.latencies(r)
	w.attempts(r)
	w.notes(r)
	w.messages(r)
	w.errors(r)
	w.triggers(r)
}

func (w *writer) head(r *Run) {
	w.line("%s %s %s", w.p.Bold("bench"), r.Pattern, w.p.Dim("→ "+r.Target))
	w.line("%s", w.p.Dim(r.offered()))
	about := []string{r.Policy.Text}
	for _, f := range r.Faults {
		about = append(about, f.Text)
	}
	for i, text := range about {
		if i > 0 {
			text = "fault " + text
		}
		for _, line := range wrap(text, textWidth) {
			w.line("%s", w.p.Dim(line))
		}
	}
}

// offered is how much was offered, and over how many connections where the
// transport keeps them apart.
func (r *Run) offered() string {
	if r.Connections == 0 {
		return r.Load
	}
	return r.Load + plural(r.Connections, " on %d connection")
}

func (w *writer) outcomes(r *Run) {
	w.line("")
	w.line("%s%s", w.label("outcomes"), w.p.Dim(pad("count", 12)+pad("share", 12)+pad("rate", 14)))
	for _, o := range load.Outcomes() {
		n := r.Outcomes[o.String()]
		text := "  " + pad(o.String(), -12)
		row := pad(Count(n), 12) + pad(Percent(r.share(o.String())), 12)
		switch {
		case o == load.OK:
			w.line("%s%s", w.p.Good(text), row+pad(Rate(r.Goodput), 14)+"  goodput")
		case n == 0:
			w.line("%s", w.p.Dim(text+row))
		default:
			w.line("%s%s", w.p.Bad(text), row)
		}
	}
	w.line("  %s%s", pad("offered", -12), pad(Count(r.Offered), 12)+pad("= the sum", 12)+pad(Rate(r.OfferedRate), 14))
}

func (w *writer) latencies(r *Run) {
	w.line("")
	head := ""
	for _, name := range []string{"min", "mean", "p50", "p90", "p99", "p99.9", "max"} {
		head += pad(name, 9)
	}
	w.line("%s%s", w.label("latency"), w.p.Dim(head))
	w.line("  %s%s", pad("request", -12), row(r.Latency["request"]))
	w.line("  %s%s", pad("attempt", -12), row(r.Latency["attempt"]))
	if late := r.Latency["late_by"]; late.Count > 0 {
		w.line("  %s%s", pad("late by", -12), row(late))
	}
}

// row is a distribution as one line of the latency table.
func row(l Latency) string {
	if l.Count == 0 {
		return pad("-", 9)
	}
	text := ""
	for _, d := range []time.Duration{l.Min, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
		text += pad(Duration(d), 9)
	}
	return text
}

// attempts tells what the policy made of the requests, and what that cost.
func (w *writer) attempts(r *Run) {
	w.line("")
	for i, text := range attemptLines(r) {
		label := "attempts"
		if i > 0 {
			label = ""
		}
		w.wrapped(label, text, nil)
	}
	w.wrapped("wasted work", wastedLine(&r.Attempts), nil)
	label := "faults"
	for i := range r.Faults {
		w.wrapped(label, r.Faults[i].line(), nil)
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
	text := fmt.Sprintf("%s: done to %s of %s", f.Text, Count(f.Hit), counted(f.Messages, "message"))
	if f.Swallowed > 0 {
		text += fmt.Sprintf("; %s swallowed, whose work was for nobody", counted(f.Swallowed, "answer"))
	}
	return text
}

// attemptLines are the sentences about a run's attempts.
func attemptLines(r *Run) []string {
	a := &r.Attempts
	lines := []string{fmt.Sprintf("%s for %s: amplification %.2f", Count(a.Total), counted(r.Offered, "request"), a.Amplification)}
	if a.Hedges > 0 {
		lines = append(lines, countedAs(a.Hedges, "hedge", "hedges")+" sent while an earlier attempt was out")
	}
	if a.OverBudget > 0 {
		lines = append(lines, countedAs(a.OverBudget, "retry", "retries")+" not made: the budget was spent")
	}
	if a.BreakerOpen > 0 {
		lines = append(lines, countedAs(a.BreakerOpen, "attempt", "attempts")+" not made: the breaker was open")
	}
	if a.OutOfTime > 0 {
		lines = append(lines, countedAs(a.OutOfTime, "retry", "retries")+" not made: the deadline would have come first")
	}
	return lines
}

// wastedLine says which answers nobody used.
func wastedLine(a *Attempts) string {
	retried := ""
	if a.Discarded > 0 {
		retried = fmt.Sprintf(", %s retried", counted(a.Discarded, "error"))
	}
	if a.LateUnknown {
		return "not known over http, where a client that gives up hangs up" + retried
	}
	if a.answers() == 0 {
		return "the service answered nothing"
	}
	text := fmt.Sprintf("%s of %s", Percent(a.Wasted), counted(a.answers(), "answer"))
	if a.Late > 0 {
		text += fmt.Sprintf(", %s late", Count(a.Late))
	}
	return text + retried
}

// notes tells what a reader must know to trust the figures.
func (w *writer) notes(r *Run) {
	for i, text := range generatorLines(r) {
		label := "generator"
		if i > 0 {
			label = ""
		}
		w.wrapped(label, text, nil)
	}
	if text := doubtfulLine(r); text != "" {
		w.wrapped("", text, w.p.Warn)
	}
	for _, c := range r.Changes {
		w.wrapped("changed", fmt.Sprintf("%s at %s", c.Text, Duration(c.At)), nil)
	}
	if text := stoppedLine(r); text != "" {
		w.wrapped("stopped", text, w.p.Warn)
	}
}

func stoppedLine(r *Run) string {
	switch {
	case !r.Stopped:
		return ""
	case r.CutShort > 0:
		return fmt.Sprintf("the run was stopped early with %s unanswered", counted(r.CutShort, "request"))
	}
	return "the run was stopped early"
}

// generatorLines tell how well the generator itself kept up.
func generatorLines(r *Run) (lines []string) {
	if lag := r.Latency["lag"]; lag.Count > 0 && r.Users == 0 {
		lines = append(lines, fmt.Sprintf("sent p50 %s, p99 %s, max %s after the intended start", Duration(lag.P50), Duration(lag.P99), Duration(lag.Max)))
	}
	var cpu float64
	var gc time.Duration
	for _, s := range r.Seconds {
		cpu, gc = max(cpu, s.CPU), max(gc, s.GC)
	}
	if cpu > 0 {
		text := fmt.Sprintf("used up to %.0f%% of the processors", cpu*100)
		if gc > 0 {
			text += fmt.Sprintf(", paused up to %s for GC", Duration(gc))
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
	return fmt.Sprintf("doubtful: %s of %s (%s): this machine was busy", plural(r.Doubtful, "%d second"), Count(int64(len(r.Seconds))), doubtfulRanges(r))
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
