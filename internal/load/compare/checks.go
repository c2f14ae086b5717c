package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
)

// Below these a comparison has little to go by.
const (
	fewSeconds = 8
	// coarse is how many times what matters an interval may be wide, to one side,
	// before a reader is told what could not have been seen.
	coarse = 3
)

// differences are the sentences about what differs between the sides beside what
// was measured.
func differences(a, b *side, ma, mb report.Machine) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	ra, rb := &a.runs[0], &b.runs[0]
	for _, d := range []struct{ what, a, b string }{
		{"pattern", ra.Pattern, rb.Pattern},
		{"load", ra.Load, rb.Load},
		{"policy", ra.Policy.Text, rb.Policy.Text},
		{"connections", fmt.Sprint(ra.Connections), fmt.Sprint(rb.Connections)},
		{"faults", orNone(faults(ra)), orNone(faults(rb))},
		{"machine", ma.String(), mb.String()},
	} {
		if d.a != d.b {
			add("The %s differ%s: %s in %s, %s in %s.", d.what, third(d.what), d.a, a.Name, d.b, b.Name)
		}
	}
	return append(list, append(a.doubts(), b.doubts()...)...)
}

// third is the ending of a verb after one thing.
func third(what string) string {
	if strings.HasSuffix(what, "s") {
		return ""
	}
	return "s"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// faults are all that was done to the system in a run.
func faults(r *report.Run) string {
	var list []string
	for _, f := range r.Faults {
		list = append(list, f.Text)
	}
	for _, t := range r.Triggers {
		list = append(list, fmt.Sprintf("%s at %s", t.Text, format.Seconds(t.At)))
	}
	return strings.Join(list, ", ")
}

// doubts are the sentences about one side.
func (s *side) doubts() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	first := &s.runs[0]
	stopped, changed, unlike := false, false, false
	for i := range s.runs {
		r := &s.runs[i]
		stopped = stopped || r.Stopped
		changed = changed || len(r.Changes) > len(r.Triggers)
		unlike = unlike || r.Pattern != first.Pattern || r.Load != first.Load || r.Policy.Text != first.Policy.Text || faults(r) != faults(first)
	}
	if unlike {
		add("The runs of %s are not of one plan.", s.Name)
	}
	if stopped {
		add("A run of %s was stopped early.", s.Name)
	}
	if changed {
		add("Something was changed while %s went on.", s.Name)
	}
	if s.Seconds < fewSeconds {
		add("%s has only %s to compare: make it longer, or repeat it.", s.Name, format.Counted(s.Seconds, "whole second"))
	}
	busy := fmt.Sprintf("The machine was busy in %d of the %d seconds of %s, so that the generator itself was late", s.Busy, s.Seconds, s.Name)
	switch {
	case len(s.noisy) > 0:
		add("%s: %s cannot be compared. Make it again, longer, or elsewhere.", busy, together(s.noisy))
	case s.Busy > 0:
		add("%s: latencies are compared without them.", busy)
	}
	return list
}

// lateUnknown tells that the side's late answers could not be seen.
func (s *side) lateUnknown() bool {
	return slices.ContainsFunc(s.runs, func(r report.Run) bool { return r.Attempts.LateUnknown })
}

// together lists names as a sentence does: a, b and c.
func together(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// tooLittle are the sentences about what the comparison could not have seen.
func tooLittle(c *Comparison) (list []string) {
	var short, wide []string
	for _, m := range comparedMetrics() {
		i := slices.IndexFunc(c.Metrics, func(one Compared) bool { return one.Metric == m.name })
		if i < 0 {
			continue
		}
		one := &c.Metrics[i]
		missed := max(one.High, -one.Low)
		switch {
		case one.Judgment == Unclear && min(c.A.Requests, c.B.Requests) < m.least:
			short = append(short, fmt.Sprintf("%s needs %s", m.name, format.Counted(m.least, "request")))
		case one.Judgment == Same && missed > coarse*one.Matters:
			wide = append(wide, fmt.Sprintf("%s by less than %s", m.name, change(one.Scale, missed, "")))
		}
	}
	if len(short) > 0 {
		list = append(list, fmt.Sprintf("There are too few requests: %s.", strings.Join(short, ", ")))
	}
	if len(wide) > 0 {
		list = append(list, fmt.Sprintf("A change of %s would not have been seen: longer runs, or several, see more.", strings.Join(wide, ", or of ")))
	}
	return list
}
