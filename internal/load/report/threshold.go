package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// Threshold is a limit for a metric of a run: p99<50ms, goodput>99%,
// amplification<1.2. Create it with ParseThreshold.
type Threshold struct {
	metric metric
	op     string
	value  float64
	unit   unit
	text   string
}

// unit is the unit of a value.
type unit int

const (
	unitDuration unit = iota // value is in nanoseconds
	unitShare                // from 0 to 1
	unitRate                 // per second
	unitNumber
)

// metric is a metric that thresholds can limit. read returns its value in a unit;
// measured is false if the run has no value for it.
type metric struct {
	name  string
	units []unit
	read  func(*Run, unit) (value float64, measured bool)
}

// metrics returns all metrics that a threshold can limit.
func metrics() []metric {
	list := latencyMetrics()
	return append(list,
		metric{"goodput", []unit{unitShare, unitRate}, func(r *Run, u unit) (float64, bool) {
			if u == unitRate {
				return r.Goodput, true
			}
			return r.share(load.OK.String()), true
		}},
		metric{"errors", []unit{unitShare, unitNumber}, outcomeMetric(load.Error, load.Timeout, load.Unreachable, load.Reset, load.Shed)},
		metric{"timeouts", []unit{unitShare, unitNumber}, outcomeMetric(load.Timeout)},
		metric{"unreachable", []unit{unitShare, unitNumber}, outcomeMetric(load.Unreachable)},
		metric{"resets", []unit{unitShare, unitNumber}, outcomeMetric(load.Reset)},
		metric{"shed", []unit{unitShare, unitNumber}, outcomeMetric(load.Shed)},
		metric{"amplification", []unit{unitNumber}, func(r *Run, _ unit) (float64, bool) { return r.Attempts.Amplification, true }},
		metric{"wasted", []unit{unitShare}, func(r *Run, _ unit) (float64, bool) { return r.Attempts.Wasted, !r.Attempts.LateUnknown }},
		metric{"late", []unit{unitNumber}, func(r *Run, _ unit) (float64, bool) { return float64(r.Attempts.Late), !r.Attempts.LateUnknown }},
		metric{"recovery", []unit{unitDuration}, recovery},
	)
}

// latencyMetrics returns p99, attempt-p99, and so on.
func latencyMetrics() (list []metric) {
	for _, q := range []struct {
		name string
		of   func(Latency) time.Duration
	}{
		{"min", func(l Latency) time.Duration { return l.Min }},
		{"mean", func(l Latency) time.Duration { return l.Mean }},
		{"p50", func(l Latency) time.Duration { return l.P50 }},
		{"p90", func(l Latency) time.Duration { return l.P90 }},
		{"p95", func(l Latency) time.Duration { return l.P95 }},
		{"p99", func(l Latency) time.Duration { return l.P99 }},
		{"p99.9", func(l Latency) time.Duration { return l.P999 }},
		{"max", func(l Latency) time.Duration { return l.Max }},
	} {
		read := func(distribution string) func(*Run, unit) (float64, bool) {
			return func(r *Run, _ unit) (float64, bool) {
				l := r.Latency[distribution]
				return float64(q.of(l)), l.Count > 0
			}
		}
		list = append(list,
			metric{q.name, []unit{unitDuration}, read("request")},
			metric{"attempt-" + q.name, []unit{unitDuration}, read("attempt")})
	}
	return list
}

// outcomeMetric reads the number or the share of requests with one of some outcomes.
func outcomeMetric(outcomes ...load.Outcome) func(*Run, unit) (float64, bool) {
	return func(r *Run, u unit) (v float64, measured bool) {
		var n int64
		for _, o := range outcomes {
			n += r.Outcomes[o.String()]
		}
		if u == unitNumber {
			return float64(n), true
		}
		return float64(n) / float64(r.finished()), true
	}
}

// recovery reads the longest recovery time. It has no value if the run did not recover.
func recovery(r *Run, _ unit) (v float64, measured bool) {
	for _, t := range r.Triggers {
		v = max(v, float64(t.Took))
	}
	return v, r.Verdict == recovered
}

// SyntaxError describes a syntax error in a threshold, and its position.
type SyntaxError struct {
	Offset  int // in bytes
	Message string
}

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Message }

// Position returns Offset and Message.
func (e *SyntaxError) Position() (offset int, message string) { return e.Offset, e.Message }

// ParseThreshold parses METRIC OPERATOR VALUE, with or without spaces: p99<50ms,
// attempt-p90<=2ms, goodput>99%, goodput>=450/s, errors<1%, timeouts<10,
// amplification<1.2, wasted<5%, late<1, recovery<3s. Its error is a *SyntaxError.
func ParseThreshold(text string) (Threshold, error) {
	at := strings.IndexAny(text, "<>=")
	if at < 0 {
		return Threshold{}, &SyntaxError{len(text), "a threshold requires <, <=, >, or >=: p99<50ms"}
	}
	t := Threshold{text: strings.TrimSpace(text)}
	name := strings.TrimSpace(text[:at])
	for _, m := range metrics() {
		if m.name == name {
			t.metric = m
		}
	}
	if t.metric.name == "" {
		message := fmt.Sprintf("unknown metric %q: use p50, p90, p95, p99, p99.9, min, mean, or max (attempt-p99 for attempts), goodput, errors, timeouts, unreachable, resets, shed, amplification, wasted, late, or recovery", name)
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
		return Threshold{}, &SyntaxError{at, "a threshold requires <, <=, >, or >="}
	}
	offset := len(text) - len(strings.TrimLeft(rest, " "))
	return t.withValue(strings.TrimSpace(rest), offset)
}

// withValue parses the value in one of the metric's units.
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
	return wrong(fmt.Sprintf("%s requires %s, not %q", t.metric.name, t.wants(), text))
}

// wants describes the values that the metric accepts.
func (t Threshold) wants() string {
	var list []string
	for _, u := range t.metric.units {
		list = append(list, [...]string{"a duration such as 50ms", "a share such as 99%", "a rate such as 450/s", "a number"}[u])
	}
	return strings.Join(list, " or ")
}

// check checks every run against the threshold. The result names the worst run.
func (t Threshold) check(runs []Run) ThresholdResult {
	result := ThresholdResult{Text: t.text, Kept: len(runs) > 0, Measured: nothing}
	var worst float64
	for i := range runs {
		r := &runs[i]
		v, measured := t.measure(r)
		if i > 0 && measured && !t.worse(v, worst) {
			continue
		}
		worst, result.Kept, result.Measured = v, measured && t.holds(v), t.format(v)
		if len(runs) > 1 {
			result.Run = r.Name
		}
		if !measured {
			result.Measured = unmeasured(t.metric.name, r)
			return result // no run can be worse
		}
	}
	return result
}

// nothing stands for the value of a metric that a run has not measured.
const nothing = "nothing"

// measure reads the metric. measured is false if there is no value: no request, no
// latency, or no recovery. Then no threshold is met.
func (t Threshold) measure(r *Run) (v float64, measured bool) {
	if r.finished() == 0 {
		return 0, false
	}
	return t.metric.read(r, t.unit)
}

// unmeasured states briefly why there is no value.
func unmeasured(metric string, r *Run) string {
	switch {
	case metric == "recovery" && r.Verdict != "":
		return r.Verdict
	case metric == "recovery":
		return "no trigger"
	case r.Attempts.LateUnknown && (metric == "late" || metric == "wasted"):
		return "unknown"
	}
	return nothing
}

func (t Threshold) holds(v float64) bool {
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

// worse reports whether v is worse than another value.
func (t Threshold) worse(v, than float64) bool {
	if t.op[0] == '<' {
		return v > than
	}
	return v < than
}

// format formats a value in the threshold's unit.
func (t Threshold) format(v float64) string {
	switch t.unit {
	case unitDuration:
		return format.Duration(time.Duration(v))
	case unitShare:
		return format.Percent(v)
	case unitRate:
		return format.Rate(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// String returns the threshold as entered.
func (t Threshold) String() string { return t.text }
