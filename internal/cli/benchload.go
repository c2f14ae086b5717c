package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
)

// benchLoad are the flags that say how much is sent, and when.
type benchLoad struct {
	rate, ramp, sine, stages string
	arrivals                 string
	users                    int
	think                    time.Duration
	duration                 time.Duration
	requests                 uint64
	warmup                   time.Duration
	connections              int
	maxInFlight              int
	seed                     uint64

	pacer  vegeta.Pacer // nil with users
	spread load.Arrivals
}

// shapes are the flags of which one says when requests come.
func shapes() []string { return []string{"rate", "ramp", "sine", "stages", "users"} }

func (o *benchLoad) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.rate, "rate", "r", "100/s", "offer requests at `RATE`, whether or not they are answered: 500/s, 30000/m")
	f.StringVar(&o.ramp, "ramp", "", "instead: a rate that changes evenly, `FROM..TO`: 100/s..2000/s")
	f.StringVar(&o.sine, "sine", "", "instead: a rate that goes up and down, `MEAN+-SWING:PERIOD`: 500/s+-200/s:30s")
	f.StringVar(&o.stages, "stages", "", "instead: `RATE:TIME,...`, each reached evenly in its time: 500/s:10s,500/s:1m,0/s:5s")
	f.IntVarP(&o.users, "users", "u", 0, "instead of a rate: `N` users who each wait for the answer and ask again")
	f.DurationVar(&o.think, "think", 0, "a user thinks for `DURATION` before asking again")
	f.StringVar(&o.arrivals, "arrivals", "uniform", "spread the requests of a rate `HOW`: uniform, or poisson, as users come")
	f.DurationVarP(&o.duration, "duration", "d", 10*time.Second, "offer requests for `DURATION`")
	f.Uint64VarP(&o.requests, "requests", "n", 0, "stop after `N` requests; without --duration however long it takes")
	f.DurationVar(&o.warmup, "warmup", 0, "do not count the first `DURATION`")
	f.IntVarP(&o.connections, "connections", "c", 1, "spread requests over `N` connections to each address, or to the broker")
	f.IntVar(&o.maxInFlight, "max-in-flight", load.DefaultMaxInFlight, "past `N` requests at once a request is shed: counted, and not sent")
	f.Uint64Var(&o.seed, "seed", 1, "draw arrivals, data and faults at random from `N`: the same again with the same")
	groupFlags(cmd, "Load", "rate", "ramp", "sine", "stages", "users", "think", "arrivals", "duration", "requests", "warmup",
		"connections", "max-in-flight", "seed")
}

// check checks the flags against each other and reads the shape of the load;
// swept tells which flags a sweep will set.
func (o *benchLoad) check(given, swept func(string) bool) error {
	if o.requests > 0 && !given("duration") {
		o.duration = 0
	}
	var shape []string
	for _, name := range shapes() {
		if given(name) {
			shape = append(shape, "--"+name)
		}
	}
	switch {
	case len(shape) > 1:
		return exit.Usagef("%s exclude each other: requests come at one rate, or from users who wait for answers", strings.Join(shape, " and "))
	case given("users") && (o.users < 1 || o.users > 1_000_000):
		return exit.Usagef("--users must be from 1 to 1000000")
	case o.think != 0 && !given("users") && !swept("users"):
		return exit.Usagef("--think goes with --users")
	case o.think < 0 || o.warmup < 0:
		return exit.Usagef("--think and --warmup must not be negative")
	case given("duration") && o.duration <= 0:
		return exit.Usagef("--duration must be longer than 0")
	case given("requests") && o.requests == 0:
		return exit.Usagef("--requests must be at least 1")
	case o.connections < 1 || o.connections > 10_000:
		return exit.Usagef("--connections must be from 1 to 10000")
	case o.maxInFlight < 1:
		return exit.Usagef("--max-in-flight must be at least 1")
	}
	var ok bool
	if o.spread, ok = load.ParseArrivals(o.arrivals); !ok {
		return exit.Usagef("unknown --arrivals %q: use uniform or poisson", o.arrivals)
	}
	if given("users") && given("arrivals") {
		return exit.Usagef("--arrivals goes with a rate: users come when they have their answers")
	}
	if err := o.shape(given); err != nil {
		return err
	}
	if o.duration > 0 && o.warmup >= o.duration {
		return exit.Usagef("--warmup %s leaves nothing of --duration %s", o.warmup, o.duration)
	}
	return nil
}

// shape reads the flag that says when requests come.
func (o *benchLoad) shape(given func(string) bool) (err error) {
	switch {
	case o.users > 0:
	case given("ramp"):
		o.pacer, err = parseRamp(o.ramp, o.duration)
	case given("sine"):
		o.pacer, err = parseSine(o.sine)
	case given("stages"):
		var stages load.Stages
		if stages, err = parseStages(o.stages); err != nil {
			return err
		}
		if o.pacer = stages; !given("duration") {
			o.duration = stages.Length()
		}
	default:
		o.pacer, err = parseRate(o.rate)
	}
	return err
}

// describe says in few words how much is sent.
func (o *benchLoad) describe() string {
	var text string
	switch {
	case o.pacer == nil && o.users == 1:
		text = "1 user"
	case o.pacer == nil:
		text = fmt.Sprintf("%d users", o.users)
	case o.ramp != "":
		text = strings.Replace(o.ramp, "..", " to ", 1)
	case o.sine != "":
		text = strings.Replace(o.sine, ":", " every ", 1)
	case o.stages != "":
		text = fmt.Sprint(o.pacer)
	default:
		text = format.Rate(o.pacer.Rate(0))
	}
	if o.spread == load.Poisson {
		text += ", poisson arrivals"
	}
	if o.think > 0 {
		text += " who think for " + o.think.String()
	}
	if o.duration > 0 && o.stages == "" {
		text += " for " + o.duration.String()
	}
	switch {
	case o.requests == 1:
		text += ", at most 1 request"
	case o.requests > 1:
		text += ", at most " + format.Count(int64(o.requests)) + " requests"
	}
	if o.warmup > 0 {
		text += ", the first " + o.warmup.String() + " not counted"
	}
	return text
}
