package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/lab"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/nearest"
)

// benchLab are the flags that make several runs of one.
type benchLab struct {
	repeat   int
	sweeps   []string
	collapse bool
	demo     bool

	axes []benchreport.Axis
	part bool // this is one run of several: the flags above were for the whole
}

func (l *benchLab) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&l.repeat, "repeat", 1, "make each run `N` times, in turns")
	f.StringArrayVar(&l.sweeps, "sweep", nil, "run every combination of `FLAG=VALUE,...`: timeout=100ms,1s (repeatable)")
	f.BoolVar(&l.collapse, "collapse", false, "find the capacity, load to 65 % of it, stall for 4 s, and tell which policies let the system come back")
	f.BoolVar(&l.demo, "demo", false, "show a retry storm and what ends it, with a service that comes with msctl")
	groupFlags(cmd, "Several runs", "repeat", "sweep", "collapse", "demo")
}

// several reports whether more than one run is made.
func (l *benchLab) several() bool {
	return !l.part && (l.repeat > 1 || len(l.sweeps) > 0 || l.collapse || l.demo)
}

// sweeping reports whether a sweep sets a flag.
func (l *benchLab) sweeping(flag string) bool {
	return slices.ContainsFunc(l.sweeps, func(text string) bool { return strings.HasPrefix(text, flag+"=") })
}

// sweepable are the flags that can be swept.
func sweepable() []string {
	return []string{
		"timeout", "retries", "retry-delay", "backoff", "jitter", "budget", "retry-on", "hedge", "breaker", "deadline", "policy",
		"rate", "users", "connections", "max-in-flight", "fault", "arrivals",
	}
}

// mostCells bounds a sweep.
const mostCells = 1000

// check reads the axes and checks the flags against the others.
func (l *benchLab) check(o *benchOptions, given func(string) bool) error {
	if l.part {
		return nil
	}
	switch {
	case l.repeat < 1 || l.repeat > mostCells:
		return exit.Usagef("--repeat must be from 1 to %d", mostCells)
	case l.demo && (l.collapse || len(l.sweeps) > 0 || l.repeat > 1):
		return exit.Usagef("--demo goes without --collapse, --sweep and --repeat")
	case l.demo && o.scenario != "":
		return exit.Usagef("--demo goes without --scenario")
	case l.collapse && given("users"):
		return exit.Usagef("--collapse needs requests that come at a rate: --users wait for their answers, and so cannot make a storm")
	case l.collapse && o.requests > 0:
		return exit.Usagef("--collapse takes its time: --requests goes without it")
	}
	if l.demo {
		if name, ok := firstGiven(given, demoBrings()...); ok {
			return exit.Usagef("--demo brings its own service, load and policies: --%s goes without it", name)
		}
	}
	for _, text := range l.sweeps {
		if err := l.addAxis(text, given); err != nil {
			return err
		}
	}
	return nil
}

// demoBrings are the flags that --demo has an answer to itself.
func demoBrings() []string {
	return append(shapes(), "to", "ca", "cert", "key", "insecure", "think", "arrivals", "duration", "requests", "warmup", "connections",
		"max-in-flight", "fault", "policy", "timeout", "retries", "retry-delay", "backoff", "jitter", "budget", "retry-on", "hedge", "breaker",
		"deadline", "data-file", "data-order", "meta", "method", "header")
}

// addAxis reads one --sweep.
func (l *benchLab) addAxis(text string, given func(string) bool) error {
	axis, err := parseAxis(text)
	if err != nil {
		return err
	}
	at := part{"--sweep", text, 0, text}
	cells := len(axis.Values)
	for _, other := range l.axes {
		cells *= len(other.Values)
		switch shaped := slices.Contains(shapes(), axis.Name) && slices.Contains(shapes(), other.Name); {
		case other.Name == axis.Name:
			return at.wrong(0, "%s is swept already: give all values in one --sweep", axis.Name)
		case shaped:
			return at.wrong(0, "%s is swept already, and excludes %s", other.Name, axis.Name)
		}
	}
	if given(axis.Name) {
		return at.wrong(0, "--%s has a value already: leave it out, or the sweep", axis.Name)
	}
	if name, ok := firstGiven(given, shapes()...); ok && slices.Contains(shapes(), axis.Name) {
		return at.wrong(0, "--%s excludes --%s: leave it out, or the sweep", axis.Name, name)
	}
	if cells > mostCells {
		return at.wrong(0, "that makes more than %d combinations", mostCells)
	}
	l.axes = append(l.axes, axis)
	return nil
}

// trySweep tries every value of a sweep, so that one that is wrong costs no run.
func (o *benchOptions) trySweep() error {
	for _, axis := range o.lab.axes {
		for _, v := range axis.Values {
			if _, err := o.variant(map[string]string{axis.Name: v}, o.brought); err != nil {
				return err
			}
		}
	}
	return nil
}

func firstGiven(given func(string) bool, names ...string) (string, bool) {
	i := slices.IndexFunc(names, given)
	if i < 0 {
		return "", false
	}
	return names[i], true
}

// parseAxis reads FLAG=VALUE,VALUE. Where values have commas of their own, as
// stages of a load, the separator is a semicolon.
func parseAxis(text string) (axis benchreport.Axis, err error) {
	name, values, ok := part{"--sweep", text, 0, text}.cut("=")
	switch {
	case !ok:
		return axis, values.wrong(0, "a sweep is a flag and its values: timeout=100ms,300ms,1s")
	case !slices.Contains(sweepable(), name.text):
		hint := "there are " + strings.Join(sweepable(), ", ")
		if near := nearest.Word(name.text, sweepable()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return axis, exit.WithHint(name.wrong(0, "%q cannot be swept", name.text), "%s", hint)
	}
	axis.Name = name.text
	separator := ","
	if strings.Contains(values.text, ";") {
		separator = ";"
	}
	for _, v := range values.split(separator) {
		switch {
		case v.text == "":
			return axis, v.wrong(0, "a value is missing here")
		case slices.Contains(axis.Values, v.text):
			return axis, v.wrong(0, "%s is there twice", v.text)
		}
		axis.Values = append(axis.Values, v.text)
	}
	return axis, nil
}

// trial is one run of a bench.
type trial struct {
	name string // among several
	cell int
	o    *benchOptions
}

// trials are all runs of a sweep, or the same run repeated, in their order.
func (o *benchOptions) trials() (list []trial, e *benchreport.Experiment, err error) {
	if !o.lab.several() {
		return []trial{{o: o}}, nil, nil
	}
	combinations := lab.Combinations(o.lab.axes)
	if len(o.lab.axes) > 0 {
		e = &benchreport.Experiment{Title: o.sweepTitle(len(combinations)), Axes: o.lab.axes, Best: -1}
		for _, c := range combinations {
			e.Cells = append(e.Cells, benchreport.Cell{Values: c})
		}
	}
	for turn, cell := range lab.Order(len(combinations), o.lab.repeat, o.seed) {
		changes := map[string]string{}
		for i, v := range combinations[cell] {
			changes[o.lab.axes[i].Name] = v
		}
		one, err := o.vary(changes)
		if err != nil {
			return nil, nil, err
		}
		name := benchreport.CellName(o.lab.axes, combinations[cell])
		if e == nil {
			name = fmt.Sprintf("run %d", turn+1)
		}
		list = append(list, trial{name, cell, one})
	}
	return list, e, nil
}

func (o *benchOptions) sweepTitle(combinations int) string {
	var names []string
	for _, a := range o.lab.axes {
		names = append(names, a.Name)
	}
	text := fmt.Sprintf("%d combinations of %s", combinations, strings.Join(names, " and "))
	if o.lab.repeat > 1 {
		text += fmt.Sprintf(", each %d times, in turns", o.lab.repeat)
	}
	return text
}

// vary is the same bench with some flags set to other values, for the targets
// that are known already.
func (o *benchOptions) vary(changes map[string]string) (*benchOptions, error) {
	one, err := o.variant(changes, nil)
	if err != nil {
		return nil, err
	}
	for i, m := range one.messages {
		m.target = o.messages[i].target
	}
	return one, nil
}

// What --collapse does where no flag says otherwise.
const (
	collapseLoad  = 0.65 // of the capacity
	collapseFault = "stall@5s+4s"
	afterFault    = 18 * time.Second
)

// collapsePolicies are those that --collapse tries where no flag says otherwise.
func collapsePolicies() []string {
	return []string{"none", "naive", "backoff", "budget", "recommended"}
}

// collapseTrials are the runs of --collapse, under a rate that was found.
func (o *benchOptions) collapseTrials(capacity float64, given func(string) bool) ([]trial, *benchreport.Experiment, error) {
	changes := map[string]string{}
	if _, shaped := firstGiven(given, shapes()...); !shaped {
		changes["rate"] = fmt.Sprintf("%.4g/s", collapseLoad*capacity)
	}
	if !slices.ContainsFunc(o.faults.list, faultWithEnd) {
		changes["fault"] = collapseFault
	}
	axes := o.lab.axes
	if len(axes) == 0 {
		axes = []benchreport.Axis{{Name: "policy", Values: collapsePolicies()}}
		if given("policy") {
			axes[0].Values = []string{o.flags.preset}
		}
	}
	e := &benchreport.Experiment{Axes: axes, Capacity: capacity, Best: -1}
	var list []trial
	combinations := lab.Combinations(axes)
	for _, c := range combinations {
		e.Cells = append(e.Cells, benchreport.Cell{Values: c})
	}
	for _, cell := range lab.Order(len(combinations), o.lab.repeat, o.seed) {
		t, err := o.collapseTrial(axes, combinations[cell], changes, given("duration"))
		if err != nil {
			return nil, nil, err
		}
		t.cell = cell
		list = append(list, t)
	}
	first := list[0].o
	e.Title = fmt.Sprintf("%s, a capacity of %s, and %s", first.describe(), format.Rate(capacity), strings.Join(first.faults.texts, " and "))
	return list, e, nil
}

func (o *benchOptions) collapseTrial(axes []benchreport.Axis, values []string, common map[string]string, timed bool) (trial, error) {
	changes := map[string]string{}
	for k, v := range common {
		changes[k] = v
	}
	for i, v := range values {
		changes[axes[i].Name] = v
	}
	if !timed {
		f := o.lastFault()
		if text, ok := changes["fault"]; ok {
			parsed, err := parseFault("--fault", text)
			if err != nil {
				return trial{}, err
			}
			f = parsed.Start + parsed.Length
		}
		changes["duration"] = (f + afterFault).String()
	}
	one, err := o.vary(changes)
	return trial{name: benchreport.CellName(axes, values), o: one}, err
}

// lastFault is when the last fault with an end ends.
func (o *benchOptions) lastFault() (end time.Duration) {
	for _, f := range o.faults.list {
		if faultWithEnd(f) {
			end = max(end, f.Start+f.Length)
		}
	}
	return end
}
