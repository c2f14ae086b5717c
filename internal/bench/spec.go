package bench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/jq"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

// Spec describes a bench: the messages, the load, the policy, the faults, the
// trials, the thresholds, and the outputs. Make it with NewSpec, change it with Set
// and ReadScenario, and call Check before it is run.
type Spec struct {
	// Command is the command line that repeats the bench, and Tool the program that
	// runs it. Both are written to the document.
	Command, Tool string

	Target   target.Flags
	Messages []*Message // nil for --demo
	// Recording is where the messages come from, unless its file is "".
	Recording Recording
	// Notes are what the user should know before anything is sent.
	Notes  []string
	Load   Load
	Policy Policy
	// Objective is the latency up to which a reply is on time; 0 derives it from the
	// latencies before the first trigger.
	Objective time.Duration
	Faults    []Fault
	Trials    Trials
	// Thresholds are all thresholds. A run is stopped when it can no longer meet one with
	// Abort.
	Thresholds []Threshold
	Outputs    Outputs
	// PrintPolicy is the language in which the policy is printed, or "".
	PrintPolicy string
	// NoTUI prints lines instead of drawing the runs.
	NoTUI bool
	// Metrics is the address at which the figures of the current run are served; "" is
	// none.
	Metrics string
	// Expect is checked for each reply; nil for none.
	Expect *jq.Expression
	// Redirects is how many redirects are followed, and HTTP2 selects HTTP/2.
	Redirects int
	HTTP2     bool
	// NoMetadata sends no metadata except that of --meta.
	NoMetadata bool
	// Secrets are the credentials in the settings and the data. They are part of no
	// output; nil keeps none.
	Secrets *secret.Set

	// Fleet makes the runs instead of this process, unless it is nil.
	Fleet Fleet

	memory  *memory            // nil except in tests
	files   map[string][]byte  // of another process, instead of those on disk; nil for none
	stdin   []byte             // what was read from standard input
	guard   Guard              // decides where load may be sent
	part    load.Part          // that this process runs
	content Message            // the settings of the command line's message
	given   map[string][]value // the settings that were set; the others have their default
}

// Fault is a fault and its text, as entered.
type Fault struct {
	fault.Fault
	Text string
}

// Threshold is a threshold and its text, as entered.
type Threshold struct {
	report.Threshold
	Text  string
	Abort bool // from --abort-on

	setting string
}

// memory is a service in memory instead of the targets, for tests in a testing/synctest
// bubble, whose clock sockets would stop.
type memory struct {
	dial  func() micro.Conn
	stall func(time.Duration) // stalls the service, when a fault starts
}

// value is one value of a setting, as entered, and where that was.
type value struct {
	text string
	file string // "" for the command line
	line int    // of file
}

// NewSpec returns a Spec in which every setting has its default.
func NewSpec() *Spec {
	s := &Spec{Load: newLoad(), Policy: newPolicy(), Trials: Trials{Repeat: 1}, given: map[string][]value{}}
	s.content.Weight = 1
	s.Target.Gateways = true
	return s
}

// Given reports whether a setting was set.
func (s *Spec) Given(name string) bool { return len(s.given[name]) > 0 }

// Values returns the values that a setting was set to, as entered.
func (s *Spec) Values(name string) (texts []string) {
	for _, v := range s.given[name] {
		texts = append(texts, v.text)
	}
	return texts
}

// Set sets a setting from the command line. A setting that takes several values gets
// one more. The error is a *TypeError, or a usage error that names the flag.
func (s *Spec) Set(name, text string) error { return s.set(name, value{text: text}) }

func (s *Spec) set(name string, v value) error {
	found, ok := settings()[name]
	if !ok {
		return exit.Usagef("unknown setting %q", name)
	}
	if err := found.set(s, v.text); err != nil {
		return err
	}
	if !found.list {
		s.given[name] = nil
	}
	s.given[name] = append(s.given[name], v)
	return nil
}

// With returns a copy of the Spec in which the setting has the value, and nothing
// but the value. A setting of the load's shape replaces the one that was set before.
func (s *Spec) With(name, text string) (*Spec, error) {
	c := *s
	c.given = maps.Clone(s.given)
	if slices.Contains(loadShapes(), name) {
		for _, shape := range loadShapes() {
			delete(c.given, shape)
		}
	}
	delete(c.given, name)
	if name == "fault" {
		c.Faults = nil
	}
	err := c.Set(name, text)
	var wrong *TypeError
	if errors.As(err, &wrong) {
		err = exit.Usagef("invalid --%s: %w", name, err)
	}
	return &c, err
}

// single returns the Spec of one run: without the settings that make several.
func (s *Spec) single() *Spec {
	c := *s
	c.Trials = Trials{Repeat: 1}
	return &c
}

// Check checks the settings against each other and reads the messages' data; stdin
// is standard input, which is read at most once. Every value of a sweep is tried,
// so that an invalid one is found before the first run. All errors are usage errors:
// nothing has been sent.
func (s *Spec) Check(stdin io.Reader) error {
	for _, check := range []func() error{
		s.checkLoad, s.checkTrials, s.checkFleet, s.checkHedge, s.checkOutputs, func() error { return s.readMessages(stdin) }, s.checkThresholds, s.checkSweep,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkThresholds rejects a bound on the recovery where no fault ends, a bound on what is
// on time without an objective, and one for a message that is not sent.
func (s *Spec) checkThresholds() error {
	for i, t := range s.Thresholds {
		switch metric := t.Metric(); {
		case metric == "recovery" && !s.hasTrigger():
			err := s.pointAt(t.setting, t.Text, 0, "recovery requires a fault that ends")
			return exit.WithHint(err, "add one, such as --fault 'stall@5s+4s'")
		case metric == "on-time" && s.Objective == 0 && !s.hasTrigger():
			err := s.pointAt(t.setting, t.Text, 0, "on-time requires --objective, or a fault that ends")
			return exit.WithHint(err, "state what is on time, such as --objective 500ms")
		}
		if s.Trials.Demo || slices.ContainsFunc(s.Messages, (*Message).isUnnamed) {
			continue
		}
		var err error
		if s.Thresholds[i].Threshold, err = ForMessage(t.Threshold, s.names()); err != nil {
			return s.locate(err, t.setting)
		}
	}
	return nil
}

// names returns the names of the messages.
func (s *Spec) names() (list []string) {
	for _, m := range s.Messages {
		list = append(list, m.title())
	}
	return list
}

// ForMessage returns the threshold for one of the messages with names. A threshold names
// it in full or as in PATTERN: p99{create} or p99{cmd=createItem}. The error is a usage
// error.
func ForMessage(t report.Threshold, names []string) (report.Threshold, error) {
	selected, offset := t.Message()
	if selected == "" || slices.Contains(names, selected) {
		return t, nil
	}
	if p, err := shorthand.Pattern(selected); err == nil && slices.Contains(names, p.String()) {
		return t.For(p.String()), nil
	}
	err := exit.PointAt("--threshold", t.String(), offset, fmt.Sprintf("there is no message %q", selected))
	return t, exit.WithHint(err, "the messages are %s", strings.Join(names, ", "))
}

// hasTrigger reports whether a fault will start and end.
func (s *Spec) hasTrigger() bool {
	return slices.ContainsFunc(s.Faults, Fault.ends) || s.Trials.Collapse || s.Trials.Demo || s.Trials.sweeps("fault")
}

// Title names what is sent, in a few words and without credentials.
func (s *Spec) Title() string {
	if s.Trials.Demo {
		return "--demo"
	}
	if s.Recording.File != "" {
		return s.Secrets.Mask(s.recordedTitle())
	}
	return s.Secrets.Mask(strings.Join(s.names(), ", "))
}

// Targets names the targets of the messages, without credentials.
func (s *Spec) Targets() string {
	if s.Trials.Demo {
		return "a built-in service"
	}
	var names []string
	for _, m := range s.Messages {
		if name := m.target.Name() + target.AtAddress(m.target); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Usagef returns a usage error about settings. Where a scenario has set one of them,
// the error starts with the file and its line.
func (s *Spec) Usagef(names []string, format string, args ...any) error {
	return s.locate(exit.Usagef(format, args...), names...)
}

// pointAt returns a usage error that points into the value of a setting.
func (s *Spec) pointAt(name, text string, offset int, format string, args ...any) error {
	return s.locate(exit.PointAt("--"+name, text, offset, fmt.Sprintf(format, args...)), name)
}

// locate prefixes an error with the line of the scenario that set one of the
// settings: the value that the error points at, or else the first.
func (s *Spec) locate(err error, names ...string) error {
	for _, name := range names {
		values := s.given[name]
		if len(values) == 0 || values[0].file == "" {
			continue
		}
		v := values[0]
		var at exit.Pointer
		if errors.As(err, &at) {
			if i := slices.IndexFunc(values, func(v value) bool { return v.text == at.Text }); i >= 0 {
				v = values[i]
			}
		}
		return v.locate(err)
	}
	return err
}

// locate prefixes an error with the value's line in its scenario.
func (v value) locate(err error) error {
	return exit.WithText(err, fmt.Sprintf("%s, line %d: %s", v.file, v.line, err))
}
