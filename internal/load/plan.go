package load

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// Plan specifies what to send, how often, and for how long. Exactly one of Pacer
// and Users is set. With Pacer, the load is open: requests are due whether or not
// earlier ones have been answered. With Users, it is closed: each user waits for
// the outcome of a request, thinks, and sends the next one.
type Plan struct {
	// Messages are the kinds of requests. Each request is one of them, chosen by
	// weight.
	Messages []Message
	// Policy is the retry policy of every request. It must limit each attempt, with a
	// timeout or a deadline.
	Policy *policy.Policy

	// Pacer is the rate of an open load. The schedule follows it exactly from the
	// start of the run, regardless of the run's own delays.
	Pacer vegeta.Pacer
	// Arrivals distributes the requests of an open load over time: evenly, or as a
	// Poisson process with the same rate.
	Arrivals Arrivals
	// Coalesce sends the requests of an open load that are due within it of each other
	// together, when the last of them is due, at less cost. Latencies are still measured from
	// each request's own intended start. If it is 0, it follows the rate: below 20,000/s,
	// each request is sent for itself.
	Coalesce time.Duration
	// Seed makes random choices repeatable: arrivals and rows of data.
	Seed uint64
	// Users is the number of users of a closed load.
	Users int
	// Think is how long a user pauses between an outcome and the next request.
	Think time.Duration

	// Duration is how long requests are offered, including the warm-up. If it is 0,
	// the run ends when Requests have been offered.
	Duration time.Duration
	// Requests limits the number of requests, not counting the warm-up. If it is 0,
	// only Duration ends the run.
	Requests uint64
	// Warmup is the time at the start of the run in which requests are sent but not
	// counted.
	Warmup time.Duration
	// MaxInFlight limits the requests in flight; a request beyond it is shed. If it
	// is 0, the limit is DefaultMaxInFlight.
	MaxInFlight int
	// Grace is how long a run that is stopped early still waits for replies. If it is
	// 0, it is DefaultGrace.
	Grace time.Duration
	// Objective is the latency up to which an ok request counts as answered on time. If it
	// is 0, it is derived from the latencies before the first trigger.
	Objective time.Duration
	// Triggers are the faults to inject. Each gets a verdict on how the system
	// recovered from it.
	Triggers []Trigger
	// NoMetadata sends only the metadata of the messages: no correlation ID, remaining
	// time, or number of the attempt.
	NoMetadata bool
	// Redact, if set, removes credentials from the text of an error.
	Redact func(string) string
	// Part is the part of the plan that this process runs, if it is one of several.
	Part Part
	// StartAt is the run's time 0, which several processes agree on. If it is zero, the
	// run starts at once.
	StartAt time.Time
	// OnStart, if set, is called with the run's time 0, before the first request.
	OnStart func(time.Time)
	// OnResult, if set, is called with every counted request when it has ended. Calls
	// are concurrent and in no particular order.
	OnResult func(Request)
	// TimerPacing has the pacer sleep with Go's timers rather than in the kernel,
	// which is more accurate. Tests in a testing/synctest bubble need it: the
	// bubble's clock advances for timers alone.
	TimerPacing bool
}

// Message is one kind of request.
type Message struct {
	// Name is its name in reports. The default is the pattern's route.
	Name string
	// Weight is its share of the requests relative to the other messages. 0 means 1.
	Weight int
	// Conns are the connections, which requests use in turn. The run does not close
	// them.
	Conns []micro.Conn
	// Pattern identifies the handler.
	Pattern micro.Pattern
	// Event sends events, whose outcome is whether the transport accepted them.
	Event bool
	// Payload returns the data of each request. If it is nil, the data is {}.
	Payload Payload
	// Metadata is sent with each attempt, in addition to a correlation ID.
	Metadata []Pair
	// HTTP means that the requests are sent over HTTP, so that their statuses are counted.
	HTTP bool
	// Expect, if set, checks each value of a reply; a reply without a value is null. The
	// outcome of a request whose reply is unexpected is an error with the text of the
	// first error. Events have no reply to check. Calls are concurrent.
	Expect func(micro.Value) error
}

// Payload returns the data, as JSON text, of the request with a sequence number.
// Sequence numbers count the requests of one message from 0. A Payload must be safe
// for concurrent use, and its result must not change afterwards.
type Payload func(seq uint64) []byte

// Pair is one entry of the metadata. Value is called for each attempt. Has, if set, reports whether the request has
// the entry.
type Pair struct {
	Key   string
	Value func(seq uint64, attempt *micro.Request) string
	Has   func(seq uint64) bool
}

// Set sets the entry of an attempt of the request with a sequence number, if it has the entry.
func (p *Pair) Set(seq uint64, attempt *micro.Request) {
	if p.Has == nil || p.Has(seq) {
		attempt.Metadata.Set(p.Key, p.Value(seq, attempt))
	}
}

// Arrivals is the distribution of the requests of an open load over time.
type Arrivals int

// The arrivals. The zero Arrivals is Uniform.
const (
	Uniform Arrivals = iota // evenly spaced
	Poisson                 // independent of each other, like the requests of many users
)

// ParseArrivals parses "uniform" or "poisson".
func ParseArrivals(text string) (a Arrivals, ok bool) {
	switch text {
	case "uniform":
		return Uniform, true
	case "poisson":
		return Poisson, true
	}
	return Uniform, false
}

// String returns "uniform" or "poisson".
func (a Arrivals) String() string {
	if a == Poisson {
		return "poisson"
	}
	return "uniform"
}

// The defaults of a Plan.
const (
	DefaultMaxInFlight = 10_000
	DefaultGrace       = time.Second
)

// MaxCoalesce is the largest value of Plan.Coalesce.
const MaxCoalesce = 100 * time.Millisecond

// Request is a finished request, as passed to Plan.OnResult.
type Request struct {
	// Seq numbers the counted requests from 0, without gaps, in the order of their
	// intended starts.
	Seq uint64
	// Message is the name of its message.
	Message string
	// Intended is the intended start.
	Intended time.Time
	// Latency is the request latency.
	Latency time.Duration
	// Attempts is the number of attempts.
	Attempts int
	// Outcome is the outcome; Status and Text are those of the error, if any.
	Outcome Outcome
	Status  int
	Text    string
	// BytesOut is the size of the data sent, and BytesIn that of the values received,
	// both as JSON text.
	BytesOut, BytesIn uint64
}

// Check returns an error if the plan is invalid.
func (p *Plan) Check() error {
	switch {
	case len(p.Messages) == 0:
		return errors.New("a load plan requires a message")
	case p.Policy == nil:
		return errors.New("a load plan requires a policy")
	case p.Policy.Settings().Timeout == 0 && p.Policy.Settings().Deadline == 0:
		return errors.New("the policy has neither a timeout nor a deadline")
	case (p.Pacer == nil) == (p.Users == 0):
		return errors.New("a load plan requires either a rate or users")
	case p.Users < 0 || min(p.Think, p.Duration, p.Warmup, p.Objective, p.Coalesce) < 0 || p.MaxInFlight < 0:
		return errors.New("a load plan cannot contain negative numbers")
	case p.Coalesce > MaxCoalesce:
		return fmt.Errorf("requests can be coalesced for at most %s", MaxCoalesce)
	case p.Duration == 0 && p.Requests == 0:
		return errors.New("a load plan requires a duration or a number of requests")
	case p.Duration > 0 && p.Warmup >= p.Duration:
		return fmt.Errorf("the warm-up (%s) must be shorter than the duration (%s)", p.Warmup, p.Duration)
	}
	if err := p.checkPart(); err != nil {
		return err
	}
	if p.Pacer != nil {
		if err := checkPacer(p.Pacer); err != nil {
			return err
		}
	}
	for i, m := range p.Messages {
		switch {
		case len(m.Conns) == 0:
			return fmt.Errorf("message %d of the load plan requires a connection", i+1)
		case m.Pattern.IsZero():
			return fmt.Errorf("message %d of the load plan requires a pattern", i+1)
		case m.Weight < 0:
			return fmt.Errorf("message %d of the load plan has a negative weight", i+1)
		}
	}
	return nil
}

// checkPacer returns an error if the rate is never above 0.
func checkPacer(p vegeta.Pacer) error {
	c, err := curveOf(p)
	switch s := p.(type) {
	case vegeta.SinePacer:
		if s.Period <= 0 || s.Mean.Rate(0) <= s.Amp.Rate(0) || s.Amp.Rate(0) < 0 {
			return errors.New("a sine requires a period, and a mean above its amplitude")
		}
	default:
		if err == nil && !(c.when(1) < math.Inf(1)) {
			return errors.New("the rate must be above 0")
		}
	}
	return err
}

// withDefaults returns the plan with defaults in place of zero values.
func (p Plan) withDefaults() Plan {
	p.Messages = slices.Clone(p.Messages)
	for i := range p.Messages {
		m := &p.Messages[i]
		m.Weight = max(m.Weight, 1)
		m.Name = cmp.Or(m.Name, m.Pattern.String())
	}
	if p.MaxInFlight == 0 {
		p.MaxInFlight = DefaultMaxInFlight
	}
	p.MaxInFlight = max(p.Part.Share(p.MaxInFlight), 1)
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	return p
}
