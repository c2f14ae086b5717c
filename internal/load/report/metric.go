package report

import (
	"time"

	"github.com/msctl/msctl/internal/load"
)

// unit is the unit of a value.
type unit int

const (
	unitDuration unit = iota // value is in nanoseconds
	unitShare                // from 0 to 1
	unitRate                 // per second
	unitNumber
)

// metric is a metric that thresholds can limit. read returns its value in a unit;
// measured is false if there is none.
type metric struct {
	name    string
	units   []unit
	read    func(*subject, unit) (value float64, measured bool)
	more    bool // more is better
	latency bool // it is measured for all requests, too
	ofRun   bool // it is not measured for messages
}

// subject is what a metric is read from: a run, or one of its messages.
type subject struct {
	run      *Run
	outcomes map[string]int64
	latency  map[string]Latency
	attempts int64
	offered  int64
	part     float64 // of the run's ok requests
	all      bool
}

// subjectOf returns the subject of the threshold in a run. ok is false if the run has no
// such message.
func (t *Threshold) subjectOf(r *Run) (s subject, ok bool) {
	if t.message == "" {
		return subject{r, r.Outcomes, r.Latency, r.Attempts.Total, r.Offered, 1, t.all}, true
	}
	for i := range r.Messages {
		if m := &r.Messages[i]; m.Name == t.message {
			part := float64(countOf(m.Outcomes, load.OK)) / float64(max(countOf(r.Outcomes, load.OK), 1))
			return subject{r, m.Outcomes, m.Latency, m.Attempts, m.Offered, part, t.all}, true
		}
	}
	return subject{}, false
}

// metrics returns all metrics that a threshold can limit.
func metrics() []metric {
	list := latencyMetrics()
	return append(list,
		metric{name: "goodput", units: []unit{unitShare, unitRate}, more: true, read: func(s *subject, u unit) (float64, bool) {
			if u == unitRate {
				return s.run.Goodput * s.part, true // a message's over the same time as its run's
			}
			return shareOf(s.outcomes, load.OK), true
		}},
		metric{name: "on-time", units: []unit{unitShare}, more: true, ofRun: true, read: func(s *subject, _ unit) (float64, bool) { return s.run.OnTimeShare() }},
		metric{name: "errors", units: []unit{unitShare, unitNumber}, read: outcomeMetric(load.Error, load.Timeout, load.Unreachable, load.Reset, load.Shed)},
		metric{name: "timeouts", units: []unit{unitShare, unitNumber}, read: outcomeMetric(load.Timeout)},
		metric{name: "unreachable", units: []unit{unitShare, unitNumber}, read: outcomeMetric(load.Unreachable)},
		metric{name: "resets", units: []unit{unitShare, unitNumber}, read: outcomeMetric(load.Reset)},
		metric{name: "shed", units: []unit{unitShare, unitNumber}, read: outcomeMetric(load.Shed)},
		metric{name: "amplification", units: []unit{unitNumber}, read: func(s *subject, _ unit) (float64, bool) {
			return float64(s.attempts) / float64(max(s.offered, 1)), s.attempts > 0
		}},
		metric{name: "wasted", units: []unit{unitShare}, ofRun: true, read: func(s *subject, _ unit) (float64, bool) {
			return s.run.Attempts.Wasted, !s.run.Attempts.LateUnknown && s.run.Attempts.answers() > 0
		}},
		metric{name: "late", units: []unit{unitNumber}, ofRun: true, read: func(s *subject, _ unit) (float64, bool) {
			return float64(s.run.Attempts.Late), !s.run.Attempts.LateUnknown && s.run.Attempts.Total > 0
		}},
		metric{name: "recovery", units: []unit{unitDuration}, ofRun: true, read: func(s *subject, _ unit) (float64, bool) {
			took, ok := s.run.Recovery()
			return float64(took), ok
		}},
	)
}

// latencyFigure is a figure of a distribution: the name of its metric, which is also the
// head of its column, and how it is read.
type latencyFigure struct {
	name string
	of   func(*Latency) time.Duration
}

func latencyFigures() []latencyFigure {
	return []latencyFigure{
		{"min", func(l *Latency) time.Duration { return l.Min }},
		{"mean", func(l *Latency) time.Duration { return l.Mean }},
		{"p50", func(l *Latency) time.Duration { return l.P50 }},
		{"p90", func(l *Latency) time.Duration { return l.P90 }},
		{"p95", func(l *Latency) time.Duration { return l.P95 }},
		{"p99", func(l *Latency) time.Duration { return l.P99 }},
		{"p99.9", func(l *Latency) time.Duration { return l.P999 }},
		{"max", func(l *Latency) time.Duration { return l.Max }},
	}
}

// latencyMetrics returns p99, attempt-p99, and so on.
func latencyMetrics() (list []metric) {
	for _, figure := range latencyFigures() {
		read := func(ok, all string) func(*subject, unit) (float64, bool) {
			return func(s *subject, _ unit) (float64, bool) {
				l := s.latency[ok]
				if s.all {
					l = s.latency[all]
				}
				return float64(figure.of(&l)), l.Count > 0
			}
		}
		units := []unit{unitDuration}
		list = append(list,
			metric{name: figure.name, units: units, latency: true, read: read(LatencyOK, LatencyAll)},
			metric{name: "attempt-" + figure.name, units: units, latency: true, ofRun: true, read: read(LatencyAttempt, LatencyAttemptAll)})
	}
	return list
}

// outcomeMetric reads the number or the share of requests with one of some outcomes.
func outcomeMetric(outcomes ...load.Outcome) func(*subject, unit) (float64, bool) {
	return func(s *subject, u unit) (v float64, measured bool) {
		if u == unitNumber {
			return float64(countOf(s.outcomes, outcomes...)), true
		}
		return shareOf(s.outcomes, outcomes...), true
	}
}
