package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/report"
)

// coarse is how many times wider than the smallest change that matters one side of an
// interval may be before the comparison gets a warning.
const coarse = 3

// differences returns the warnings about settings that differ between the sides.
func differences(a, b *side, ma, mb report.Machine) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	ra, rb := &a.runs[0], &b.runs[0]
	for _, d := range []struct{ what, a, b string }{
		{"pattern", ra.Pattern, rb.Pattern},
		{"target", ra.Target, rb.Target},
		{"load", ra.Load, rb.Load},
		{"warm-up", ra.Warmup.String(), rb.Warmup.String()},
		{"policy", ra.Policy.Text, rb.Policy.Text},
		{"connections", fmt.Sprint(ra.Connections), fmt.Sprint(rb.Connections)},
		{"faults", orNone(faults(ra)), orNone(faults(rb))},
		{"objective", objective(ra), objective(rb)},
		{"machine", ma.String(), mb.String()},
	} {
		if d.a != d.b {
			add("The %s differ%s: %s in %s, %s in %s.", d.what, third(d.what), d.a, a.Name, d.b, b.Name)
		}
	}
	if ra.Data != rb.Data {
		add("The data differs: %s and %s sent other content.", a.Name, b.Name)
	}
	return append(list, append(a.doubts(), b.doubts()...)...)
}

// third returns the ending of the verb after a noun.
func third(what string) string {
	if strings.HasSuffix(what, "s") {
		return ""
	}
	return "s"
}

// objective describes the objective that a user has set.
func objective(r *report.Run) string {
	if !r.Objective.Given {
		return "none"
	}
	return r.Objective.Limit.String()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// faults lists the faults and triggers of a run.
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

// doubts returns the warnings about one side.
func (s *side) doubts() (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	first := &s.runs[0]
	stopped, changed, unlike := false, false, false
	for i := range s.runs {
		r := &s.runs[i]
		stopped = stopped || r.Stopped
		changed = changed || len(r.Changes) > len(r.Triggers)
		unlike = unlike || r.Pattern != first.Pattern || r.Target != first.Target || r.Data != first.Data || r.Load != first.Load ||
			r.Warmup != first.Warmup || r.Policy.Text != first.Policy.Text || faults(r) != faults(first)
	}
	if unlike {
		add("The runs of %s do not have the same plan.", s.Name)
	}
	if stopped {
		add("A run of %s was stopped early.", s.Name)
	}
	if changed {
		add("Settings were changed during %s.", s.Name)
	}
	if slices.ContainsFunc(s.runs, func(r report.Run) bool { return r.HeldBack != nil }) {
		add("Replies were held back until the next request in %s, so its latencies are the pace of the load.", s.Name)
	}
	if s.Seconds < enoughSeconds {
		add("%s has only %s to compare: use a longer run or --repeat.", s.Name, format.Counted(s.Seconds, "complete second"))
	}
	busy := fmt.Sprintf("The machine was busy and the generator fell behind in %d of the %d seconds of %s", s.Busy, s.Seconds, s.Name)
	switch {
	case len(s.noisy) > 0:
		add("%s: %s cannot be compared. Run it again, for longer or on another machine.", busy, together(s.noisy))
	case s.Busy > 0:
		add("%s: latencies are compared without these seconds.", busy)
	}
	return list
}

// lateUnknown reports whether late answers cannot be seen in some run of the side.
func (s *side) lateUnknown() bool {
	return slices.ContainsFunc(s.runs, func(r report.Run) bool { return r.Attempts.LateUnknown })
}

// together joins names as in a sentence: a, b, and c.
func together(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	if last == 1 {
		return names[0] + " and " + names[1]
	}
	return strings.Join(names[:last], ", ") + ", and " + names[last]
}

// tooLittle returns the warnings about changes that the comparison cannot detect.
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
		case m.name == allP99: // p99 covers it
		case one.Judgment == Unclear && !m.suffice(&c.A, &c.B):
			short = append(short, fmt.Sprintf("%s needs %s", m.name, format.Counted(m.least, "request")))
		case one.Judgment == Same && missed > coarse*one.Matters:
			wide = append(wide, fmt.Sprintf("less than %s in %s", change(one.Scale, missed, ""), m.name))
		}
	}
	if len(short) > 0 {
		list = append(list, fmt.Sprintf("Too few requests: %s.", strings.Join(short, ", ")))
	}
	if len(wide) > 0 {
		list = append(list, fmt.Sprintf("A change of %s would go undetected: use longer or repeated runs.", strings.Join(wide, ", or ")))
	}
	return list
}

// tooShort returns the warning about certain changes that do not count because they are
// shorter than waking takes.
func (c *Comparison) tooShort(waking time.Duration, opts Options) []string {
	var names []string
	for _, m := range c.Metrics {
		certain := m.Low > 0 || m.High < 0
		if m.Scale == ScaleDuration && m.Judgment == Same && certain && math.Abs(m.Change) > opts.Latency && m.Metric != allP99 {
			names = append(names, m.Metric)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Waking up twice for a request takes up to %s on this machine: a smaller change of %s does not count. Compare on an otherwise idle machine, or at a higher rate.",
		format.Duration(waking), together(names))}
}
