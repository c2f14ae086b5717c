package bench

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
)

// Crossed returns the error for thresholds that a document does not meet, or nil.
func Crossed(d *report.Document) error {
	var texts []string
	for _, t := range d.Crossed() {
		texts = append(texts, fmt.Sprintf("%s (measured %s)", t.Text, t.Measured))
	}
	if len(texts) == 0 {
		return nil
	}
	return exit.WithCode(fmt.Errorf("threshold crossed: %s", strings.Join(texts, ", ")), exit.Threshold)
}

// Failed returns the error for a document with a run in which no request succeeded, or
// nil. Its exit code is that of the run's most common outcome.
func Failed(d *report.Document) error {
	r := d.FailedRun()
	if r == nil {
		return nil
	}
	what := "no request succeeded"
	if len(d.Runs) > 1 {
		what = fmt.Sprintf("no request of %s succeeded", cmp.Or(r.Name, "a run"))
	}
	if len(r.Errors) == 0 {
		return exit.WithCode(errors.New(what+": none was sent"), exit.Failed)
	}
	most := r.Errors[0]
	code := map[string]int{
		load.Error.String(): exit.Service, load.Unreachable.String(): exit.Unreachable, load.Reset.String(): exit.Unreachable,
		load.Timeout.String(): exit.Timeout, load.Shed.String(): exit.Failed,
	}[most.Outcome]
	return exit.WithCode(fmt.Errorf("%s; the most common outcome was %s (%s)", what, most.Outcome, most.Text), code)
}
