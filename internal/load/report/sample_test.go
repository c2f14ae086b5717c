package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/runtime/policy"
)

const ms = time.Millisecond

// began returns the wall-clock time of the start of the samples.
func began() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// document returns a document with the runs, made on a fixed machine.
func document(kind report.Kind, runs ...report.Run) *report.Document {
	d := report.NewDocument(kind, "msctl v1.2.3", "msctl bench cmd=findAllItems --rate 500/s", runs...)
	d.Machine = report.Machine{OS: "linux", Arch: "amd64", CPUs: 2, Go: "go1.26.0"}
	return d
}

func newRun(t *testing.T, res *load.Result, about report.About) report.Run {
	t.Helper()
	r, err := report.NewRun(res, about)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hold parses thresholds and checks the document against them.
func hold(t *testing.T, d *report.Document, texts ...string) {
	t.Helper()
	var list []report.Threshold
	for _, text := range texts {
		threshold, err := report.ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, threshold)
	}
	d.Hold(list)
}

// emptyResult returns a result without requests.
func emptyResult() *load.Result {
	return &load.Result{
		Started: began(),
		Distributions: load.Distributions{
			OK: load.NewHistogram(), All: load.NewHistogram(), Attempt: load.NewHistogram(), AttemptAll: load.NewHistogram(),
			Lateness: load.NewHistogram(), Lag: load.NewHistogram(),
		},
	}
}

// thousand returns a finished run of 1000 requests that took 1 ms to 1 s, evenly.
func thousand() *load.Result {
	res := emptyResult()
	res.Seconds = []load.Point{
		{Offered: 500, Attempts: 520, Outcomes: counts(490, 5, 5), Lag: 20 * ms, LagP50: 60 * time.Microsecond, LagP99: 5 * ms, CPU: 0.25, GC: 200 * time.Microsecond},
		{
			At: time.Second, Offered: 503, Attempts: 580, Outcomes: counts(480, 15, 5, 0, 0, 3), InFlight: 2,
			P50: 7, P90: 8, P99: 9, Max: 10, All: load.Quantiles{P50: 17, P90: 18, P99: 19, Max: 20},
		},
	}
	d := &res.Distributions
	for i := range 1000 {
		request, attempt := time.Duration(i+1)*ms, time.Duration(i+1)*10*time.Microsecond
		d.All.Record(request)
		d.AttemptAll.Record(attempt)
		if i < 970 { // the slowest failed
			d.OK.Record(request)
			d.Attempt.Record(attempt)
		}
	}
	d.Lateness.Record(50 * ms)
	d.Lag.Record(80 * time.Microsecond)
	s := &res.Snapshot
	s.Phase, s.Rate, s.Elapsed, s.Planned, s.Counted, s.Served = load.Finished, 500, 2100*ms, 2*time.Second, 2*time.Second, 2*time.Second
	s.Policy = policy.Recommended().Settings()
	s.Backlog = load.Backlog{Peak: 40, AtEnd: 2, Drain: 100 * ms, Answered: 495}
	summarize(res)
	s.Totals = load.Totals{Offered: 1003, Attempts: 1100, Retries: 97, Hedges: 4, OverBudget: 2, OutOfTime: 1, Used: 990, Discarded: 60, Late: 1, Lost: 9, BytesSent: 12_345, BytesReceived: 4_567_890}
	copy(s.Totals.Outcomes[:], []int64{970, 20, 10, 0, 0, 3})
	s.Errors = []load.ErrorCount{
		{Outcome: load.Error, Status: 503, Text: "busy", Count: 20},
		{Outcome: load.Timeout, Text: "no answer in time", Count: 10},
		{Outcome: load.Shed, Text: "too many requests in flight", Count: 3},
	}
	s.Marks = []load.Mark{{At: 1200 * ms, Text: "rate 500/s"}}
	return res
}

// summarize sets the figures of a result's distributions.
func summarize(res *load.Result) {
	d, s := &res.Distributions, &res.Snapshot
	s.OK, s.All = d.OK.Summary(), d.All.Summary()
	s.Attempt, s.AttemptAll = d.Attempt.Summary(), d.AttemptAll.Summary()
	s.Lateness, s.Lag = d.Lateness.Summary(), d.Lag.Summary()
}

// counts returns the outcomes of a point, in order.
func counts(n ...int64) (o [6]int64) {
	copy(o[:], n)
	return o
}

// aboutThousand describes the run of thousand.
func aboutThousand() report.About {
	return report.About{
		Pattern: `{"cmd":"findAllItems"}`, Target: "items at tcp://localhost:3002", Load: "500/s for 2s", Connections: 1, Seed: 7,
	}
}

// sample returns a document with the run of thousand.
func sample(t *testing.T) *report.Document {
	t.Helper()
	d := document(report.KindRun, newRun(t, thousand(), aboutThousand()))
	hold(t, d, "p99<50ms", "goodput>90%")
	return d
}

// story is a service at 60/s that stalls for 4 s after 10 s.
type story struct {
	name    string
	policy  *policy.Policy
	perCall float64 // attempts per request while it does not reply
	back    int     // seconds from the stall until it replies again; 0 means never
	latency time.Duration
}

// play returns the result of a story, which is deterministic.
func (s story) play() *load.Result {
	res := emptyResult()
	random := rand.New(rand.NewPCG(1, 2))
	res.Policy = s.policy.Settings()
	res.Rate, res.Phase, res.Elapsed, res.Planned, res.Counted, res.Served = 60, load.Finished, 31*time.Second, 30*time.Second, 30*time.Second, 30*time.Second
	res.Objective = load.Objective{Limit: 100 * ms, P95: 25 * ms}
	res.CohortStep = 250 * ms
	for second := range 30 {
		p, ok, failed := s.second(second, random)
		d := &res.Distributions
		for _, l := range ok {
			d.OK.Record(l)
			d.All.Record(l)
		}
		for _, l := range failed {
			d.All.Record(l)
		}
		var attempts []time.Duration
		for range p.OK() {
			attempts = append(attempts, s.draw(random, s.latency))
		}
		for _, l := range attempts {
			d.Attempt.Record(l)
			d.AttemptAll.Record(l)
		}
		for range p.Late {
			d.Lateness.Record(s.draw(random, 900*ms))
		}
		for range p.Offered {
			d.Lag.Record(s.draw(random, 60*time.Microsecond))
		}
		res.Seconds = append(res.Seconds, p)
		res.Sketches = append(res.Sketches, load.Sketches{OK: sketch(ok), Failed: sketch(failed), Attempt: sketch(attempts)})
		addTotals(&res.Totals, &p)
		for range 4 {
			res.Cohorts = append(res.Cohorts, load.Cohort{Due: p.Offered / 4, Ended: p.Offered / 4, OK: p.OK() / 4, OnTime: p.OK() / 4})
		}
	}
	summarize(res)
	res.Totals.OnTime = res.Totals.Outcomes[load.OK]
	res.Errors = []load.ErrorCount{{Outcome: load.Timeout, Text: "no answer in time", Count: res.Totals.Outcomes[load.Timeout]}}
	s.judge(res)
	return res
}

// second returns one second of the story, and the latencies of the requests that ended in
// it, ok and failed.
func (s story) second(i int, random *rand.Rand) (p load.Point, ok, failed []time.Duration) {
	p = load.Point{At: time.Duration(i) * time.Second, Offered: 60, Lag: s.draw(random, 300*time.Microsecond), CPU: 0.06, GC: 90 * time.Microsecond}
	stalled := i >= 10 && (s.back == 0 || i < 14+s.back)
	if !stalled {
		p.Outcomes = counts(60)
		p.Attempts, p.InFlight = 60, 2
		for range 60 {
			ok = append(ok, s.draw(random, s.latency))
		}
		if i == 3 {
			p.Lag = 14 * ms
		}
	} else {
		n := random.IntN(3)
		p.Outcomes = counts(int64(n), 0, int64(60-n))
		p.Attempts, p.InFlight = int64(60*s.perCall)+int64(random.IntN(8)), 70
		if i >= 14 {
			p.Late = p.Attempts / 3
		}
		for range 60 {
			failed = append(failed, time.Duration(float64(s.policy.Longest())*(0.93+0.1*random.Float64())))
		}
		ok, failed = failed[:n:n], failed[n:]
	}
	q := quantiles(ok)
	p.P50, p.P90, p.P99, p.Max = q.P50, q.P90, q.P99, q.Max
	p.All = quantiles(slices.Concat(ok, failed))
	return p, ok, failed
}

func quantiles(latencies []time.Duration) load.Quantiles {
	h := load.NewHistogram()
	for _, d := range latencies {
		h.Record(d)
	}
	return load.Quantiles{P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), Max: h.Quantile(1)}
}

// draw draws a latency around a median, with a long tail.
func (story) draw(random *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(random.NormFloat64()*0.35))
}

// sketch returns a sketch of latencies.
func sketch(latencies []time.Duration) (s load.Sketch) {
	h := load.NewHistogram()
	for _, d := range latencies {
		h.Record(d)
	}
	left := int64(len(latencies))
	for q := 0.05; q < 1.04 && left > 0; q += 0.05 {
		n := min(left, max(int64(len(latencies)/20), 1))
		s = append(s, load.SketchBucket{Value: h.Quantile(min(q, 1)), Count: n})
		left -= n
	}
	return s
}

func addTotals(t *load.Totals, p *load.Point) {
	t.Offered += p.Offered
	t.Attempts += p.Attempts
	t.Retries += p.Attempts - p.Offered
	for o, n := range p.Outcomes {
		t.Outcomes[o] += n
	}
	t.Used += p.OK()
	t.Late += p.Late
}

// judge adds the verdict to a story's result.
func (s story) judge(res *load.Result) {
	r := load.Recovery{
		Trigger: load.Trigger{At: 10 * time.Second, Length: 4 * time.Second, Text: "stall 4s"},
		Verdict: load.Recovered, Took: time.Duration(s.back)*time.Second + 200*ms, Before: 1, During: 0.02, After: 1, Amplified: 1,
		Why: fmt.Sprintf("on-time goodput was back at 95 %% of what it was %d.2 s after the trigger, and stayed", s.back),
	}
	if s.back == 0 {
		r.Verdict, r.Took, r.After, r.Amplified = load.Collapsed, 0, 0.01, s.perCall
		r.Why = fmt.Sprintf("16 s after the trigger ended, on-time goodput was at 1%% of its earlier level, with %.1f attempts per request", s.perCall)
	}
	res.Recoveries, res.Verdict = []load.Recovery{r}, r.Verdict
}

// stories returns the policies of a collapse.
func stories() []story {
	latency := 12 * ms
	return []story{
		{name: "none", policy: policy.None(), perCall: 1, back: 5, latency: latency},
		{name: "naive", policy: preset("naive"), perCall: 3.6, latency: latency},
		{name: "backoff", policy: preset("backoff"), perCall: 3.4, latency: latency},
		{name: "budget", policy: preset("budget"), perCall: 1.1, back: 3, latency: latency},
		{name: "recommended", policy: policy.Recommended(), perCall: 1.2, back: 1, latency: latency},
	}
}

// collapse returns a document of the collapse experiment.
func collapse(t *testing.T) *report.Document {
	t.Helper()
	var runs []report.Run
	e := &report.Experiment{
		Title: "Which policy survives a stall of 4s at 65% of the capacity?", Capacity: 95, Axes: []report.Axis{{Name: "policy"}},
		Best: 4, Why: "it recovered first, 1.2 s after the stall, with the fewest attempts",
	}
	for i, s := range stories() {
		r := newRun(t, s.play(), report.About{
			Name: s.name, Cell: i, Pattern: `{"cmd":"work"}`, Target: "tcp://127.0.0.1:4100", Load: "60/s for 30s", Connections: 1, Seed: 7,
			Faults: []report.Fault{{Text: "stall@10s+4s", Messages: 2400, Hit: 240}},
		})
		runs = append(runs, r)
		e.Axes[0].Values = append(e.Axes[0].Values, s.name)
		e.Cells = append(e.Cells, cellOf(&r, s.name))
	}
	d := document(report.KindCollapse, runs...)
	d.Experiment, d.Command = e, "msctl bench --demo"
	fits, tried := report.NewPolicy(policy.Recommended().Settings()), e.Cells[4]
	d.Suggestion = &report.Suggestion{
		Policy: &fits, Why: "p99.9 of 12,000 ok replies was 38.0ms", Tried: &tried,
		Basis: &report.Basis{Replies: 12_000, Length: 100 * time.Second, Tail: 38 * ms, Quantile: 0.999, Loopback: true},
	}
	return d
}

func cellOf(r *report.Run, values ...string) report.Cell {
	c := report.CellOf(r)
	c.Values = values
	return c
}

// sweep returns a document of every combination of three timeouts and three numbers of
// retries.
func sweep(t *testing.T) *report.Document {
	t.Helper()
	timeouts, retries := []string{"100ms", "300ms", "1s"}, []string{"0", "1", "3"}
	e := &report.Experiment{
		Title: "timeout × retries", Axes: []report.Axis{{Name: "timeout", Values: timeouts}, {Name: "retries", Values: retries}},
		Best: 4, Why: "the highest goodput of those that recovered, at an amplification of less than 1.2",
	}
	var runs []report.Run
	for i := range 9 {
		timeout, n := []time.Duration{100 * ms, 300 * ms, time.Second}[i/3], []int{0, 1, 3}[i%3]
		s := story{
			policy:  policy.New(policy.WithTimeout(timeout), policy.WithRetries(n)),
			perCall: 1 + 0.8*float64(n), latency: 12 * ms, back: []int{1, 2, 0, 1, 1, 4, 5, 6, 0}[i],
		}
		values := []string{timeouts[i/3], retries[i%3]}
		r := newRun(t, s.play(), report.About{
			Name: fmt.Sprintf("timeout=%s retries=%s", values[0], values[1]), Cell: i,
			Pattern: `{"cmd":"work"}`, Target: "tcp://127.0.0.1:4100", Load: "60/s for 30s", Connections: 1,
		})
		runs = append(runs, r)
		e.Cells = append(e.Cells, cellOf(&r, values...))
	}
	d := document(report.KindSweep, runs...)
	d.Experiment = e
	return d
}

func preset(name string) *policy.Policy {
	p, _ := policy.Preset(name)
	return p
}
