package report

import (
	"fmt"
	"html/template"
	"time"

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
	Tiles    []tile
	Table    *tableView // of several runs
	Runs     []runView
	Started  string
	Machine  string
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
	Latencies []latencyView
	Facts     []fact
	Messages  []messageView
	Sentences []triggerView
}

type outcomeView struct {
	Word  string
	Count int64
	Share float64
}

type latencyView struct {
	Label string
	Latency
}

type fact struct{ Label, Text, Class string }

type messageView struct {
	Message
	OK string
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
		Doc: d, Pattern: r.Pattern, Target: r.Target, Load: r.offered(),
		Started: d.Started.UTC().Format("2 January 2006, 15:04:05 UTC"),
		Machine: fmt.Sprintf("%s/%s, %s, %s", d.Machine.OS, d.Machine.Arch, format.Counted(d.Machine.CPUs, "processor"), d.Machine.Go),
	}
	if several {
		p.Table = d.table()
		p.Load += ", " + format.Counted(len(d.Runs), "run")
	} else {
		p.Badge = badgeOf(r.Verdict)
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
	request := r.Latency["request"]
	share := r.share("ok")
	class := "good"
	switch {
	case share < 0.9:
		class = "bad"
	case share < 0.99:
		class = "warn"
	}
	list := []tile{
		{"goodput", format.Percent(share), fmt.Sprintf("%s of %s offered", format.Rate(r.Goodput), format.Rate(r.OfferedRate)), class},
		{"p50", latencyText(request, request.P50), "request latency", ""},
		{"p99", latencyText(request, request.P99), "max " + latencyText(request, request.Max), ""},
		{"amplification", fmt.Sprintf("%.2f", r.Attempts.Amplification), format.Count(r.Attempts.Total) + " attempts", ""},
	}
	if r.Attempts.LateUnknown {
		return append(list, tile{"wasted work", "–", "unknown over HTTP", ""})
	}
	return append(list, tile{"wasted work", format.Percent(r.Attempts.Wasted), "of " + format.CountedAs(r.Attempts.answers(), "reply", "replies"), ""})
}

// latencyText formats a latency, or a dash if there is none.
func latencyText(l Latency, d time.Duration) string {
	if l.Count == 0 {
		return "–"
	}
	return format.Duration(d)
}

// view prepares a run for the template.
func view(r *Run) runView {
	v := runView{Run: r, Badge: badgeOf(r.Verdict)}
	columns := resample(r)
	v.Times = timePlots(r, columns)
	v.Quantiles = quantilePlot(r)
	v.Hover = hoverOf(columns)
	for _, o := range load.Outcomes() {
		v.Outcomes = append(v.Outcomes, outcomeView{o.String(), r.Outcomes[o.String()], r.share(o.String())})
	}
	for _, l := range []struct{ name, label string }{{"request", "request"}, {"attempt", "attempt"}, {"late_by", "late by"}} {
		if entry := r.Latency[l.name]; entry.Count > 0 {
			v.Latencies = append(v.Latencies, latencyView{l.label, entry})
		}
	}
	if len(r.Messages) > 1 {
		for i := range r.Messages {
			v.Messages = append(v.Messages, messageView{r.Messages[i], r.Messages[i].ok()})
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
	for i := range r.Faults {
		add("faults", "", r.Faults[i].line())
	}
	add("generator", "", generatorLines(r)...)
	add("", "warn", doubtfulLine(r))
	for _, c := range r.Changes {
		add("changed", "", fmt.Sprintf("%s at %s", c.Text, format.Seconds(c.At)))
	}
	add("stopped", "warn", stoppedLine(r))
	return list
}
