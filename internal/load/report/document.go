package report

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// DocumentVersion is the version of the format that Document.Save writes. It
// changes when a reader of the old one would misread the new.
const DocumentVersion = 2

// Document is everything that is known of one or several runs: what is saved,
// and what every report is made from. Durations are nanoseconds, times RFC 3339.
// docs/bench.schema.json describes its JSON.
type Document struct {
	// Version is DocumentVersion; Tool what wrote the document.
	Version int    `json:"version"`
	Tool    string `json:"tool"`
	// Kind says how the runs belong together.
	Kind Kind `json:"kind"`
	// Started is the wall clock's time at the start of the first run.
	Started time.Time `json:"started"`
	// Command makes the runs again, quoted for a shell.
	Command string  `json:"command"`
	Machine Machine `json:"machine"`
	// Runs are the runs, in the order in which they were made.
	Runs []Run `json:"runs"`
	// Experiment is what several runs came to together; nil for a single run.
	Experiment *Experiment `json:"experiment,omitempty"`
	// Suggestion is the policy that the measurements suggest; nil where they do
	// not suffice.
	Suggestion *Suggestion `json:"suggestion,omitempty"`
	// Thresholds are what the runs were held to.
	Thresholds []ThresholdResult `json:"thresholds"`
}

// Kind says how the runs of a document belong together.
type Kind string

// The kinds.
const (
	KindRun      Kind = "run"      // one run, or the same one repeated
	KindSweep    Kind = "sweep"    // every combination of some settings
	KindCollapse Kind = "collapse" // several policies under the same trigger
)

// Machine is where the generator ran.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// String describes the machine briefly: linux/amd64 with 2 processors.
func (m Machine) String() string {
	return fmt.Sprintf("%s/%s with %s", m.OS, m.Arch, format.Counted(m.CPUs, "processor"))
}

// Run is one finished run.
type Run struct {
	// Name tells the run from the document's others: the policy's name or the
	// values of a sweep; "" where there is one.
	Name string `json:"name,omitempty"`
	// Cell is the index of the experiment's cell that the run belongs to.
	Cell int `json:"cell"`
	// Pattern and Target say what was sent whom, Load how much: "500/s for 10s".
	Pattern     string    `json:"pattern"`
	Target      string    `json:"target"`
	Load        string    `json:"load"`
	Connections int       `json:"connections"`
	Seed        uint64    `json:"seed"`
	Started     time.Time `json:"started"`
	// Stopped tells that the run was ended before its plan was.
	Stopped bool   `json:"stopped"`
	Policy  Policy `json:"policy"`
	// Elapsed is the whole run, Warmup its uncounted beginning, Counted for how
	// long requests were offered and counted.
	Elapsed time.Duration `json:"elapsed_ns"`
	Warmup  time.Duration `json:"warmup_ns"`
	Counted time.Duration `json:"counted_ns"`
	// Rate is what was offered a second at the end of an open model, Users how
	// many users a closed one had.
	Rate  float64 `json:"rate_per_s,omitempty"`
	Users int     `json:"users,omitempty"`

	Offered  int64            `json:"offered"`
	Outcomes map[string]int64 `json:"outcomes"`
	// CutShort counts the requests in flight when the run was stopped.
	CutShort    int64    `json:"cut_short"`
	Goodput     float64  `json:"goodput_per_s"`
	OfferedRate float64  `json:"offered_per_s"`
	Attempts    Attempts `json:"attempts"`
	// Latency has the distributions "request", "attempt", "late_by" and "lag".
	Latency  map[string]Latency `json:"latency"`
	Errors   []ErrorCount       `json:"errors"`
	Messages []Message          `json:"messages"`
	Seconds  []Second           `json:"seconds"`
	// Cohorts are the requests by when they were due, CohortStep apart: how many
	// were due and how many of them were answered.
	CohortStep time.Duration `json:"cohort_step_ns"`
	Cohorts    [][2]int64    `json:"cohorts"`
	Changes    []Change      `json:"changes"`
	// Faults are all that were asked for, also those without a window.
	Faults   []Fault   `json:"faults"`
	Triggers []Trigger `json:"triggers"`
	// Verdict is the worst of the triggers': "", "RECOVERED", "UNDECIDED",
	// "DEGRADED" or "COLLAPSED".
	Verdict string `json:"verdict,omitempty"`
	// Doubtful counts the seconds in which the generator itself was short of time.
	Doubtful int `json:"doubtful_seconds"`
}

// Attempts counts attempts and answers as load.Totals does.
type Attempts struct {
	Total         int64   `json:"total"`
	Retries       int64   `json:"retries"`
	Hedges        int64   `json:"hedges"`
	OverBudget    int64   `json:"denied_by_budget"`
	OutOfTime     int64   `json:"denied_by_deadline"`
	BreakerOpen   int64   `json:"denied_by_breaker"`
	Used          int64   `json:"answers_used"`
	Discarded     int64   `json:"answers_discarded"`
	Late          int64   `json:"answers_late"`
	Amplification float64 `json:"amplification"`
	Wasted        float64 `json:"wasted"`
	// LateUnknown tells that late answers could not be seen: a client of HTTP
	// closes the connection when it gives up.
	LateUnknown bool `json:"late_unknown,omitempty"`
}

// Latency is a distribution: its figures, a curve through them, and all of it in
// HdrHistogram's compressed V2 format as base64, in nanoseconds.
type Latency struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min_ns"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P95   time.Duration `json:"p95_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
	// Spread is the distribution in few buckets: upper end in nanoseconds, count.
	Spread [][2]int64 `json:"spread"`
	HDR    string     `json:"hdr"`
}

// ErrorCount is one way in which requests failed.
type ErrorCount struct {
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"`
	Text    string `json:"text"`
	Count   int64  `json:"count"`
}

// Message is one message's part of a run.
type Message struct {
	Name     string           `json:"name"`
	Offered  int64            `json:"offered"`
	Attempts int64            `json:"attempts"`
	Outcomes map[string]int64 `json:"outcomes"`
	P50      time.Duration    `json:"p50_ns"`
	P99      time.Duration    `json:"p99_ns"`
	Max      time.Duration    `json:"max_ns"`
}

// Second is one second of a run, by when things happened.
type Second struct {
	At       time.Duration `json:"at_ns"`
	Offered  int64         `json:"offered"`
	Attempts int64         `json:"attempts"`
	OK       int64         `json:"ok"`
	Error    int64         `json:"error"`
	Timeout  int64         `json:"timeout"`
	// Lost is unreachable and reset together.
	Lost     int64         `json:"lost"`
	Shed     int64         `json:"shed"`
	Late     int64         `json:"late"`
	InFlight int64         `json:"in_flight"`
	P50      time.Duration `json:"p50_ns"`
	P90      time.Duration `json:"p90_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
	Lag      time.Duration `json:"lag_max_ns"`
	CPU      float64       `json:"cpu"`
	GC       time.Duration `json:"gc_max_ns"`
	Doubtful bool          `json:"doubtful,omitempty"`
	// Latencies is the distribution of the request latencies: pairs of
	// nanoseconds, to about a percent, and how many there were.
	Latencies [][2]int64 `json:"latencies"`
}

// Fault is what was done to messages on their way, and to how many.
type Fault struct {
	Text string `json:"text"`
	// Messages counts those from clients that it was for, Hit those it was done
	// to, Swallowed the answers of the service that it let nobody have.
	Messages  int64 `json:"messages"`
	Hit       int64 `json:"hit"`
	Swallowed int64 `json:"swallowed"`
}

// Change is a change made while the run went on.
type Change struct {
	At   time.Duration `json:"at_ns"`
	Text string        `json:"text"`
}

// Trigger is something done to the system, and what came after it: see
// load.Recovery.
type Trigger struct {
	At        time.Duration `json:"at_ns"`
	Length    time.Duration `json:"length_ns"`
	Text      string        `json:"text"`
	Verdict   string        `json:"verdict"`
	Took      time.Duration `json:"recovery_ns,omitempty"`
	Before    float64       `json:"goodput_before"`
	During    float64       `json:"goodput_during"`
	After     float64       `json:"goodput_after"`
	Amplified float64       `json:"amplification_after"`
	Why       string        `json:"why"`
}

// Experiment is what several runs came to together.
type Experiment struct {
	// Title says what was tried, in one line.
	Title string `json:"title"`
	// Capacity is what the service can do, a second, where it was measured.
	Capacity float64 `json:"capacity_per_s,omitempty"`
	// Axes are what was varied; each cell has a value of each.
	Axes  []Axis `json:"axes"`
	Cells []Cell `json:"cells"`
	// Best is the index of the best cell, -1 where none is; Why says why.
	Best int    `json:"best"`
	Why  string `json:"why"`
}

// Axis is one thing that was varied.
type Axis struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Cell is one combination, over all its runs: medians, and the worst verdict.
type Cell struct {
	Values        []string      `json:"values"`
	Policy        Policy        `json:"policy"`
	Runs          int           `json:"runs"`
	Goodput       float64       `json:"goodput"`       // share of the requests
	GoodputRate   float64       `json:"goodput_per_s"` // ok requests a second
	P99           time.Duration `json:"p99_ns"`
	Amplification float64       `json:"amplification"`
	Wasted        float64       `json:"wasted"`
	Verdict       string        `json:"verdict,omitempty"`
	Recovery      time.Duration `json:"recovery_ns,omitempty"`
}

// Suggestion is a policy that fits what was measured.
type Suggestion struct {
	Policy Policy `json:"policy"`
	// Why is the reason in one sentence.
	Why string `json:"why"`
}

// ThresholdResult is a threshold and whether it was kept.
type ThresholdResult struct {
	Text     string `json:"text"`
	Kept     bool   `json:"kept"`
	Measured string `json:"measured"`
	// Run is the name of the run that came off worst, where there are several.
	Run string `json:"run,omitempty"`
}
