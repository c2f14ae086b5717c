package report_test

import (
	"bytes"
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
