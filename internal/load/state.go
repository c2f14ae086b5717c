package load

import (
	"fmt"
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// State is what one of several processes has counted so far, in a form that travels as
// JSON. Counts and distributions are those since the start; the time series and the cohorts
// start where a Cursor was.
type State struct {
	Elapsed  time.Duration
	Ended    time.Duration // when the last request was offered; 0 until then
	Stopped  bool
	Phase    Phase
	Rate     float64
	Users    int
	Totals   Totals
	InFlight int64
	// OK and Failed are the latencies of requests, and ReplyOK and ReplyFailed those of
	// attempts. Before are those of the ok requests before the first trigger.
	OK, Failed, ReplyOK, ReplyFailed, Late, Lag, Before *Distribution
	Messages                                            []MessageState
	Errors                                              []ErrorCount
	Statuses                                            []StatusCount
	Marks                                               []Mark
	Peak, AtEnd                                         int64
	LastOK, LastReply, LastEnd                          time.Duration
	HeldBack                                            HeldBack
	// OnTime are the counted ok requests by their latency, as long as the objective is not
	// known.
	OnTime []uint32 `json:",omitempty"`
	// Cohorts are those from the FirstCohort on, and Seconds and Fine the closed points
	// from FirstSecond and FirstFine on.
	FirstCohort, FirstSecond, FirstFine int
	Cohorts                             []CohortState
	Seconds, Fine                       []PointState
	// Failure is the error of the run, or "".
	Failure string `json:",omitempty"`
}

// Distribution is a Histogram that travels.
type Distribution struct {
	Count      int64
	Least, Max time.Duration
	Sum        float64
	Spread     []int64 // without zeros at the end
	HDR        string  // in HdrHistogram's compressed V2 format
}

// MessageState is the State of one message.
type MessageState struct {
	Totals     MessageTotals
	OK, Failed *Distribution
}

// CohortState is a cohort, with the latencies of its ok requests as long as the objective
// is not known.
type CohortState struct {
	Cohort
	Ladder []uint32 `json:",omitempty"`
}

// PointState is a closed point of a time series. Seconds have OK and Failed, the complete
// distributions of the requests that ended in them, and Lateness is that of the requests
// that were sent.
type PointState struct {
	Point
	OK, Failed, Lateness *Distribution `json:",omitempty"`
	Sketches             Sketches
}

// Cursor is how far a process has reported its time series. The zero Cursor is the start.
type Cursor struct{ cohort, second, fine int }

// State returns what the run has counted, with the time series from a cursor on, and the
// cursor that continues it. The run must have a Part.
func (r *Run) State(from Cursor) (*State, Cursor, error) {
	s, next, c := r.rec.state(r.now(), from)
	if err := c.encode(); err != nil {
		return nil, from, err
	}
	s.Phase, s.Rate, s.Users, s.HeldBack = Phase(r.phase.Load()), r.Rate(), r.Users(), r.heldBack()
	select {
	case <-r.done:
		s.Stopped = r.result.Stopped
	default:
	}
	if s.Phase == WarmingUp && s.Elapsed >= r.plan.Warmup {
		s.Phase = Loading
	}
	if err := r.TriggerError(); err != nil {
		s.Failure = err.Error()
	}
	return s, next, nil
}

// state returns the recorder's part of a State, whose histograms are yet to be encoded.
func (r *recorder) state(now time.Duration, from Cursor) (*State, Cursor, *copies) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now = max(now, 0); !r.frozen {
		r.at(now, func(*Point) {})
		r.settle(now)
	}
	s := &State{
		Elapsed: now, Ended: r.ended, Totals: r.totals, InFlight: r.inFlight,
		Marks: slices.Clone(r.marks), Peak: r.backlog.peak, AtEnd: r.backlog.atEnd,
		LastOK: r.backlog.ok, LastReply: r.backlog.reply, LastEnd: r.backlog.last,
		Messages: make([]MessageState, len(r.messages)),
	}
	c := &copies{}
	c.add(&s.OK, r.request.ok)
	c.add(&s.Failed, r.request.failed)
	c.add(&s.ReplyOK, r.attempt.ok)
	c.add(&s.ReplyFailed, r.attempt.failed)
	c.add(&s.Late, r.late)
	c.add(&s.Lag, r.lag)
	c.add(&s.Before, r.before)
	for i := range r.messages {
		s.Messages[i].Totals = r.messages[i].totals
		c.add(&s.Messages[i].OK, r.messages[i].latency.ok)
		c.add(&s.Messages[i].Failed, r.messages[i].latency.failed)
	}
	for key, n := range r.errors {
		s.Errors = append(s.Errors, ErrorCount{key.outcome, key.status, key.text, n})
	}
	for status, n := range r.statuses {
		s.Statuses = append(s.Statuses, StatusCount{status, n})
	}
	from.cohort = r.stateOfCohorts(s, from.cohort, now)
	s.FirstSecond, s.Seconds = r.coarse.since(from.second, c, r.frozen, r.inFlight)
	s.FirstFine, s.Fine = r.fine.since(from.fine, c, r.frozen, r.inFlight)
	from.second, from.fine = s.FirstSecond+len(s.Seconds), s.FirstFine+len(s.Fine)
	return s, from, c
}

// stateOfCohorts adds the cohorts from a number on to a State, and returns the number of the
// first cohort that may still change. mu must be held.
func (r *recorder) stateOfCohorts(s *State, from int, now time.Duration) (next int) {
	if !r.objective.settled {
		s.OnTime = slices.Clone(r.objective.counted[:])
	}
	s.FirstCohort = from
	for i := from; i < len(r.cohorts); i++ {
		c := CohortState{Cohort: r.cohorts[i]}
		if i < len(r.objective.cohorts) {
			c.Ladder = slices.Clone(r.objective.cohorts[i][:])
		}
		s.Cohorts = append(s.Cohorts, c)
	}
	for from < len(r.cohorts) && r.cohorts[from].Ended == r.cohorts[from].Due && time.Duration(from+1)*cohortStep+maxStall < now {
		from++
	}
	return from
}

// copies are copies of histograms, which are encoded when the recorder is not locked.
type copies struct{ list []copied }

type copied struct {
	to     **Distribution
	of     Histogram // without its counts
	counts *hdr.Snapshot
}

// add copies a histogram, which may be nil.
func (c *copies) add(to **Distribution, h *Histogram) {
	if h != nil && h.count > 0 {
		c.list = append(c.list, copied{to, *h, h.counts.Export()})
	}
}

// encode encodes the copies.
func (c *copies) encode() error {
	for i := range c.list {
		one := &c.list[i]
		one.of.counts = hdr.Import(one.counts)
		text, err := one.of.Encode()
		if err != nil {
			return err
		}
		last := buckets
		for last > 0 && one.of.spread[last-1] == 0 {
			last--
		}
		*one.to = &Distribution{
			Count: one.of.count, Least: one.of.least, Max: one.of.max, Sum: one.of.sum, Spread: one.of.spread[:last], HDR: text,
		}
	}
	return nil
}

// maxDistribution is the size of the longest text of a distribution, in bytes.
const maxDistribution = 1 << 20

// histogram returns the distribution as a histogram. A nil Distribution is empty.
func (d *Distribution) histogram() (*Histogram, error) {
	h := NewHistogram()
	if d == nil {
		return h, nil
	}
	if len(d.HDR) > maxDistribution || len(d.Spread) > buckets || d.Count < 0 {
		return nil, fmt.Errorf("not a distribution")
	}
	decoded, err := hdr.Decode([]byte(d.HDR))
	if err != nil {
		return nil, fmt.Errorf("decode a histogram: %w", err)
	}
	if lost := h.counts.Merge(decoded); lost > 0 || decoded.TotalCount() != d.Count {
		return nil, fmt.Errorf("a histogram with %d values claims to have %d", decoded.TotalCount()-lost, d.Count)
	}
	h.count, h.least, h.max, h.sum = d.Count, d.Least, d.Max, d.Sum
	copy(h.spread[:], d.Spread)
	return h, nil
}

// share makes the recorder one of several, whose States are merged.
func (r *recorder) share() {
	r.shared = true
	r.coarse.shared, r.fine.shared = true, true
	r.fine.sketcher = &sketchers{}
}

// pastPoint is what a closed point consists of: copies of its histograms, and its sketches.
type pastPoint struct {
	ok, failed, lag *Histogram
	sketches        Sketches
}

// keepPast keeps what the point that is being closed consists of.
func (s *series) keepPast(took Sketches) {
	p := pastPoint{sketches: took}
	if s.keep == 0 { // the fine series has its sketches
		p.ok, p.failed, p.lag = s.latency.ok.copy(), s.latency.failed.copy(), s.lag.copy()
	}
	s.past = append(s.past, p)
}

// copy returns a copy of the histogram; nil if it is empty.
func (h *Histogram) copy() *Histogram {
	if h == nil || h.count == 0 {
		return nil
	}
	c := *h
	c.counts = hdr.Import(h.counts.Export())
	return &c
}

// since returns the closed points from a number on, or with all, every point from it on,
// and the number of the first. What came before is forgotten.
func (s *series) since(from int, c *copies, all bool, inFlight int64) (first int, list []PointState) {
	base := int(s.points[0].At / s.step) // the fine series drops points
	first = max(from, base, s.firstPast)
	drop := min(first-s.firstPast, len(s.past))
	s.past, s.firstPast = slices.Delete(s.past, 0, drop), s.firstPast+drop
	count := len(s.past)
	if all && first-base+count < len(s.points) {
		count++ // the last point
	}
	list = make([]PointState, count)
	for i := range list {
		p := &list[i]
		p.Point = s.points[first-base+i]
		if i < len(s.past) {
			c.add(&p.OK, s.past[i].ok)
			c.add(&p.Failed, s.past[i].failed)
			c.add(&p.Lateness, s.past[i].lag)
			p.Sketches = s.past[i].sketches
			continue
		}
		s.measure(&p.Point, inFlight)
		if s.keep == 0 {
			c.add(&p.OK, s.latency.ok)
			c.add(&p.Failed, s.latency.failed)
			c.add(&p.Lateness, s.lag)
		}
		open := *s.sketcher
		p.Sketches = open.take()
	}
	return first, list
}
