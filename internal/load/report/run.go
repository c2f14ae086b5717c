package report

import (
	"runtime"
	"slices"
	"strings"
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
	// Data is a digest of what is sent, and Loopback is set if the target is on this
	// machine.
	Data     string
	Loopback bool
	// Connections is the number of connections.
	Connections int
	// Seed and Coalesce are the plan's.
	Seed     uint64
	Coalesce time.Duration
	// Faults are all faults of the run, including those without a window.
	Faults []Fault
	// LateUnknown is set if the transport cannot see late answers.
	LateUnknown bool
	// Agents are the processes that made the run; nil for this one.
	Agents []Agent
}

// NewRun converts a result to a run of a document. It returns an error if a histogram
// cannot be encoded.
func NewRun(res *load.Result, about About) (Run, error) {
	r := Figures(res, about)
	if err := encode(r.Latency, distributions(&res.Distributions)); err != nil {
		return Run{}, err
	}
	for i := range r.Messages {
		m := &res.Messages[i]
		if err := encode(r.Messages[i].Latency, messageDistributions(m)); err != nil {
			return Run{}, err
		}
	}
	r.series(res)
	return r, nil
}

// Figures converts a result to a run without its time series and complete histograms:
// all that a threshold reads.
func Figures(res *load.Result, about About) Run {
	t := &res.Totals
	r := Run{
		Name: about.Name, Cell: about.Cell, Pattern: about.Pattern, Target: about.Target, Load: about.Load,
		Data: about.Data, Loopback: about.Loopback, Connections: about.Connections, Seed: about.Seed, Coalesce: about.Coalesce, Faults: about.Faults,
		Agents:  about.Agents,
		Started: res.Started, Stopped: res.Stopped, Policy: NewPolicy(res.Policy),
		Elapsed: res.Elapsed, Warmup: res.Warmup, Counted: res.Counted, Served: res.Served, Rate: res.Rate, Users: res.Users,
		Offered: t.Offered, Outcomes: outcomes(t.Outcomes[:]), CutShort: t.CutShort,
		Goodput: res.Goodput(), OfferedRate: res.OfferedRate(),
		OnTime: t.OnTime, Objective: Objective(res.Objective), Backlog: Backlog(res.Backlog),
		BytesSent: t.BytesSent, BytesReceived: t.BytesReceived,
		Attempts: attempts(t, about.LateUnknown), Latency: map[string]Latency{},
		CohortStep: res.CohortStep, Verdict: res.Verdict.String(),
	}
	for name, h := range distributions(&res.Distributions) {
		r.Latency[name] = latency(h)
	}
	if h := res.HeldBack; h.Likely() && !about.LateUnknown { // over HTTP, requests use other connections
		r.HeldBack = &HeldBack{Share: float64(h.AtNext) / float64(h.Replies), Pace: h.Pace / time.Duration(h.AtNext)}
	}
	r.lists(res)
	return r
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

// Merge returns a document with the runs of all documents, for one report. Thresholds are
// checked against all runs. What differs between the documents and applies to one of them
// only, such as the machine, is left out.
func Merge(first *Document, others ...*Document) *Document {
	if len(others) == 0 {
		return first
	}
	merged := *first
	merged.Runs = slices.Clone(first.Runs)
	commands, thresholds := []string{first.Command}, slices.Clone(first.Thresholds)
	for _, d := range others {
		merged.Runs = append(merged.Runs, d.Runs...)
		commands, thresholds = append(commands, d.Command), append(thresholds, d.Thresholds...)
		if d.Machine != first.Machine {
			merged.Machine = Machine{}
		}
		if d.Tool != first.Tool {
			merged.Tool = "several versions of msctl"
		}
		if d.Started.Before(merged.Started) {
			merged.Started = d.Started
		}
	}
	merged.Command = strings.Join(different(commands), "\n")
	merged.Hold(parsed(thresholds))
	merged.Suggestion = Suggest(&merged)
	return &merged
}

// different returns the texts that differ, without empty ones, in their order.
func different(texts []string) (list []string) {
	for _, text := range texts {
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// parsed returns the thresholds of results, each once.
func parsed(results []ThresholdResult) (list []Threshold) {
	var texts []string
	for _, r := range results {
		texts = append(texts, r.Text)
	}
	for _, text := range different(texts) {
		if t, err := ParseThreshold(text); err == nil { // otherwise the file was edited
			list = append(list, t)
		}
	}
	return list
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

// distributions returns the distributions of a run by name.
func distributions(d *load.Distributions) map[string]*load.Histogram {
	return map[string]*load.Histogram{
		LatencyOK: d.OK, LatencyAll: d.All, LatencyAttempt: d.Attempt, LatencyAttemptAll: d.AttemptAll,
		LatencyLateBy: d.Lateness, LatencyLag: d.Lag,
	}
}

func messageDistributions(m *load.MessageTotals) map[string]*load.Histogram {
	return map[string]*load.Histogram{LatencyOK: orEmpty(m.OK), LatencyAll: orEmpty(m.All)}
}

// orEmpty returns an empty histogram for nil.
func orEmpty(h *load.Histogram) *load.Histogram {
	if h == nil {
		return load.NewHistogram()
	}
	return h
}

// latency returns the figures of a distribution.
func latency(h *load.Histogram) Latency {
	s := h.Summary()
	l := Latency{Count: s.Count, Min: s.Min, Mean: s.Mean, P50: s.P50, P90: s.P90, P95: s.P95, P99: s.P99, P999: s.P999, Max: s.Max}
	for _, b := range h.Spread() {
		l.Spread = append(l.Spread, [2]int64{int64(b.UpTo), b.Count})
	}
	return l
}

// encode adds the complete histograms.
func encode(all map[string]Latency, histograms map[string]*load.Histogram) error {
	for name, h := range histograms {
		text, err := h.Encode()
		if err != nil {
			return err
		}
		l := all[name]
		l.HDR = text
		all[name] = l
	}
	return nil
}

// lists sets the errors, statuses, messages, changes, and triggers.
func (r *Run) lists(res *load.Result) {
	for _, e := range res.Errors {
		r.Errors = append(r.Errors, ErrorCount{e.Outcome.String(), e.Status, e.Text, e.Count})
	}
	for _, s := range res.Statuses {
		r.Statuses = append(r.Statuses, StatusCount(s))
	}
	for i := range res.Messages {
		m := &res.Messages[i]
		one := Message{Name: m.Name, Offered: m.Offered, Attempts: m.Attempts, Outcomes: outcomes(m.Outcomes[:]), Latency: map[string]Latency{}}
		for name, h := range messageDistributions(m) {
			one.Latency[name] = latency(h)
		}
		r.Messages = append(r.Messages, one)
	}
	for _, m := range res.Marks {
		r.Changes = append(r.Changes, Change{m.At, m.Text})
	}
	for _, c := range res.Recoveries {
		r.Triggers = append(r.Triggers, Trigger{
			At: c.Trigger.At, Length: c.Trigger.Length, Text: c.Trigger.Text, Verdict: c.Verdict.String(), Took: c.Took,
			Before: c.Before, During: c.During, After: c.After, LateDuring: c.LateDuring, LateAfter: c.LateAfter,
			Amplified: c.Amplified, Why: c.Why,
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
			OKLatency: Quantiles{p.P50, p.P90, p.P99, p.Max}, AllLatency: Quantiles(p.All),
			Lag: p.Lag, LagP50: p.LagP50, LagP99: p.LagP99, CPU: p.CPU, GC: p.GC, Starved: p.Starved, Jump: p.Jump, Doubtful: p.Doubtful(),
		}
		if s.Doubtful {
			r.Doubtful++
		}
		if i < len(res.Sketches) {
			of := &res.Sketches[i]
			s.Latencies, s.FailedLatencies, s.AttemptLatencies = pairs(of.OK), pairs(of.Failed), pairs(of.Attempt)
		}
		r.Seconds = append(r.Seconds, s)
	}
	for _, c := range res.Cohorts {
		r.Cohorts = append(r.Cohorts, [3]int64{c.Due, c.OK, c.OnTime})
	}
}

func pairs(sketch load.Sketch) (list [][2]int64) {
	for _, b := range sketch {
		list = append(list, [2]int64{int64(b.Value), b.Count})
	}
	return list
}

// failed returns how many requests of the second ended neither ok nor shed.
func (s *Second) failed() int64 { return s.Error + s.Timeout + s.Lost }

// Share returns the share of the run's requests that have an outcome: the definition for
// all reports.
func (r *Run) Share(outcomes ...load.Outcome) float64 { return shareOf(r.Outcomes, outcomes...) }

// Share returns the share of the message's requests that have an outcome.
func (m *Message) Share(outcomes ...load.Outcome) float64 { return shareOf(m.Outcomes, outcomes...) }

// shareOf returns the share of requests with one of some outcomes; 0 without requests.
func shareOf(counts map[string]int64, outcomes ...load.Outcome) float64 {
	all := sumOf(counts)
	if all == 0 {
		return 0
	}
	return float64(countOf(counts, outcomes...)) / float64(all)
}

func countOf(counts map[string]int64, outcomes ...load.Outcome) (n int64) {
	for _, o := range outcomes {
		n += counts[o.String()]
	}
	return n
}

func sumOf(counts map[string]int64) (n int64) {
	for _, v := range counts {
		n += v
	}
	return n
}

// OnTimeShare returns the share of the run's requests that were answered on time. ok is
// false if the run has no objective.
func (r *Run) OnTimeShare() (share float64, ok bool) {
	if r.Objective.Limit == 0 || r.Offered == 0 {
		return 0, false
	}
	return float64(r.OnTime) / float64(r.Offered), true
}

// Failed reports whether no request succeeded.
func (r *Run) Failed() bool { return r.Outcomes[load.OK.String()] == 0 }

// Recovery returns the longest recovery time. ok is false if the run did not recover, or
// had no trigger.
func (r *Run) Recovery() (took time.Duration, ok bool) {
	for _, t := range r.Triggers {
		took = max(took, t.Took)
	}
	return took, r.Verdict == recovered
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
