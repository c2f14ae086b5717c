package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/runtime/policy"
)

// FileVersion is the version of the format that Save writes. It changes when a
// reader of the old one would misread the new.
const FileVersion = 1

// File is a saved run. Durations are nanoseconds, times RFC 3339.
type File struct {
	Version     int                    `json:"version"`
	Started     time.Time              `json:"started"`
	Command     string                 `json:"command"`
	Pattern     string                 `json:"pattern"`
	Target      string                 `json:"target"`
	Load        string                 `json:"load"`
	Connections int                    `json:"connections"`
	Policy      FilePolicy             `json:"policy"`
	Stopped     bool                   `json:"stopped"`
	Elapsed     time.Duration          `json:"elapsed_ns"`
	Warmup      time.Duration          `json:"warmup_ns"`
	Counted     time.Duration          `json:"counted_ns"`
	Offered     int64                  `json:"offered"`
	Outcomes    map[string]int64       `json:"outcomes"`
	Goodput     float64                `json:"goodput_per_s"`
	Attempts    FileAttempts           `json:"attempts"`
	Latency     map[string]FileLatency `json:"latency"`
	Errors      []FileError            `json:"errors"`
	Seconds     []FilePoint            `json:"seconds"`
	Changes     []FileChange           `json:"changes"`
	Thresholds  []FileThreshold        `json:"thresholds"`
}

// FilePolicy is the policy at the end of the run.
type FilePolicy struct {
	Text     string        `json:"text"`
	Timeout  time.Duration `json:"timeout_ns"`
	Deadline time.Duration `json:"deadline_ns"`
	Retries  int           `json:"retries"`
	Delay    time.Duration `json:"delay_ns"`
	Factor   float64       `json:"factor"`
	MaxDelay time.Duration `json:"max_delay_ns"`
	Jitter   string        `json:"jitter"`
	Ratio    float64       `json:"budget_ratio"`
	Floor    float64       `json:"budget_floor_per_s"`
}

// FileAttempts counts attempts and answers as load.Totals does.
type FileAttempts struct {
	Total         int64   `json:"total"`
	Retries       int64   `json:"retries"`
	OverBudget    int64   `json:"denied_by_budget"`
	OutOfTime     int64   `json:"denied_by_deadline"`
	Used          int64   `json:"answers_used"`
	Discarded     int64   `json:"answers_discarded"`
	Late          int64   `json:"answers_late"`
	Amplification float64 `json:"amplification"`
	Wasted        float64 `json:"wasted"`
}

// FileLatency is a distribution: its figures, and all of it as HdrHistogram's
// compressed V2 format in base64, in nanoseconds.
type FileLatency struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min_ns"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P95   time.Duration `json:"p95_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
	HDR   string        `json:"hdr"`
}

// FileError is one way in which requests failed.
type FileError struct {
	Outcome string `json:"outcome"`
	Status  int    `json:"status,omitempty"`
	Text    string `json:"text"`
	Count   int64  `json:"count"`
}

// FilePoint is one second of the time series.
type FilePoint struct {
	At       time.Duration `json:"at_ns"`
	Offered  int64         `json:"offered"`
	Attempts int64         `json:"attempts"`
	OK       int64         `json:"ok"`
	Failed   int64         `json:"failed"`
	Shed     int64         `json:"shed"`
	Late     int64         `json:"late"`
	InFlight int64         `json:"in_flight"`
	P50      time.Duration `json:"p50_ns"`
	P90      time.Duration `json:"p90_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
	Lag      time.Duration `json:"lag_max_ns"`
}

// FileChange is a change made while the run went on.
type FileChange struct {
	At   time.Duration `json:"at_ns"`
	Text string        `json:"text"`
}

// FileThreshold is a threshold and whether it was kept.
type FileThreshold struct {
	Text     string `json:"text"`
	Kept     bool   `json:"kept"`
	Measured string `json:"measured"`
}

// Save writes the run with everything that is known of it, as indented JSON.
func (r *Report) Save(to io.Writer) error {
	f, err := r.file()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	return nil
}

func (r *Report) file() (*File, error) {
	res, t := r.Result, &r.Result.Totals
	f := &File{
		Version: FileVersion, Started: res.Started, Command: r.Command, Pattern: r.Pattern, Target: r.Target,
		Load: r.Load, Connections: r.Connections, Policy: filePolicy(res.Policy), Stopped: res.Stopped,
		Elapsed: res.Elapsed, Warmup: res.Warmup, Counted: res.Counted,
		Offered: t.Offered, Outcomes: map[string]int64{}, Goodput: res.Goodput(),
		Attempts: FileAttempts{
			Total: t.Attempts, Retries: t.Retries, OverBudget: t.OverBudget, OutOfTime: t.OutOfTime,
			Used: t.Used, Discarded: t.Discarded, Late: t.Late, Amplification: t.Amplification(), Wasted: t.Wasted(),
		},
		Latency: map[string]FileLatency{}, Errors: []FileError{}, Seconds: []FilePoint{}, Changes: []FileChange{}, Thresholds: []FileThreshold{},
	}
	for _, o := range load.Outcomes() {
		f.Outcomes[o.String()] = t.Outcomes[o]
	}
	for name, h := range map[string]*load.Histogram{
		"request": res.RequestHistogram, "attempt": res.AttemptHistogram, "late_by": res.LatenessHistogram, "lag": res.LagHistogram,
	} {
		text, err := h.Encode()
		if err != nil {
			return nil, err
		}
		l := h.Summary()
		f.Latency[name] = FileLatency{l.Count, l.Min, l.Mean, l.P50, l.P90, l.P95, l.P99, l.P999, l.Max, text}
	}
	r.lists(f)
	return f, nil
}

func filePolicy(s policy.Settings) FilePolicy {
	return FilePolicy{
		s.String(), s.Timeout, s.Deadline, s.Retries, s.Backoff.Delay, s.Backoff.Factor, s.Backoff.Max,
		s.Jitter.String(), s.Budget.Ratio, s.Budget.Floor,
	}
}

// lists fills in what there are many of.
func (r *Report) lists(f *File) {
	for _, e := range r.Result.Errors {
		f.Errors = append(f.Errors, FileError{e.Outcome.String(), e.Status, e.Text, e.Count})
	}
	for _, p := range r.Result.Seconds {
		f.Seconds = append(f.Seconds, FilePoint(p))
	}
	for _, m := range r.Result.Marks {
		f.Changes = append(f.Changes, FileChange(m))
	}
	for _, t := range r.Thresholds {
		f.Thresholds = append(f.Thresholds, FileThreshold{t.String(), t.Kept(&r.Result.Snapshot), t.Measured(&r.Result.Snapshot)})
	}
}
