package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// Load is how much is sent, and when. The shape of the load is one of rate, ramp,
// sine, stages, and users.
type Load struct {
	Users       int
	Think       time.Duration
	Arrivals    load.Arrivals
	Duration    time.Duration
	Requests    uint64
	Warmup      time.Duration
	Connections int
	MaxInFlight int
	Seed        uint64
	// Coalesce is load.Plan's.
	Coalesce time.Duration

	rate   vegeta.ConstantPacer
	ramp   [2]float64 // from and to, per second
	sine   vegeta.SinePacer
	stages load.Stages
}

func newLoad() Load {
	return Load{
		rate: vegeta.ConstantPacer{Freq: 100, Per: time.Second}, Duration: 10 * time.Second,
		Connections: 1, MaxInFlight: load.DefaultMaxInFlight, Seed: 1,
	}
}

// loadShapes are the settings of which at most one may be set.
func loadShapes() []string { return []string{"rate", "ramp", "sine", "stages", "users"} }

// shape returns the setting that decides when requests are sent.
func (s *Spec) shape() string {
	if i := slices.IndexFunc(loadShapes(), s.Given); i >= 0 {
		return loadShapes()[i]
	}
	return "rate"
}

func (s *Spec) setRate(text string) (err error) {
	s.Load.rate, err = load.ParseRate(text)
	return pointed("rate", text, err)
}

func (s *Spec) setRamp(text string) (err error) {
	s.Load.ramp[0], s.Load.ramp[1], err = load.ParseRamp(text)
	return pointed("ramp", text, err)
}

func (s *Spec) setSine(text string) (err error) {
	s.Load.sine, err = load.ParseSine(text)
	return pointed("sine", text, err)
}

func (s *Spec) setStages(text string) (err error) {
	s.Load.stages, err = load.ParseStages(text)
	return pointed("stages", text, err)
}

func (s *Spec) setArrivals(text string) error {
	var ok bool
	if s.Load.Arrivals, ok = load.ParseArrivals(text); !ok {
		return exit.Usagef("unknown --arrivals %q: use uniform or poisson", text)
	}
	return nil
}

func (s *Spec) setCoalesce(text string) error {
	return duration(func(s *Spec) *time.Duration { return &s.Load.Coalesce }, func(d time.Duration) error {
		if d <= 0 || d > load.MaxCoalesce {
			return exit.Usagef("--coalesce must be greater than 0 and at most %s", load.MaxCoalesce)
		}
		return nil
	})(s, text)
}

func (s *Spec) setRequests(text string) error {
	if err := unsigned(func(s *Spec) *uint64 { return &s.Load.Requests })(s, text); err != nil {
		return err
	}
	if s.Load.Requests == 0 {
		return exit.Usagef("--requests must be at least 1")
	}
	return nil
}

// checkLoad checks the settings of the load against each other.
func (s *Spec) checkLoad() error {
	l := &s.Load
	var shapes, flags []string
	for _, name := range loadShapes() {
		if s.Given(name) {
			shapes, flags = append(shapes, name), append(flags, "--"+name)
		}
	}
	switch {
	case len(shapes) > 1:
		return s.Usagef(shapes, "%s cannot be combined: a load has one shape", strings.Join(flags, " and "))
	case l.Think != 0 && s.shape() != "users" && !s.Trials.sweeps("users"):
		return s.Usagef([]string{"think"}, "--think requires --users")
	case s.shape() == "users" && s.Given("arrivals"):
		return s.Usagef([]string{"arrivals", "users"}, "--arrivals cannot be combined with --users: users send their next request after a reply")
	case s.shape() == "users" && s.Given("coalesce"):
		return s.Usagef([]string{"coalesce", "users"}, "--coalesce cannot be combined with --users: users send their next request after a reply")
	case s.shape() == "ramp" && s.duration() == 0:
		return s.Usagef([]string{"ramp"}, "--ramp requires --duration when --requests is set: the ramp ends with the duration")
	case s.duration() > 0 && l.Warmup >= s.duration():
		return s.Usagef([]string{"warmup", "duration"}, "--warmup %s must be shorter than --duration %s", l.Warmup, s.duration())
	}
	return nil
}

// duration returns how long requests are offered; 0 is until enough were.
func (s *Spec) duration() time.Duration {
	switch {
	case s.Given("duration"):
	case s.shape() == "stages":
		return s.Load.stages.Length()
	case s.Load.Requests > 0:
		return 0
	}
	return s.Load.Duration
}

// pacer returns the rate over time; nil for users.
func (s *Spec) pacer() vegeta.Pacer {
	l := &s.Load
	switch s.shape() {
	case "users":
		return nil
	case "ramp":
		return load.Stages{{Rate: l.ramp[0]}, {Rate: l.ramp[1], Length: s.duration()}}
	case "sine":
		return l.sine
	case "stages":
		return l.stages
	}
	return l.rate
}

// users returns the number of users; 0 for a rate.
func (s *Spec) users() int {
	if s.shape() != "users" {
		return 0
	}
	return s.Load.Users
}

// describeLoad describes the load in a few words.
func (s *Spec) describeLoad() string {
	l := &s.Load
	var text string
	switch shape := s.shape(); shape {
	case "users":
		text = format.Counted(l.Users, "user")
	case "ramp":
		text = strings.Replace(s.Values(shape)[0], "..", " to ", 1)
	case "sine":
		text = strings.Replace(s.Values(shape)[0], ":", " every ", 1)
	case "stages":
		text = fmt.Sprint(l.stages)
	default:
		text = format.Rate(l.rate.Rate(0))
	}
	if l.Arrivals == load.Poisson {
		text += ", poisson arrivals"
	}
	if l.Think > 0 {
		text += " with " + l.Think.String() + " think time"
	}
	if s.duration() > 0 && s.shape() != "stages" {
		text += " for " + s.duration().String()
	}
	switch {
	case l.Requests == 1:
		text += ", at most 1 request"
	case l.Requests > 1:
		text += ", at most " + format.Count(int64(l.Requests)) + " requests"
	}
	if l.Warmup > 0 {
		text += ", " + l.Warmup.String() + " warmup"
	}
	if l.Coalesce > 0 {
		text += ", coalesced within " + l.Coalesce.String()
	}
	return text
}
