package report

import (
	"fmt"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// DocumentVersion is the version of the format that Document.Save writes. It changes
// only if a reader of the previous version would misread the new one.
const DocumentVersion = 3

// Document contains all data of one or several runs. It is what Save writes and what
// every report is made from. In JSON, durations are nanoseconds and times follow
// RFC 3339; docs/bench.schema.json is the schema.
type Document struct {
	// Version is DocumentVersion; Tool is the program that wrote the document.
	Version int    `json:"version"`
	Tool    string `json:"tool"`
	// Kind is how the runs are related.
	Kind Kind `json:"kind"`
	// Started is the wall-clock time of the start of the first run.
	Started time.Time `json:"started"`
	// Command repeats the runs, quoted for a shell.
	Command string  `json:"command"`
	Machine Machine `json:"machine"`
	// Runs are the runs in chronological order.
	Runs []Run `json:"runs"`
	// Experiment summarizes several runs; nil for a single run.
	Experiment *Experiment `json:"experiment,omitempty"`
	// Suggestion is the policy that the measurements suggest, or the reason why they
	// suggest none.
	Suggestion *Suggestion `json:"suggestion,omitempty"`
	// Thresholds are the results of the thresholds.
	Thresholds []ThresholdResult `json:"thresholds"`
}

// Kind is how the runs of a document are related.
type Kind string

// The kinds.
const (
	KindRun      Kind = "run"      // one run, possibly repeated
	KindSweep    Kind = "sweep"    // every combination of some settings
	KindCollapse Kind = "collapse" // several policies under the same trigger
)

// Machine describes the machine that the generator ran on.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// String describes the machine briefly: linux/amd64 with 2 processors. The zero Machine
// stands for several.
func (m Machine) String() string {
	if m == (Machine{}) {
		return "several machines"
	}
	return fmt.Sprintf("%s/%s with %s", m.OS, m.Arch, format.Counted(m.CPUs, "processor"))
}

// withGo describes the machine and the version of Go.
func (m Machine) withGo() string {
	if m.Go == "" {
		return m.String()
	}
	return m.String() + ", " + m.Go
}

// TriedCell is the Cell of the run that tries a suggestion, which is not one of the cells.
const TriedCell = -1

// Run is one finished run.
type Run struct {
	// Name distinguishes the run from others in the document: the name of its policy,
	// or its values in a sweep; "" for a single run.
	Name string `json:"name,omitempty"`
	// Cell is the index of the run's cell in the experiment, or TriedCell.
	Cell int `json:"cell"`
	// Pattern and Target are what was sent and where to; Load describes the load:
	// "500/s for 10s".
	Pattern string `json:"pattern"`
	Target  string `json:"target"`
	Load    string `json:"load"`
	// Data is a digest of what was sent, so that runs with other data can be recognized.
	// Loopback is set if the service, or its broker, runs on the generator's machine.
	Data        string    `json:"data_digest"`
	Loopback    bool      `json:"loopback"`
	Connections int       `json:"connections"`
	Seed        uint64    `json:"seed"`
	Started     time.Time `json:"started"`
	// Coalesce is the time within which requests were sent together, if one was chosen.
	Coalesce time.Duration `json:"coalesce_ns,omitempty"`
	// Stopped is set if the run was stopped before its plan was complete.
	Stopped bool   `json:"stopped"`
	Policy  Policy `json:"policy"`
	// Elapsed is the duration of the run, Warmup that of its warm-up, and Counted how
	// long requests were offered and counted. Served is the time from the start of
	// counting to the last ok reply, but at least Counted.
	Elapsed time.Duration `json:"elapsed_ns"`
	Warmup  time.Duration `json:"warmup_ns"`
	Counted time.Duration `json:"counted_ns"`
	Served  time.Duration `json:"served_ns"`
	// Rate is the final rate per second of an open load, and Users the number of users
	// of a closed one.
	Rate  float64 `json:"rate_per_s,omitempty"`
	Users int     `json:"users,omitempty"`

	Offered  int64            `json:"offered"`
	Outcomes map[string]int64 `json:"outcomes"`
	// CutShort counts the requests that were in flight when the run was stopped.
	CutShort int64 `json:"cut_short"`
	// Goodput is the number of ok requests divided by Served, and OfferedRate that of
	// offered requests divided by Counted.
	Goodput     float64 `json:"goodput_per_s"`
	OfferedRate float64 `json:"offered_per_s"`
	// OnTime counts the ok requests that were answered within the objective; 0 without
	// one.
	OnTime    int64     `json:"on_time"`
	Objective Objective `json:"objective"`
	Backlog   Backlog   `json:"backlog"`
	Attempts  Attempts  `json:"attempts"`
	// BytesSent is the size of the data of all attempts, and BytesReceived that of the
	// values in replies.
	BytesSent     int64 `json:"bytes_sent"`
	BytesReceived int64 `json:"bytes_received"`
	// Latency has the distributions LatencyOK and so on.
	Latency map[string]Latency `json:"latency"`
	Errors  []ErrorCount       `json:"errors"`
	// Statuses counts the requests by the HTTP status of their last response; empty for
	// messages.
	Statuses []StatusCount `json:"statuses"`
	Messages []Message     `json:"messages"`
	Seconds  []Second      `json:"seconds"`
	// Cohorts groups the requests by when they were due, in intervals of CohortStep: how
	// many were due, how many of them succeeded, and how many of those on time.
	CohortStep time.Duration `json:"cohort_step_ns"`
	Cohorts    [][3]int64    `json:"cohorts"`
	Changes    []Change      `json:"changes"`
	// HeldBack is set if the peer seems to have held replies back.
	HeldBack *HeldBack `json:"held_back,omitempty"`
	// Agents are the processes that made the run, if it was not one alone.
	Agents []Agent `json:"agents,omitempty"`
	// Faults are all faults of the run, including those without a window.
	Faults   []Fault   `json:"faults"`
	Triggers []Trigger `json:"triggers"`
	// Verdict is the worst verdict of the triggers: "", "RECOVERED", "UNDECIDED",
	// "DEGRADED", or "COLLAPSED".
	Verdict string `json:"verdict,omitempty"`
	// Doubtful counts the seconds in which the generator fell behind.
	Doubtful int `json:"doubtful_seconds"`
}

// The names of a run's distributions. Without a qualifier, a latency is that of ok
// requests or replies.
const (
	LatencyOK         = "ok"          // of the ok requests
	LatencyAll        = "all"         // of all requests, without shed ones
	LatencyAttempt    = "attempt"     // from the write of an attempt to its ok reply
	LatencyAttemptAll = "attempt_all" // to any reply
	LatencyLateBy     = "late_by"     // from a timeout to its late answer
	LatencyLag        = "lag"         // from an intended start to the sending of the request: the lateness
)

// Objective is the latency up to which an ok request counts as answered on time; see
// load.Objective.
type Objective struct {
	Limit time.Duration `json:"limit_ns"`
	Given bool          `json:"given"`
	P95   time.Duration `json:"p95_before_ns"`
}

// Backlog describes the requests that were waiting when the load ended; see load.Backlog.
type Backlog struct {
	Peak     int64         `json:"peak"`
	AtEnd    int64         `json:"at_end"`
	Drain    time.Duration `json:"drain_ns"`
	Grew     bool          `json:"grew"`
	Left     bool          `json:"left"`
	Answered float64       `json:"answered_per_s"`
}

// HeldBack describes replies that the peer seems to have held back until the next request;
// see load.HeldBack.
type HeldBack struct {
	// Share is the share of all replies that arrived right after the next request, and
	// Pace the mean time between the requests.
	Share float64       `json:"share"`
	Pace  time.Duration `json:"pace_ns"`
}

// Attempts counts attempts and replies, like load.Totals.
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
	// LateUnknown is set if late answers cannot be seen: an HTTP client closes the
	// connection when it gives up.
	LateUnknown bool `json:"late_unknown,omitempty"`
}

// Latency is a distribution: its figures, a coarse histogram, and the complete
// histogram in HdrHistogram's compressed V2 format as base64, in nanoseconds.
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
	// Spread is the distribution in a few buckets: upper end in nanoseconds, count.
	Spread [][2]int64 `json:"spread"`
	HDR    string     `json:"hdr"`
}

// ErrorCount counts the requests that failed in one way.
type ErrorCount struct {
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"`
	Text    string `json:"text"`
	Count   int64  `json:"count"`
}

// StatusCount counts the requests whose last response had one HTTP status.
type StatusCount struct {
	Status int   `json:"status"`
	Count  int64 `json:"count"`
}

// Message contains the figures of one message of a run.
type Message struct {
	Name     string           `json:"name"`
	Offered  int64            `json:"offered"`
	Attempts int64            `json:"attempts"`
	Outcomes map[string]int64 `json:"outcomes"`
	// Latency has the distributions LatencyOK and LatencyAll.
	Latency map[string]Latency `json:"latency"`
}

// Quantiles are latencies of the requests that ended in a second.
type Quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// Second is one second of a run. Events count when they happen.
type Second struct {
	At       time.Duration `json:"at_ns"`
	Offered  int64         `json:"offered"`
	Attempts int64         `json:"attempts"`
	OK       int64         `json:"ok"`
	Error    int64         `json:"error"`
	Timeout  int64         `json:"timeout"`
	// Lost counts the outcomes unreachable and reset.
	Lost     int64 `json:"lost"`
	Shed     int64 `json:"shed"`
	Late     int64 `json:"late"`
	InFlight int64 `json:"in_flight"`
	// OKLatency and AllLatency are those of the ok requests that ended in the second, and
	// of all that did without shed ones.
	OKLatency  Quantiles `json:"ok_latency"`
	AllLatency Quantiles `json:"all_latency"`
	// Lag is the longest lateness of the requests that were sent in the second, LagP50 and
	// LagP99 are its quantiles.
	Lag    time.Duration `json:"lag_max_ns"`
	LagP50 time.Duration `json:"lag_p50_ns,omitempty"`
	LagP99 time.Duration `json:"lag_p99_ns,omitempty"`
	CPU    float64       `json:"cpu"`
	GC     time.Duration `json:"gc_max_ns"`
	// Starved counts the attempts for which the generator's machine had no file descriptor
	// or port left. Jump is how far its clock was set, or how long it was suspended.
	Starved  int64         `json:"starved,omitempty"`
	Jump     time.Duration `json:"clock_jump_ns,omitempty"`
	Doubtful bool          `json:"doubtful,omitempty"`
	// Latencies is the distribution of the latencies of ok requests, FailedLatencies that
	// of the others without shed ones, and AttemptLatencies that of the attempt latencies
	// of ok replies: pairs of nanoseconds, to about one percent, and counts.
	Latencies        [][2]int64 `json:"latencies"`
	FailedLatencies  [][2]int64 `json:"failed_latencies"`
	AttemptLatencies [][2]int64 `json:"attempt_latencies"`
}

// Fault is a fault with the number of messages it was applied to.
type Fault struct {
	Text string `json:"text"`
	// Messages counts the messages of clients that it matched, Hit those it was applied
	// to, and Swallowed the replies of the service that it dropped.
	Messages  int64 `json:"messages"`
	Hit       int64 `json:"hit"`
	Swallowed int64 `json:"swallowed"`
}

// Agent is one of the processes that made a run together.
type Agent struct {
	ID   string `json:"id"`
	Name string `json:"name"` // its host, and its number among those of the host
	CPUs int    `json:"cpus"`
	// Offered counts its requests.
	Offered int64 `json:"offered"`
	// ClockError bounds how far its time axis was off that of the run.
	ClockError time.Duration `json:"clock_error_ns"`
	// Lost is why the agent was lost during the run; "" if it was not. Unknown then counts
	// its requests without an outcome, which are not part of Offered, and Until is when it
	// reported for the last time. What it sent later is not known.
	Lost    string        `json:"lost,omitempty"`
	Unknown int64         `json:"unknown,omitempty"`
	Until   time.Duration `json:"until_ns,omitempty"`
	// Stalled is for how long the agent was silent and then came back.
	Stalled time.Duration `json:"stalled_ns,omitempty"`
}

// Change is a live change.
type Change struct {
	At   time.Duration `json:"at_ns"`
	Text string        `json:"text"`
}

// Trigger is a trigger with the recovery from it; see load.Recovery.
type Trigger struct {
	At      time.Duration `json:"at_ns"`
	Length  time.Duration `json:"length_ns"`
	Text    string        `json:"text"`
	Verdict string        `json:"verdict"`
	Took    time.Duration `json:"recovery_ns,omitempty"`
	// Before, During, and After are the shares of the requests due at these times that
	// were answered on time, and LateDuring and LateAfter those that succeeded later.
	Before     float64 `json:"on_time_before"`
	During     float64 `json:"on_time_during"`
	After      float64 `json:"on_time_after"`
	LateDuring float64 `json:"late_during"`
	LateAfter  float64 `json:"late_after"`
	Amplified  float64 `json:"amplification_after"`
	Why        string  `json:"why"`
}

// Experiment summarizes several runs.
type Experiment struct {
	// Title describes the experiment in one line.
	Title string `json:"title"`
	// Capacity is the capacity of the service per second, if it was measured.
	Capacity float64 `json:"capacity_per_s,omitempty"`
	// Axes are the settings that were varied. Each cell has a value for each axis.
	Axes  []Axis `json:"axes"`
	Cells []Cell `json:"cells"`
	// Best is the index of the best cell, or -1; Why is the reason.
	Best int    `json:"best"`
	Why  string `json:"why"`
}

// Axis is a setting that was varied.
type Axis struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Cell is one combination of values: the medians of its runs, and their worst verdict.
type Cell struct {
	Values        []string      `json:"values"`
	Policy        Policy        `json:"policy"`
	Runs          int           `json:"runs"`
	Goodput       float64       `json:"goodput"`       // share of the requests
	GoodputRate   float64       `json:"goodput_per_s"` // ok requests per second
	P99           time.Duration `json:"p99_ns"`        // of ok requests
	AllP99        time.Duration `json:"p99_all_ns"`    // of all requests
	Amplification float64       `json:"amplification"`
	Wasted        float64       `json:"wasted"`
	Verdict       string        `json:"verdict,omitempty"`
	Recovery      time.Duration `json:"recovery_ns,omitempty"`
}

// Suggestion is a policy that fits the measurements, or none.
type Suggestion struct {
	// Policy is the policy; nil if none is suggested.
	Policy *Policy `json:"policy,omitempty"`
	// Why is the reason for it, or the reason why there is none.
	Why string `json:"why"`
	// Basis is what the policy is based on; nil without a policy.
	Basis *Basis `json:"basis,omitempty"`
	// Tried is the run that was made in the same experiment under the policy, or under the
	// one that was rejected because of this run; nil without such a run.
	Tried *Cell `json:"tried,omitempty"`
}

// Basis is the evidence for a Suggestion: the attempt latencies of ok replies from a
// healthy service.
type Basis struct {
	// Replies is their number, and Length the time in which they arrived.
	Replies int64         `json:"replies"`
	Length  time.Duration `json:"length_ns"`
	// Tail is the latency that the timeout is derived from, and Quantile the share of
	// the latencies that it exceeds.
	Tail     time.Duration `json:"tail_ns"`
	Quantile float64       `json:"quantile"`
	// Loopback is set if the client and the service shared a machine.
	Loopback bool `json:"loopback"`
}

// ThresholdResult is a threshold with its result. Kept is set if it was met.
type ThresholdResult struct {
	Text     string `json:"text"`
	Kept     bool   `json:"kept"`
	Measured string `json:"measured"`
	// Run is the name of the worst run, if there are several.
	Run string `json:"run,omitempty"`
}
