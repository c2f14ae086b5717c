package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// JUnit writes a test report for CI systems, with a test case for each threshold and
// for the verdict of each trigger. DEGRADED and COLLAPSED are failures; UNDECIDED is a
// skipped test.
func (d *Document) JUnit(to io.Writer) error {
	suite := junitSuite{Name: "msctl bench " + d.Runs[0].Pattern, Timestamp: d.Started.UTC().Format("2006-01-02T15:04:05")}
	var took time.Duration
	for i := range d.Runs {
		took += d.Runs[i].Elapsed
	}
	suite.Time = inSeconds(took)
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

// properties returns figures that need no threshold.
func (d *Document) properties() []junitProperty {
	list := []junitProperty{{"command", d.Command}, {"target", d.Runs[0].Target}}
	if len(d.Runs) > 1 {
		return list
	}
	r := &d.Runs[0]
	return append(list,
		junitProperty{"load", r.Load}, junitProperty{"policy", r.Policy.Text},
		junitProperty{"goodput", format.Percent(r.share("ok"))}, junitProperty{"p50", format.Duration(r.Latency["request"].P50)},
		junitProperty{"p99", format.Duration(r.Latency["request"].P99)},
		junitProperty{"amplification", strconv.FormatFloat(r.Attempts.Amplification, 'f', 2, 64)})
}

func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
