// Package report makes what people and other programs read out of load tests:
// plain text, an HTML page, JSON, CSV, JUnit, Markdown and vegeta files, and the
// check of thresholds. It measures nothing.
//
// Everything is made from a Document, which is also what is saved: a document
// that was read from a file gives the same reports as the run itself.
package report

// Hold checks the runs against thresholds and keeps the results in the
// document, in place of those it had. With several runs a threshold is kept if
// every run keeps it; the measured value is the worst one.
func (d *Document) Hold(thresholds []Threshold) {
	d.Thresholds = make([]ThresholdResult, 0, len(thresholds))
	for _, t := range thresholds {
		d.Thresholds = append(d.Thresholds, t.check(d.Runs))
	}
}

// Crossed returns the thresholds that were not kept.
func (d *Document) Crossed() []ThresholdResult {
	var crossed []ThresholdResult
	for _, t := range d.Thresholds {
		if !t.Kept {
			crossed = append(crossed, t)
		}
	}
	return crossed
}

// Verdict is the worst verdict of the runs, "" where there was no trigger.
func (d *Document) Verdict() string {
	worst := ""
	for i := range d.Runs {
		if VerdictRank(d.Runs[i].Verdict) > VerdictRank(worst) {
			worst = d.Runs[i].Verdict
		}
	}
	return worst
}

// The verdicts of a finished run, as load.Verdict writes them.
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
