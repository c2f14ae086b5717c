package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/load"
)

// Text writes the report for a person to read.
func (r *Report) Text(to io.Writer, p Palette) error {
	w := &writer{out: bufio.NewWriter(to), p: p}
	s := &r.Result.Snapshot
	w.head(r)
	w.outcomes(s)
	w.latencies(s)
	w.retries(s)
	w.notes(r)
	w.errors(s)
	w.thresholds(r)
	if r.Command != "" {
		w.line("")
		w.line("%s %s", w.label("again"), r.Command)
	}
	return w.out.Flush()
}

type writer struct {
	out *bufio.Writer
	p   Palette
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w.out, format+"\n", args...) }

// label is the bold word at the beginning of a line.
func (w *writer) label(text string) string { return w.p.Bold(pad(text, -14)) }

func (w *writer) head(r *Report) {
	w.line("%s %s %s", w.p.Bold("bench"), r.Pattern, w.p.Dim("→ "+r.Target))
	w.line("%s", w.p.Dim(r.Load+plural(r.Connections, " on %d connection")))
	w.line("%s", w.p.Dim(r.Result.Policy.String()))
}

func plural(n int, format string) string {
	text := fmt.Sprintf(format, n)
	if n != 1 {
		text += "s"
	}
	return text
}

func (w *writer) outcomes(s *load.Snapshot) {
	t := &s.Totals
	w.line("")
	w.line("%s%s", w.label("outcomes"), w.p.Dim(pad("count", 12)+pad("share", 12)+pad("rate", 14)))
	for _, o := range load.Outcomes() {
		n := t.Outcomes[o]
		text := "  " + pad(o.String(), -12)
		row := pad(Count(n), 12) + pad(Percent(t.Share(o)), 12)
		switch {
		case o == load.OK:
			w.line("%s%s", w.p.Good(text), row+pad(Rate(s.Goodput()), 14)+"  goodput")
		case n == 0:
			w.line("%s", w.p.Dim(text+row))
		default:
			w.line("%s%s", w.p.Bad(text), row)
		}
	}
	w.line("  %s%s", pad("offered", -12), pad(Count(t.Offered), 12)+pad("", 12)+pad(Rate(s.OfferedRate()), 14))
}

func (w *writer) latencies(s *load.Snapshot) {
	w.line("")
	head := ""
	for _, name := range []string{"min", "mean", "p50", "p90", "p99", "p99.9", "max"} {
		head += pad(name, 9)
	}
	w.line("%s%s", w.label("latency"), w.p.Dim(head))
	w.line("  %s%s", pad("request", -12), row(s.Request))
	w.line("  %s%s", pad("attempt", -12), row(s.Attempt))
	if s.Totals.Late > 0 {
		w.line("  %s%s", pad("late by", -12), row(s.Lateness))
	}
}

// row is a distribution as one line of the latency table.
func row(l load.Latency) string {
	if l.Count == 0 {
		return pad("-", 9)
	}
	text := ""
	for _, d := range []time.Duration{l.Min, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
		text += pad(Duration(d), 9)
	}
	return text
}

func (w *writer) retries(s *load.Snapshot) {
	t := &s.Totals
	w.line("")
	w.line("%s%s for %s: amplification %.2f", w.label("attempts"), Count(t.Attempts), counted(t.Offered, "request"), t.Amplification())
	if t.OverBudget > 0 {
		w.line("%s%s not made: the budget was spent", w.label(""), countedAs(t.OverBudget, "retry", "retries"))
	}
	if t.OutOfTime > 0 {
		w.line("%s%s not made: the deadline would have come first", w.label(""), countedAs(t.OutOfTime, "retry", "retries"))
	}
	answers := t.Used + t.Discarded + t.Late
	if answers == 0 {
		w.line("%sthe service answered nothing", w.label("wasted work"))
		return
	}
	text := fmt.Sprintf("%s of %s", Percent(t.Wasted()), counted(answers, "answer"))
	if t.Late > 0 {
		text += fmt.Sprintf(", %s late", Count(t.Late))
	}
	if t.Discarded > 0 {
		text += fmt.Sprintf(", %s retried", counted(t.Discarded, "error"))
	}
	w.line("%s%s", w.label("wasted work"), text)
}

func counted(n int64, one string) string { return countedAs(n, one, one+"s") }

func countedAs(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// fellBehind is how late a request has to be sent for its second to be told of.
const fellBehind = 10 * time.Millisecond

// notes tells what a reader must know to trust the figures.
func (w *writer) notes(r *Report) {
	s := &r.Result.Snapshot
	if s.Lag.Count > 0 && s.Rate > 0 {
		w.line("%ssent p50 %s, p99 %s, max %s after the intended start", w.label("generator"), Duration(s.Lag.P50), Duration(s.Lag.P99), Duration(s.Lag.Max))
		behind := 0
		for _, p := range r.Result.Seconds {
			if p.Lag > fellBehind {
				behind++
			}
		}
		if behind > 0 {
			w.line("%s%s", w.label(""), w.p.Warn(fmt.Sprintf("more than %s behind in %s: this machine is busy", fellBehind, counted(int64(behind), "second"))))
		}
	}
	for _, m := range s.Marks {
		w.line("%s%s at %s", w.label("changed"), m.Text, Duration(m.At))
	}
	if r.Result.Stopped {
		text := "the run was stopped early"
		if n := s.Totals.CutShort; n > 0 {
			text += fmt.Sprintf(" with %s unanswered", counted(n, "request"))
		}
		w.line("%s%s", w.label("stopped"), w.p.Warn(text))
	}
}

// mostErrors is how many ways to fail are listed.
const mostErrors = 12

func (w *writer) errors(s *load.Snapshot) {
	if len(s.Errors) == 0 {
		return
	}
	w.line("")
	w.line("%s", w.p.Bold("errors"))
	var rest int64
	for i, e := range s.Errors {
		if i >= mostErrors {
			rest += e.Count
			continue
		}
		what := e.Outcome.String()
		if e.Status > 0 {
			what += fmt.Sprintf(" %d", e.Status)
		}
		w.line("  %s  %s %s", pad(Count(e.Count), 8), w.p.Bad(pad(what, -12)), e.Text)
	}
	if rest > 0 {
		w.line("  %s  in %s", pad(Count(rest), 8), countedAs(int64(len(s.Errors)-mostErrors), "other way", "other ways"))
	}
}

func (w *writer) thresholds(r *Report) {
	if len(r.Thresholds) == 0 {
		return
	}
	w.line("")
	w.line("%s", w.p.Bold("thresholds"))
	for _, t := range r.Thresholds {
		verdict := w.p.Good("kept   ")
		if !t.Kept(&r.Result.Snapshot) {
			verdict = w.p.Bad("crossed")
		}
		w.line("  %s  %s  measured %s", verdict, t, t.Measured(&r.Result.Snapshot))
	}
}

// pad fills text with spaces to width columns: to the right for a width of
// less than 0, as fmt does, but by characters.
func pad(text string, width int) string {
	fill := strings.Repeat(" ", max(abs(width)-utf8.RuneCountInString(text), 0))
	if width < 0 {
		return text + fill
	}
	return fill + text
}

func abs(n int) int { return max(n, -n) }
