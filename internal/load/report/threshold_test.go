package report_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load/report"
)

func TestThresholds(t *testing.T) {
	d := sample(t)
	nothing := document(report.KindRun, newRun(t, emptyResult(), report.About{}))
	cases := []struct {
		text, measured string
		kept           bool
	}{
		{"p99<50ms", "960ms", false},
		{" p99 < 2s ", "960ms", true},
		{"p99{all}<50ms", "990ms", false},
		{" p99{all} < 2s ", "990ms", true},
		{"p50<=486ms", "485ms", true},
		{"p99.9<900ms", "969ms", false},
		{"max<=970ms", "970ms", true},
		{"max{all}<=970ms", "1.00s", false},
		{"min>0s", "1.00ms", true},
		{"mean<486ms", "486ms", true},
		{"attempt-p99<10ms", "9.60ms", true},
		{"attempt-p99{all}<9.8ms", "9.90ms", false},
		{"goodput>96%", "96.71%", true},
		{"goodput>=485/s", "485/s", true},
		{"goodput>485/s", "485/s", false},
		{"errors<3%", "3.29%", false},
		{"errors<34", "33", true},
		{"timeouts<=10", "10", true},
		{"shed<1", "3", false},
		{"amplification<1.2", "1.097", true},
		{"wasted<5%", "5.80%", false},
		{"late<1", "1", false},
		{"unreachable<1", "0", true},
		{"resets<=0%", "0%", true},
		{"recovery<3s", "no trigger", false},
		{"on-time>1%", "no objective", false},
		{"p99{create}<1s", "no such message", false},
	}
	for _, c := range cases {
		hold(t, d, c.text)
		want := report.ThresholdResult{Text: strings.TrimSpace(c.text), Kept: c.kept, Measured: c.measured}
		if diff := cmp.Diff([]report.ThresholdResult{want}, d.Thresholds); diff != "" {
			t.Errorf("%s -want +got\n%s", c.text, diff)
		}
		hold(t, nothing, c.text)
		if got := nothing.Thresholds[0]; got.Kept || !slices.Contains([]string{"nothing", "no trigger", "no such message"}, got.Measured) {
			t.Errorf("%s of a run without requests: %+v", c.text, got)
		}
	}
}

func TestCrossed(t *testing.T) {
	var names []string
	for _, crossed := range sample(t).Crossed() {
		names = append(names, crossed.Text)
	}
	if diff := cmp.Diff([]string{"p99<50ms"}, names); diff != "" {
		t.Errorf("crossed -want +got\n%s", diff)
	}
}

// TestThresholdsOfSeveralRuns checks that the worst run decides, and is named.
func TestThresholdsOfSeveralRuns(t *testing.T) {
	d := collapse(t)
	hold(t, d, "recovery<3s", "amplification<4", "amplification<1.1", "goodput>40%", "shed<1")
	want := []report.ThresholdResult{
		{Text: "recovery<3s", Measured: "COLLAPSED", Run: "naive"},
		{Text: "amplification<4", Kept: true, Measured: "2.771", Run: "naive"},
		{Text: "amplification<1.1", Measured: "2.771", Run: "naive"},
		{Text: "goodput>40%", Measured: "34.33%", Run: "naive"},
		{Text: "shed<1", Kept: true, Measured: "0", Run: "none"},
	}
	if diff := cmp.Diff(want, d.Thresholds); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	d.Runs = d.Runs[4:]
	hold(t, d, "recovery<3s", "recovery<1s")
	want = []report.ThresholdResult{{Text: "recovery<3s", Kept: true, Measured: "1.20s"}, {Text: "recovery<1s", Measured: "1.20s"}}
	if diff := cmp.Diff(want, d.Thresholds); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestThresholdsOverHTTP checks that unknown late answers do not count as none.
func TestThresholdsOverHTTP(t *testing.T) {
	d := sample(t)
	d.Runs[0].Attempts.LateUnknown = true
	hold(t, d, "late<1000", "wasted<100%")
	want := []report.ThresholdResult{{Text: "late<1000", Measured: "unknown"}, {Text: "wasted<100%", Measured: "unknown"}}
	if diff := cmp.Diff(want, d.Thresholds); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestBadThresholds(t *testing.T) {
	cases := []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "the metric is missing"},
		{"p99", 3, "requires"},
		{"p98<1s", 0, `unknown metric "p98"`},
		{"  p98<1s", 2, `unknown metric "p98"`},
		{"<1s", 0, "the metric is missing"},
		{"p99=1s", 3, "requires <"},
		{"p99==1s", 3, "requires <"},
		{"p99<", 4, "the value is missing"},
		{"p99<fast", 4, `"fast" is not a duration such as 50ms`},
		{"p99< 50", 5, `p99 requires a duration such as 50ms, not "50"`},
		{"p99<5%", 4, "requires a duration"},
		{"goodput>many%", 8, `"many" is not a number`},
		{"goodput>99", 8, "a share such as 99% or a rate such as 450/s"},
		{"amplification<NaN%", 14, "not a number"},
		{"recovery<3", 9, "recovery requires a duration"},
		{"collapse<1", 0, "late, or recovery"},
		{"p99{all", 3, "a brace is not closed"},
		{`p99{{"cmd":"}"}<1s`, 3, "a brace is not closed"},
		{"p99{}<1s", 4, "braces contain the name of one message, or all"},
		{"p99{a}{b}<1s", 7, "braces contain the name of one message, or all"},
		{"p99{all}{all}<1s", 9, "p99 has no {all}"},
		{"goodput{all}>1%", 8, "goodput has no {all}: only a latency has"},
		{"recovery{create}<1s", 9, "recovery is measured for the whole run"},
		{"p98{all}<1s", 0, `unknown metric "p98"`},
		{"p99{all}50ms", 8, "requires <"},
		{"p99{create} < many", 14, "is not a duration"},
	}
	for _, c := range cases {
		_, err := report.ParseThreshold(c.text)
		var problem *report.SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("%q: error %v, want a *SyntaxError", c.text, err)
			continue
		}
		if problem.Offset != c.offset || !strings.Contains(problem.Message, c.message) {
			t.Errorf("%q: offset %d, %q; want %d, %q", c.text, problem.Offset, problem.Message, c.offset, c.message)
		}
	}
}

// FuzzParseThreshold checks that the position of every error is within the text.
func FuzzParseThreshold(f *testing.F) {
	for _, seed := range []string{"p99<50ms", "goodput>=99.5%", "amplification<1.2", " errors < 1 %", "p99.9>=1h2m", "x<", "<=>", "p99{all}<1s", `p99{{"cmd":"a\"}"}}{all}<1s`, "p99{", "p99{}}<"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		threshold, err := report.ParseThreshold(text)
		var problem *report.SyntaxError
		if errors.As(err, &problem) && (problem.Offset < 0 || problem.Offset > len(text)) {
			t.Fatalf("%q: offset %d", text, problem.Offset)
		}
		if err == nil {
			new(report.Document).Hold([]report.Threshold{threshold})
		}
	})
}
