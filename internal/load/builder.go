package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// builder adds up the States of several processes in a recorder.
type builder struct {
	rec    *recorder
	errors map[errorKey]int64
	hists  []*partHistograms
}

// part adds the State of process i.
func (b *builder) part(i int, p *combinedPart) {
	r, s := b.rec, p.state
	r.totals.add(&s.Totals)
	r.inFlight += s.InFlight
	r.ended = max(r.ended, s.Ended)
	r.backlog.peak += s.Peak
	r.backlog.atEnd += s.AtEnd
	r.backlog.ok = max(r.backlog.ok, s.LastOK)
	r.backlog.reply = max(r.backlog.reply, s.LastReply)
	r.backlog.last = max(r.backlog.last, s.LastEnd)
	for j := range r.messages {
		m, of := &r.messages[j].totals, &s.Messages[j].Totals
		m.Offered, m.Attempts = m.Offered+of.Offered, m.Attempts+of.Attempts
		for o := range m.Outcomes {
			m.Outcomes[o] += of.Outcomes[o]
		}
	}
	for _, e := range s.Errors {
		b.errors[errorKey{e.Outcome, e.Status, e.Text}] += e.Count
	}
	for _, status := range s.Statuses {
		r.statuses[status.Status] += status.Count
	}
	for _, m := range s.Marks {
		r.marks = append(r.marks, Mark{m.At, fmt.Sprintf("agent %d: %s", i+1, m.Text)})
	}
	if !r.objective.settled && len(s.OnTime) == rungs {
		for k, n := range s.OnTime {
			r.objective.counted[k] += n
		}
	}
	b.hists = append(b.hists, &p.hists)
}

// histograms merges the distributions of all processes.
func (b *builder) histograms() {
	r := b.rec
	merged := func(of func(*partHistograms) *Histogram) *Histogram {
		var list []*Histogram
		for _, h := range b.hists {
			if one := of(h); one != nil {
				list = append(list, one)
			}
		}
		return Merged(list...)
	}
	r.request = latencies{merged(func(h *partHistograms) *Histogram { return h.ok }), merged(func(h *partHistograms) *Histogram { return h.failed })}
	r.attempt = latencies{merged(func(h *partHistograms) *Histogram { return h.replyOK }), merged(func(h *partHistograms) *Histogram { return h.replyFailed })}
	r.late, r.lag = merged(func(h *partHistograms) *Histogram { return h.late }), merged(func(h *partHistograms) *Histogram { return h.lag })
	if slices.ContainsFunc(b.hists, func(h *partHistograms) bool { return h.before != nil }) {
		r.before = merged(func(h *partHistograms) *Histogram { return h.before })
	}
	for i := range r.messages {
		r.messages[i].latency = latencies{
			merged(func(h *partHistograms) *Histogram { return h.messages[i][0] }), merged(func(h *partHistograms) *Histogram { return h.messages[i][1] }),
		}
	}
}

// add adds the counts of another process.
func (t *Totals) add(other *Totals) {
	t.Offered += other.Offered
	for o := range t.Outcomes {
		t.Outcomes[o] += other.Outcomes[o]
	}
	t.Attempts, t.Retries, t.Hedges = t.Attempts+other.Attempts, t.Retries+other.Retries, t.Hedges+other.Hedges
	t.OverBudget, t.OutOfTime, t.BreakerOpen = t.OverBudget+other.OverBudget, t.OutOfTime+other.OutOfTime, t.BreakerOpen+other.BreakerOpen
	t.Used, t.Discarded, t.Late = t.Used+other.Used, t.Discarded+other.Discarded, t.Late+other.Late
	t.Lost, t.CutShort, t.OnTime = t.Lost+other.Lost, t.CutShort+other.CutShort, t.OnTime+other.OnTime
	t.BytesSent, t.BytesReceived = t.BytesSent+other.BytesSent, t.BytesReceived+other.BytesReceived
}

// mergedSeries adds up the closed points of several processes. A point keeps its
// distributions until every process has reported it.
type mergedSeries struct {
	parts   int
	step    time.Duration
	keep    int // how many points are kept; 0 means all
	first   int // the number of the first point
	points  []mergedPoint
	closed  []bool // of each process
	next    []int  // the number of the next point of each process
	settled int    // the number of the first point whose distributions are kept
	doubts  [][2]time.Duration
}

// mergedPoint is the sum of one point.
type mergedPoint struct {
	Point
	latency  latencies
	lag      *Histogram
	sketches [3]map[time.Duration]int64
	merged   Sketches
}

// maxPoints limits the time series: a hundred days of seconds would be an error.
const maxPoints = 10_000_000

// add adds the points of process i from number first on. Points that it has added before
// are ignored.
func (s *mergedSeries) add(i, first int, list []PointState) error {
	if s.next == nil {
		s.next, s.closed = make([]int, s.parts), make([]bool, s.parts)
	}
	if first < 0 || first+len(list) > maxPoints {
		return errors.New("the report has too many points")
	}
	for j := range list {
		n := first + j
		if n < s.next[i] || n < s.first {
			continue
		}
		for len(s.points) <= n-s.first {
			s.points = append(s.points, mergedPoint{Point: Point{At: time.Duration(s.first+len(s.points)) * s.step}})
		}
		if err := s.points[n-s.first].add(&list[j]); err != nil {
			return err
		}
		s.next[i] = n + 1
	}
	s.settle()
	return nil
}

// close marks process i as one that adds nothing else.
func (s *mergedSeries) close(i int) {
	if s.next == nil {
		s.next, s.closed = make([]int, s.parts), make([]bool, s.parts)
	}
	s.closed[i] = true
	s.settle()
}

// settle drops the distributions of the points that every process has reported, and the
// points that are not kept.
func (s *mergedSeries) settle() {
	until := s.first + len(s.points)
	for i, next := range s.next {
		if !s.closed[i] {
			until = min(until, next)
		}
	}
	for n := max(s.settled, s.first); n < until; n++ {
		s.points[n-s.first].settle()
	}
	s.settled = max(s.settled, until)
	if drop := len(s.points) - 2*s.keep; s.keep > 0 && drop > 0 && s.first+drop <= s.settled {
		s.points, s.first = slices.Delete(s.points, 0, drop), s.first+drop
	}
}

// add adds the point of one process.
func (p *mergedPoint) add(from *PointState) error {
	p.Offered, p.Attempts, p.Late = p.Offered+from.Offered, p.Attempts+from.Attempts, p.Late+from.Late
	for o := range p.Outcomes {
		p.Outcomes[o] += from.Outcomes[o]
	}
	p.InFlight += from.InFlight
	p.Lag, p.GC, p.CPU, p.Starved = max(p.Lag, from.Lag), max(p.GC, from.GC), max(p.CPU, from.CPU), p.Starved+from.Starved
	if from.Jump.Abs() > p.Jump.Abs() {
		p.Jump = from.Jump
	}
	for i, sketch := range []Sketch{from.Sketches.OK, from.Sketches.Failed, from.Sketches.Attempt} {
		if p.sketches[i] == nil {
			p.sketches[i] = map[time.Duration]int64{}
		}
		for _, b := range sketch {
			p.sketches[i][b.Value] += b.Count
		}
	}
	p.Chosen = max(p.Chosen, from.Chosen)
	if from.Lateness != nil {
		lag, err := from.Lateness.histogram()
		if err != nil {
			return err
		}
		if p.lag != nil {
			lag = Merged(p.lag, lag)
		}
		p.lag = lag
	}
	if from.OK == nil && from.Failed == nil {
		return nil
	}
	ok, err := from.OK.histogram()
	if err != nil {
		return err
	}
	failed, err := from.Failed.histogram()
	if err != nil {
		return err
	}
	if p.latency.ok == nil {
		p.latency = latencies{NewHistogram(), NewHistogram()}
	}
	p.latency = latencies{Merged(p.latency.ok, ok), Merged(p.latency.failed, failed)}
	return nil
}

// settle computes the figures of a point and drops its distributions.
func (p *mergedPoint) settle() {
	p.measure()
	p.latency, p.lag, p.sketches = latencies{}, nil, [3]map[time.Duration]int64{}
}

// measure computes the figures of a point from what has been reported so far.
func (p *mergedPoint) measure() {
	for i, to := range []*Sketch{&p.merged.OK, &p.merged.Failed, &p.merged.Attempt} {
		*to = nil
		for value, n := range p.sketches[i] {
			*to = append(*to, SketchBucket{value, n})
		}
		slices.SortFunc(*to, func(a, b SketchBucket) int { return int(a.Value - b.Value) })
	}
	var ok, all Quantiles
	if p.latency.ok != nil {
		ok, all = p.latency.ok.quantiles(), p.latency.all().quantiles()
	} else {
		ok = p.merged.OK.quantiles()
		all = ok
		if len(p.merged.Failed) > 0 {
			all = joined(p.merged.OK, p.merged.Failed).quantiles()
		}
	}
	p.P50, p.P90, p.P99, p.Max, p.All = ok.P50, ok.P90, ok.P99, ok.Max, all
	if p.lag != nil {
		p.LagP50, p.LagP99 = p.lag.Quantile(0.5), p.lag.Quantile(0.99)
	}
}

// joined returns the sum of two sketches.
func joined(a, b Sketch) Sketch {
	list := append(slices.Clone(a), b...)
	slices.SortFunc(list, func(a, b SketchBucket) int { return int(a.Value - b.Value) })
	return list
}

// quantiles returns the figures of a sketch, whose buckets are in order.
func (s Sketch) quantiles() (q Quantiles) {
	var all, seen int64
	for _, b := range s {
		all += b.Count
	}
	for _, b := range s {
		before := seen
		seen += b.Count
		for _, of := range []struct {
			to    *time.Duration
			share float64
		}{{&q.P50, 0.5}, {&q.P90, 0.9}, {&q.P99, 0.99}, {&q.Max, 1}} {
			if rank := of.share * float64(all); float64(before) < rank && float64(seen) >= rank {
				*of.to = b.Value
			}
		}
	}
	return q
}

// into makes the points those of a recorder's series, up to the one that contains a time.
func (s *mergedSeries) into(to *series, until time.Duration) {
	points := make([]Point, 0, len(s.points)+1)
	to.sketches = nil
	for i := range s.points {
		p := &s.points[i]
		if p.At > until {
			break
		}
		if s.first+i >= s.settled {
			p.measure()
		}
		one := p.Point
		for _, doubt := range s.doubts {
			if p.At+s.step > doubt[0] && p.At <= doubt[1] {
				one.Lag = max(one.Lag, doubt[1]-max(doubt[0], p.At))
			}
		}
		points = append(points, one)
		if to.sketcher != nil {
			to.sketches = append(to.sketches, p.merged)
		}
	}
	for next := time.Duration(s.first+len(points)) * s.step; len(points) == 0 || next <= until; next += s.step {
		points = append(points, Point{At: next}) // is open, so that none is closed
		to.sketches = append(to.sketches, Sketches{})
	}
	to.points = points
	to.merged = true
}
