package measure

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/policy"
)

// NewBenchCommand returns `msctl bench`, for msctl of a version.
func NewBenchCommand(s *term.IO, version string) *cobra.Command {
	spec := bench.NewSpec()
	spec.Tool, spec.Secrets = "msctl "+version, s.Secrets()
	cmd := benchCommand(spec)
	var fleet fleetFlags
	fleet.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		leave, err := fleet.join(cmd, s, version, spec)
		if err != nil {
			return err
		}
		defer leave()
		if err := completeBench(cmd, s, spec, args); err != nil {
			return err
		}
		if len(spec.Messages) == 0 && !spec.Trials.Demo {
			return printcode.WritePolicy(s.Out, spec.PrintPolicy, spec.ClientPolicy().Settings())
		}
		for _, note := range spec.Notes {
			s.Remarkf("%s", note)
		}
		return runBench(cmd.Context(), s, spec, cmd.Flag("output").Value.String())
	}
	cmd.AddCommand(newBenchReportCommand(s), newBenchCompareCommand(s), newBenchAgentCommand(s, version), newBenchKeyCommand(s))
	return cmd
}

// benchCommand describes the command; its flags change spec.
func benchCommand(spec *bench.Spec) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench [PATTERN] [DATA…]",
		Short: "Load-test a service and its callers' retry policy",
		Long: `Send requests to a service at a rate, or from a number of users, under a policy of
timeouts and retries, and report the outcome of each. Latencies are measured from
the time at which a request was due, so a stall of the service cannot hide. With a
fault, the verdict states whether the system recovered. On a terminal, the run is
drawn live and can be changed while it is running.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + `
  id:={{.id}} name=w-{{seq}} templates, evaluated for each request: {{seq}},
                             {{uuid}}, {{int 1 100}}, {{float 0 1}},
                             {{pick "a" "b"}}, {{now}}, and {{.name}} of a line
                             of --data-file

` + target.Syntax + `
An http:// or https:// URL is loaded with HTTP requests and takes no PATTERN. It may
contain templates, and so may the headers. A status from 200 to 299 is ok.

Credentials are masked in every output: the values of names such as Authorization,
token, or password. Write them as '$NAME' to repeat the command without them.`,
		Example: `  msctl bench --demo                          a retry storm, and how to prevent it
  msctl bench cmd=findAllItems --rate 500/s --duration 10s
  msctl bench cmd=findItem id:=7 --to items --users 50 --think 100ms
  msctl bench cmd=findAllItems --rate 200/s --policy naive --fault 'stall@5s+4s' --duration 25s
  msctl bench cmd=findAllItems --collapse --timeout 300ms
  msctl bench cmd=findAllItems --rate 200/s --sweep timeout=100ms,300ms,1s --sweep retries=0,1,3
  msctl bench --to http://localhost:3001/items --rate 200/s --html report.html
  msctl bench --from session.jsonl --to items --rate 200/s
  msctl bench cmd=findAllItems --rate 20000/s --agents 4 --nats nats://nats:4222
  msctl bench --scenario bench.yaml --no-tui --threshold 'p99<50ms' --threshold 'goodput>99%'`,
		GroupID:     command.GroupMeasure,
		Args:        command.ArgCount(0, -1),
		Annotations: command.IncidentalOutput(),
	}
	f := benchFlags{cmd, spec}
	f.target()
	f.load()
	f.message()
	f.policy()
	f.faults()
	f.trials()
	f.results()
	return cmd
}

// completeBench completes the Spec of the flags: with the scenario and the
// arguments. All its errors are usage errors: nothing has been sent.
func completeBench(cmd *cobra.Command, s *term.IO, spec *bench.Spec, args []string) error {
	if jitter, rest := command.TakeJitter(cmd.Flag("jitter").Value.String(), args); len(rest) < len(args) {
		args = rest
		if err := spec.Set("jitter", jitter); err != nil {
			return err
		}
	}
	if path := cmd.Flag("scenario").Value.String(); path != "" {
		if err := spec.ReadScenario(path, len(args) > 0); err != nil {
			return err
		}
	}
	if languages := printcode.PolicyLanguages(); spec.PrintPolicy != "" && !slices.Contains(languages, spec.PrintPolicy) {
		return spec.Usagef([]string{"print-policy"}, "unknown --print-policy %q: use %s", spec.PrintPolicy, strings.Join(languages, " or "))
	}
	if spec.PrintPolicy != "" { // rather than after the run
		if err := printcode.WritePolicy(io.Discard, spec.PrintPolicy, spec.ClientPolicy().Settings()); err != nil {
			return err
		}
	}
	format := cmd.Flag("output").Value.String()
	if err := checkFormat(format); err != nil {
		return err
	}
	if format != reportFormats()[0] && spec.PrintPolicy != "" {
		return spec.Usagef([]string{"print-policy"}, "--print-policy cannot be combined with --output %s: use `msctl bench report --print-policy`", format)
	}
	if len(spec.Messages) == 0 {
		if err := spec.SetMessage(args); err != nil {
			return err
		}
	}
	spec.Command = commandLine(cmd, spec, args)
	return spec.Check(s.In)
}

// benchFlags registers flags that set the settings of a Spec.
type benchFlags struct {
	cmd  *cobra.Command
	spec *bench.Spec
}

// benchFlag is the value of a flag that sets a setting.
type benchFlag struct {
	spec       *bench.Spec
	name, kind string
}

// String returns the last value, or "" if the flag is not set.
func (f *benchFlag) String() string {
	if f.spec == nil { // pflag asks a zero value
		return ""
	}
	values := f.spec.Values(f.name)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Set sets the setting.
func (f *benchFlag) Set(text string) error { return f.spec.Set(f.name, text) }

// Type returns the type in the words of pflag.
func (f *benchFlag) Type() string { return f.kind }

// add adds a flag under a heading of the help. kind is its type in the words of
// pflag, and def its default as the help shows it.
func (f benchFlags) add(heading, name, shorthand, kind, def, usage string) {
	flag := f.cmd.Flags().VarPF(&benchFlag{f.spec, name, kind}, name, shorthand, usage)
	flag.DefValue = def
	if kind == "bool" {
		flag.NoOptDefVal = "true"
	}
	command.GroupFlags(f.cmd, heading, name)
}

// bind makes flags that have been added otherwise set the settings of the same name.
func (f benchFlags) bind(names ...string) {
	for _, name := range names {
		flag := f.cmd.Flags().Lookup(name)
		flag.Value = &benchFlag{f.spec, name, flag.Value.Type()}
	}
}

func (f benchFlags) target() {
	command.RegisterTarget(f.cmd, &f.spec.Target, "Target")
	f.cmd.ValidArgsFunction = command.CompleteMessage
	command.RegisterBuffer(f.cmd, &f.spec.Target, "Target")
	f.bind("to", "ca", "cert", "key", "insecure", "max-buffer-size")
}

func (f benchFlags) load() {
	const h = "Load"
	f.add(h, "rate", "r", "string", "100/s", "open-loop load: send requests at `RATE`, answered or not: 500/s, 30000/m")
	f.add(h, "ramp", "", "string", "", "open-loop load with a rate that changes linearly, `FROM..TO`: 100/s..2000/s")
	f.add(h, "sine", "", "string", "", "open-loop load with a rate that follows a sine, `MEAN+-SWING:PERIOD`: 500/s+-200/s:30s")
	f.add(h, "stages", "", "string", "", "open-loop load in stages, `RATE:TIME,...`, each reached linearly in its time: 500/s:10s,500/s:1m,0/s:5s")
	f.add(h, "users", "u", "int", "", "closed-loop load: `N` users, each sending its next request when the previous one is answered")
	f.add(h, "think", "", "duration", "", "pause of `DURATION` between a user's requests")
	f.add(h, "arrivals", "", "string", "uniform", "distribution of the requests of a rate over time: `KIND` uniform, or poisson for independent users")
	f.add(h, "coalesce", "", "duration", "", "send requests that are due within `DURATION` of each other together, which costs less CPU; at most 100ms")
	f.add(h, "duration", "d", "duration", "10s", "send requests for `DURATION`")
	f.add(h, "requests", "n", "uint", "", "stop after `N` requests; without --duration, however long it takes")
	f.add(h, "warmup", "", "duration", "", "exclude the first `DURATION` from the results")
	f.add(h, "connections", "c", "int", "1", "open `N` connections to each address, or to the broker")
	f.add(h, "max-in-flight", "", "int", "10000", "shed requests (count but do not send them) while `N` are in flight")
	f.add(h, "seed", "", "uint", "1", "seed `N` for random arrivals, data, and faults: the same seed repeats them")
}

func (f benchFlags) message() {
	const h = "Message"
	f.cmd.Flags().String("scenario", "", "read flags, and several messages with their weights, from `FILE` (YAML)")
	command.GroupFlags(f.cmd, h, "scenario")
	f.add(h, "from", "", "string", "", "send the messages of a recording in `FILE`, which msctl tap --record has written, in its proportions")
	f.add(h, "service", "", "string", "", "with --from: send only what `NAME` handled (default: that of --to, if the recording has it, or all)")
	f.add(h, "data-file", "", "string", "", "take the data from the lines of `FILE` (NDJSON); in DATA, {{.name}} is a member of the line")
	f.add(h, "data-order", "", "string", "", "`ORDER` of the lines of --data-file: round-robin (the default) or random")
	f.add(h, "meta", "m", "stringArray", "", "add `KEY=VALUE` to the metadata; {{deadline}} and {{attempt}} are those of the attempt (repeatable)")
	f.add(h, "no-metadata", "", "bool", "", "send no metadata except --meta")
	f.add(h, "method", "X", "string", "", "HTTP: request `METHOD` (default GET, or POST with data)")
	f.add(h, "header", "H", "stringArray", "", "HTTP: add the header `NAME: VALUE`; '$NAME' and @FILE in VALUE are looked up (repeatable)")
	f.add(h, "redirects", "", "int", "0", "HTTP: follow up to `N` redirects; one that is not followed is an error")
	f.add(h, "http2", "", "bool", "", "HTTP: use HTTP/2, over TLS for https:// and without TLS for http://")
	f.add(h, "expect", "", "string", "", "count replies for which a jq `EXPRESSION` is false or null as errors; $status is the HTTP status")
}

func (f benchFlags) policy() {
	const h = "Policy"
	f.add(h, "policy", "", "string", "none", "start from the preset `NAME`: "+strings.Join(policy.PresetNames(), ", "))
	new(command.PolicyFlags).Register(f.cmd, h)
	shared := []string{"timeout", "retries", "retry-delay", "backoff", "jitter"}
	f.bind(shared...)
	for _, name := range shared {
		f.cmd.Flags().Lookup(name).DefValue = "" // the preset's
	}
	f.add(h, "budget", "", "string", "", "limit retries to a `SHARE` of the requests plus a number per second: 20%+10/s, or none")
	f.add(h, "retry-on", "", "string", "", "retry these `FAILURES`: timeout, unreachable, reset, error, 503, 5xx, any, never, or transient")
	f.add(h, "hedge", "", "string", "", "send a second attempt if there is no reply `AFTER` 50ms, or after p95 of the latencies")
	f.add(h, "breaker", "", "string", "", "stop sending for a while when a `SHARE` of the attempts fails: 50%/10s+5s (within 10s, for 5s), or none")
	f.add(h, "deadline", "", "duration", "", "limit each request, with all its attempts, to `DURATION`")
	f.add(h, "print-policy", "", "string", "", "print the policy (after a run, the suggested one) as code in `LANGUAGE`: "+strings.Join(printcode.PolicyLanguages(), " or "))
}

func (f benchFlags) faults() {
	f.add("Faults", "objective", "", "duration", "", "count replies within `DURATION` as on time when a recovery is judged (default twice the p95 before the fault, at least 100ms)")
	f.add("Faults", "fault", "f", "stringArray", "", "inject `FAULT`: 'stall@10s+4s', 'error=20%', 'latency=200ms±50ms@10s+5s' (repeatable; see `msctl fault --help`)")
}

func (f benchFlags) trials() {
	const h = "Multiple runs"
	f.add(h, "repeat", "", "int", "1", "repeat each run `N` times, in turn")
	f.add(h, "sweep", "", "stringArray", "", "run every combination of `FLAG=VALUE,...`: timeout=100ms,1s (repeatable)")
	f.add(h, "collapse", "", "bool", "", "find the capacity, load to 65% of it, stall for 4s, and report under which policies the system recovers")
	f.add(h, "demo", "", "bool", "", "show a retry storm, and how to prevent it, with a built-in service")
}

func (f benchFlags) results() {
	const h = "Results"
	f.add(h, "save", "", "string", "", "save all results to `FILE` (JSON), for bench report and bench compare")
	f.add(h, "html", "", "string", "", "write the report to `FILE` as a single HTML page")
	f.add(h, "markdown", "", "string", "", "write the report to `FILE` as Markdown, for a pull request")
	f.add(h, "csv", "", "string", "", "write one line per second to `FILE`")
	f.add(h, "junit", "", "string", "", "write thresholds and verdicts to `FILE` as JUnit XML")
	f.add(h, "vegeta", "", "string", "", "write every request to `FILE`, for vegeta report and vegeta plot")
	f.add(h, "baseline", "", "string", "", "compare with the run saved in `FILE`; exit with code 99 on a regression")
	f.add(h, "threshold", "", "stringArray", "", "exit with code 99 unless `BOUND` holds: p99<50ms (of ok requests), p99{all}<1s, p99{create}<80ms (of a message), goodput>99%, recovery<3s (repeatable)")
	f.add(h, "abort-on", "", "stringArray", "", "a --threshold; also stop the run as soon as `BOUND` can no longer be met (repeatable)")
	f.add(h, "metrics", "", "string", "", "serve live metrics at `HOST:PORT` during the runs, in the text format of Prometheus: localhost:9464")
	f.add(h, "no-tui", "", "bool", "", "print one line per second instead of drawing")
	f.cmd.Flags().StringP("output", "o", "text", "print the report in `FORMAT`: "+strings.Join(reportFormats(), ", "))
	command.GroupFlags(f.cmd, h, "output")
}

// commandLine returns the command as it can be typed again, with references to
// environment variables instead of credentials. It includes the settings of a scenario.
func commandLine(cmd *cobra.Command, spec *bench.Spec, args []string) string {
	var variables secret.Variables
	words := []string{cmd.CommandPath()}
	for i, arg := range args {
		if i == 0 && len(spec.Messages) == 1 && spec.Messages[0].Pattern != "" {
			arg = secret.Argument(arg) // a PATTERN has no references
		}
		words = append(words, shorthand.Word(variables.Argument(arg)))
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		var values []string
		if setting, ok := command.Unwrap(f).(*benchFlag); ok {
			values = spec.Values(setting.name)
		} else if f.Changed {
			values = []string{f.Value.String()}
		}
		for _, v := range values {
			switch f.Name {
			case "to":
				v = variables.Argument(target.Shown(v))
			case "header", "meta":
				v = variables.Argument(v)
			default:
				v = secret.Text(v)
			}
			switch {
			case f.Value.Type() == "bool" && v == "true":
				words = append(words, "--"+f.Name)
			case f.NoOptDefVal != "":
				words = append(words, "--"+f.Name+"="+shorthand.Word(v))
			default:
				words = append(words, "--"+f.Name, shorthand.Word(v))
			}
		}
	})
	return strings.Join(words, " ")
}
