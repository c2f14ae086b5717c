package load

import (
	"errors"
	"fmt"
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
	// Conns are the connections; requests take turns on them. They are not
	// closed by the run.
	Conns []micro.Conn
	// Pattern and Data are what each request sends.
	Pattern micro.Pattern
	Data    []byte
	// Metadata travels with each request, beside a correlation id of its own.
	Metadata map[string]string
	// Policy says how patient a request is. Every attempt needs a bound: its
	// timeout, or the policy's deadline.
	Policy *policy.Policy

	// Pacer is the rate of an open model; its Rate is followed exactly, from
	// the start of the run and whatever the run's own delays.
	Pacer vegeta.Pacer
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
	// OnResult, when set, gets every counted request when it has ended, from
	// many goroutines at once, in no order.
	OnResult func(Request)
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
	case len(p.Conns) == 0:
		return errors.New("a load plan needs a connection")
	case p.Pattern.IsZero():
		return errors.New("a load plan needs a pattern")
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
	if p.Pacer != nil && !(p.Pacer.Rate(0) > 0) {
		return errors.New("the rate must be more than 0")
	}
	return nil
}

// withDefaults fills in what was left 0.
func (p Plan) withDefaults() Plan {
	if p.MaxInFlight == 0 {
		p.MaxInFlight = DefaultMaxInFlight
	}
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	return p
}
