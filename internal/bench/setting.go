package bench

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/jq"
	"github.com/msctl/msctl/internal/load/fault"
	"github.com/msctl/msctl/internal/load/report"
)

// setting parses a value of one setting into a Spec.
type setting struct {
	set  func(*Spec, string) error
	list bool // takes several values
}

// TypeError reports a value that is not of the setting's type. Its text does not
// name the setting.
type TypeError struct{ text string }

// Error describes the type that the value does not have.
func (e *TypeError) Error() string { return e.text }

// Settings returns the names of all settings, sorted. They are the flags of
// `msctl bench` and the keys of a scenario.
func Settings() []string { return slices.Sorted(maps.Keys(settings())) }

// IsList reports whether a setting takes several values.
func IsList(name string) bool { return settings()[name].list }

// settings returns all settings by name: the one place where texts become fields.
func settings() map[string]setting {
	return map[string]setting{
		"to":       {set: text(func(s *Spec) *string { return &s.Target.To })},
		"ca":       {set: text(func(s *Spec) *string { return &s.Target.CA })},
		"cert":     {set: text(func(s *Spec) *string { return &s.Target.Cert })},
		"key":      {set: text(func(s *Spec) *string { return &s.Target.Key })},
		"insecure": {set: truth(func(s *Spec) *bool { return &s.Target.Insecure })},

		"max-buffer-size": {set: whole("max-buffer-size", 1, 0, func(s *Spec) *int { return &s.Target.MaxBuffer })},

		"rate":          {set: (*Spec).setRate},
		"ramp":          {set: (*Spec).setRamp},
		"sine":          {set: (*Spec).setSine},
		"stages":        {set: (*Spec).setStages},
		"users":         {set: whole("users", 1, 1_000_000, func(s *Spec) *int { return &s.Load.Users })},
		"think":         {set: notNegative("think", func(s *Spec) *time.Duration { return &s.Load.Think })},
		"arrivals":      {set: (*Spec).setArrivals},
		"duration":      {set: positive("duration", func(s *Spec) *time.Duration { return &s.Load.Duration })},
		"requests":      {set: (*Spec).setRequests},
		"warmup":        {set: notNegative("warmup", func(s *Spec) *time.Duration { return &s.Load.Warmup })},
		"connections":   {set: whole("connections", 1, 10_000, func(s *Spec) *int { return &s.Load.Connections })},
		"max-in-flight": {set: whole("max-in-flight", 1, 0, func(s *Spec) *int { return &s.Load.MaxInFlight })},
		"coalesce":      {set: (*Spec).setCoalesce},
		"seed":          {set: unsigned(func(s *Spec) *uint64 { return &s.Load.Seed })},

		"from":        {set: text(func(s *Spec) *string { return &s.Recording.File })},
		"service":     {set: text(func(s *Spec) *string { return &s.Recording.Service })},
		"data-file":   {set: text(func(s *Spec) *string { return &s.content.DataFile })},
		"data-order":  {set: text(func(s *Spec) *string { return &s.content.DataOrder })},
		"meta":        {set: texts(func(s *Spec) *[]string { return &s.content.Meta }), list: true},
		"no-metadata": {set: truth(func(s *Spec) *bool { return &s.NoMetadata })},
		"method":      {set: text(func(s *Spec) *string { return &s.content.Method })},
		"header":      {set: texts(func(s *Spec) *[]string { return &s.content.Headers }), list: true},
		"redirects":   {set: whole("redirects", 0, maxRedirects, func(s *Spec) *int { return &s.Redirects })},
		"http2":       {set: truth(func(s *Spec) *bool { return &s.HTTP2 })},
		"expect":      {set: (*Spec).setExpect},

		"policy":       {set: (*Spec).setPreset},
		"timeout":      {set: positive("timeout", func(s *Spec) *time.Duration { return &s.Policy.timeout })},
		"retries":      {set: whole("retries", 0, maxRetries, func(s *Spec) *int { return &s.Policy.retries })},
		"retry-delay":  {set: notNegative("retry-delay", func(s *Spec) *time.Duration { return &s.Policy.delay })},
		"backoff":      {set: (*Spec).setBackoff},
		"jitter":       {set: (*Spec).setJitter},
		"budget":       {set: (*Spec).setBudget},
		"retry-on":     {set: (*Spec).setRetryOn},
		"hedge":        {set: (*Spec).setHedge},
		"breaker":      {set: (*Spec).setBreaker},
		"deadline":     {set: positive("deadline", func(s *Spec) *time.Duration { return &s.Policy.deadline })},
		"print-policy": {set: text(func(s *Spec) *string { return &s.PrintPolicy })},

		"objective": {set: positive("objective", func(s *Spec) *time.Duration { return &s.Objective })},
		"fault":     {set: (*Spec).addFault, list: true},
		"threshold": {set: (*Spec).addThreshold, list: true},
		"abort-on":  {set: (*Spec).addAbort, list: true},
		"metrics":   {set: (*Spec).setMetrics},

		"repeat":   {set: whole("repeat", 1, maxCells, func(s *Spec) *int { return &s.Trials.Repeat })},
		"sweep":    {set: (*Spec).addAxis, list: true},
		"collapse": {set: truth(func(s *Spec) *bool { return &s.Trials.Collapse })},
		"demo":     {set: truth(func(s *Spec) *bool { return &s.Trials.Demo })},

		"save":     {set: text(func(s *Spec) *string { return &s.Outputs.Save })},
		"html":     {set: text(func(s *Spec) *string { return &s.Outputs.HTML })},
		"markdown": {set: text(func(s *Spec) *string { return &s.Outputs.Markdown })},
		"csv":      {set: text(func(s *Spec) *string { return &s.Outputs.CSV })},
		"junit":    {set: text(func(s *Spec) *string { return &s.Outputs.JUnit })},
		"vegeta":   {set: text(func(s *Spec) *string { return &s.Outputs.Vegeta })},
		"baseline": {set: text(func(s *Spec) *string { return &s.Outputs.Baseline })},
		"no-tui":   {set: truth(func(s *Spec) *bool { return &s.NoTUI })},
	}
}

// maxRedirects bounds --redirects.
const maxRedirects = 100

func (s *Spec) setExpect(text string) (err error) {
	s.Expect, err = jq.Compile("--expect", text)
	return err
}

func text(field func(*Spec) *string) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		*field(s) = text
		return nil
	}
}

func texts(field func(*Spec) *[]string) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		list := field(s)
		*list = append(slices.Clip(*list), text)
		return nil
	}
}

func truth(field func(*Spec) *bool) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		v, err := strconv.ParseBool(text)
		if err != nil {
			return &TypeError{strconv.Quote(text) + " is not true or false"}
		}
		*field(s) = v
		return nil
	}
}

// whole parses an integer of at least least and, unless most is 0, at most most.
func whole(name string, least, most int, field func(*Spec) *int) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		n, err := strconv.ParseInt(text, 0, strconv.IntSize)
		switch v := int(n); {
		case err != nil:
			return &TypeError{strconv.Quote(text) + " is not a whole number"}
		case most == 0 && v < least:
			return exit.Usagef("--%s must be at least %d", name, least)
		case most > 0 && (v < least || v > most):
			return exit.Usagef("--%s must be between %d and %d", name, least, most)
		default:
			*field(s) = v
		}
		return nil
	}
}

func unsigned(field func(*Spec) *uint64) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return &TypeError{strconv.Quote(text) + " is not a whole number of 0 or more"}
		}
		*field(s) = n
		return nil
	}
}

// positive parses a duration greater than 0.
func positive(name string, field func(*Spec) *time.Duration) func(*Spec, string) error {
	return duration(field, func(d time.Duration) error {
		if d <= 0 {
			return exit.Usagef("--%s must be greater than 0", name)
		}
		return nil
	})
}

// notNegative parses a duration of at least 0.
func notNegative(name string, field func(*Spec) *time.Duration) func(*Spec, string) error {
	return duration(field, func(d time.Duration) error {
		if d < 0 {
			return exit.Usagef("--%s must not be negative", name)
		}
		return nil
	})
}

func duration(field func(*Spec) *time.Duration, check func(time.Duration) error) func(*Spec, string) error {
	return func(s *Spec, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil {
			return &TypeError{strconv.Quote(text) + " is not a duration such as 10s or 200ms"}
		}
		if err := check(d); err != nil {
			return err
		}
		*field(s) = d
		return nil
	}
}

func (s *Spec) addFault(text string) error {
	f, err := fault.Parse(text)
	if err != nil {
		return pointed("fault", text, err)
	}
	s.Faults = append(slices.Clip(s.Faults), Fault{f, text})
	return nil
}

func (s *Spec) addThreshold(text string) error { return s.threshold("threshold", text) }

func (s *Spec) addAbort(text string) error { return s.threshold("abort-on", text) }

func (s *Spec) threshold(setting, text string) error {
	t, err := report.ParseThreshold(text)
	if err != nil {
		return pointed(setting, text, err)
	}
	s.Thresholds = append(slices.Clip(s.Thresholds), Threshold{t, text, setting == "abort-on", setting})
	return nil
}

func (s *Spec) setMetrics(text string) error {
	if _, port, err := net.SplitHostPort(text); err != nil || port == "" {
		return exit.Usagef("invalid --metrics %q: use HOST:PORT, such as localhost:9464", text)
	}
	s.Metrics = text
	return nil
}

// ParseThreshold parses the value of a flag --threshold. The error is a usage error
// that points at the position.
func ParseThreshold(text string) (report.Threshold, error) {
	t, err := report.ParseThreshold(text)
	return t, pointed("threshold", text, err)
}

// pointed points an error of a parser at its position in the value of a setting.
func pointed(name, text string, err error) error { return exit.PointInto("--"+name, text, err) }
