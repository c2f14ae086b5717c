package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/format"
)

// Threshold is a limit for a metric of a run: p99<50ms, goodput>99%,
// amplification<1.2, or of one of its messages: p99{create}<80ms. Create it with
// ParseThreshold.
type Threshold struct {
	metric  metric
	all     bool   // of all requests instead of the ok ones
	message string // "" for those of the run
	op      string
	value   float64
	unit    unit
	text    string
	at      int // of the message in the text
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
// amplification<1.2, wasted<5%, late<1, recovery<3s. In braces, METRIC may be followed by
// a message, and a latency by {all}: p99{create}<80ms, p99{all}<1s. Its error is a
// *SyntaxError.
func ParseThreshold(text string) (Threshold, error) {
	t := Threshold{text: strings.TrimSpace(text)}
	at, err := t.subject(text)
	if err != nil {
		return Threshold{}, err
	}
	rest := strings.TrimLeft(text[at:], " ")
	at = len(text) - len(rest)
	if rest == "" || rest[0] != '<' && rest[0] != '>' {
		return Threshold{}, &SyntaxError{at, "a threshold requires <, <=, >, or >=: p99<50ms"}
	}
	t.op, rest = rest[:1], rest[1:]
	if strings.HasPrefix(rest, "=") {
		t.op, rest = t.op+"=", rest[1:]
	}
	offset := len(text) - len(strings.TrimLeft(rest, " "))
	return t.withValue(strings.TrimSpace(rest), offset)
}

// subject parses the metric and its selectors, and returns the offset after them.
func (t *Threshold) subject(text string) (end int, err error) {
	start := len(text) - len(strings.TrimLeft(text, " "))
	end = start + strings.IndexAny(text[start:]+"<", "{<>=")
	name := strings.TrimSpace(text[start:end])
	for _, m := range metrics() {
		if m.name == name {
			t.metric = m
		}
	}
	switch {
	case name == "":
		return 0, &SyntaxError{start, "the metric is missing"}
	case t.metric.name == "" && end == len(text):
		return 0, &SyntaxError{end, "a threshold requires <, <=, >, or >=: p99<50ms"}
	case t.metric.name == "":
		return 0, &SyntaxError{start, fmt.Sprintf("unknown metric %q: use p50, p90, p95, p99, p99.9, min, mean, or max (attempt-p99 for attempts), goodput, on-time, errors, timeouts, unreachable, resets, shed, amplification, wasted, late, or recovery", name)}
	}
	for end < len(text) && text[end] == '{' {
		length := braced(text[end:])
		if length < 0 {
			return 0, &SyntaxError{end, "a brace is not closed: p99{create}<80ms"}
		}
		if err := t.choose(text[end+1:end+length-1], end+1); err != nil {
			return 0, err
		}
		end += length
	}
	return end, nil
}

// choose sets what a selector selects: all requests, or those of a message.
func (t *Threshold) choose(selector string, at int) error {
	switch {
	case selector == "all" && t.metric.latency && !t.all:
		t.all = true
	case selector == "all":
		return &SyntaxError{at, fmt.Sprintf("%s has no {all}: only a latency has", t.metric.name)}
	case selector == "" || t.message != "":
		return &SyntaxError{at, "braces contain the name of one message, or all: p99{create}<80ms"}
	case t.metric.ofRun:
		return &SyntaxError{at, fmt.Sprintf("%s is measured for the whole run, not for a message", t.metric.name)}
	default:
		t.message, t.at = selector, at
	}
	return nil
}

// braced returns the length of the text in braces at the start of text, or -1. Braces
// within them, as in a pattern, must be balanced; those in JSON strings do not count.
func braced(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := closingQuote(text[i:])
			if end < 0 {
				return -1
			}
			i += end
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// closingQuote returns the index of the quote that ends the JSON string at the start of
// text, or -1.
func closingQuote(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
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

// Metric returns the name of the metric.
func (t Threshold) Metric() string { return t.metric.name }

// Message returns the message that the threshold is for, and its offset in the text; "" is
// the whole run.
func (t Threshold) Message() (name string, offset int) { return t.message, t.at }

// For returns the threshold for the message with a name.
func (t Threshold) For(message string) Threshold {
	t.message = message
	return t
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
			result.Measured = t.unmeasured(r)
			return result // no run can be worse
		}
	}
	return result
}

// Lost reports whether a run that is still in progress can no longer meet the threshold.
// best is the run as it would be if everything that is yet to come succeeded at once.
func (t Threshold) Lost(best *Run) bool {
	if t.metric.more != (t.op[0] == '>') {
		return false // what is yet to come may be worse, which would meet it
	}
	v, measured := t.measure(best)
	return measured && !t.holds(v)
}

// nothing stands for the value of a metric that a run has not measured.
const nothing = "nothing"

// measure reads the metric. measured is false if there is no value: no request, no
// latency, or no recovery. Then no threshold is met.
func (t Threshold) measure(r *Run) (v float64, measured bool) {
	s, ok := t.subjectOf(r)
	if !ok || sumOf(s.outcomes) == 0 {
		return 0, false
	}
	return t.metric.read(&s, t.unit)
}

// unmeasured states briefly why there is no value.
func (t Threshold) unmeasured(r *Run) string {
	_, known := t.subjectOf(r)
	switch {
	case !known:
		return "no such message"
	case t.metric.name == "recovery" && r.Verdict != "":
		return r.Verdict
	case t.metric.name == "recovery":
		return "no trigger"
	case t.metric.name == "on-time" && sumOf(r.Outcomes) > 0:
		return "no objective"
	case r.Attempts.LateUnknown && (t.metric.name == "late" || t.metric.name == "wasted"):
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
