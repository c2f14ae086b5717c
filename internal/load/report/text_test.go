package report_test

import (
	"bytes"
	"errors"
	"html"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/golden"
)

// documents returns all samples by name.
func documents(t *testing.T) map[string]*report.Document {
	t.Helper()
	stopped := sample(t)
	r := &stopped.Runs[0]
	r.Stopped, r.CutShort, r.Connections, stopped.Thresholds = true, 4, 3, nil
	r.Attempts.LateUnknown, r.Attempts.BreakerOpen = true, 12
	nothing := document(report.KindRun, newRun(t, emptyResult(), report.About{Pattern: "p", Target: "t", Load: "1 user for 1s"}))
	nothing.Command = ""
	many := thousand()
	for i := range 20 {
		many.Errors = append(many.Errors, load.ErrorCount{Outcome: load.Reset, Text: strings.Repeat("x", i+1), Count: 1})
	}
	many.Messages = []load.MessageTotals{
		{Name: `{"cmd":"findAllItems"}`, Offered: 900, Outcomes: counts(880, 10, 7, 0, 0, 3), Attempts: 950, OK: recorded(5*ms, 9*ms), All: recorded(5*ms, 9*ms, 90*ms)},
		{Name: `{"cmd":"a command with a name that no column is wide enough for"}`, Offered: 103, Outcomes: counts(90, 10, 3), Attempts: 150},
		{Name: "never sent"},
	}
	repeated := document(report.KindRun, newRun(t, thousand(), aboutThousand()), newRun(t, thousand(), aboutThousand()))
	naive := document(report.KindRun, newRun(t, stories()[1].play(), report.About{
		Pattern: `{"cmd":"work"}`, Target: "tcp://127.0.0.1:4100", Load: "60/s for 30s", Connections: 1, Faults: []report.Fault{{Text: "stall@10s+4s", Messages: 1800, Hit: 240}},
	}))
	hold(t, naive, "recovery<3s", "p99<50ms")
	best := document(report.KindRun, newRun(t, stories()[4].play(), report.About{
		Pattern: `{"cmd":"work"}`, Target: "tcp://127.0.0.1:4100", Load: "60/s for 30s", Connections: 1,
	}))
	wide := sweep(t)
	wide.Experiment.Axes = append(wide.Experiment.Axes, report.Axis{Name: "rate", Values: []string{"60/s"}})
	for i := range wide.Experiment.Cells {
		wide.Experiment.Cells[i].Values = append(wide.Experiment.Cells[i].Values, "60/s")
	}
	return map[string]*report.Document{
		"plain": sample(t), "stopped": stopped, "nothing": nothing, "repeated": repeated, "collapsed": naive, "recovered": best,
		"many_errors": document(report.KindRun, newRun(t, many, aboutThousand())),
		"collapse":    collapse(t), "sweep": sweep(t), "sweep3": wide,
	}
}

func recorded(latencies ...time.Duration) *load.Histogram {
	h := load.NewHistogram()
	for _, d := range latencies {
		h.Record(d)
	}
	return h
}

func TestText(t *testing.T) {
	for name, d := range documents(t) {
		t.Run(name, func(t *testing.T) {
			var out, bare bytes.Buffer
			if err := d.Text(&out, golden.Tags{}, format.Width); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "testdata/"+name+".txt", out.String())
			if err := d.Text(&bare, golden.Plain{}, format.Width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.SplitSeq(bare.String(), "\n") {
				if n := utf8.RuneCountInString(line); n > 80 {
					t.Errorf("a line has %d columns: %s", n, line)
				}
			}
		})
	}
}

// TestTextOfASavedRun checks that a saved document has the same text.
func TestTextOfASavedRun(t *testing.T) {
	for name, d := range documents(t) {
		var before, after, file bytes.Buffer
		if err := d.Text(&before, golden.Tags{}, format.Width); err != nil {
			t.Fatal(err)
		}
		if err := d.Save(&file); err != nil {
			t.Fatal(err)
		}
		read, err := report.Load(&file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := read.Text(&after, golden.Tags{}, format.Width); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before.String(), after.String()); diff != "" {
			t.Errorf("%s: before saving and after -want +got\n%s", name, diff)
		}
	}
}

// TestHeldBack checks that all reports explain replies that were held back.
func TestHeldBack(t *testing.T) {
	res := thousand()
	res.HeldBack = load.HeldBack{Replies: 1000, Fastest: 400 * time.Microsecond, Overlapping: 950, AtNext: 940, Pace: 940 * 10 * ms}
	d := document(report.KindRun, newRun(t, res, aboutThousand()))
	var text, page, markdown bytes.Buffer
	if err := errors.Join(d.Text(&text, golden.Plain{}, 1000), d.HTML(&page), d.Markdown(&markdown)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "HTML": page.String(), "Markdown": markdown.String()} {
		if want := "94% of the replies arrived right after the next request, 10.0ms later: "; !strings.Contains(out, want) {
			t.Errorf("%s: missing: %s\n%s", name, want, out)
		}
	}
	about := aboutThousand()
	about.LateUnknown = true // HTTP
	if r := newRun(t, res, about); r.HeldBack != nil {
		t.Errorf("over HTTP: %+v", *r.HeldBack)
	}
}

// TestDoubtfulSeconds checks the list of doubtful seconds.
func TestDoubtfulSeconds(t *testing.T) {
	res := thousand()
	res.Seconds = nil
	for i := range 12 {
		p := load.Point{At: time.Duration(i) * time.Second}
		if i == 3 || i >= 7 && i <= 9 {
			p.CPU = 0.95
		}
		res.Seconds = append(res.Seconds, p)
	}
	var out bytes.Buffer
	if err := document(report.KindRun, newRun(t, res, aboutThousand())).Text(&out, golden.Plain{}, format.Width); err != nil {
		t.Fatal(err)
	}
	if want := "doubtful: 4 of 12 seconds (3 s, 7–9 s): the generator fell behind"; !strings.Contains(out.String(), want) {
		t.Errorf("missing: %s\n%s", want, out.String())
	}
}

// TestMerge checks that a report of several files has the headings, the commands, and the
// thresholds of all, and nothing that is only true of one.
func TestMerge(t *testing.T) {
	first, other := sample(t), collapse(t)
	other.Kind, other.Experiment, other.Runs = report.KindRun, nil, other.Runs[1:2]
	other.Machine.CPUs, other.Started = 64, first.Started.Add(-time.Hour)
	hold(t, other, "recovery<3s", "p99<50ms")
	merged := report.Merge(first, other)
	var out bytes.Buffer
	if err := merged.Text(&out, golden.Plain{}, 200); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/merged.txt", out.String())
	if !merged.Started.Equal(other.Started) || merged.Machine.String() != "several machines" {
		t.Errorf("it was started at %s on %s", merged.Started, merged.Machine)
	}
	for name, write := range map[string]func(io.Writer) error{"HTML": merged.HTML, "Markdown": merged.Markdown, "JUnit": merged.JUnit} {
		out.Reset()
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		for _, piece := range []string{"findAllItems", "work", "msctl bench --demo", "msctl bench cmd=findAllItems --rate 500/s"} {
			if !strings.Contains(out.String(), piece) {
				t.Errorf("%s lacks %s", name, piece)
			}
		}
	}
}

// TestSentences checks that what is not in a table is the same sentence in every format.
func TestSentences(t *testing.T) {
	backlog := load.Backlog{Peak: 1001, AtEnd: 1000, Drain: 2 * time.Second, Grew: true, Left: true, Answered: 500}
	late := load.Recovery{
		Trigger: load.Trigger{At: 4 * time.Second, Length: 3 * time.Second, Text: "stall 3s"}, Verdict: load.Recovered, Took: 250 * ms,
		Before: 1, During: 0.03, LateDuring: 0.97, After: 1, Amplified: 1, Why: "it returned",
	}
	cases := []struct {
		name   string
		change func(*load.Result)
		want   string
	}{
		{"overload", func(r *load.Result) { r.Backlog = backlog }, "offered 501.5/s, answered 500/s: the backlog grew to 1,001 and took 2 s to drain"},
		{"users", func(r *load.Result) { r.Backlog = backlog; r.Backlog.Grew = false }, "offered 501.5/s, answered 500/s: a backlog of 1,000 was left at the end of the load and took 2 s to drain"},
		{"nothing succeeded", func(r *load.Result) { r.Totals.Outcomes = counts(0, 990, 10, 0, 0, 3) }, "no request succeeded"},
		{"an objective", func(r *load.Result) {
			r.Objective, r.Totals.OnTime = load.Objective{Limit: 500 * ms, Given: true}, 900
		}, "89.73%, within 500ms"},
		{"a derived objective", func(r *load.Result) {
			r.Objective, r.Totals.OnTime = load.Objective{Limit: 100 * ms, P95: 12 * ms}, 900
		}, "89.73%, within 100ms (p95 before the trigger: 12.0ms)"},
	}
	for _, c := range cases {
		res := thousand()
		c.change(res)
		checkEveryFormat(t, c.name, document(report.KindRun, newRun(t, res, aboutThousand())), c.want, "text", "HTML", "Markdown", "JUnit")
	}
	res := thousand()
	res.Recoveries, res.Verdict = []load.Recovery{late}, load.Recovered
	checkEveryFormat(t, "late replies", document(report.KindRun, newRun(t, res, aboutThousand())),
		"stall 3s at 4 s: on time 100% before, 3% during (97% late), 100% at the end, with 1.0 attempts per request", "text", "HTML", "Markdown")
	res = thousand()
	res.Seconds[0].Starved, res.Seconds[1].Jump = 7, time.Hour
	d := document(report.KindRun, newRun(t, res, aboutThousand()))
	for _, want := range []string{
		"7 attempts failed because this machine had no file descriptor or port left: raise the limit (ulimit -n), or use fewer connections",
		"the clock of this machine jumped by 1h0m0s: it was suspended, or its time was set",
	} {
		checkEveryFormat(t, "the machine's limits", d, want, "text", "HTML", "Markdown")
	}
	d.Suggestion = &report.Suggestion{Why: "the service was not healthy"}
	checkEveryFormat(t, "no suggestion", d, "the service was not healthy", "text", "HTML", "Markdown")
}

// checkEveryFormat checks that some formats of a document contain a text.
func checkEveryFormat(t *testing.T, name string, d *report.Document, want string, formats ...string) {
	t.Helper()
	for _, f := range formats {
		write := map[string]func(io.Writer) error{
			"HTML": d.HTML, "Markdown": d.Markdown, "JUnit": d.JUnit,
			"text": func(w io.Writer) error { return d.Text(w, golden.Plain{}, 300) },
		}[f]
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		if text := html.UnescapeString(out.String()); !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("%s: the %s lacks %q", name, f, want)
		}
	}
}

// TestTextWidth checks that text is wrapped at the width of the terminal.
func TestTextWidth(t *testing.T) {
	lines := map[int]int{}
	for _, width := range []int{1, 80, 200} {
		var out bytes.Buffer
		if err := collapse(t).Text(&out, golden.Plain{}, width); err != nil {
			t.Fatal(err)
		}
		lines[width] = strings.Count(out.String(), "\n")
		for line := range strings.SplitSeq(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > max(width, 80) {
				t.Errorf("width %d: a line has %d columns: %s", width, n, line)
			}
		}
	}
	if lines[1] <= lines[80] || lines[80] <= lines[200] {
		t.Errorf("lines by width: %v", lines)
	}
}
