package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/capacity"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
)

// mockOptions is what `msctl mock` was told.
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

	tls target.Flags

	at     target.Target // the broker; without one it listens at an address of its own
	config capacity.Config
	served []micro.Pattern
	plan   []mockStall // by time
}

// mockStall is a stall that was planned beforehand.
type mockStall struct{ after, length time.Duration }

func newMockCommand(s *term.IO) *cobra.Command {
	var o mockOptions
	cmd := &cobra.Command{
		Use:   "mock",
		Short: "Be a service of known capacity, to try a load test or a client on",
		Long: `Serve a queue with a number of workers, each of which takes a known time: what
such a service can do is known exactly, so a load test, a timeout or a retry
policy can be tried on it. The workers occupy time and hardly any processor. Like
a NestJS service it also works on requests whose callers have given up, unless
--drop-expired is given.

With a broker's address for --listen it serves there: a queue of RabbitMQ, or on
Redis and NATS the patterns given, since those deliver only what is subscribed to.

While it runs, lines on standard input change it:
  stall 4s         nothing is begun or ended for 4 s, as if the process were stopped
  capacity 200/s   be faster or slower from now on
  stats            print what has been done so far
  quit             end, as Ctrl-C does`,
		Example: `  msctl mock                                        100/s at localhost:3002
  msctl mock --capacity 200/s --workers 4 --service-time lognormal
  msctl mock --service-time bimodal:5ms,95%,100ms --queue 50
  msctl mock --pattern cmd=findItem --answer '{"id":1}' --stall 4s@10s
  msctl mock --listen amqp://localhost/items
  msctl mock --listen nats://localhost?queue=items --pattern cmd=findItem`,
		GroupID: groupMeasure,
		Args:    argCount(0, 0),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.complete(cmd); err != nil {
			return err
		}
		return runMock(cmd.Context(), s, o)
	}
	o.register(cmd)
	return cmd
}

func (o *mockOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "localhost:3002", "listen at `ADDRESS`: host:port, or :port for the whole network; port 0 takes a free one; or at a broker: amqp://host/queue, redis://host, nats://host")
	f.StringArrayVarP(&o.patterns, "pattern", "p", nil, "answer `PATTERN` and no other one (repeatable); every pattern is answered without")
	f.StringVar(&o.answer, "answer", `{"ok":true}`, "answer with `JSON`")
	groupFlags(cmd, "What it answers", "listen", "pattern", "answer")
	registerTLS(cmd, &o.tls, "What it answers")
	f.StringVar(&o.capacity, "capacity", "100/s", "be able to do `RATE`: 100/s, 6000/m; the service time is scaled to it")
	f.IntVar(&o.workers, "workers", 1, "work on `N` requests at once")
	f.StringVar(&o.serviceTime, "service-time", "constant", "what work takes: `DISTRIBUTION` as in 10ms, exponential:10ms, uniform:5ms-15ms, "+
		"lognormal:10ms,0.5 or bimodal:5ms,95%,100ms; with --capacity, or without a time, its shape")
	f.IntVar(&o.queue, "queue", 0, "let `N` requests wait and refuse others with status 503; 0 is no limit but memory")
	f.BoolVar(&o.dropExpired, "drop-expired", false, "answer requests whose callers have given up with status 504 instead of working on them")
	groupFlags(cmd, "What it can do", "capacity", "workers", "service-time", "queue", "drop-expired")
	f.StringArrayVar(&o.stalls, "stall", nil, "do nothing for a while, later: `LENGTH@TIME` as in 4s@10s (repeatable)")
	f.Uint64Var(&o.seed, "seed", 1, "draw the service times from `SEED`: the same ones in every run")
	groupFlags(cmd, "What happens to it", "stall", "seed")
}

// complete reads and checks the flags. All its errors are usage errors.
func (o *mockOptions) complete(cmd *cobra.Command) error {
	switch {
	case o.workers < 1 || o.workers > capacity.MaxWaiting:
		return exit.Usagef("--workers must be between 1 and %d", capacity.MaxWaiting)
	case o.queue < 0 || o.queue > capacity.MaxWaiting:
		return exit.Usagef("--queue must be between 0 and %d, for which memory is set aside", capacity.MaxWaiting)
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
		stall, err := parseStall(text)
		if err != nil {
			return err
		}
		o.plan = append(o.plan, stall)
	}
	if len(o.served) == 0 && o.at.Subscribes() {
		return exit.WithHint(exit.Usagef("--listen %s: %s delivers only what is subscribed to", o.at, o.at.Kind()), "name the patterns: --pattern cmd=findItem")
	}
	slices.SortStableFunc(o.plan, func(a, b mockStall) int { return cmp.Compare(a.after, b.after) })
	return nil
}

// readListen reads where it listens.
func (o *mockOptions) readListen() (err error) {
	if !strings.Contains(o.listen, "://") {
		if err := o.tls.NoTLS(); err != nil {
			return exit.WithHint(err, "a broker may have it: amqps://, rediss://, nats+tls://")
		}
		return checkListen(o.listen)
	}
	if o.at, err = target.ParseURL(o.listen); err != nil {
		return err
	}
	if o.at.Broker == nil {
		return exit.WithHint(exit.Usagef("--listen %s is not a broker's address", o.at), "without a broker it is host:port or :port")
	}
	return o.tls.CheckTLS(o.at)
}

// times is the distribution of the service times: as given, or scaled to the
// capacity when that was given or when the distribution says no time.
func (o *mockOptions) times(byCapacity bool) (capacity.Distribution, error) {
	d, err := capacity.ParseDistribution(o.serviceTime)
	var problem *capacity.SyntaxError
	if errors.As(err, &problem) {
		return d, exit.PointAt("--service-time", o.serviceTime, problem.Offset, problem.Message)
	}
	named := !strings.ContainsAny(o.serviceTime, "0123456789")
	if err != nil || !byCapacity && !named {
		return d, err
	}
	rate, err := parseCapacity("--capacity", o.capacity)
	if err != nil {
		return d, err
	}
	return scaled(d, o.workers, rate), nil
}

// scaled is the distribution under which so many workers can do rate a second.
func scaled(d capacity.Distribution, workers int, rate float64) capacity.Distribution {
	return d.WithMean(time.Duration(math.Round(float64(workers) / rate * float64(time.Second))))
}

// The capacities that are taken for meant, a second.
const (
	mostCapacity  = 100_000
	leastCapacity = 1.0 / 3600
)

// parseCapacity reads a capacity, 100/s, 100 (a second) or 6000/m, and returns it
// a second.
func parseCapacity(what, text string) (float64, error) {
	number, unit, hasUnit := strings.Cut(text, "/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 0) {
		return 0, exit.PointAt(what, text, 0, "a capacity begins with a number of more than 0: 100/s")
	}
	per, err := rateUnit(unit)
	if hasUnit && err != nil {
		return 0, exit.PointAt(what, text, len(number)+1, "the unit must be s, m, h, or a duration such as 100ms")
	}
	if v /= per.Seconds(); v > mostCapacity || v < leastCapacity {
		return 0, exit.PointAt(what, text, 0, "a capacity is between 1/h and 100000/s")
	}
	return v, nil
}

// parseAnswer checks that an answer is JSON.
func parseAnswer(text string) (json.RawMessage, error) {
	if !utf8.ValidString(text) {
		return nil, exit.Usagef("--answer is not valid UTF-8: %q", text)
	}
	if problem := shorthand.CheckJSON(text); problem != nil {
		return nil, exit.PointAt("--answer", text, problem.Offset, problem.Message)
	}
	return json.RawMessage(strings.TrimSpace(text)), nil
}

// mostStall bounds a stall.
const mostStall = time.Hour

// parseStall reads LENGTH@TIME.
func parseStall(text string) (mockStall, error) {
	length, after, found := strings.Cut(text, "@")
	var stall mockStall
	var err error
	wrong := func(offset int, message string) error {
		return exit.PointAt("--stall", text, offset, message)
	}
	if stall.length, err = time.ParseDuration(length); err != nil || stall.length <= 0 || stall.length > mostStall {
		return stall, wrong(0, "a stall begins with its length, more than 0 and at most 1h: 4s@10s")
	}
	if !found {
		return stall, wrong(len(text), "@ and the time after the start are missing: 4s@10s")
	}
	if stall.after, err = time.ParseDuration(after); err != nil || stall.after < 0 {
		return stall, wrong(len(length)+1, fmt.Sprintf("%q is not a time after the start such as 10s", after))
	}
	return stall, nil
}

// checkListen checks an address to listen at.
func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return exit.PointAt("--listen", text, 0, "an address is host:port or :port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return exit.PointAt("--listen", text, len(text)-len(port), "a port is a number between 0 and 65535")
	}
	return nil
}
