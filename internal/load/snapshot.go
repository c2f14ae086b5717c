package load

import (
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// Phase is the phase of a run.
type Phase int

// The phases, in their order.
const (
	WarmingUp Phase = iota // requests are sent but not counted
	Loading                // requests are sent and counted
	Draining               // no more requests are sent; replies are pending
	Finished
)

// String returns the name of the phase.
func (p Phase) String() string {
	return [...]string{"warming up", "loading", "draining", "finished"}[p]
}

// Totals are the counts of a run, without its warm-up. Offered equals the sum of
// Outcomes once the run has finished; until then it also includes the requests in
// flight.
type Totals struct {
	// Offered counts the requests that have become due.
	Offered int64
	// Outcomes counts the finished requests by Outcome.
	Outcomes [outcomes]int64
	// Attempts counts the attempts started; Retries counts those that followed a
	// failed attempt.
	Attempts, Retries int64
	// OverBudget counts the retries and hedges that the budget denied; OutOfTime
	// counts the retries that could not have ended before the request's deadline.
	OverBudget, OutOfTime int64
	// Hedges counts the attempts started while an earlier one was pending.
	Hedges int64
	// BreakerOpen counts the attempts that an open breaker blocked.
	BreakerOpen int64
	// Used counts the replies that became the outcome of a request; Discarded counts
	// those that were superseded by another attempt; Late counts the late answers.
	Used, Discarded, Late int64
	// Lost counts the attempts that timed out after they had been written. Each may
	// still become a late answer.
	Lost int64
	// CutShort counts the requests that were still in flight when the grace of a
	// stopped run was over. The outcome of each is timeout, or shed if it had not
	// been written.
	CutShort int64
	// OnTime counts the ok requests that were answered within the run's objective. It is
	// 0 as long as the run has none.
	OnTime int64
	// BytesSent is the size of the data of all attempts, and BytesReceived that of the
	// values in replies, both as JSON text.
	BytesSent, BytesReceived int64
}

// Finished returns the sum of the outcomes.
func (t *Totals) Finished() (n int64) {
	for _, v := range t.Outcomes {
		n += v
	}
	return n
}

// Amplification returns attempts per request: how much retries multiply the load.
// It is 0 before the first request.
func (t *Totals) Amplification() float64 { return share(t.Attempts, t.Offered) }

// Wasted returns the share of the service's replies that were not used: late
// answers, and errors that were retried.
func (t *Totals) Wasted() float64 {
	unused := t.Discarded + t.Late
	return share(unused, unused+t.Used)
}

// Share returns an outcome's share of the finished requests.
func (t *Totals) Share(o Outcome) float64 { return share(t.Outcomes[o], t.Finished()) }

// OnTimeShare returns the share of the offered requests that were answered on time.
func (t *Totals) OnTimeShare() float64 { return share(t.OnTime, t.Offered) }

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Point is one interval of a time series. Events count when they happen: a request
// is offered in the interval in which it was sent, and ok in the one in which its
// reply arrived.
type Point struct {
	// At is the start of the interval, since the start of the run.
	At time.Duration
	// Offered, Attempts and Late are counts.
	Offered, Attempts, Late int64
	// Outcomes counts the requests that ended in the interval by Outcome.
	Outcomes [outcomes]int64
	// InFlight is the number of requests in flight at the interval's end.
	InFlight int64
	// The latencies of the ok requests that ended in the interval, and those of all
	// requests that did, without shed ones.
	P50, P90, P99, Max time.Duration
	All                Quantiles
	// Lag is the longest lateness: how long after its intended start a request was sent. It
	// includes Chosen, the plan's Coalesce, by which requests are late on purpose. LagP50 and
	// LagP99 are quantiles of the lateness, which only the series of seconds has.
	Lag, LagP50, LagP99, Chosen time.Duration
	// CPU is the generator's share of all processors, from 0 to 1; GC is its longest
	// pause for garbage collection. Only the series of seconds has them.
	CPU float64
	GC  time.Duration
	// Starved counts the attempts that failed because this machine had no file
	// descriptors or ports left.
	Starved int64
	// Jump is how far the wall clock moved away from the monotonic one, if that is at least
	// a second: the machine was suspended, or its clock was set. Only the series of seconds
	// has it.
	Jump time.Duration
}

// OK returns the number of requests that succeeded.
func (p *Point) OK() int64 { return p.Outcomes[OK] }

// Shed returns the number of requests that were deliberately not sent.
func (p *Point) Shed() int64 { return p.Outcomes[Shed] }

// Failed returns the number of requests with any other outcome.
func (p *Point) Failed() int64 {
	return p.Outcomes[Error] + p.Outcomes[Timeout] + p.Outcomes[Unreachable] + p.Outcomes[Reset]
}

// Limits beyond which the generator itself affects the figures of an interval.
const (
	fellBehind = 10 * time.Millisecond
	maxCPU     = 0.9
)

// Doubtful reports whether the figures of the interval may be the generator's own:
// a request was sent later than chosen, a pause for garbage collection was long, the process used
// nearly all of its processors, or the machine lacked a resource or was suspended.
func (p *Point) Doubtful() bool {
	return p.Lag-p.Chosen > fellBehind || p.GC > fellBehind || p.CPU > maxCPU || p.Starved > 0 || p.Jump != 0
}

// Cohort counts the outcomes of the requests that were due in one interval.
type Cohort struct {
	// Due counts the requests, Ended those with an outcome, OK those that succeeded, and
	// OnTime those that did within the run's objective.
	Due, Ended, OK, OnTime int64
}

// Objective is the latency up to which an ok request counts as answered on time.
type Objective struct {
	// Limit is the latency. 0 means that there is none (yet): every ok request is on
	// time.
	Limit time.Duration
	// Given is set if the plan has the objective. Otherwise, it was derived from P95, the
	// latency of the ok requests before the first trigger.
	Given bool
	P95   time.Duration
}

// Backlog describes the requests that were waiting when the load ended.
type Backlog struct {
	// Peak is the largest number of requests in flight, and AtEnd their number when the
	// load ended.
	Peak, AtEnd int64
	// Drain is the time from the end of the load to the last outcome of a counted request.
	Drain time.Duration
	// Grew is set if the number was still growing in the second half of the load, as it
	// does when the service answers fewer requests than it is offered.
	Grew bool
	// Left is set if more requests were left when the load ended, or answered long after
	// it, than with a service that keeps up.
	Left bool
	// Answered is the number of replies per second, ok or not, from the start of counting
	// to the last reply, or to the end of the load if that is later.
	Answered float64
}

// MessageTotals are the counts of one message.
type MessageTotals struct {
	Name     string
	Offered  int64
	Outcomes [outcomes]int64
	Attempts int64
	// Latency are the latencies of its ok requests, and AllLatency those of all its
	// requests without shed ones.
	Latency, AllLatency Latency
	// OK and All are the complete distributions; nil before the run has finished.
	OK, All *Histogram
}

// Finished returns the sum of the outcomes.
func (m *MessageTotals) Finished() (n int64) {
	for _, v := range m.Outcomes {
		n += v
	}
	return n
}

// Share returns an outcome's share of the finished requests.
func (m *MessageTotals) Share(o Outcome) float64 { return share(m.Outcomes[o], m.Finished()) }

// Mark is a change made during a run.
type Mark struct {
	At   time.Duration
	Text string
}

// Sketch is a distribution of latencies in buckets about one percent wide, in
// ascending order.
type Sketch []SketchBucket

// SketchBucket counts the latencies close to Value.
type SketchBucket struct {
	Value time.Duration
	Count int64
}

// Sketches are the distributions of one interval: the latencies of the ok requests that
// ended in it, those of the others (without shed ones), and the attempt latencies of its
// ok replies.
type Sketches struct{ OK, Failed, Attempt Sketch }

// ErrorCount counts the requests that failed in one way.
type ErrorCount struct {
	Outcome Outcome
	Status  int // of the service's error; 0 if it has none
	Text    string
	Count   int64
}

// StatusCount counts the requests whose final response had one HTTP status.
type StatusCount struct {
	Status int
	Count  int64
}

// Snapshot contains the figures of a run at one moment. It shares no memory with
// the run.
type Snapshot struct {
	// Elapsed is the time since the start, Planned the plan's duration (0 if Requests
	// ends the run), and Warmup the plan's warm-up.
	Elapsed, Planned, Warmup time.Duration
	// Counted is how long requests have been offered and counted. Served is the time from
	// the start of counting to the last ok reply to a counted request, but at least
	// Counted.
	Counted, Served time.Duration
	// Requests is the largest number of requests; 0 is unlimited.
	Requests uint64
	Phase    Phase
	// Rate is the current rate per second of an open load, and Users the current
	// number of users of a closed one.
	Rate  float64
	Users int
	// Policy is the current policy.
	Policy policy.Settings
	Totals Totals
	// InFlight is the number of requests in flight, including the warm-up.
	InFlight int64
	// OK are the latencies of the ok requests, and All those of all requests without shed
	// ones. Attempt are the attempt latencies of ok replies, and AttemptAll those of all
	// replies. Lateness are the times between a timeout and its late answer, and Lag
	// those between an intended start and the sending of the request: the lateness that
	// reports state.
	OK, All, Attempt, AttemptAll, Lateness, Lag Latency
	// Spread is the distribution of the latencies of the ok requests in a few buckets.
	Spread []Bucket
	// Backlog describes the requests that were waiting when the load ended.
	Backlog Backlog
	// Objective is what counts as on time.
	Objective Objective
	// Recent are the latest points of a fine time series with an interval of Step.
	// The last one is incomplete.
	Recent []Point
	Step   time.Duration
	// Last is the last complete second.
	Last Point
	// Marks are the changes made so far, in order.
	Marks []Mark
	// Recoveries has an entry for each trigger that has started; Verdict is the worst
	// verdict of them.
	Recoveries []Recovery
	Verdict    Verdict
	// Messages has the counts of each message, in the plan's order.
	Messages []MessageTotals
	// Errors are the ways in which requests failed, the most frequent first.
	Errors []ErrorCount
	// Statuses counts the requests by the HTTP status of their final response, in
	// ascending order. Requests without a response and messages have none.
	Statuses []StatusCount
}

// Goodput returns the ok requests per second, over the time in which they were
// answered: a backlog that is answered after the load has ended takes longer than the
// load.
func (s *Snapshot) Goodput() float64 { return perSecond(s.Totals.Outcomes[OK], s.Served) }

// OfferedRate returns the offered requests per second.
func (s *Snapshot) OfferedRate() float64 { return perSecond(s.Totals.Offered, s.Counted) }

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Result contains the figures of a finished run.
type Result struct {
	Snapshot
	// Started is the wall-clock time of the start.
	Started time.Time
	// Stopped is set if the run was stopped before its plan was complete.
	Stopped bool
	// Seconds is the time series in seconds from the start of the run, and Sketches
	// the distributions of each.
	Seconds  []Point
	Sketches []Sketches
	// Cohorts groups the requests by when they were due, in intervals of CohortStep
	// from the start of the run.
	Cohorts    []Cohort
	CohortStep time.Duration
	// Distributions are the complete distributions.
	Distributions Distributions
	// HeldBack counts the replies that the peer may have held back; zero in a closed load.
	HeldBack HeldBack
}

// Distributions are the complete distributions of a run; see Snapshot.
type Distributions struct {
	OK, All, Attempt, AttemptAll, Lateness, Lag *Histogram
}
