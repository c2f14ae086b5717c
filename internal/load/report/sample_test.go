package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
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
		Started:          began(),
		RequestHistogram: load.NewHistogram(), AttemptHistogram: load.NewHistogram(),
		LatenessHistogram: load.NewHistogram(), LagHistogram: load.NewHistogram(),
	}
}

// thousand returns a finished run of 1000 requests that took 1 ms to 1 s, evenly.
func thousand() *load.Result {
	res := emptyResult()
	res.Seconds = []load.Point{
		{Offered: 500, Attempts: 520, Outcomes: counts(490, 5, 5), Lag: 20 * ms, CPU: 0.25, GC: 200 * time.Microsecond},
		{At: time.Second, Offered: 503, Attempts: 580, Outcomes: counts(480, 15, 5, 0, 0, 3), P50: 7, P90: 8, P99: 9, Max: 10, InFlight: 2},
	}
	for i := range 1000 {
		res.RequestHistogram.Record(time.Duration(i+1) * ms)
		res.AttemptHistogram.Record(time.Duration(i+1) * 10 * time.Microsecond)
	}
	res.LatenessHistogram.Record(50 * ms)
	res.LagHistogram.Record(80 * time.Microsecond)
	s := &res.Snapshot
	s.Phase, s.Rate, s.Elapsed, s.Planned, s.Counted = load.Finished, 500, 2100*ms, 2*time.Second, 2*time.Second
	s.Policy = policy.Recommended().Settings()
	s.Request, s.Attempt = res.RequestHistogram.Summary(), res.AttemptHistogram.Summary()
	s.Lateness, s.Lag = res.LatenessHistogram.Summary(), res.LagHistogram.Summary()
	s.Totals = load.Totals{Offered: 1003, Attempts: 1100, Retries: 97, Hedges: 4, OverBudget: 2, OutOfTime: 1, Used: 990, Discarded: 60, Late: 1, Lost: 9}
	copy(s.Totals.Outcomes[:], []int64{970, 20, 10, 0, 0, 3})
	s.Errors = []load.ErrorCount{
		{Outcome: load.Error, Status: 503, Text: "busy", Count: 20},
		{Outcome: load.Timeout, Text: "no answer in time", Count: 10},
		{Outcome: load.Shed, Text: "too many requests in flight", Count: 3},
	}
	s.Marks = []load.Mark{{At: 1200 * ms, Text: "rate 500/s"}}
	return res
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
	res.Rate, res.Phase, res.Elapsed, res.Planned, res.Counted = 60, load.Finished, 31*time.Second, 30*time.Second, 30*time.Second
	res.CohortStep = 250 * ms
	for second := range 30 {
		p, latencies := s.second(second, random)
		for _, d := range latencies {
			res.RequestHistogram.Record(d)
		}
		for range p.OK() {
			res.AttemptHistogram.Record(s.draw(random, s.latency))
		}
		for range p.Late {
			res.LatenessHistogram.Record(s.draw(random, 900*ms))
		}
		for range p.Offered {
			res.LagHistogram.Record(s.draw(random, 60*time.Microsecond))
		}
		res.Seconds = append(res.Seconds, p)
		res.Sketches = append(res.Sketches, sketch(latencies))
		addTotals(&res.Totals, &p)
		for range 4 {
			res.Cohorts = append(res.Cohorts, load.Cohort{Due: p.Offered / 4, Ended: p.Offered / 4, OK: p.OK() / 4})
		}
	}
	res.Request, res.Attempt = res.RequestHistogram.Summary(), res.AttemptHistogram.Summary()
	res.Lateness, res.Lag = res.LatenessHistogram.Summary(), res.LagHistogram.Summary()
	res.Errors = []load.ErrorCount{{Outcome: load.Timeout, Text: "no answer in time", Count: res.Totals.Outcomes[load.Timeout]}}
	s.judge(res)
	return res
}

// second returns one second of the story, and the latencies of the requests that ended
// in it.
func (s story) second(i int, random *rand.Rand) (p load.Point, latencies []time.Duration) {
	p = load.Point{At: time.Duration(i) * time.Second, Offered: 60, Lag: s.draw(random, 300*time.Microsecond), CPU: 0.06, GC: 90 * time.Microsecond}
	stalled := i >= 10 && (s.back == 0 || i < 14+s.back)
	if !stalled {
		p.Outcomes = counts(60)
		p.Attempts, p.InFlight = 60, 2
		for range 60 {
			latencies = append(latencies, s.draw(random, s.latency))
		}
		if i == 3 {
			p.Lag = 14 * ms
		}
	} else {
		ok := int64(random.IntN(3))
		p.Outcomes = counts(ok, 0, 60-ok)
		p.Attempts, p.InFlight = int64(60*s.perCall)+int64(random.IntN(8)), 70
		if i >= 14 {
			p.Late = p.Attempts / 3
		}
		for range 60 {
			latencies = append(latencies, time.Duration(float64(s.policy.Longest())*(0.93+0.1*random.Float64())))
		}
	}
	h := load.NewHistogram()
	for _, d := range latencies {
		h.Record(d)
	}
	p.P50, p.P90, p.P99, p.Max = h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99), h.Quantile(1)
	return p, latencies
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
		n := min(left, int64(len(latencies)/20))
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
		Why: fmt.Sprintf("goodput was back at 95 %% of what it was %d.2 s after the trigger, and stayed", s.back),
	}
	if s.back == 0 {
		r.Verdict, r.Took, r.After, r.Amplified = load.Collapsed, 0, 0.01, s.perCall
		r.Why = fmt.Sprintf("16 s after the trigger ended, goodput was at 1%% of its earlier level, with %.1f attempts per request", s.perCall)
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
	d.Suggestion = &report.Suggestion{
		Policy: report.NewPolicy(policy.Recommended().Settings()),
		Why:    "p99.9 of 12,000 requests was 38.0ms; a timeout of 200ms would have cut off none of them",
	}
	return d
}

func cellOf(r *report.Run, values ...string) report.Cell {
	c := report.Cell{
		Values: values, Policy: r.Policy, Runs: 1, Goodput: float64(r.Outcomes["ok"]) / float64(r.Offered), GoodputRate: r.Goodput,
		P99: r.Latency["request"].P99, Amplification: r.Attempts.Amplification, Wasted: r.Attempts.Wasted, Verdict: r.Verdict,
	}
	for _, t := range r.Triggers {
		c.Recovery = max(c.Recovery, t.Took)
	}
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
