package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// benchOptions is what `msctl bench` was told.
type benchOptions struct {
	pattern micro.Pattern
	data    json.RawMessage
	meta    []string

	target targetFlags
	flags  benchPolicy
	policy *policy.Policy

	rate        string
	pacer       *vegeta.ConstantPacer // nil with users
	users       int
	think       time.Duration
	duration    time.Duration
	requests    uint64
	warmup      time.Duration
	connections int
	maxInFlight int

	save, vegeta string
	thresholds   []string
	parsed       []benchreport.Threshold
	noTUI        bool
	command      string // runs it again
}

func newBenchCommand(s *term.IO) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench PATTERN [DATA…]",
		Short: "Load-test a service, and see what timeouts and retries do to it",
		Long: `Send requests to a service at a steady rate, or from a number of users, each
under a policy of timeout and retries, and tell what became of every one of them.
Latencies count from the moment a request was due, so a service that stalls cannot
hide it. On a terminal the run is drawn live and can be changed while it goes on.

` + patternHelp + "\n\n" + dataHelp + "\n\n" + targetHelp,
		Example: `  msctl bench cmd=findAllItems --rate 500/s --duration 10s
  msctl bench cmd=findItem id:=7 --to items --users 50 --think 100ms
  msctl bench cmd=findAllItems --rate 200/s --timeout 300ms --retries 3 --retry-delay 0s
  msctl bench cmd=findAllItems --rate 200/s --policy recommended
  msctl bench cmd=findAllItems --no-tui --threshold 'p99<50ms' --threshold 'goodput>99%'`,
		GroupID: groupMeasure,
		Args:    argCount(1, -1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(s, cmd, args); err != nil {
			return err
		}
		return runBench(cmd.Context(), s, o)
	}
	o.register(cmd)
	return cmd
}

func (o *benchOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	o.target.register(cmd, "Where to")
	f.StringVarP(&o.rate, "rate", "r", "100/s", "offer requests at `RATE`, whether or not they are answered: 500/s, 30000/m")
	f.IntVarP(&o.users, "users", "u", 0, "instead of a rate: `N` users who each wait for the answer and ask again")
	f.DurationVar(&o.think, "think", 0, "a user thinks for `DURATION` before asking again")
	f.DurationVarP(&o.duration, "duration", "d", 10*time.Second, "offer requests for `DURATION`")
	f.Uint64VarP(&o.requests, "requests", "n", 0, "stop after `N` requests; without --duration however long it takes")
	f.DurationVar(&o.warmup, "warmup", 0, "do not count the first `DURATION`")
	f.IntVarP(&o.connections, "connections", "c", 1, "spread requests over `N` connections to each address")
	f.IntVar(&o.maxInFlight, "max-in-flight", 10_000, "past `N` requests at once a request is shed: counted, and not sent")
	groupFlags(cmd, "Load", "rate", "users", "think", "duration", "requests", "warmup", "connections", "max-in-flight")
	o.flags.register(cmd, "How patiently")
	f.StringArrayVarP(&o.meta, "meta", "m", nil, "put `KEY=VALUE` into the messages' metadata (repeatable)")
	groupFlags(cmd, "What", "meta")
	f.StringVar(&o.save, "save", "", "save the run with its histograms to `FILE` (JSON)")
	f.StringVar(&o.vegeta, "vegeta", "", "write every request to `FILE`, for vegeta report and vegeta plot")
	f.StringArrayVar(&o.thresholds, "threshold", nil, "end with exit code 99 unless `BOUND` holds: p99<50ms, goodput>99%, amplification<1.2 (repeatable)")
	f.BoolVar(&o.noTUI, "no-tui", false, "print a line a second instead of drawing")
	groupFlags(cmd, "Result", "save", "vegeta", "threshold", "no-tui")
}

// complete reads the arguments and checks the flags against each other. All its
// errors are usage errors: nothing has been sent.
func (o *benchOptions) complete(s *term.IO, cmd *cobra.Command, args []string) (err error) {
	typed := args
	args = o.flags.takeJitter(args)
	if len(args) == 0 {
		return usagef("PATTERN is missing")
	}
	if o.pattern, err = readPattern(args[0]); err != nil {
		return err
	}
	if o.policy, err = o.flags.build(); err != nil {
		return err
	}
	if err := o.checkLoad(cmd.Flags().Changed); err != nil {
		return err
	}
	for _, text := range o.thresholds {
		t, err := benchreport.ParseThreshold(text)
		var problem *benchreport.SyntaxError
		if errors.As(err, &problem) {
			return pointer{"--threshold", text, problem.Offset, problem.Message}.usage()
		}
		o.parsed = append(o.parsed, t)
	}
	if _, err := o.metadata(); err != nil {
		return err
	}
	o.command = commandLine(cmd, typed)
	o.data, err = parseData(args[1:], s.In)
	return err
}

// checkLoad checks the flags that say how much to send.
func (o *benchOptions) checkLoad(given func(string) bool) error {
	if o.requests > 0 && !given("duration") {
		o.duration = 0
	}
	switch {
	case given("users") && given("rate"):
		return usagef("--rate and --users exclude each other: requests come at a rate, or from users who wait for answers")
	case given("users") && (o.users < 1 || o.users > 1_000_000):
		return usagef("--users must be from 1 to 1000000")
	case o.think != 0 && !given("users"):
		return usagef("--think goes with --users")
	case o.think < 0 || o.warmup < 0:
		return usagef("--think and --warmup must not be negative")
	case given("duration") && o.duration <= 0:
		return usagef("--duration must be longer than 0")
	case given("requests") && o.requests == 0:
		return usagef("--requests must be at least 1")
	case o.duration > 0 && o.warmup >= o.duration:
		return usagef("--warmup %s leaves nothing of --duration %s", o.warmup, o.duration)
	case o.connections < 1 || o.connections > 10_000:
		return usagef("--connections must be from 1 to 10000")
	case o.maxInFlight < 1:
		return usagef("--max-in-flight must be at least 1")
	}
	if o.users > 0 {
		return nil
	}
	pacer, err := parseRate(o.rate)
	o.pacer = &pacer
	return err
}

// metadata reads the --meta flags.
func (o *benchOptions) metadata() (map[string]string, error) {
	m := map[string]string{}
	for _, pair := range o.meta {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usagef("--meta %q is not KEY=VALUE", pair)
		}
		m[key] = value
	}
	return m, nil
}

// describe says in few words how much is sent.
func (o *benchOptions) describe() string {
	var text string
	switch {
	case o.pacer == nil && o.users == 1:
		text = "1 user"
	case o.pacer == nil:
		text = fmt.Sprintf("%d users", o.users)
	default:
		text = benchreport.Rate(o.pacer.Rate(0))
	}
	if o.think > 0 {
		text += " who think for " + o.think.String()
	}
	if o.duration > 0 {
		text += " for " + o.duration.String()
	}
	if o.requests > 0 {
		text += ", at most " + benchreport.Count(int64(o.requests)) + " requests"
	}
	if o.warmup > 0 {
		text += ", the first " + o.warmup.String() + " not counted"
	}
	return text
}

// commandLine is the command as it can be typed again.
func commandLine(cmd *cobra.Command, args []string) string {
	words := []string{cmd.CommandPath()}
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			switch {
			case f.Value.Type() == "bool" && v == "true":
				words = append(words, "--"+f.Name)
			case f.NoOptDefVal != "":
				words = append(words, "--"+f.Name+"="+shellWord(v))
			default:
				words = append(words, "--"+f.Name, shellWord(v))
			}
		}
	})
	return strings.Join(words, " ")
}

// shellWord quotes text where a POSIX shell would read it as anything else.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+%@", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return shellQuote(text)
}
