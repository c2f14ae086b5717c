package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// writer writes the text report of a document.
type writer struct{ *format.Writer }

// Text writes the report as plain text, wrapped at a number of columns: a single run with
// all details, several runs as a table.
func (d *Document) Text(to io.Writer, p format.Palette, width int) error {
	w := writer{format.NewWriter(to, p, width)}
	if len(d.Runs) == 1 && d.Experiment == nil {
		w.run(&d.Runs[0])
	} else {
		w.experiment(d)
	}
	w.thresholds(d)
	w.suggestion(d)
	label := "rerun"
	for _, command := range d.commands() {
		if label != "" {
			w.Line("")
		}
		w.Line("%s%s", w.Label(label), command)
		label = ""
	}
	if note := d.rerunNote(); note != "" {
		w.Wrapped("", note, w.Dim)
	}
	return w.Flush()
}

// run writes all details of a run.
func (w writer) run(r *Run) {
	w.head(r)
	w.outcomes(r)
	w.load(r)
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
		for _, line := range format.Wrap(text, w.Width) {
			w.Line("%s", w.Dim(line))
		}
	}
}

// offered describes the load, with the number of connections if the transport has
// several.
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
		row := format.Pad(format.Count(n), 12) + format.Pad(format.Percent(r.Share(o)), 12)
		switch {
		case o == load.OK:
			w.Line("%s%s", w.Good(text), row+format.Pad(format.Rate(r.Goodput), 14)+"  goodput")
		case n == 0:
			w.Line("%s", w.Dim(text+row))
		default:
			w.Line("%s%s", w.Bad(text), row)
		}
	}
	w.Line("  %s%s", format.Pad("offered", -12), format.Pad(format.Count(r.Offered), 12)+format.Pad("100%", 12)+format.Pad(format.Rate(r.OfferedRate), 14))
	for i, s := range r.Statuses {
		if i == 0 {
			w.Line("%s", w.Bold("statuses"))
		}
		w.Line("  %s%s%s", format.Pad(strconv.Itoa(s.Status), -12), format.Pad(format.Count(s.Count), 12), format.Pad(format.Percent(r.part(s.Count)), 12))
	}
}

// load writes whether the service kept up with the load: whether anything succeeded, how
// many requests did so on time, and the backlog.
func (w writer) load(r *Run) {
	if r.Failed() {
		w.Wrapped("FAILED", failedLine, w.Bad)
	}
	if text := onTimeLine(r); text != "" {
		w.Wrapped("on time", text, nil)
	}
	if text := backlogLine(r); text != "" {
		w.Wrapped("backlog", text, w.Warn)
	}
}

// The widths of the columns of the table of latencies.
const (
	latencyLabel  = 12
	latencyColumn = 8
)

// latencies writes the table of latencies: of ok requests, of all requests, and of the
// attempts.
func (w writer) latencies(r *Run) {
	w.Line("")
	head := ""
	for _, f := range latencyFigures() {
		head += format.Pad(f.name, latencyColumn)
	}
	w.Line("%s%s", w.Label("latency"), w.Dim(head))
	for _, l := range latencyRows(r) {
		w.Line("  %s%s", format.Pad(l.label, -latencyLabel), strings.Join(l.cells(latencyColumn), ""))
	}
}

// latencyRow is a row of the tables of latencies.
type latencyRow struct {
	name, label string
	Latency
}

// latencyRows returns the rows of a run. Those of all replies and of late answers are left
// out if they add nothing, and the lateness of the requests of users, who are never late.
func latencyRows(r *Run) (rows []latencyRow) {
	for _, row := range []latencyRow{
		{name: LatencyOK, label: "ok"}, {name: LatencyAll, label: "all"},
		{name: LatencyAttempt, label: "attempt"}, {name: LatencyAttemptAll, label: "attempt all"}, {name: LatencyLateBy, label: "late by"},
		{name: LatencyLag, label: "lateness"},
	} {
		row.Latency = r.Latency[row.name]
		switch {
		case row.name == LatencyAttemptAll && row.Count == r.Latency[LatencyAttempt].Count:
		case row.name == LatencyLateBy && row.Count == 0:
		case row.name == LatencyLag && (row.Count == 0 || r.Users > 0):
		default:
			rows = append(rows, row)
		}
	}
	return rows
}

// cells returns the figures of a row, each padded to a width. Without a value, each is a
// dash.
func (l *latencyRow) cells(width int) (cells []string) {
	for _, f := range latencyFigures() {
		cells = append(cells, format.Pad(l.text(f), width))
	}
	return cells
}

// text returns one figure of a distribution: a dash if nothing was measured.
func (l *Latency) text(f latencyFigure) string {
	if l.Count == 0 {
		return "-"
	}
	return format.Duration(f.of(l))
}

// attempts writes what the policy made of the requests, and at what cost.
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
	w.Wrapped("bytes", bytesLine(r), nil)
	label := "faults"
	for i := range r.Faults {
		w.Wrapped(label, r.Faults[i].line(), nil)
		label = ""
	}
}

// line describes how often a fault was applied. Dropped replies are work that the
// service did and the client cannot see.
func (f *Fault) line() string {
	if strings.HasPrefix(f.Text, "pause") { // of a process, not of messages
		return f.Text
	}
	if f.Messages == 0 && f.Hit == 0 {
		return f.Text + ": matched no messages"
	}
	text := fmt.Sprintf("%s: hit %s of %s", f.Text, format.Count(f.Hit), format.Counted(f.Messages, "message"))
	if f.Swallowed > 0 {
		text += fmt.Sprintf("; %s dropped, so the service did that work for nothing", format.CountedAs(f.Swallowed, "reply", "replies"))
	}
	return text
}

// attemptLines returns the sentences about a run's attempts.
func attemptLines(r *Run) []string {
	a := &r.Attempts
	lines := []string{fmt.Sprintf("%s for %s: amplification %.2f", format.Count(a.Total), format.Counted(r.Offered, "request"), a.Amplification)}
	if a.Hedges > 0 {
		lines = append(lines, format.CountedAs(a.Hedges, "hedge", "hedges")+" sent while an earlier attempt was pending")
	}
	if a.OverBudget > 0 {
		lines = append(lines, format.CountedAs(a.OverBudget, "retry", "retries")+" denied: the retry budget was exhausted")
	}
	if a.BreakerOpen > 0 {
		lines = append(lines, format.CountedAs(a.BreakerOpen, "attempt", "attempts")+" blocked: the breaker was open")
	}
	if a.OutOfTime > 0 {
		lines = append(lines, format.CountedAs(a.OutOfTime, "retry", "retries")+" skipped: the deadline would have passed first")
	}
	return lines
}

// wastedLine describes the replies that were not used.
func wastedLine(a *Attempts) string {
	retried := ""
	if a.Discarded > 0 {
		retried = fmt.Sprintf(", %s retried", format.Counted(a.Discarded, "error"))
	}
	if a.LateUnknown {
		return "unknown over HTTP: a client that gives up closes the connection" + retried
	}
	if a.answers() == 0 {
		return "the service sent no replies"
	}
	text := fmt.Sprintf("%s of %s", format.Percent(a.Wasted), format.CountedAs(a.answers(), "reply", "replies"))
	if a.Late > 0 {
		text += fmt.Sprintf(", %s late", format.Count(a.Late))
	}
	return text + retried
}

// notes writes what a reader must know to trust the figures.
func (w writer) notes(r *Run) {
	for i, text := range generatorLines(r) {
		label := "generator"
		if i > 0 {
			label = ""
		}
		w.Wrapped(label, text, nil)
	}
	for _, text := range doubtfulLines(r) {
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
		return fmt.Sprintf("the run was stopped early with %s in flight", format.Counted(r.CutShort, "request"))
	}
	return "the run was stopped early"
}

// generatorLines describes how well the generator kept up.
func generatorLines(r *Run) (lines []string) {
	if text := agentLine(r); text != "" {
		lines = append(lines, text)
	}
	var cpu float64
	var gc time.Duration
	for _, s := range r.Seconds {
		cpu, gc = max(cpu, s.CPU), max(gc, s.GC)
	}
	if cpu > 0 {
		text := fmt.Sprintf("used up to %.0f%% of the CPU", cpu*100)
		if gc > 0 {
			text += fmt.Sprintf(", paused up to %s for GC", format.Duration(gc))
		}
		lines = append(lines, text)
	}
	return lines
}

// doubtfulLines lists the seconds whose figures may be the generator's own, and why.
func doubtfulLines(r *Run) (lines []string) {
	lines = lostLines(r)
	if r.HeldBack != nil {
		lines = append(lines, heldBackLine(r.HeldBack))
	}
	if r.Doubtful == 0 {
		return lines
	}
	var starved int64
	var jump time.Duration
	behind := false
	for i := range r.Seconds {
		s := &r.Seconds[i]
		starved += s.Starved
		if s.Jump.Abs() > jump.Abs() {
			jump = s.Jump
		}
		behind = behind || s.Doubtful && s.Starved == 0 && s.Jump == 0
	}
	text := fmt.Sprintf("doubtful: %d of %s (%s)", r.Doubtful, format.Counted(len(r.Seconds), "second"), doubtfulRanges(r))
	if behind {
		text += ": the generator fell behind"
	}
	lines = append(lines, text)
	if starved > 0 {
		lines = append(lines, fmt.Sprintf("%s failed because this machine had no file descriptor or port left: raise the limit (ulimit -n), or use fewer connections",
			format.Counted(starved, "attempt")))
	}
	if jump != 0 {
		lines = append(lines, fmt.Sprintf("the clock of this machine jumped by %s: it was suspended, or its time was set", format.Duration(jump)))
	}
	return lines
}

// heldBackLine explains latencies that are those of the load.
func heldBackLine(h *HeldBack) string {
	return fmt.Sprintf("%s of the replies arrived right after the next request, %s later: the service, or a proxy in front of it, holds a reply back "+
		"until the previous one is acknowledged (Nagle's algorithm, which NestJS leaves on), so the latencies are the pace of the load; "+
		"to measure the service, run msctl on Linux without a proxy in between, or call setNoDelay on the service's sockets",
		format.Percent(h.Share), format.Duration(h.Pace))
}

// maxRanges is how many ranges of doubtful seconds are listed.
const maxRanges = 6

// doubtfulRanges lists the doubtful seconds as ranges: 3 s, 7–9 s.
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
	if len(ranges) > maxRanges {
		ranges = append(ranges[:maxRanges], "…")
	}
	return strings.Join(ranges, ", ")
}
