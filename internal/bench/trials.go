package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/lab"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/nearest"
)

// Trials are the runs that are made of one Spec.
type Trials struct {
	Repeat   int // of each run; at least 1
	Axes     []Axis
	Collapse bool
	Demo     bool
}

// Axis is a setting that is swept, and its text, as entered.
type Axis struct {
	report.Axis
	Text string
}

// several reports whether more than one run is made.
func (t *Trials) several() bool { return t.Repeat > 1 || len(t.Axes) > 0 || t.Collapse || t.Demo }

// sweeps reports whether a setting is swept.
func (t *Trials) sweeps(name string) bool {
	return slices.ContainsFunc(t.Axes, func(a Axis) bool { return a.Name == name })
}

// axes returns the axes as the document has them.
func (t *Trials) axes() []report.Axis {
	axes := make([]report.Axis, len(t.Axes))
	for i, a := range t.Axes {
		axes[i] = a.Axis
	}
	return axes
}

// Several reports whether the bench makes more than one run.
func (s *Spec) Several() bool { return s.Trials.several() }

// sweepable returns the settings that can be swept.
func sweepable() []string {
	return []string{
		"timeout", "retries", "retry-delay", "backoff", "jitter", "budget", "retry-on", "hedge", "breaker", "deadline", "policy",
		"rate", "users", "connections", "max-in-flight", "fault", "arrivals",
	}
}

// maxCells bounds the combinations of a sweep, and the repetitions.
const maxCells = 1000

// addAxis parses FLAG=VALUE,VALUE. If the text has a semicolon, the separator is the
// semicolon, and values may contain commas.
func (s *Spec) addAxis(text string) error {
	name, values, ok := strings.Cut(text, "=")
	at := len(name) + 1
	switch {
	case !ok:
		return exit.PointAt("--sweep", text, len(text), "a sweep is FLAG=VALUE,VALUE,..., such as timeout=100ms,300ms,1s")
	case !slices.Contains(sweepable(), name):
		hint := "these flags can be swept: " + strings.Join(sweepable(), ", ")
		if near := nearest.Word(name, sweepable()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return exit.WithHint(exit.PointAt("--sweep", text, 0, fmt.Sprintf("%q cannot be swept", name)), "%s", hint)
	}
	axis := Axis{Axis: report.Axis{Name: name}, Text: text}
	separator := ","
	if strings.Contains(values, ";") {
		separator = ";"
	}
	for v := range strings.SplitSeq(values, separator) {
		switch {
		case v == "":
			return exit.PointAt("--sweep", text, at, "missing value")
		case slices.Contains(axis.Values, v):
			return exit.PointAt("--sweep", text, at, "duplicate value "+v)
		}
		axis.Values = append(axis.Values, v)
		at += len(v) + len(separator)
	}
	s.Trials.Axes = append(slices.Clip(s.Trials.Axes), axis)
	return nil
}

// checkTrials checks what makes several runs against the other settings.
func (s *Spec) checkTrials() error {
	t := &s.Trials
	switch {
	case t.Demo && (t.Collapse || len(t.Axes) > 0 || t.Repeat > 1):
		return s.Usagef(nil, "--demo cannot be combined with --collapse, --sweep, or --repeat")
	case t.Collapse && s.shape() == "users":
		return s.Usagef([]string{"collapse", "users"}, "--collapse requires a rate and cannot be combined with --users: a closed-loop load cannot cause a retry storm")
	case t.Collapse && s.Load.Requests > 0:
		return s.Usagef([]string{"collapse", "requests"}, "--collapse cannot be combined with --requests: its runs end with --duration")
	}
	if t.Demo {
		if i := slices.IndexFunc(demoSettings(), s.Given); i >= 0 {
			return s.Usagef(nil, "--demo cannot be combined with --%s: it has its own service, load, and policies", demoSettings()[i])
		}
	}
	for i := range t.Axes {
		if err := s.checkAxis(i); err != nil {
			return err
		}
	}
	return nil
}

// demoSettings are the settings that --demo decides.
func demoSettings() []string {
	return append(loadShapes(), "to", "ca", "cert", "key", "insecure", "think", "arrivals", "coalesce", "duration", "requests", "warmup", "connections",
		"max-in-flight", "fault", "policy", "timeout", "retries", "retry-delay", "backoff", "jitter", "budget", "retry-on", "hedge", "breaker",
		"deadline", "data-file", "data-order", "meta", "no-metadata", "method", "header", "redirects", "http2", "expect")
}

// checkAxis checks an axis against those before it and against the settings.
func (s *Spec) checkAxis(i int) error {
	axis := s.Trials.Axes[i]
	wrong := func(format string, args ...any) error { return s.pointAt("sweep", axis.Text, 0, format, args...) }
	isShape := slices.Contains(loadShapes(), axis.Name)
	cells := len(axis.Values)
	for _, other := range s.Trials.Axes[:i] {
		cells *= len(other.Values)
		switch {
		case other.Name == axis.Name:
			return wrong("%s is already swept: put all its values in one --sweep", axis.Name)
		case isShape && slices.Contains(loadShapes(), other.Name):
			return wrong("%s cannot be combined with %s, which is already swept", axis.Name, other.Name)
		}
	}
	switch {
	case s.Given(axis.Name):
		return wrong("--%s is already set: remove it or the sweep", axis.Name)
	case isShape && s.Given(s.shape()):
		return wrong("--%s cannot be combined with --%s: remove the flag or the sweep", axis.Name, s.shape())
	case cells > maxCells:
		return wrong("this makes more than %d combinations", maxCells)
	}
	return nil
}

// checkSweep tries every value of a sweep.
func (s *Spec) checkSweep() error {
	for _, axis := range s.Trials.Axes {
		for _, v := range axis.Values {
			one, err := s.With(axis.Name, v)
			if err == nil {
				err = one.checkLoad()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// trial is one run of a bench.
type trial struct {
	name string // among several
	cell int
	spec *Spec
}

// trials returns all runs in their order: the combinations of the axes, each of them
// repeated in turn. experiment is nil without axes.
func (s *Spec) trials() (list []trial, experiment *report.Experiment, err error) {
	if !s.Several() {
		return []trial{{spec: s}}, nil, nil
	}
	list, err = s.combine(s.single(), s.Trials.axes())
	if len(s.Trials.Axes) == 0 {
		for i := range list {
			list[i].name = fmt.Sprintf("run %d", i+1)
		}
		return list, nil, err
	}
	experiment = newExperiment(s.Trials.axes())
	experiment.Title = s.sweepTitle(len(experiment.Cells))
	return list, experiment, err
}

// combine returns the runs of every combination of the axes' values, over base.
func (s *Spec) combine(base *Spec, axes []report.Axis) (list []trial, err error) {
	combinations := lab.Combinations(axes)
	for _, cell := range lab.Order(len(combinations), s.Trials.Repeat, s.Load.Seed) {
		one := base
		for i, v := range combinations[cell] {
			if one, err = one.With(axes[i].Name, v); err != nil {
				return nil, err
			}
		}
		list = append(list, trial{report.CellName(axes, combinations[cell]), cell, one})
	}
	return list, nil
}

// newExperiment returns an experiment with a cell for every combination of the axes.
func newExperiment(axes []report.Axis) *report.Experiment {
	e := &report.Experiment{Axes: axes, Best: -1}
	for _, c := range lab.Combinations(axes) {
		e.Cells = append(e.Cells, report.Cell{Values: c})
	}
	return e
}

func (s *Spec) sweepTitle(combinations int) string {
	var names []string
	for _, a := range s.Trials.Axes {
		names = append(names, a.Name)
	}
	text := fmt.Sprintf("%d combinations of %s", combinations, strings.Join(names, " and "))
	if s.Trials.Repeat > 1 {
		text += fmt.Sprintf(", each repeated %d times in turn", s.Trials.Repeat)
	}
	return text
}
