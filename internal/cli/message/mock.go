package message

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// mockOptions are the flags of `msctl mock`, and what they mean.
type mockOptions struct {
	listen      string
	patterns    []string
	answer      string
	capacity    string
	serviceTime string
	workers     int
	queue       int
	dropExpired bool
	stalls      []string
	seed        uint64

	from recordedOptions
	tls  target.Flags

	at     target.Target // the broker; zero for TCP
	config capacity.Config
	served []micro.Pattern
	plan   []capacity.PlannedStall // by time
}

// NewMockCommand returns `msctl mock`.
func NewMockCommand(s *term.IO) *cobra.Command {
	var o mockOptions
	cmd := &cobra.Command{
		Use:   "mock",
		Short: "Run a mock service, with a known capacity or with recorded replies",
		Long: `Serve a queue with workers that each take a known time, so that the capacity of the
service is known exactly. Try a load test, a timeout, or a retry policy on it. The
workers occupy time and almost no CPU. Like a NestJS service, the mock also works on
requests whose callers have given up, unless --drop-expired is set.

With a broker's address for --listen, it serves there: a queue of RabbitMQ, or the
given patterns on Redis and NATS, which deliver only subscribed patterns.

With --from, it replies as a recording of ` + "`msctl tap --record`" + ` does: to the recorded
patterns, if the data is the same, after the time that the service took.

While the mock is running, lines on standard input change it:
  stall 4s         start and finish no work for 4s, as if the process were stopped
  capacity 200/s   change the capacity
  stats            print the counts so far
  quit             stop, like Ctrl-C`,
		Example: `  msctl mock                                        100/s on localhost:3002
  msctl mock --capacity 200/s --workers 4 --service-time lognormal
  msctl mock --service-time bimodal:5ms,95%,100ms --queue 50
  msctl mock --pattern cmd=findItem --answer '{"id":1}' --stall 4s@10s
  msctl mock --from session.jsonl --service items --nearest
  msctl mock --listen amqp://localhost/items
  msctl mock --listen nats://localhost?queue=items --pattern cmd=findItem`,
		GroupID:     command.GroupMeasure,
		Args:        command.ArgCount(0, 0),
		Annotations: command.IncidentalOutput(),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.complete(cmd); err != nil {
			return err
		}
		if o.from.file != "" {
			return runRecorded(cmd.Context(), s, o)
		}
		return runMock(cmd.Context(), s, o)
	}
	o.register(cmd)
	o.from.register(cmd)
	return cmd
}

func (o *mockOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "localhost:3002", "listen on `ADDRESS`: host:port, or :port for all interfaces; port 0 selects a free one; or a broker: amqp://host/queue, redis://host, nats://host")
	f.StringArrayVarP(&o.patterns, "pattern", "p", nil, "reply to `PATTERN` only (repeatable; default: every pattern)")
	f.StringVar(&o.answer, "answer", `{"ok":true}`, "reply with `JSON`")
	command.GroupFlags(cmd, "Service", "listen", "pattern", "answer")
	command.RegisterTLS(cmd, &o.tls, "Service")
	f.StringVar(&o.capacity, "capacity", "100/s", "handle `RATE`: 100/s, 6000/m; the service time is scaled to it")
	f.IntVar(&o.workers, "workers", 1, "work on `N` requests concurrently")
	f.StringVar(&o.serviceTime, "service-time", "constant", "distribution of the service time: `DISTRIBUTION` 10ms, exponential:10ms, uniform:5ms-15ms, "+
		"lognormal:10ms,0.5, or bimodal:5ms,95%,100ms; only its shape is used with --capacity, or if it has no time")
	f.IntVar(&o.queue, "queue", 0, "let up to `N` requests wait and reject others with status 503; 0 means limited by memory only")
	f.BoolVar(&o.dropExpired, "drop-expired", false, "reply with status 504 to requests whose callers have given up instead of working on them")
	command.GroupFlags(cmd, "Capacity", "capacity", "workers", "service-time", "queue", "drop-expired")
	f.StringArrayVar(&o.stalls, "stall", nil, "stall `LENGTH@TIME` after the start, such as 4s@10s (repeatable)")
	f.Uint64Var(&o.seed, "seed", 1, "draw the service times from `SEED`: the same seed repeats them")
	command.GroupFlags(cmd, "Events", "stall", "seed")
}

// complete reads and checks the flags. All its errors are usage errors.
func (o *mockOptions) complete(cmd *cobra.Command) error {
	if err := o.from.check(cmd); err != nil {
		return err
	}
	switch {
	case o.workers < 1 || o.workers > capacity.MaxWaiting:
		return exit.Usagef("--workers must be between 1 and %d", capacity.MaxWaiting)
	case o.queue < 0 || o.queue > capacity.MaxWaiting:
		return exit.Usagef("--queue must be between 0 and %d", capacity.MaxWaiting)
	}
	if err := o.readListen(); err != nil {
		return err
	}
	answer, err := parseAnswer(o.answer)
	if err != nil {
		return err
	}
	o.config = capacity.Config{Workers: o.workers, Queue: o.queue, DropExpired: o.dropExpired, Seed: o.seed, Answer: answer}
	if o.config.ServiceTime, err = o.times(cmd.Flags().Changed("capacity")); err != nil {
		return err
	}
	for _, text := range o.patterns {
		p, err := shorthand.Pattern(text)
		if err != nil {
			return err
		}
		o.served = append(o.served, p)
	}
	for _, text := range o.stalls {
		stall, err := capacity.ParseStall(text)
		if err != nil {
			return exit.PointInto("--stall", text, err)
		}
		o.plan = append(o.plan, stall)
	}
	if len(o.served) == 0 && o.at.Subscribes() && o.from.file == "" {
		return exit.WithHint(exit.Usagef("--listen %s requires --pattern: %s delivers only subscribed patterns", o.at, o.at.Kind()), "for example, --pattern cmd=findItem")
	}
	slices.SortStableFunc(o.plan, func(a, b capacity.PlannedStall) int { return cmp.Compare(a.After, b.After) })
	return nil
}

// readListen parses --listen.
func (o *mockOptions) readListen() (err error) {
	if !strings.Contains(o.listen, "://") {
		if err := o.tls.NoTLS(); err != nil {
			return exit.WithHint(err, "the mock supports TLS on brokers only: amqps://, rediss://, nats+tls://")
		}
		return command.CheckListen(o.listen)
	}
	if o.at, err = target.ParseURL(o.listen); err != nil {
		return err
	}
	if address := o.at.Addresses[0]; target.IsSocket(address) && o.at.Kind() == target.TCP && !o.at.Encrypted() {
		o.listen, o.at = address, target.Target{}
		return o.tls.NoTLS()
	}
	if o.at.Broker == nil {
		return exit.WithHint(exit.Usagef("--listen %s is not the address of a broker", o.at), "use host:port or :port to listen without a broker")
	}
	return o.tls.CheckTLS(o.at)
}

// times returns the distribution of the service times: as given, or scaled to the
// capacity if that is given or the distribution has no time.
func (o *mockOptions) times(byCapacity bool) (capacity.Distribution, error) {
	d, err := capacity.ParseDistribution(o.serviceTime)
	if err != nil {
		return d, exit.PointInto("--service-time", o.serviceTime, err)
	}
	if named := !strings.ContainsAny(o.serviceTime, "0123456789"); !byCapacity && !named {
		return d, nil
	}
	rate, err := parseCapacity("--capacity", o.capacity)
	if err != nil {
		return d, err
	}
	return d.For(o.workers, rate), nil
}

// parseCapacity parses a rate and returns it per second.
func parseCapacity(what, text string) (float64, error) {
	pacer, err := load.ParseRate(text)
	if err != nil {
		return 0, exit.PointInto(what, text, err)
	}
	rate := pacer.Rate(0)
	if rate > capacity.MaxRate || rate < capacity.MinRate {
		return 0, exit.PointAt(what, text, 0, "a capacity must be between 1/h and 100000/s")
	}
	return rate, nil
}

// parseAnswer checks that a reply is JSON.
func parseAnswer(text string) (json.RawMessage, error) {
	if !utf8.ValidString(text) {
		return nil, exit.Usagef("--answer is not valid UTF-8: %q", text)
	}
	return shorthand.ParseJSON("--answer", text)
}
