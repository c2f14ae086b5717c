package report

import (
	"fmt"
	"html/template"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// page is the data of the HTML template. It is prepared here, so that the template
// contains no logic.
type page struct {
	Style      template.CSS
	Script     template.JS
	ScriptHash string

	Doc      *Document
	Pattern  string
	Target   string
	Load     string
	Badge    badge
	Sentence []string // the reason of the verdict, for each trigger
	Failed   string   // in a run without a success
	Notes    []loadNote
	Tiles    []tile
	Table    *tableView // of several runs
	Runs     []runView
	Started  string
	Machine  string
	// RerunNote states what the command requires.
	RerunNote string
}

// badge is a verdict with the CSS class of its color.
type badge struct{ Word, Class string }

// tile is one figure in the header.
type tile struct{ Label, Value, Note, Class string }

// runView is one run.
type runView struct {
	*Run
	Badge     badge
	Open      bool
	Several   bool
	Times     []plot
	Quantiles plot
	Hover     hover
	Outcomes  []outcomeView
	// StatusRows are the statuses of HTTP.
	StatusRows []statusView
	Heads      []string // of the latencies
	Latencies  []latencyView
	Facts      []fact
	Messages   []messageView
	Sentences  []triggerView
}

type outcomeView struct {
	Word  string
	Count int64
	Share float64
}

type statusView struct {
	StatusCount
	Share float64
}

type latencyView struct {
	Label   string
	Figures []string
}

type fact struct{ Label, Text, Class string }

type messageView struct {
	Message
	OK      string
	Figures []string
}

type triggerView struct {
	Badge badge
	Line  string
	Why   string
}

func (d *Document) page() *page {
	r := &d.Runs[0]
	several := len(d.Runs) > 1 || d.Experiment != nil
	p := &page{
		Doc: d, Pattern: d.title(), Target: d.target(), Load: r.offered(),
		Started: d.Started.UTC().Format("2 January 2006, 15:04:05 UTC"),
		Machine: d.Machine.withGo(), RerunNote: format.Sentence(d.rerunNote()),
	}
	if several {
		p.Table = d.table()
		p.Load = d.loads()
		p.Notes = d.loadNotes()
	} else {
		p.Badge = badgeOf(r.Verdict)
		if r.Failed() {
			p.Badge, p.Failed = badge{"FAILED", "bad"}, format.Sentence(failedLine)
		}
		if text := backlogLine(r); text != "" {
			p.Notes = append(p.Notes, loadNote{Label: "backlog", Text: text})
		}
		p.Tiles = tiles(r)
		for i := range r.Triggers {
			p.Sentence = append(p.Sentence, format.Sentence(r.Triggers[i].Why))
		}
	}
	for i := range d.Runs {
		v := view(&d.Runs[i])
		v.Open, v.Several = !several, several
		p.Runs = append(p.Runs, v)
	}
	return p
}

func badgeOf(verdict string) badge {
	class := map[string]string{recovered: "good", undecided: "warn", degraded: "warn", collapsed: "bad"}[verdict]
	return badge{verdict, class}
}

// tiles returns the most important figures.
func tiles(r *Run) []tile {
	ok, all := r.Latency[LatencyOK], r.Latency[LatencyAll]
	share := r.Share(load.OK)
	class := "good"
	switch {
	case share < 0.9:
		class = "bad"
	case share < 0.99:
		class = "warn"
	}
	list := []tile{
		{"goodput", format.Percent(share), fmt.Sprintf("%s of %s offered", format.Rate(r.Goodput), format.Rate(r.OfferedRate)), class},
		{"p50", figureOf(ok, "p50"), "of ok requests; of all " + figureOf(all, "p50"), ""},
		{"p99", figureOf(ok, "p99"), "of ok requests; of all " + figureOf(all, "p99"), ""},
		{"amplification", fmt.Sprintf("%.2f", r.Attempts.Amplification), format.Count(r.Attempts.Total) + " attempts", ""},
	}
	if r.Attempts.LateUnknown {
		return append(list, tile{"wasted work", "–", "unknown over HTTP", ""})
	}
	return append(list, tile{"wasted work", format.Percent(r.Attempts.Wasted), "of " + format.CountedAs(r.Attempts.answers(), "reply", "replies"), ""})
}

// view prepares a run for the template.
func view(r *Run) runView {
	v := runView{Run: r, Badge: badgeOf(r.Verdict)}
	columns := resample(r)
	v.Times = timePlots(r, columns)
	v.Quantiles = quantilePlot(r)
	v.Hover = hoverOf(columns)
	for _, o := range load.Outcomes() {
		v.Outcomes = append(v.Outcomes, outcomeView{o.String(), r.Outcomes[o.String()], r.Share(o)})
	}
	for _, s := range r.Statuses {
		v.StatusRows = append(v.StatusRows, statusView{s, r.part(s.Count)})
	}
	for _, row := range latencyRows(r) {
		v.Latencies = append(v.Latencies, latencyView{row.label, row.cells(0)})
	}
	for _, f := range latencyFigures() {
		v.Heads = append(v.Heads, f.name)
	}
	if len(r.Messages) > 1 {
		for i := range r.Messages {
			m := &r.Messages[i]
			v.Messages = append(v.Messages, messageView{*m, m.ok(), []string{
				m.latency(LatencyOK, "p50"), m.latency(LatencyOK, "p99"), m.latency(LatencyOK, "max"), m.latency(LatencyAll, "p99"),
			}})
		}
	}
	for i := range r.Triggers {
		t := &r.Triggers[i]
		v.Sentences = append(v.Sentences, triggerView{badgeOf(t.Verdict), t.line(), format.Sentence(t.Why)})
	}
	v.Facts = facts(r)
	return v
}

// facts returns the sentences about a run.
func facts(r *Run) (list []fact) {
	add := func(label, class string, lines ...string) {
		for _, text := range lines {
			if text != "" {
				list = append(list, fact{label, text, class})
				label = ""
			}
		}
	}
	add("policy", "", r.Policy.Text)
	add("attempts", "", attemptLines(r)...)
	add("wasted work", "", wastedLine(&r.Attempts))
	add("bytes", "", bytesLine(r))
	add("on time", "", onTimeLine(r))
	add("backlog", "warn", backlogLine(r))
	for i := range r.Faults {
		add("faults", "", r.Faults[i].line())
	}
	add("generator", "", generatorLines(r)...)
	add("", "warn", doubtfulLines(r)...)
	for _, c := range r.Changes {
		add("changed", "", fmt.Sprintf("%s at %s", c.Text, format.Seconds(c.At)))
	}
	add("stopped", "warn", stoppedLine(r))
	return list
}
