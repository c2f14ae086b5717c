package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/report"
)

// side is a Side with its runs and their seconds.
type side struct {
	Side

	runs    []report.Run
	samples []*sample
	// noisy lists the percentiles with too few quiet seconds.
	noisy []string
}

// sample contains the complete, counted seconds of a run.
type sample struct {
	seconds []tally
	// strata are the ends of ranges of comparable seconds: a trigger starts a new range,
	// and so does its end.
	strata []int
	values []time.Duration // shared by all samples of a comparison
}

// tally is one second.
type tally struct {
	second *report.Second
	// lag is the longest lateness of a request beyond the time within which the run sends
	// requests together.
	lag time.Duration
	// upTo counts the latencies of at most the value with the same index: those of ok
	// requests, and those of all.
	upTo, allUpTo []int64
	// unused and answers are the part and the whole of wasted work.
	unused, answers float64
}

// newSide returns a side with the runs of a document that have a name, or with all runs
// if they are of one kind.
func newSide(name string, d *report.Document, run string) (*side, error) {
	if d == nil || len(d.Runs) == 0 {
		return nil, fmt.Errorf("compare %s: it contains no runs", name)
	}
	s := &side{Side: Side{Name: name}}
	var names []string
	cells := map[int]bool{} // repeated runs share a cell but not a name
	for _, r := range d.Runs {
		if run == "" || r.Name == run {
			s.runs = append(s.runs, r)
		}
		cells[r.Cell] = true
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	switch {
	case len(s.runs) == 0:
		return nil, fmt.Errorf("compare %s: it has no run named %q: use one of %s", name, run, strings.Join(names, ", "))
	case run == "" && len(cells) > 1:
		return nil, fmt.Errorf("compare %s: it contains several kinds of runs: choose one of %s", name, strings.Join(names, ", "))
	}
	s.describe()
	if s.Requests == 0 {
		return nil, fmt.Errorf("compare %s: no request ended in a complete second after the warm-up", name)
	}
	return s, nil
}

func (s *side) describe() {
	first := &s.runs[0]
	s.Pattern, s.Load, s.Policy, s.Started = first.Pattern, first.Load, first.Policy.Text, first.Started
	s.Runs = len(s.runs)
	for i := range s.runs {
		one := newSample(&s.runs[i])
		s.Seconds += len(one.seconds)
		s.OfSeconds += int((s.runs[i].Counted + time.Second - 1) / time.Second)
		if len(one.seconds) == 0 {
			continue
		}
		s.samples = append(s.samples, one)
		for _, t := range one.seconds {
			s.OK += counted(t.second.Latencies)
			s.Requests += counted(t.second.Latencies) + counted(t.second.FailedLatencies)
		}
	}
}

// counted returns the number of latencies in a distribution.
func counted(latencies [][2]int64) (n int64) {
	for _, l := range latencies {
		n += l[1]
	}
	return n
}

// newSample returns the complete, counted seconds of a run. Without a warm-up, it omits
// the first second, in which connections are established.
func newSample(r *report.Run) *sample {
	from, until := max(r.Warmup, time.Second), r.Warmup+r.Counted
	s := &sample{}
	for i := range r.Seconds {
		second := &r.Seconds[i]
		if second.At < from || second.At+time.Second > until+time.Second/20 {
			continue
		}
		s.seconds = append(s.seconds, tally{second: second, lag: max(second.Lag-r.Coalesce, 0)})
	}
	s.waste(&r.Attempts)
	s.stratify(r.Triggers)
	return s
}

// waste distributes the errors that were retried over the seconds in proportion to their
// retries, because only the run's total is known.
func (s *sample) waste(a *report.Attempts) {
	var extra float64
	for _, t := range s.seconds {
		extra += float64(max(t.second.Attempts-t.second.Offered, 0))
	}
	for i := range s.seconds {
		t := &s.seconds[i]
		t.unused = float64(t.second.Late)
		if retried := float64(max(t.second.Attempts-t.second.Offered, 0)); retried > 0 {
			t.unused += min(float64(a.Discarded)*retried/extra, retried)
		}
		t.answers = t.unused + float64(t.second.OK+t.second.Error)
	}
}

// stratify records where triggers start and end.
func (s *sample) stratify(triggers []report.Trigger) {
	var cuts []time.Duration
	for _, t := range triggers {
		cuts = append(cuts, t.At, t.At+t.Length, t.At+t.Length+t.Took)
	}
	for i := 1; i < len(s.seconds); i++ {
		before, at := s.seconds[i-1].second.At, s.seconds[i].second.At
		if slices.ContainsFunc(cuts, func(c time.Duration) bool { return before < c && c <= at }) {
			s.strata = append(s.strata, i)
		}
	}
	if len(s.seconds) > 0 {
		s.strata = append(s.strata, len(s.seconds))
	}
}

// index prepares the samples of both sides for quantiles, with a shared list of values.
func index(samples []*sample) {
	var values []time.Duration
	for _, s := range samples {
		for _, t := range s.seconds {
			for _, l := range slices.Concat(t.second.Latencies, t.second.FailedLatencies) {
				values = append(values, time.Duration(l[0]))
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	for _, s := range samples {
		s.values = values
		for i := range s.seconds {
			s.seconds[i].count(values)
		}
	}
}

func (t *tally) count(values []time.Duration) {
	t.upTo, t.allUpTo = make([]int64, len(values)), make([]int64, len(values))
	add := func(to []int64, latencies [][2]int64) {
		for _, l := range latencies {
			i, _ := slices.BinarySearch(values, time.Duration(l[0]))
			to[i] += l[1]
		}
	}
	add(t.upTo, t.second.Latencies)
	add(t.allUpTo, t.second.Latencies)
	add(t.allUpTo, t.second.FailedLatencies)
	for i := 1; i < len(values); i++ {
		t.upTo[i] += t.upTo[i-1]
		t.allUpTo[i] += t.allUpTo[i-1]
	}
}

// cumulated returns upTo, or allUpTo.
func (t *tally) cumulated(all bool) []int64 {
	if all {
		return t.allUpTo
	}
	return t.upTo
}

// bucketWidth is the relative width of the buckets of a second's latencies.
const bucketWidth = 0.01

// quantile returns the logarithm of the duration that a share q of the latencies in the
// seconds do not exceed: those of ok requests, or of all. ok is false if there are none.
func (s *sample) quantile(seconds []int, q float64, all bool) (log float64, ok bool) {
	if len(s.values) == 0 {
		return 0, false
	}
	upTo := func(v int) (n int64) {
		for _, i := range seconds {
			n += s.seconds[i].cumulated(all)[v]
		}
		return n
	}
	count := upTo(len(s.values) - 1)
	if count == 0 {
		return 0, false
	}
	wanted := min(max(q, 0), 1) * float64(count)
	low, high, before, until := 0, len(s.values)-1, int64(0), count
	for low < high {
		middle := (low + high) / 2
		if n := upTo(middle); float64(n) >= wanted {
			high, until = middle, n
		} else {
			low, before = middle+1, n
		}
	}
	within := 0.5
	if until > before {
		within = min(max((wanted-float64(before))/float64(until-before), 0), 1)
	}
	return math.Log(max(float64(s.values[low]), 1)) + bucketWidth*(within-0.5), true
}
