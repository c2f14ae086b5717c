package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/golden"
	"github.com/msctl/msctl/runtime/policy"
)

// hostile is text with special characters of every format.
const hostile = "\"><script>alert(1)</script>&amp;{{.}}</style>`|*_[x](http://evil.example/a)\u2028\x00\x1b[31m'];--\n$(rm)"

// hostileDocument returns a document with hostile in every text.
func hostileDocument(t *testing.T) *report.Document {
	t.Helper()
	d := collapse(t)
	d.Command, d.Tool, d.Experiment.Title, d.Experiment.Why = hostile, hostile, hostile, hostile
	d.Experiment.Axes[0].Name, d.Suggestion.Why, d.Suggestion.Policy.Text = hostile, hostile, hostile
	d.Machine = report.Machine{OS: hostile, Arch: hostile, Go: hostile}
	for i := range d.Experiment.Cells {
		d.Experiment.Cells[i].Values[0] = hostile
	}
	for i := range d.Runs {
		r := &d.Runs[i]
		r.Name, r.Pattern, r.Target, r.Load, r.Policy.Text = hostile, hostile, hostile, hostile, hostile
		r.Faults = []report.Fault{{Text: hostile, Messages: 2, Hit: 1}}
		r.Changes = []report.Change{{At: 5 * time.Second, Text: hostile}}
		r.Errors = []report.ErrorCount{{Outcome: "error", Status: 500, Text: hostile, Count: 3}}
		r.Messages = []report.Message{{Name: hostile, Outcomes: map[string]int64{}}, {Name: hostile, Outcomes: map[string]int64{}}}
		for j := range r.Triggers {
			r.Triggers[j].Text, r.Triggers[j].Why = hostile, hostile
		}
	}
	d.Thresholds = []report.ThresholdResult{{Text: hostile, Measured: hostile, Run: hostile}}
	return d
}

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	d := sample(t)
	if err := d.CSV(&out); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/plain.csv", out.String())
	out.Reset()
	if err := hostileDocument(t).CSV(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+5*30 || len(rows[0]) != len(rows[1]) || rows[1][0] != hostile {
		t.Errorf("%d rows, the first run is called %q", len(rows), rows[1][0])
	}
	if err := d.CSV(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// junit is a JUnit file, as parsed by a CI system.
type junit struct {
	Suites []struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestJUnit(t *testing.T) {
	for name, d := range documents(t) {
		var out bytes.Buffer
		if err := d.JUnit(&out); err != nil {
			t.Fatal(err)
		}
		if name == "plain" || name == "collapse" || name == "collapsed" {
			golden.Check(t, "testdata/"+name+".xml", out.String())
		}
		checkJUnit(t, d, out.Bytes())
	}
	var out bytes.Buffer
	d := hostileDocument(t)
	d.Runs[0].Triggers[0].Verdict = "UNDECIDED"
	if err := d.JUnit(&out); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, d, out.Bytes())
	if err := d.JUnit(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// checkJUnit compares the failures with the document.
func checkJUnit(t *testing.T, d *report.Document, text []byte) {
	t.Helper()
	var got junit
	decoder := xml.NewDecoder(bytes.NewReader(bytes.TrimSpace(text)))
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("not XML: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more behind the root: %v", err)
	}
	tests, failures, skipped := len(d.Thresholds), len(d.Crossed()), 0
	for _, r := range d.Runs {
		tests++
		if r.Failed() {
			failures++
		}
		for _, trigger := range r.Triggers {
			tests++
			switch bad := trigger.Verdict == "COLLAPSED" || trigger.Verdict == "DEGRADED"; {
			case bad && d.Experiment == nil:
				failures++
			case bad, trigger.Verdict == "UNDECIDED": // an experiment is made to see some collapse
				skipped++
			}
		}
	}
	suite := got.Suites[0]
	counted := [3]int{len(suite.Cases)}
	for _, c := range suite.Cases {
		if c.Failure != nil {
			counted[1]++
		}
		if c.Skipped != nil {
			counted[2]++
		}
	}
	want := [3]int{tests, failures, skipped}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("cases, failures, skipped -want +got\n%s", diff)
	}
	if diff := cmp.Diff(want, [3]int{suite.Tests, suite.Failures, suite.Skipped}); diff != "" {
		t.Errorf("counts of the suite -want +got\n%s", diff)
	}
}

func TestMarkdown(t *testing.T) {
	for name, d := range documents(t) {
		var out bytes.Buffer
		if err := d.Markdown(&out); err != nil {
			t.Fatal(err)
		}
		if name == "plain" || name == "collapse" || name == "collapsed" {
			golden.Check(t, "testdata/"+name+".md", out.String())
		}
	}
	if err := sample(t).Markdown(broken{}); err == nil {
		t.Error("a disk that is full is no error")
	}
}

// TestHostileMarkdown checks that text of the service cannot break out of a table, a line, or
// code, and does not become an element.
func TestHostileMarkdown(t *testing.T) {
	var out bytes.Buffer
	if err := hostileDocument(t).Markdown(&out); err != nil {
		t.Fatal(err)
	}
	text, command, _ := strings.Cut(out.String(), "```sh")
	columns := 0
	for line := range strings.SplitSeq(text, "\n") {
		outside := withoutCode(line)
		if strings.Contains(outside, "<script") || strings.Contains(outside, "](http") || strings.Contains(outside, "**|") {
			t.Errorf("outside of code: %s", line)
		}
		cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = cells
		case columns != cells:
			t.Errorf("a row of %d columns in a table of %d: %s", cells, columns, line)
		}
	}
	if strings.Count(command, "```") != 1 {
		t.Errorf("the command leaves its block:\n%s", command)
	}
}

// withoutCode removes code spans.
func withoutCode(line string) string {
	var kept strings.Builder
	for line != "" {
		before, rest, found := strings.Cut(line, "`")
		kept.WriteString(before)
		if !found {
			break
		}
		fence := "`"
		for strings.HasPrefix(rest, "`") {
			fence, rest = fence+"`", rest[1:]
		}
		_, line, _ = strings.Cut(rest, fence)
	}
	return kept.String()
}

// TestVerdicts checks the worst verdict of a document.
func TestVerdicts(t *testing.T) {
	if got := collapse(t).Verdict(); got != "COLLAPSED" {
		t.Errorf("the worst verdict of a collapse is %q", got)
	}
	if got := sample(t).Verdict(); got != "" {
		t.Errorf("without a trigger there is the verdict %q", got)
	}
	res := stories()[4].play()
	res.Recoveries[0].Verdict, res.Verdict = load.Undecided, load.Undecided
	res.Policy = policy.None().Settings()
	d := document(report.KindRun, newRun(t, res, report.About{}))
	if got := d.Verdict(); got != "UNDECIDED" {
		t.Errorf("the verdict is %q", got)
	}
}

// TestStatuses checks that every format has the statuses of HTTP, and what the command
// requires.
func TestStatuses(t *testing.T) {
	res := thousand()
	res.Statuses = []load.StatusCount{{Status: 200, Count: 750}, {Status: 404, Count: 250}}
	res.Totals.Offered = 1000
	d := document(report.KindRun, newRun(t, res, report.About{Pattern: "GET /items", Target: "http://localhost:3001/items"}))
	d.Command = "msctl bench -H 'Authorization: Bearer $AUTHORIZATION' --to 'http://localhost:3001/items?api_key=$API_KEY'"
	for name, f := range map[string]struct {
		write func(io.Writer) error
		want  []string
	}{
		"text": {func(w io.Writer) error { return d.Text(w, golden.Plain{}, 80) }, []string{
			"statuses\n  200                  750         75%\n  404                  250         25%\n",
			"              set API_KEY, AUTHORIZATION first: credentials are not saved\n",
		}},
		"markdown": {d.Markdown, []string{"| status | count | share |\n|---|---:|---:|\n| 200 | 750 | 75% |\n| 404 | 250 | 25% |\n", "Set API&#95;KEY, AUTHORIZATION first: credentials are not saved."}},
		"html": {d.HTML, []string{
			`<h3>Statuses</h3>`, `<td>404</td><td class="n">250</td><td class="n">25%</td>`, "<p class=\"dim\">Set API_KEY, AUTHORIZATION first: credentials are not saved.</p>",
		}},
		"json":  {d.Save, []string{`"statuses": [{"status":200,"count":750},{"status":404,"count":250}]`}},
		"junit": {d.JUnit, []string{`<property name="statuses" value="200: 750, 404: 250">`, `value="set API_KEY, AUTHORIZATION first: credentials are not saved"`}},
	} {
		var out bytes.Buffer
		if err := f.write(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range f.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not contain %q:\n%s", name, want, out.String())
			}
		}
	}
}
