package report

import (
	"runtime"
	"slices"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// About describes a run in ways that its result does not.
type About struct {
	// Name and Cell identify the run in an experiment; both are zero for a single run.
	Name string
	Cell int
	// Pattern is the pattern's route, or the name of the scenario; Target is where it was
	// sent; Load describes the load briefly: "500/s for 10s".
	Pattern, Target, Load string
	// Connections is the number of connections.
	Connections int
	// Seed is the plan's.
	Seed uint64
	// Faults are all faults of the run, including those without a window.
	Faults []Fault
	// LateUnknown is set if the transport cannot see late answers.
	LateUnknown bool
}

// NewRun converts a result to a run of a document. It returns an error if a histogram
// cannot be encoded.
func NewRun(res *load.Result, about About) (Run, error) {
	latency, err := latencies(res)
	if err != nil {
		return Run{}, err
	}
	t := &res.Totals
	r := Run{
		Name: about.Name, Cell: about.Cell, Pattern: about.Pattern, Target: about.Target, Load: about.Load,
		Connections: about.Connections, Seed: about.Seed, Faults: about.Faults,
		Started: res.Started, Stopped: res.Stopped, Policy: NewPolicy(res.Policy),
		Elapsed: res.Elapsed, Warmup: res.Warmup, Counted: res.Counted, Rate: res.Rate, Users: res.Users,
		Offered: t.Offered, Outcomes: outcomes(t.Outcomes[:]), CutShort: t.CutShort,
		Goodput: res.Goodput(), OfferedRate: res.OfferedRate(),
		Attempts: attempts(t, about.LateUnknown), Latency: latency,
		CohortStep: res.CohortStep, Verdict: res.Verdict.String(),
	}
	r.lists(res)
	r.series(res)
	return r, nil
}

// NewDocument returns a document with the runs. tool is the program that made them,
// and command repeats them. The caller adds the Experiment of several runs.
func NewDocument(kind Kind, tool, command string, runs ...Run) *Document {
	d := &Document{Version: DocumentVersion, Tool: tool, Kind: kind, Command: command, Machine: ThisMachine(), Runs: runs}
	for _, r := range runs {
		if d.Started.IsZero() || r.Started.Before(d.Started) {
			d.Started = r.Started
		}
	}
	return d
}

// Merge returns a document with the runs of all documents, for one report or for
// one side of a comparison of repeated runs. Everything else is copied from the
// first document.
func Merge(first *Document, others ...*Document) *Document {
	merged := *first
	merged.Runs = slices.Clone(first.Runs)
	for _, d := range others {
		merged.Runs = append(merged.Runs, d.Runs...)
	}
	return &merged
}

// ThisMachine describes the machine that the program runs on.
func ThisMachine() Machine {
	return Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()}
}

func outcomes(counts []int64) map[string]int64 {
	m := make(map[string]int64, len(counts))
	for _, o := range load.Outcomes() {
		m[o.String()] = counts[o]
	}
	return m
}

func attempts(t *load.Totals, lateUnknown bool) Attempts {
	return Attempts{
		Total: t.Attempts, Retries: t.Retries, Hedges: t.Hedges,
		OverBudget: t.OverBudget, OutOfTime: t.OutOfTime, BreakerOpen: t.BreakerOpen,
		Used: t.Used, Discarded: t.Discarded, Late: t.Late,
		Amplification: t.Amplification(), Wasted: t.Wasted(), LateUnknown: lateUnknown,
	}
}

// latencies returns the four distributions of a run by name.
func latencies(res *load.Result) (map[string]Latency, error) {
	all := map[string]Latency{}
	for name, h := range map[string]*load.Histogram{
		"request": res.RequestHistogram, "attempt": res.AttemptHistogram, "late_by": res.LatenessHistogram, "lag": res.LagHistogram,
	} {
		text, err := h.Encode()
		if err != nil {
			return nil, err
		}
		l := h.Summary()
		entry := Latency{
			Count: l.Count, Min: l.Min, Mean: l.Mean, P50: l.P50, P90: l.P90, P95: l.P95, P99: l.P99, P999: l.P999, Max: l.Max,
			HDR: text,
		}
		for _, b := range h.Spread() {
			entry.Spread = append(entry.Spread, [2]int64{int64(b.UpTo), b.Count})
		}
		all[name] = entry
	}
	return all, nil
}

// lists sets the errors, messages, changes, and triggers.
func (r *Run) lists(res *load.Result) {
	for _, e := range res.Errors {
		r.Errors = append(r.Errors, ErrorCount{e.Outcome.String(), e.Status, e.Text, e.Count})
	}
	for _, m := range res.Messages {
		r.Messages = append(r.Messages, Message{
			Name: m.Name, Offered: m.Offered, Attempts: m.Attempts, Outcomes: outcomes(m.Outcomes[:]),
			P50: m.Request.P50, P99: m.Request.P99, Max: m.Request.Max,
		})
	}
	for _, m := range res.Marks {
		r.Changes = append(r.Changes, Change{m.At, m.Text})
	}
	for _, c := range res.Recoveries {
		r.Triggers = append(r.Triggers, Trigger{
			At: c.Trigger.At, Length: c.Trigger.Length, Text: c.Trigger.Text, Verdict: c.Verdict.String(), Took: c.Took,
			Before: c.Before, During: c.During, After: c.After, Amplified: c.Amplified, Why: c.Why,
		})
	}
}

// series sets the seconds and the cohorts.
func (r *Run) series(res *load.Result) {
	for i, p := range res.Seconds {
		s := Second{
			At: p.At, Offered: p.Offered, Attempts: p.Attempts, Late: p.Late, InFlight: p.InFlight,
			OK: p.Outcomes[load.OK], Error: p.Outcomes[load.Error], Timeout: p.Outcomes[load.Timeout],
			Lost: p.Outcomes[load.Unreachable] + p.Outcomes[load.Reset], Shed: p.Outcomes[load.Shed],
			P50: p.P50, P90: p.P90, P99: p.P99, Max: p.Max, Lag: p.Lag, CPU: p.CPU, GC: p.GC, Doubtful: p.Doubtful(),
		}
		if s.Doubtful {
			r.Doubtful++
		}
		if i < len(res.Sketches) {
			for _, b := range res.Sketches[i] {
				s.Latencies = append(s.Latencies, [2]int64{int64(b.Value), b.Count})
			}
		}
		r.Seconds = append(r.Seconds, s)
	}
	for _, c := range res.Cohorts {
		r.Cohorts = append(r.Cohorts, [2]int64{c.Due, c.OK})
	}
}

// failed returns how many requests of the second ended neither ok nor shed.
func (s *Second) failed() int64 { return s.Error + s.Timeout + s.Lost }

// finished returns how many requests have an outcome.
func (r *Run) finished() (n int64) {
	for _, v := range r.Outcomes {
		n += v
	}
	return n
}

// share returns an outcome's share of the finished requests.
func (r *Run) share(outcome string) float64 {
	if n := r.finished(); n > 0 {
		return float64(r.Outcomes[outcome]) / float64(n)
	}
	return 0
}

// answers returns the number of replies from the service.
func (a *Attempts) answers() int64 { return a.Used + a.Discarded + a.Late }

// end returns the end of the trigger: the end of the run if it has no length.
func (t *Trigger) end(run *Run) time.Duration {
	if t.Length == 0 {
		return max(run.Elapsed, t.At)
	}
	return t.At + t.Length
}
