package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
)

// Threshold is a bound that a run is held to: p99<50ms, goodput>99%,
// amplification<1.2. Make it with ParseThreshold.
type Threshold struct {
	metric metric
	op     string
	value  float64
	unit   unit
	text   string
}

// unit is what a value is measured in.
type unit int

const (
	unitDuration unit = iota // value is in nanoseconds
	unitShare                // 1 is all
	unitRate                 // a second
	unitNumber
)

// metric is one thing that can be bounded. read gives its value in a unit.
type metric struct {
	name  string
	units []unit
	read  func(*load.Snapshot, unit) float64
}

// metrics lists everything a threshold can bound.
func metrics() []metric {
	var list []metric
	for _, q := range []struct {
		name string
		of   func(load.Latency) time.Duration
	}{
		{"min", func(l load.Latency) time.Duration { return l.Min }},
		{"mean", func(l load.Latency) time.Duration { return l.Mean }},
		{"p50", func(l load.Latency) time.Duration { return l.P50 }},
		{"p90", func(l load.Latency) time.Duration { return l.P90 }},
		{"p95", func(l load.Latency) time.Duration { return l.P95 }},
		{"p99", func(l load.Latency) time.Duration { return l.P99 }},
		{"p99.9", func(l load.Latency) time.Duration { return l.P999 }},
		{"max", func(l load.Latency) time.Duration { return l.Max }},
	} {
		list = append(list,
			metric{q.name, []unit{unitDuration}, func(s *load.Snapshot, _ unit) float64 { return float64(q.of(s.Request)) }},
			metric{"attempt-" + q.name, []unit{unitDuration}, func(s *load.Snapshot, _ unit) float64 { return float64(q.of(s.Attempt)) }})
	}
	number := func(f func(*load.Totals) float64) func(*load.Snapshot, unit) float64 {
		return func(s *load.Snapshot, _ unit) float64 { return f(&s.Totals) }
	}
	return append(list,
		metric{"goodput", []unit{unitShare, unitRate}, func(s *load.Snapshot, u unit) float64 {
			if u == unitRate {
				return s.Goodput()
			}
			return s.Totals.Share(load.OK)
		}},
		metric{"errors", []unit{unitShare, unitNumber}, outcomeMetric(load.Error, load.Timeout, load.Unreachable, load.Reset, load.Shed)},
		metric{"timeouts", []unit{unitShare, unitNumber}, outcomeMetric(load.Timeout)},
		metric{"shed", []unit{unitShare, unitNumber}, outcomeMetric(load.Shed)},
		metric{"amplification", []unit{unitNumber}, number((*load.Totals).Amplification)},
		metric{"wasted", []unit{unitShare}, number((*load.Totals).Wasted)},
		metric{"late", []unit{unitNumber}, number(func(t *load.Totals) float64 { return float64(t.Late) })},
	)
}

// outcomeMetric is the number or the share of requests with one of outcomes.
func outcomeMetric(outcomes ...load.Outcome) func(*load.Snapshot, unit) float64 {
	return func(s *load.Snapshot, u unit) float64 {
		var n int64
		for _, o := range outcomes {
			n += s.Totals.Outcomes[o]
		}
		if u == unitNumber {
			return float64(n)
		}
		if all := s.Totals.Finished(); all > 0 {
			return float64(n) / float64(all)
		}
		return 0
	}
}

// SyntaxError is what is wrong with a threshold, and where.
type SyntaxError struct {
	Offset  int // in bytes
	Message string
}

// Error is the message.
func (e *SyntaxError) Error() string { return e.Message }

// ParseThreshold reads METRIC OPERATOR VALUE, with or without spaces: p99<50ms,
// attempt-p90<=2ms, goodput>99%, goodput>=450/s, errors<1%, timeouts<10,
// amplification<1.2, wasted<5%, late<1. The error is a *SyntaxError.
func ParseThreshold(text string) (Threshold, error) {
	at := strings.IndexAny(text, "<>=")
	if at < 0 {
		return Threshold{}, &SyntaxError{len(text), "a threshold compares, with <, <=, > or >=: p99<50ms"}
	}
	t := Threshold{text: strings.TrimSpace(text)}
	name := strings.TrimSpace(text[:at])
	for _, m := range metrics() {
		if m.name == name {
			t.metric = m
		}
	}
	if t.metric.read == nil {
		message := fmt.Sprintf("there is no metric %q; there are p50, p90, p95, p99, p99.9, min, mean and max (attempt-p99 for attempts), goodput, errors, timeouts, shed, amplification, wasted and late", name)
		if name == "" {
			message = "the metric is missing"
		}
		return Threshold{}, &SyntaxError{len(text[:at]) - len(strings.TrimLeft(text[:at], " ")), message}
	}
	t.op = text[at : at+1]
	rest := text[at+1:]
	if strings.HasPrefix(rest, "=") {
		t.op, rest = t.op+"=", rest[1:]
	}
	if t.op == "=" || t.op == "==" {
		return Threshold{}, &SyntaxError{at, "a threshold compares with <, <=, > or >="}
	}
	offset := len(text) - len(strings.TrimLeft(rest, " "))
	return t.withValue(strings.TrimSpace(rest), offset)
}

// withValue reads the value in one of the metric's units.
func (t Threshold) withValue(text string, offset int) (Threshold, error) {
	wrong := func(message string) (Threshold, error) {
		return Threshold{}, &SyntaxError{offset, message}
	}
	if text == "" {
		return wrong("the value is missing")
	}
	number := text
	switch {
	case strings.HasSuffix(text, "%"):
		t.unit, number = unitShare, text[:len(text)-1]
	case strings.HasSuffix(text, "/s"):
		t.unit, number = unitRate, text[:len(text)-2]
	default:
		t.unit = unitNumber
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil && t.unit == unitNumber {
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong(fmt.Sprintf("%q is not %s", text, t.wants()))
		}
		t.unit, v = unitDuration, float64(d)
	} else if err != nil || v != v {
		return wrong(fmt.Sprintf("%q is not a number", number))
	}
	if t.unit == unitShare {
		v /= 100
	}
	for _, u := range t.metric.units {
		if u == t.unit {
			t.value = v
			return t, nil
		}
	}
	return wrong(fmt.Sprintf("%s is bounded by %s, not by %q", t.metric.name, t.wants(), text))
}

// wants says which values the metric takes.
func (t Threshold) wants() string {
	var list []string
	for _, u := range t.metric.units {
		list = append(list, [...]string{"a duration such as 50ms", "a share such as 99%", "a rate such as 450/s", "a number"}[u])
	}
	return strings.Join(list, " or ")
}

// Kept reports whether the run keeps the threshold. Where nothing was measured
// (no request, or no latency) no threshold is kept.
func (t Threshold) Kept(s *load.Snapshot) bool {
	if s.Totals.Finished() == 0 || t.unit == unitDuration && t.empty(s) {
		return false
	}
	v := t.metric.read(s, t.unit)
	switch t.op {
	case "<":
		return v < t.value
	case "<=":
		return v <= t.value
	case ">":
		return v > t.value
	}
	return v >= t.value
}

func (t Threshold) empty(s *load.Snapshot) bool {
	if strings.HasPrefix(t.metric.name, "attempt-") {
		return s.Attempt.Count == 0
	}
	return s.Request.Count == 0
}

// Measured is what the run came to, in the threshold's unit.
func (t Threshold) Measured(s *load.Snapshot) string {
	if s.Totals.Finished() == 0 || t.unit == unitDuration && t.empty(s) {
		return "nothing"
	}
	v := t.metric.read(s, t.unit)
	switch t.unit {
	case unitDuration:
		return Duration(time.Duration(v))
	case unitShare:
		return Percent(v)
	case unitRate:
		return Rate(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// String is the threshold as it was typed.
func (t Threshold) String() string { return t.text }
