package load

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/policy"
)

// recorder counts everything that happens in a run. It is the only shared state of
// a run, behind one mutex: every event updates several counters that must agree in
// each snapshot. Times are offsets from the start of the run.
type recorder struct {
	mu           sync.Mutex // guards the fields below
	totals       Totals
	inFlight     int64
	request      latencies
	attempt      latencies // of replies
	late         *Histogram
	lag          *Histogram
	coarse       *series
	fine         *series
	cohorts      []Cohort
	backlog      backlog
	objective    objective
	messages     []messageCount
	triggers     []Trigger // in order of their starts
	warmup       time.Duration
	coalesce     time.Duration // of the plan
	marks        []Mark
	breakerMarks int // how many marks are from breakers
	errors       map[errorKey]int64
	statuses     map[int]int64 // of HTTP responses
	ended        time.Duration // when the last request was offered; 0 until then
	frozen       bool          // the result exists, so nothing is counted anymore

	shared bool       // one of several processes: the objective is derived from all
	before *Histogram // the latencies of ok requests before the first trigger, if shared

	texts *normalizer // safe for concurrent use
}

// messageCount counts the requests of one message.
type messageCount struct {
	totals  MessageTotals
	latency latencies
}

type errorKey struct {
	outcome Outcome
	status  int
	text    string
}

// fullText is the text under which requests beyond Plan.MaxInFlight are counted.
const fullText = "too many requests in flight"

// maxErrorTexts limits how many distinct texts are counted separately.
const (
	maxErrorTexts = 100
	otherErrors   = "other messages"
)

func newRecorder(messages ...*message) *recorder {
	r := &recorder{
		request: newLatencies(), attempt: newLatencies(), late: NewHistogram(), lag: NewHistogram(),
		coarse: newSeries(coarseStep, 0).sketched(), fine: newSeries(fineStep, fineKept),
		errors: map[errorKey]int64{}, statuses: map[int]int64{}, texts: newNormalizer(),
	}
	for _, m := range messages {
		r.messages = append(r.messages, messageCount{MessageTotals{Name: m.Name}, newLatencies()})
	}
	return r
}

// at calls f with the points of both series that contain now. mu must be held.
func (r *recorder) at(now time.Duration, f func(*Point)) {
	f(r.coarse.current(now, r.inFlight))
	f(r.fine.current(now, r.inFlight))
}

// cohort returns the cohort of requests due at a time. mu must be held.
func (r *recorder) cohort(due time.Duration) *Cohort {
	i := int(due / cohortStep)
	for len(r.cohorts) <= i {
		r.cohorts = append(r.cohorts, Cohort{})
	}
	return &r.cohorts[i]
}

// judged adds the outcome of a request to its cohort, and reports whether it was answered
// on time. mu must be held.
func (r *recorder) judged(c *call, now time.Duration, ok bool) (onTime bool) {
	r.settle(now)
	cohort := r.cohort(c.intended)
	cohort.Ended++
	if !ok {
		return false
	}
	cohort.OK++
	if onTime = r.objective.met(int(c.intended/cohortStep), now-c.intended, c.counted); onTime {
		cohort.OnTime++
	}
	return onTime
}

// settle derives the objective when the first trigger has started. mu must be held.
func (r *recorder) settle(now time.Duration) {
	if r.objective.settled || len(r.triggers) == 0 || now < r.triggers[0].At {
		return
	}
	if r.shared {
		if r.before == nil {
			r.before = Merged(r.request.ok)
		}
		return
	}
	before := r.request.ok
	if r.before != nil {
		before = r.before
	}
	r.totals.OnTime = r.objective.derive(before, r.cohorts)
}

// offered counts requests that are due and returns how many of them may be sent, the first
// ones. The others are shed, because limit requests are in flight; why is the text of that.
func (r *recorder) offered(calls []*call, now time.Duration, limit int64, why string) (sent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent = int(max(min(int64(len(calls)), limit-r.inFlight), 0))
	r.at(now, func(p *Point) {
		p.Offered += int64(len(calls))
		p.Outcomes[Shed] += int64(len(calls) - sent)
	})
	r.inFlight += int64(sent)
	r.backlog.peak = max(r.backlog.peak, r.inFlight)
	for i, c := range calls {
		full := i >= sent
		cohort := r.cohort(c.intended)
		cohort.Due++
		if full {
			cohort.Ended++
		}
		if c.counted {
			r.countOffered(c, full, why)
		}
	}
	return sent
}

// countOffered counts a request that is not part of the warm-up, and is shed if full is
// set; why is the text of that. mu must be held.
func (r *recorder) countOffered(c *call, full bool, why string) {
	m := &r.messages[c.message.index].totals
	r.totals.Offered++
	m.Offered++
	if full {
		r.totals.Outcomes[Shed]++
		m.Outcomes[Shed]++
		r.countError(Shed, 0, why)
	}
}

// begun records how late the generator sent a request.
func (r *recorder) begun(c *call, now time.Duration) {
	lag := now - c.intended
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now, func(p *Point) { p.Lag, p.Chosen = max(p.Lag, lag), r.coalesce })
	r.coarse.lag.Record(lag)
	if c.counted {
		r.lag.Record(lag)
	}
}

// attemptStarted counts an attempt.
func (r *recorder) attemptStarted(c *call, a policy.Attempt, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now, func(p *Point) { p.Attempts++ })
	if !c.counted {
		return
	}
	r.totals.Attempts++
	r.messages[c.message.index].totals.Attempts++
	switch {
	case a.Hedge:
		r.totals.Hedges++
	case a.Number > 1:
		r.totals.Retries++
	}
}

// attemptEnded counts the outcome of an attempt that ended at now.
func (r *recorder) attemptEnded(c *call, a policy.Attempt, now time.Duration) {
	outcome, _ := classify(a.Err)
	own := ownFault(a.Err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if own {
		r.at(now, func(p *Point) { p.Starved++ })
	}
	if !c.counted {
		return
	}
	if !a.Wrote.IsZero() {
		r.totals.BytesSent += int64(len(c.req.Data))
	}
	switch {
	case outcome == OK || outcome == Error:
		if !a.Wrote.IsZero() {
			r.replied(now, a.End.Sub(a.Wrote), outcome == OK)
		}
		// A reply is used if it became the outcome of its request. The work for it
		// was wasted if another attempt follows or has already won.
		switch a.Next {
		case policy.Retry, policy.Pending, policy.Outrun:
			r.totals.Discarded++
		default:
			r.totals.Used++
		}
	case outcome == Timeout && !a.Wrote.IsZero(): // it may still become a late answer
		r.totals.Lost++
	}
	if a.Next == policy.OutOfTime {
		r.totals.OutOfTime++
	}
}

// replied records the attempt latency of a reply. mu must be held.
func (r *recorder) replied(now, latency time.Duration, ok bool) {
	r.attempt.record(latency, ok)
	if ok {
		r.coarse.current(now, r.inFlight)
		r.coarse.sketcher.attempt.record(latency)
	}
}

// refused counts an attempt that the budget or the breaker denied.
func (r *recorder) refused(c *call, no policy.Refusal) {
	if !c.counted {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch no.Why {
	case policy.OverBudget:
		r.totals.OverBudget++
	case policy.BreakerOpen:
		r.totals.BreakerOpen++
	}
}

// maxBreakerMarks limits the marks of a flapping breaker on the time axis.
const maxBreakerMarks = 100

// breaker adds a mark for a breaker's change of state.
func (r *recorder) breaker(c policy.BreakerChange, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.breakerMarks++; r.breakerMarks <= maxBreakerMarks {
		r.marks = append(r.marks, Mark{now, "breaker " + c.State.String()})
	}
}

// lateAnswer counts a late answer.
func (r *recorder) lateAnswer(c *call, l policy.Late, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen {
		return
	}
	r.at(now, func(p *Point) { p.Late++ })
	if c.counted {
		r.totals.Late++
		r.late.Record(l.By)
	}
}

// finished counts the outcome of a request and returns the request.
func (r *recorder) finished(c *call, now time.Duration, err error) Request {
	outcome, status := classify(err)
	if outcome == Timeout && stopped(err) && !c.wrote {
		outcome = Shed // the run was stopped before anything was sent
	}
	if outcome == OK {
		status = c.status
	}
	done := Request{
		Seq: c.seq, Message: c.message.Name, Latency: now - c.intended, Attempts: c.attempts, Outcome: outcome, Status: status,
		BytesOut: uint64(len(c.req.Data)), BytesIn: c.bytesIn,
	}
	if err != nil {
		done.Text = r.texts.text(err) // slow, so not under the lock
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	onTime := r.judged(c, now, outcome == OK)
	for _, s := range []*series{r.coarse, r.fine} {
		s.current(now, r.inFlight).Outcomes[outcome]++
		if outcome != Shed { // a request that was not sent has no latency
			s.record(done.Latency, outcome == OK)
		}
	}
	if c.counted {
		r.count(c, &done, now, onTime)
		if stopped(err) {
			r.totals.CutShort++
		}
	}
	return done
}

// count counts the outcome of a request that is not part of the warm-up. mu must be
// held.
func (r *recorder) count(c *call, done *Request, now time.Duration, onTime bool) {
	m := &r.messages[c.message.index]
	r.totals.Outcomes[done.Outcome]++
	m.totals.Outcomes[done.Outcome]++
	r.totals.BytesReceived += int64(done.BytesIn)
	if c.message.HTTP && done.Status > 0 {
		r.statuses[done.Status]++
	}
	r.backlog.ended(done.Outcome, now)
	if onTime {
		r.totals.OnTime++
	}
	if done.Outcome != Shed {
		r.request.record(done.Latency, done.Outcome == OK)
		m.latency.record(done.Latency, done.Outcome == OK)
	}
	if done.Outcome != OK {
		r.countError(done.Outcome, done.Status, done.Text)
	}
}

// countError counts a failure by its text. mu must be held.
func (r *recorder) countError(o Outcome, status int, text string) {
	key := errorKey{o, status, text}
	if _, known := r.errors[key]; !known && len(r.errors) >= maxErrorTexts {
		key = errorKey{o, 0, otherErrors}
	}
	r.errors[key]++
}

// endOffering records when the last request was offered.
func (r *recorder) endOffering(until time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = until
	r.backlog.atEnd = r.inFlight
}

// freeze stops the counting, so that answers that are even later do not change the
// result.
func (r *recorder) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
}

// self records what the generator measured about itself in the second that has just
// ended.
func (r *recorder) self(now time.Duration, m selfMeasurement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now, func(*Point) {}) // closes the second
	if p := r.coarse.points; len(p) > 1 {
		last := &p[len(p)-2]
		last.CPU, last.GC, last.Jump = m.cpu, m.gc, m.jump
	}
}

// trigger adds a trigger, ordered by start.
func (r *recorder) trigger(t Trigger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, _ := slices.BinarySearchFunc(r.triggers, t, func(a, b Trigger) int { return cmp.Compare(a.At, b.At) })
	r.triggers = slices.Insert(r.triggers, at, t)
}

// mark adds a mark to the time axis.
func (r *recorder) mark(now time.Duration, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks = append(r.marks, Mark{now, text})
}

// awaitedLate returns how many late answers may still arrive.
func (r *recorder) awaitedLate() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.totals.Lost - r.totals.Late
}

// final returns the parts of the result that no snapshot has. A snapshot that is taken at the
// same time may still add points.
func (r *recorder) final() (points []Point, sketches []Sketches, cohorts []Cohort, d Distributions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.coarse.copy(0, 0), r.coarse.allSketches(), slices.Clone(r.cohorts), r.distributions()
}

// distributions returns the complete distributions. mu must be held.
func (r *recorder) distributions() Distributions {
	return Distributions{
		OK: r.request.ok, All: r.request.all(), Attempt: r.attempt.ok, AttemptAll: r.attempt.all(), Lateness: r.late, Lag: r.lag,
	}
}

// snapshot returns the recorder's part of a snapshot, with at most recent points of
// the fine time series.
func (r *recorder) snapshot(now time.Duration, recent int) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at(now, func(*Point) {}) // an idle run has points, too
	r.settle(now)              // before the objective and the counts are read
	s := Snapshot{
		Elapsed: now, Warmup: r.warmup, Totals: r.totals, InFlight: r.inFlight,
		OK: r.request.ok.Summary(), All: r.request.all().Summary(),
		Attempt: r.attempt.ok.Summary(), AttemptAll: r.attempt.all().Summary(),
		Lateness: r.late.Summary(), Lag: r.lag.Summary(),
		Spread: r.request.ok.Spread(), Objective: r.objective.Objective,
		Recent: r.fine.copy(recent, r.inFlight), Step: fineStep,
		Last: r.coarse.last(), Marks: slices.Clone(r.marks),
	}
	offered := r.ended
	if offered == 0 {
		offered = now
	}
	s.Counted = max(offered-r.warmup, 0)
	s.Served = max(s.Counted, r.backlog.ok-r.warmup)
	s.Backlog = r.backlogOf(&s)
	for i := range r.messages {
		m, latency := r.messages[i].totals, &r.messages[i].latency
		all := latency.all()
		m.Latency, m.AllLatency = latency.ok.Summary(), all.Summary()
		if r.frozen {
			m.OK, m.All = latency.ok, all
		}
		s.Messages = append(s.Messages, m)
	}
	s.Recoveries = r.judge(now)
	for i := range s.Recoveries {
		s.Verdict = max(s.Verdict, s.Recoveries[i].Verdict)
	}
	for _, status := range slices.Sorted(maps.Keys(r.statuses)) {
		s.Statuses = append(s.Statuses, StatusCount{status, r.statuses[status]})
	}
	for key, n := range r.errors {
		s.Errors = append(s.Errors, ErrorCount{key.outcome, key.status, key.text, n})
	}
	slices.SortFunc(s.Errors, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Outcome, b.Outcome),
			cmp.Compare(a.Status, b.Status), cmp.Compare(a.Text, b.Text))
	})
	return s
}
