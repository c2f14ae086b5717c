// Package report makes what people and other programs read out of the result
// of a load test: plain text, a JSON file, a vegeta file, and the check of
// thresholds. It measures nothing.
package report

import (
	"github.com/msctl/msctl/internal/load"
)

// Report is a finished run with what the run itself does not know.
type Report struct {
	// Result is what was measured.
	Result *load.Result
	// Pattern is the pattern's route; Target whom it was sent to.
	Pattern, Target string
	// Load describes the load in few words: "500/s for 10s".
	Load string
	// Connections is how many there were.
	Connections int
	// Command runs the test again, quoted for a shell.
	Command string
	// Thresholds are what the run was held to; may be empty.
	Thresholds []Threshold
}

// Crossed returns the thresholds that the run did not keep.
func (r *Report) Crossed() []Threshold {
	var crossed []Threshold
	for _, t := range r.Thresholds {
		if !t.Kept(&r.Result.Snapshot) {
			crossed = append(crossed, t)
		}
	}
	return crossed
}

// Palette colours text by what it means. Nothing else about the terminal is
// known here.
type Palette interface {
	Good(text string) string
	Bad(text string) string
	Warn(text string) string
	Dim(text string) string
	Bold(text string) string
}
