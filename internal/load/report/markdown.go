package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/msctl/msctl/internal/load"
)

// Markdown writes the report for a pull request: the verdict, the figures and
// the thresholds, and the rest folded away.
func (d *Document) Markdown(to io.Writer) error {
	m := &markdown{out: bufio.NewWriter(to)}
	m.line("## %s msctl bench %s", d.badge(), code(d.Runs[0].Pattern))
	m.line("")
	m.verdicts(d)
	if len(d.Runs) == 1 && d.Experiment == nil {
		m.figures(&d.Runs[0])
	} else {
		m.cells(d)
	}
	m.thresholds(d)
	if d.Suggestion != nil {
		m.line("**Suggestion:** %s. %s", code(d.Suggestion.Policy.Text), plain(d.Suggestion.Why))
		m.line("")
	}
	for i := range d.Runs {
		if len(d.Runs) <= mostDetails {
			m.details(&d.Runs[i])
		}
	}
	m.again(d)
	if err := m.out.Flush(); err != nil {
		return fmt.Errorf("write the Markdown file: %w", err)
	}
	return nil
}

// badge is one sign for the whole: crossed or collapsed, doubtful, or good.
func (d *Document) badge() string {
	switch {
	case len(d.Crossed()) > 0, d.Kind == KindRun && d.Verdict() == collapsed:
		return "❌"
	case d.Kind == KindRun && verdictRank(d.Verdict()) > verdictRank(recovered):
		return "⚠️"
	}
	return "✅"
}

// mostDetails is of how many runs all is told: what hosts of pull requests take as
// one comment is bounded.
const mostDetails = 12

type markdown struct{ out *bufio.Writer }

func (m *markdown) line(format string, args ...any) {
	fmt.Fprintf(m.out, format+"\n", args...)
}

func (m *markdown) row(cells ...string) { m.line("| %s |", strings.Join(cells, " | ")) }

// head is the head of a table; columns of numbers stand to the right.
func (m *markdown) head(cells ...string) {
	m.row(cells...)
	rule := "|---"
	for _, name := range cells[1:] {
		switch name {
		case "text", "verdict", "":
			rule += "|---"
		default:
			rule += "|---:"
		}
	}
	m.line("%s|", rule)
}

// verdicts has a sentence for each trigger of a single run.
func (m *markdown) verdicts(d *Document) {
	r := &d.Runs[0]
	if len(d.Runs) > 1 {
		m.line("%s against %s, %s", plain(d.together().Title), code(r.Target), plural(len(d.Runs), "%d run"))
		m.line("")
		return
	}
	for i := range r.Triggers {
		t := &r.Triggers[i]
		m.line("> **%s**%s", t.Verdict, plain(strings.ReplaceAll(strings.TrimPrefix(t.sentence(), t.Verdict), "`", "")))
		m.line("")
	}
	m.line("%s, %s against %s with %s", plain(r.Load), plural(r.Connections, "%d connection"), code(r.Target), code(r.Policy.Text))
	m.line("")
}

func (m *markdown) figures(r *Run) {
	request := r.Latency["request"]
	m.head("goodput", "offered", "p50", "p99", "max", "amplification", "wasted work")
	wasted := Percent(r.Attempts.Wasted)
	if r.Attempts.LateUnknown {
		wasted = "not known"
	}
	m.row(Percent(r.share("ok")), Rate(r.OfferedRate), Duration(request.P50), Duration(request.P99), Duration(request.Max),
		fmt.Sprintf("%.2f", r.Attempts.Amplification), wasted)
	m.line("")
}

// cells is the table of several runs.
func (m *markdown) cells(d *Document) {
	e := d.together()
	var head []string
	for _, a := range e.Axes {
		head = append(head, plain(a.Name))
	}
	m.head(append(head, "goodput", "p99", "amplification", "wasted work", "verdict")...)
	for i := range e.Cells {
		c := &e.Cells[i]
		var cells []string
		for _, v := range c.Values {
			cells = append(cells, code(v))
		}
		if i == e.Best && len(cells) > 0 {
			cells[0] = "★ " + cells[0]
		}
		m.row(append(cells, Percent(c.Goodput), Duration(c.P99), fmt.Sprintf("%.2f", c.Amplification), Percent(c.Wasted), c.outcome())...)
	}
	m.line("")
	if e.Why != "" {
		m.line("**Best:** %s", plain(e.Why))
		m.line("")
	}
}

func (m *markdown) thresholds(d *Document) {
	if len(d.Thresholds) == 0 {
		return
	}
	m.head("threshold", "measured", "")
	for _, t := range d.Thresholds {
		sign, measured := "✅ kept", plain(t.Measured)
		if !t.Kept {
			sign = "❌ crossed"
		}
		if t.Run != "" {
			measured += " in " + code(t.Run)
		}
		m.row(code(t.Text), measured, sign)
	}
	m.line("")
}

// details are a run's outcomes, latencies and errors, folded away.
func (m *markdown) details(r *Run) {
	name := "Outcomes, latencies, errors"
	if r.Name != "" {
		name += " of " + r.Name
	}
	m.line("<details><summary>%s</summary>", plain(name))
	m.line("")
	m.head("outcome", "count", "share")
	for _, o := range load.Outcomes() {
		m.row(o.String(), Count(r.Outcomes[o.String()]), Percent(r.share(o.String())))
	}
	m.line("")
	m.head("latency", "min", "mean", "p50", "p90", "p99", "p99.9", "max")
	for _, name := range []string{"request", "attempt", "late_by"} {
		if l := r.Latency[name]; l.Count > 0 {
			m.row(strings.ReplaceAll(name, "_", " "), Duration(l.Min), Duration(l.Mean), Duration(l.P50), Duration(l.P90), Duration(l.P99), Duration(l.P999), Duration(l.Max))
		}
	}
	m.line("")
	for i, e := range r.Errors {
		if i == 0 {
			m.head("error", "count", "text")
		}
		m.row(plain(e.kind()), Count(e.Count), code(e.Text))
	}
	m.line("")
	attempts := attemptLines(r)
	attempts[0] = "attempts: " + attempts[0]
	for _, line := range append(attempts, "wasted work: "+wastedLine(&r.Attempts), doubtfulLine(r), stoppedLine(r)) {
		if line != "" {
			m.line("- %s", plain(line))
		}
	}
	m.line("")
	m.line("</details>")
	m.line("")
}

// again is the command and the machine.
func (m *markdown) again(d *Document) {
	fence := strings.Repeat("`", max(3, longestRun(d.Command)+1))
	m.line("<details><summary>Again</summary>")
	m.line("")
	m.line("%ssh\n%s\n%s", fence, d.Command, fence)
	m.line("")
	m.line("%s on %s/%s with %s, %s", plain(d.Tool), plain(d.Machine.OS), plain(d.Machine.Arch), plural(d.Machine.CPUs, "%d processor"), plain(d.Machine.Go))
	m.line("")
	m.line("</details>")
}

// code is text as it stands, in a fence longer than any that it holds.
func code(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(text)+1)
	if len(fence) > 1 {
		text = " " + text + " "
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}

// longestRun is how many backticks follow each other in text at the most.
func longestRun(text string) (most int) {
	run := 0
	for _, c := range text {
		run++
		if c != '`' {
			run = 0
		}
		most = max(most, run)
	}
	return most
}

// plain is text in which nothing means anything to Markdown or HTML.
func plain(text string) string {
	var b strings.Builder
	for _, c := range strings.Join(strings.Fields(text), " ") {
		if strings.ContainsRune("\\`*_{}[]<>#|~!@&$", c) {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
