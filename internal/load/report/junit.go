package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// JUnit writes a test report for CI systems, with a test case for each run, which fails if
// nothing succeeded, for each threshold, and for the verdict of each trigger. DEGRADED and
// COLLAPSED are failures; UNDECIDED is a skipped test.
func (d *Document) JUnit(to io.Writer) error {
	suite := junitSuite{Name: "msctl bench " + d.title(), Timestamp: d.Started.UTC().Format("2006-01-02T15:04:05")}
	var took time.Duration
	for i := range d.Runs {
		took += d.Runs[i].Elapsed
	}
	suite.Time = inSeconds(took)
	for i := range d.Runs {
		suite.add(d.Runs[i].junitSuccess(d))
	}
	for _, t := range d.Thresholds {
		suite.add(t.junit(d))
	}
	for i := range d.Runs {
		for j := range d.Runs[i].Triggers {
			suite.add(d.Runs[i].junit(j, d.Experiment != nil))
		}
	}
	suite.Properties = d.properties()
	text, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the JUnit file: %w", err)
	}
	if _, err := fmt.Fprintf(to, "%s%s\n", xml.Header, text); err != nil {
		return fmt.Errorf("write the JUnit file: %w", err)
	}
	return nil
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *junitSkipped `xml:"skipped"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
}

func (t *ThresholdResult) junit(d *Document) junitCase {
	c := junitCase{Name: t.Text, Class: "msctl.bench.threshold", Time: "0"}
	if t.Kept {
		return c
	}
	message := fmt.Sprintf("%s: measured %s", t.Text, t.Measured)
	if t.Run != "" {
		message += " in " + t.Run
	}
	c.Failure = &junitFailure{Message: message, Type: "threshold", Text: message + "\n" + d.Command}
	return c
}

// junitSuccess returns the test case of a run, which fails if no request succeeded.
func (r *Run) junitSuccess(d *Document) junitCase {
	c := junitCase{Name: "requests succeed", Class: "msctl.bench.run", Time: inSeconds(r.Elapsed)}
	if r.Name != "" {
		c.Name = r.Name + ": " + c.Name
	}
	switch {
	case r.Failed() && r.Cell == TriedCell:
		c.Skipped = &junitSkipped{Message: failedLine}
	case r.Failed():
		c.Failure = &junitFailure{Message: failedLine, Type: "run", Text: failedLine + "\n" + d.Command}
	}
	return c
}

// junit returns the test case of trigger i. A system that does not recover is a failure
// unless that is expected.
func (r *Run) junit(i int, expected bool) junitCase {
	t := &r.Triggers[i]
	c := junitCase{Name: fmt.Sprintf("recovers from %s at %s", t.Text, format.Seconds(t.At)), Class: "msctl.bench.verdict", Time: inSeconds(r.Elapsed)}
	if r.Name != "" {
		c.Name = r.Name + ": " + c.Name
	}
	switch t.Verdict {
	case degraded, collapsed:
		if expected { // to see this is the purpose of an experiment
			c.Skipped = &junitSkipped{Message: t.sentence()}
			return c
		}
		c.Failure = &junitFailure{Message: t.sentence(), Type: t.Verdict, Text: t.line() + "\n" + r.Policy.Text}
	case undecided:
		c.Skipped = &junitSkipped{Message: t.sentence()}
	}
	return c
}

// properties returns the figures of the runs, which need no threshold.
func (d *Document) properties() []junitProperty {
	list := []junitProperty{{"command", d.Command}, {"target", d.target()}}
	if note := d.rerunNote(); note != "" {
		list = append(list, junitProperty{"rerun", note})
	}
	for i := range d.Runs {
		r := &d.Runs[i]
		prefix := ""
		if len(d.Runs) > 1 {
			prefix = runName(r, i) + ": "
		}
		ok, all := r.Latency[LatencyOK], r.Latency[LatencyAll]
		for _, p := range []junitProperty{
			{"load", r.Load}, {"policy", r.Policy.Text}, {"offered", format.Rate(r.OfferedRate)},
			{"goodput", format.Percent(r.Share(load.OK))}, {"goodput per second", format.Rate(r.Goodput)},
			{"p50", figureOf(ok, "p50")}, {"p99", figureOf(ok, "p99")}, {"p99 of all", figureOf(all, "p99")},
			{"lateness p50", r.lateness("p50")}, {"lateness p99", r.lateness("p99")}, {"lateness max", r.lateness("max")},
			{"amplification", strconv.FormatFloat(r.Attempts.Amplification, 'f', 2, 64)}, {"on time", onTimeLine(r)}, {"backlog", backlogLine(r)},
			{"statuses", statusesLine(r)},
		} {
			if p.Value != "" {
				list = append(list, junitProperty{prefix + p.Name, p.Value})
			}
		}
	}
	return list
}

// lateness returns a figure of the lateness; "" for users, who are never late.
func (r *Run) lateness(name string) string {
	if lag := r.Latency[LatencyLag]; lag.Count > 0 && r.Users == 0 {
		return figureOf(lag, name)
	}
	return ""
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
