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

// Plan says what to send, how often and for how long. Either Pacer or Users is
// set: the first makes an open model, in which requests come whether or not
// earlier ones were answered, the second a closed one, in which each user waits
// for the answer, thinks, and asks again.
type Plan struct {
	// Messages are what requests send; each request is one of them, by their
	// weights.
	Messages []Message
	// Policy says how patient a request is. Every attempt needs a bound: its
	// timeout, or the policy's deadline.
	Policy *policy.Policy

	// Pacer is the rate of an open model; its Rate is followed exactly, from
	// the start of the run and whatever the run's own delays.
	Pacer vegeta.Pacer
	// Arrivals spreads the requests of an open model: evenly, or as a Poisson
	// process of the same rate.
	Arrivals Arrivals
	// Seed makes what is drawn at random repeatable: arrivals and rows of data.
	Seed uint64
	// Users is the number of users of a closed model.
	Users int
	// Think is how long a user waits between an answer and the next request.
	Think time.Duration

	// Duration is how long requests are offered, the warm-up included; 0 is
	// until Requests were.
	Duration time.Duration
	// Requests is how many requests are offered, those of the warm-up not
	// counted; 0 is as many as come in Duration.
	Requests uint64
	// Warmup is how long requests are sent at the beginning without being
	// counted.
	Warmup time.Duration
	// MaxInFlight bounds the requests at once; past it a request is shed. 0 is
	// DefaultMaxInFlight.
	MaxInFlight int
	// Grace is how long a run that is stopped early still waits for answers. 0
	// is DefaultGrace.
	Grace time.Duration
	// Triggers are what is done to the system meanwhile. The verdict is about
	// what comes after them.
	Triggers []Trigger
	// OnStart, when set, is told the run's time 0, before the first request.
	OnStart func(time.Time)
	// OnResult, when set, gets every counted request when it has ended, from
	// many goroutines at once, in no order.
	OnResult func(Request)
	// TimerPacing has the pacer sleep with Go's timers rather than in the kernel,
	// which is more accurate. Tests in a testing/synctest bubble need it: the
	// bubble's clock advances for timers alone.
	TimerPacing bool
}

// Message is one kind of request.
type Message struct {
	// Name is what it is called in reports; "" is the pattern's route.
	Name string
	// Weight is its share of the requests against the other messages'; 0 is 1.
	Weight int
	// Conns are the connections; requests take turns on them. They are not
	// closed by the run.
	Conns []micro.Conn
	// Pattern is whom it is for.
	Pattern micro.Pattern
	// Payload makes the data of each request; nil is {}.
	Payload Payload
	// Metadata makes pairs that travel with each attempt, beside a correlation
	// id of its own; may be empty.
	Metadata []Pair
}

// Payload makes the data, JSON text, of the request with a sequence number, which
// counts the requests of its message from 0: rows of data take turns. It is safe for use from many goroutines; what it returns is not changed.
type Payload func(seq uint64) []byte

// Pair is one pair of metadata, whose value is made anew for each attempt.
type Pair struct {
	Key   string
	Value func(seq uint64, attempt *micro.Request) string
}

// Arrivals is how requests of an open model are spread over time.
type Arrivals int

// The arrivals. The zero Arrivals is Uniform.
const (
	Uniform Arrivals = iota // evenly
	Poisson                 // independently of each other, as users come
)

// ParseArrivals reads "uniform" or "poisson".
func ParseArrivals(text string) (a Arrivals, ok bool) {
	switch text {
	case "uniform":
		return Uniform, true
	case "poisson":
		return Poisson, true
	}
	return Uniform, false
}

// String is "uniform" or "poisson".
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

// Request is one finished request, for those who write each of them down.
type Request struct {
	// Seq counts requests from 0 in the order of their intended starts, without
	// gaps.
	Seq uint64
	// Message is the name of the message it was.
	Message string
	// Intended is the intended start.
	Intended time.Time
	// Latency is the request latency.
	Latency time.Duration
	// Attempts is how many there were.
	Attempts int
	// Outcome, and the status and text of the error where it is one.
	Outcome Outcome
	Status  int
	Text    string
	// BytesOut is the size of the data sent, BytesIn of the values that came,
	// both as JSON text.
	BytesOut, BytesIn uint64
}

// Check reports what is wrong with the plan, nil when nothing is.
func (p *Plan) Check() error {
	switch {
	case len(p.Messages) == 0:
		return errors.New("a load plan needs a message")
	case p.Policy == nil:
		return errors.New("a load plan needs a policy")
	case p.Policy.Settings().Timeout == 0 && p.Policy.Settings().Deadline == 0:
		return errors.New("the policy bounds neither an attempt nor the request: give it a timeout or a deadline")
	case (p.Pacer == nil) == (p.Users == 0):
		return errors.New("a load plan needs either a rate or users")
	case p.Users < 0 || p.Think < 0 || p.Duration < 0 || p.Warmup < 0 || p.MaxInFlight < 0:
		return errors.New("a load plan has a negative number")
	case p.Duration == 0 && p.Requests == 0:
		return errors.New("a load plan needs a duration or a number of requests")
	case p.Duration > 0 && p.Warmup >= p.Duration:
		return fmt.Errorf("a warm-up of %s leaves nothing of %s", p.Warmup, p.Duration)
	}
	if p.Pacer != nil {
		if err := checkPacer(p.Pacer); err != nil {
			return err
		}
	}
	for i, m := range p.Messages {
		switch {
		case len(m.Conns) == 0:
			return fmt.Errorf("message %d of the load plan needs a connection", i+1)
		case m.Pattern.IsZero():
			return fmt.Errorf("message %d of the load plan needs a pattern", i+1)
		case m.Weight < 0:
			return fmt.Errorf("message %d of the load plan has a negative weight", i+1)
		}
	}
	return nil
}

// checkPacer refuses rates that are never more than nothing.
func checkPacer(p vegeta.Pacer) error {
	c, err := curveOf(p)
	switch s := p.(type) {
	case vegeta.SinePacer:
		if s.Period <= 0 || s.Mean.Rate(0) <= s.Amp.Rate(0) || s.Amp.Rate(0) < 0 {
			return errors.New("a sine needs a period, and a mean that is more than its amplitude")
		}
	default:
		if err == nil && !(c.when(1) < math.Inf(1)) {
			return errors.New("the rate must be more than 0")
		}
	}
	return err
}

// withDefaults fills in what was left 0.
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
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	return p
}
