// Package report writes the results of load tests as plain text, HTML, JSON, CSV,
// JUnit, Markdown, and vegeta files, and checks thresholds.
//
// Every report is made from a Document, which can be saved: a document loaded from a
// file gives the same reports as the run itself.
package report

import "slices"

// Hold checks the runs against thresholds and replaces the document's results. With
// several runs, a threshold is met if every run meets it, and the measured value is
// that of the worst run. The run that tries a suggestion does not count.
func (d *Document) Hold(thresholds []Threshold) {
	runs := slices.DeleteFunc(slices.Clone(d.Runs), func(r Run) bool { return r.Cell == TriedCell })
	d.Thresholds = make([]ThresholdResult, 0, len(thresholds))
	for _, t := range thresholds {
		d.Thresholds = append(d.Thresholds, t.check(runs))
	}
}

// FailedRun returns the first run in which nothing succeeded, or nil. The run that tries a
// suggestion does not count.
func (d *Document) FailedRun() *Run {
	for i := range d.Runs {
		if r := &d.Runs[i]; r.Failed() && r.Cell != TriedCell {
			return r
		}
	}
	return nil
}

// Crossed returns the thresholds that were not met.
func (d *Document) Crossed() []ThresholdResult {
	var crossed []ThresholdResult
	for _, t := range d.Thresholds {
		if !t.Kept {
			crossed = append(crossed, t)
		}
	}
	return crossed
}

// Verdict returns the worst verdict of the runs, or "" without triggers.
func (d *Document) Verdict() string {
	worst := ""
	for i := range d.Runs {
		if VerdictRank(d.Runs[i].Verdict) > VerdictRank(worst) {
			worst = d.Runs[i].Verdict
		}
	}
	return worst
}

// The verdicts of a finished run, as formatted by load.Verdict.
const (
	recovered = "RECOVERED"
	undecided = "UNDECIDED"
	degraded  = "DEGRADED"
	collapsed = "COLLAPSED"
)

// VerdictRank orders verdicts from the best to the worst: no verdict is 0,
// RECOVERED 1, and COLLAPSED 4. A word that is not a verdict is -1.
func VerdictRank(word string) int {
	for i, v := range [...]string{"", recovered, undecided, degraded, collapsed} {
		if v == word {
			return i
		}
	}
	return -1
}
