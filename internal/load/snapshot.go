package load

import (
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// Phase is where a run is.
type Phase int

// The phases, in their order.
const (
	WarmingUp Phase = iota // requests are sent and not counted
	Loading                // requests are sent and counted
	Draining               // no more requests, answers are awaited
	Finished
)

// String names the phase.
func (p Phase) String() string {
	return [...]string{"warming up", "loading", "draining", "finished"}[p]
}

// Totals are the counts of a run, without its warm-up. Offered is the sum of
// Outcomes once a run has finished, and of Outcomes and what is in flight
// before.
type Totals struct {
	// Offered counts the requests whose intended start has come.
	Offered int64
	// Outcomes counts the finished requests by Outcome.
	Outcomes [outcomes]int64
	// Attempts counts the attempts begun; Retries those that followed a failed
	// one.
	Attempts, Retries int64
	// OverBudget counts the retries and hedges that the budget denied, OutOfTime
	// the retries that could not have ended before the request's deadline.
	OverBudget, OutOfTime int64
	// Hedges counts the attempts begun while an earlier one was still out.
	Hedges int64
	// BreakerOpen counts the attempts that an open breaker did not let go.
	BreakerOpen int64
	// Used counts the answers that became an outcome, Discarded those in whose
	// place another attempt's was taken, Late the late answers.
	Used, Discarded, Late int64
	// Lost counts the attempts that were given up after they had been written:
	// each may still become a late answer.
	Lost int64
	// CutShort counts the requests that were in flight when a run was stopped
	// and its grace was over. Each has an outcome: timeout, or shed when it had
	// not been written.
	CutShort int64
}

// Finished is the sum of the outcomes.
func (t *Totals) Finished() (n int64) {
	for _, v := range t.Outcomes {
		n += v
	}
	return n
}

// Amplification is attempts by requests: what the retries make of the load. It
// is 0 before the first request.
func (t *Totals) Amplification() float64 { return share(t.Attempts, t.Offered) }

// Wasted is the share of the service's answers that nobody used: late ones, and
// errors that were retried.
func (t *Totals) Wasted() float64 {
	unused := t.Discarded + t.Late
	return share(unused, unused+t.Used)
}

// Share is an outcome's share of all finished requests.
func (t *Totals) Share(o Outcome) float64 { return share(t.Outcomes[o], t.Finished()) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Point is what happened within one interval of the time series, by the time
// it happened: a request counts as offered where it was sent and as ok where
// its answer came.
type Point struct {
	// At is where the interval begins, since the start of the run.
	At time.Duration
	// Offered, Attempts and Late are counts.
	Offered, Attempts, Late int64
	// Outcomes counts the requests that ended in the interval by Outcome.
	Outcomes [outcomes]int64
	// InFlight is the number of requests in flight at the interval's end.
	InFlight int64
	// The request latencies of those that ended in the interval.
	P50, P90, P99, Max time.Duration
	// Lag is the longest a request was sent after its intended start.
	Lag time.Duration
	// CPU is what the generator's process used of all processors, 0 to 1; GC is
	// the longest time that its garbage collection stopped it. Only the series of
	// seconds has them.
	CPU float64
	GC  time.Duration
}

// OK counts the requests that were answered.
func (p *Point) OK() int64 { return p.Outcomes[OK] }

// Shed counts the requests that were not sent on purpose.
func (p *Point) Shed() int64 { return p.Outcomes[Shed] }

// Failed counts the requests that ended in any other way.
func (p *Point) Failed() int64 {
	return p.Outcomes[Error] + p.Outcomes[Timeout] + p.Outcomes[Unreachable] + p.Outcomes[Reset]
}

// What makes an interval one in which the generator itself was short of
// something, so that its figures are to be doubted.
const (
	fellBehind = 10 * time.Millisecond
	mostCPU    = 0.9
)

// Doubtful reports whether the generator fell behind in the interval: a request
// left late, its garbage collection stopped it for long, or it used all of the
// processors it had.
func (p *Point) Doubtful() bool {
	return p.Lag > fellBehind || p.GC > fellBehind || p.CPU > mostCPU
}

// Cohort is what became of the requests that were due in one interval.
type Cohort struct {
	// Due counts them, Ended those that have an outcome, OK those answered.
	Due, Ended, OK int64
}

// MessageTotals is one message's part of a run.
type MessageTotals struct {
	Name     string
	Offered  int64
	Outcomes [outcomes]int64
	Attempts int64
	Request  Latency
}

// Mark is a change made while the run went on.
type Mark struct {
	At   time.Duration
	Text string
}

// Sketch is a distribution of latencies in buckets about one percent wide, the
// shortest first.
type Sketch []SketchBucket

// SketchBucket is how many latencies are close to Value.
type SketchBucket struct {
	Value time.Duration
	Count int64
}

// ErrorCount is how often requests ended in one way.
type ErrorCount struct {
	Outcome Outcome
	Status  int // of the service's error; 0 where it has none
	Text    string
	Count   int64
}

// Snapshot is a run as it stands. It shares nothing with the run.
type Snapshot struct {
	// Elapsed is the time since the start, Planned the plan's duration (0: until
	// Requests were offered), Warmup the uncounted beginning.
	Elapsed, Planned, Warmup time.Duration
	// Counted is for how long requests have been offered and counted.
	Counted time.Duration
	// Requests is how many the plan offers at most; 0 is no bound.
	Requests uint64
	Phase    Phase
	// Rate is what is offered now, a second, in an open model; Users how many
	// users there are now in a closed one.
	Rate  float64
	Users int
	// Policy is the one that holds now.
	Policy policy.Settings
	Totals Totals
	// InFlight is the number of requests in flight, warm-up included.
	InFlight int64
	// Request holds the request latencies without those of shed requests,
	// Attempt the attempt latencies, Lateness how late late answers were, Lag
	// how long after its intended start each request was sent.
	Request, Attempt, Lateness, Lag Latency
	// Spread is the distribution of the request latencies in few buckets.
	Spread []Bucket
	// Recent are the latest points of a fine time series, Step apart; the last
	// one is not complete.
	Recent []Point
	Step   time.Duration
	// Last is the last complete second.
	Last Point
	// Marks are the changes made, in order.
	Marks []Mark
	// Recoveries tells for each trigger that has begun whether the system came
	// back; Verdict is the worst of them.
	Recoveries []Recovery
	Verdict    Verdict
	// Messages has each message's part, in the plan's order.
	Messages []MessageTotals
	// Errors are the ways requests failed, the most frequent first.
	Errors []ErrorCount
}

// Goodput is the ok requests a second.
func (s *Snapshot) Goodput() float64 { return perSecond(s.Totals.Outcomes[OK], s.Counted) }

// OfferedRate is the requests offered a second.
func (s *Snapshot) OfferedRate() float64 { return perSecond(s.Totals.Offered, s.Counted) }

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Result is a finished run.
type Result struct {
	Snapshot
	// Started is the wall clock's time at the start.
	Started time.Time
	// Stopped tells that the run was ended before its plan was.
	Stopped bool
	// Seconds is the time series, a second apart, from the start of the run, and
	// Sketches the request latencies of the requests that ended in each.
	Seconds  []Point
	Sketches []Sketch
	// Cohorts are the requests by when they were due, CohortStep apart from the
	// start of the run.
	Cohorts    []Cohort
	CohortStep time.Duration
	// The distributions behind the Snapshot's figures.
	RequestHistogram, AttemptHistogram, LatenessHistogram, LagHistogram *Histogram
}
