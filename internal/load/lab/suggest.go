package lab

import (
	"cmp"
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/policy"
)

// SuggestedName is the name of the run that tries a suggestion.
const SuggestedName = "suggested"

// Suggest sets the suggestion of a document. In an experiment, the policy that fits the
// measurements is tried as one more run, which is added to the document, and it is only
// suggested if the run was not worse than the best one that was measured.
func Suggest(d *report.Document, try func(policy.Settings) (report.Run, error)) error {
	d.Suggestion = report.Suggest(d)
	if d.Experiment == nil || d.Suggestion == nil {
		return nil
	}
	s := report.Candidate(d)
	if s.Policy == nil {
		d.Suggestion.Why += "; another is not suggested: " + s.Why
		return nil
	}
	run, err := try(s.Policy.Settings())
	if err != nil {
		return err
	}
	run.Name, run.Cell = SuggestedName, report.TriedCell
	d.Runs = append(d.Runs, run)
	if run.Stopped {
		d.Suggestion.Why += "; the run that would have tried another one was stopped"
		return nil
	}
	d.Suggestion = decide(d.Experiment, s, &run)
	return nil
}

// decide keeps a suggestion if the run under it was not worse than the best cell.
func decide(e *report.Experiment, s *report.Suggestion, run *report.Run) *report.Suggestion {
	tried := report.CellOf(run)
	measured := &e.Cells[Leader(e)]
	name := report.CellName(e.Axes, measured.Values)
	by := worse(&tried, measured)
	if by == "" && (tried.Goodput == 0 || rank(tried.Verdict) >= int(load.Collapsed)) {
		by = "every measure"
	}
	if by != "" {
		return &report.Suggestion{Tried: &tried, Why: fmt.Sprintf(
			"the best policy is the one that was measured, %s (%s); %s would fit a healthy service, but in one more run of this experiment it was worse by %s (%s)",
			name, describe(measured), s.Policy.Text, by, describe(&tried))}
	}
	s.Tried = &tried
	s.Why += fmt.Sprintf("; tried as one more run of this experiment: %s; measured best: %s (%s)", describe(&tried), name, describe(measured))
	return s
}

// By how much a suggested policy may be worse than the best one that was measured: a tenth,
// or differences that are within the granularity of the verdict and the noise of a machine.
const (
	tolerated         = 0.1
	toleratedRecovery = 250 * time.Millisecond
	toleratedLatency  = 10 * time.Millisecond
)

// worse returns the figure by which a cell is worse than another one by more than is
// tolerated, or "".
func worse(c, than *report.Cell) string {
	longer := func(a, b, slack time.Duration) bool {
		return a > b+max(time.Duration(tolerated*float64(b)), slack)
	}
	switch {
	case cmp.Compare(rank(c.Verdict), rank(than.Verdict)) > 0:
		return "verdict"
	case c.Goodput < (1-tolerated)*than.Goodput:
		return "goodput"
	case longer(c.Recovery, than.Recovery, toleratedRecovery):
		return "recovery time"
	case c.Amplification > (1+tolerated)*than.Amplification:
		return "attempts per request"
	case c.Wasted > than.Wasted+tolerated:
		return "wasted work"
	case longer(c.P99, than.P99, toleratedLatency):
		return "p99"
	}
	return ""
}
