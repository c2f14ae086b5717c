package cli

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/msctl/msctl/internal/exit"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/policy"
)

// benchOptions is what `msctl bench` was told.
type benchOptions struct {
	benchLoad
	benchOutput
	content benchContent
	target  target.Flags
	flags   benchPolicy
	faults  benchFaults
	lab     benchLab

	scenario    string
	noTUI       bool
	thresholds  []string
	printPolicy string

	policy   *policy.Policy
	messages []*readyMessage
	parsed   []benchreport.Threshold
	given    func(flag string) bool
	fromFile *scenario      // nil without one
	brought  []benchMessage // in the place of those that are typed; nil: none
	stdin    *replay
	command  string // runs it again
	tool     string // what writes documents

	// variant is the same command with some flags set to other values.
	variant func(changes map[string]string, brought []benchMessage) (*benchOptions, error)
}

func newBenchCommand(s *term.IO, version string) *cobra.Command {
	cmd, o := benchCommand(s, version, &replay{from: s.In})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(cmd, args); err != nil {
			return err
		}
		if len(o.messages) == 0 && !o.lab.demo {
			return printcode.WritePolicy(s.Out, o.printPolicy, o.policy.Settings())
		}
		return runBench(cmd.Context(), s, o)
	}
	cmd.AddCommand(newBenchReportCommand(s), newBenchCompareCommand(s))
	return cmd
}

// benchCommand describes the command and where its flags go. It does not run
// anything yet.
func benchCommand(s *term.IO, version string, stdin *replay) (*cobra.Command, *benchOptions) {
	o := &benchOptions{tool: "msctl " + readVersion(version).Version}
	cmd := &cobra.Command{
		Use:   "bench [PATTERN] [DATA…]",
		Short: "Load-test a service, and see what timeouts and retries do to it",
		Long: `Send requests to a service at a rate, or from a number of users, each under a
policy of timeout and retries, and tell what became of every one of them. Latencies
count from the moment a request was due, so a service that stalls cannot hide it.
With a fault, the verdict tells whether the system came back. On a terminal the run
is drawn live and can be changed while it goes on.

` + shorthand.PatternSyntax + "\n\n" + shorthand.DataSyntax + `
  id:={{.id}} name=w-{{seq}} a template, filled in for each request: {{seq}},
                             {{uuid}}, {{int 1 100}}, {{pick "a" "b"}}, {{now}},
                             and {{.name}} of a line of --data-file

` + target.Syntax + `
An http:// or https:// URL is loaded with HTTP requests; there is no PATTERN then.`,
		Example: `  msctl bench --demo                          a retry storm, and what ends it
  msctl bench cmd=findAllItems --rate 500/s --duration 10s
  msctl bench cmd=findItem id:=7 --to items --users 50 --think 100ms
  msctl bench cmd=findAllItems --rate 200/s --policy naive --fault 'stall@5s+4s' --duration 25s
  msctl bench cmd=findAllItems --collapse --timeout 300ms
  msctl bench cmd=findAllItems --rate 200/s --sweep timeout=100ms,300ms,1s --sweep retries=0,1,3
  msctl bench --to http://localhost:3001/items --rate 200/s --html report.html
  msctl bench --scenario bench.yaml --no-tui --threshold 'p99<50ms' --threshold 'goodput>99%'`,
		GroupID: groupMeasure,
		Args:    argCount(0, -1),
	}
	o.register(cmd)
	o.variant = func(changes map[string]string, brought []benchMessage) (*benchOptions, error) {
		other, next := benchCommand(s, version, stdin)
		if err := retype(cmd, other, changes); err != nil {
			return nil, err
		}
		next.lab.part, next.brought = true, brought
		return next, next.complete(other, cmd.Flags().Args())
	}
	o.stdin = stdin
	return cmd, o
}

func (o *benchOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	registerTarget(cmd, &o.target, "Where to")
	o.benchLoad.register(cmd)
	f.StringVar(&o.scenario, "scenario", "", "read flags, and several messages with their weights, from `FILE` (YAML)")
	groupFlags(cmd, "What", "scenario")
	o.content.register(cmd)
	o.flags.register(cmd, "How patiently")
	f.StringVar(&o.printPolicy, "print-policy", "", "print the policy, after a run the suggested one, as code in `LANGUAGE`: "+strings.Join(printcode.PolicyLanguages(), " or "))
	groupFlags(cmd, "How patiently", "print-policy")
	o.faults.register(cmd)
	o.lab.register(cmd)
	o.benchOutput.register(cmd)
	f.StringArrayVar(&o.thresholds, "threshold", nil, "end with exit code 99 unless `BOUND` holds: p99<50ms, goodput>99%, recovery<3s (repeatable)")
	f.BoolVar(&o.noTUI, "no-tui", false, "print a line a second instead of drawing")
	groupFlags(cmd, "Result", "threshold", "no-tui")
}

// complete reads the arguments and checks the flags against each other. All its
// errors are usage errors: nothing has been sent.
func (o *benchOptions) complete(cmd *cobra.Command, args []string) error {
	err := o.read(cmd, args)
	return o.fromFile.blame(err)
}

// read is complete without the lines of a scenario.
func (o *benchOptions) read(cmd *cobra.Command, args []string) (err error) {
	typed := args
	args = o.flags.takeJitter(args)
	given := cmd.Flags().Changed
	o.given = given
	listed := o.brought
	if o.scenario != "" {
		if listed, err = o.readScenario(cmd, len(args) > 0); err != nil {
			return err
		}
	}
	if o.policy, err = o.flags.build(); err != nil {
		return err
	}
	if err := o.benchLoad.check(given, o.lab.sweeping); err != nil {
		return err
	}
	if err := o.faults.check(); err != nil {
		return err
	}
	if err := o.lab.check(o, given); err != nil {
		return err
	}
	if err := o.readThresholds(); err != nil {
		return err
	}
	if err := o.benchOutput.check(o); err != nil {
		return err
	}
	if o.printPolicy != "" && !slices.Contains(printcode.PolicyLanguages(), o.printPolicy) {
		return exit.Usagef("unknown --print-policy %q: use %s", o.printPolicy, strings.Join(printcode.PolicyLanguages(), " or "))
	}
	o.command = commandLine(cmd, typed)
	if listed == nil {
		if listed, err = o.typedMessage(args); err != nil {
			return err
		}
	}
	if err := o.readMessages(listed); err != nil {
		return err
	}
	return o.trySweep()
}

// readThresholds reads --threshold.
func (o *benchOptions) readThresholds() error {
	for _, text := range o.thresholds {
		t, err := parseThreshold(text)
		if err != nil {
			return err
		}
		if strings.HasPrefix(strings.TrimSpace(text), "recovery") && !o.hasTrigger() {
			return exit.WithHint(exit.PointAt("--threshold", text, 0, "there is nothing to recover from"),
				"add a fault that ends, such as --fault 'stall@5s+4s'")
		}
		o.parsed = append(o.parsed, t)
	}
	return nil
}

// hasTrigger reports whether a fault will begin and end.
func (o *benchOptions) hasTrigger() bool {
	return slices.ContainsFunc(o.faults.list, faultWithEnd) || o.lab.part || o.lab.collapse || o.lab.demo || o.lab.sweeping("fault")
}

// typedMessage is the one message of the command line; none for the demo, and
// where only a policy is printed.
func (o *benchOptions) typedMessage(args []string) ([]benchMessage, error) {
	http := isHTTP(o.target.To)
	switch {
	case o.lab.demo && len(args) > 0:
		return nil, exit.Usagef("--demo brings its own service: leave %q out", args[0])
	case http && len(args) > 0 && strings.HasPrefix(args[0], "cmd="):
		return nil, exit.WithHint(exit.Usagef("%s is an HTTP target, which has no patterns: leave %q out", target.Shown(o.target.To), args[0]),
			"to send a member called cmd, write DATA as JSON")
	case o.lab.demo, len(args) == 0 && !http && o.printPolicy != "":
		return nil, nil
	case len(args) == 0 && !http:
		return nil, exit.WithHint(exit.Usagef("msctl bench is missing PATTERN"), "`msctl bench --demo` needs none")
	}
	return []benchMessage{o.content.message(args, http)}, nil
}

func isHTTP(to string) bool {
	return strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://")
}

func (o *benchOptions) readMessages(listed []benchMessage) error {
	for i := range listed {
		r, err := listed[i].ready(o.stdin.reader(), o.seed+uint64(i))
		if err != nil {
			return err
		}
		o.messages = append(o.messages, r)
	}
	return nil
}

// title is what is sent, in few words.
func (o *benchOptions) title() string {
	var names []string
	for _, m := range o.messages {
		switch {
		case m.name != "":
			names = append(names, m.name)
		case m.target.Scheme == target.SchemeHTTP:
			names = append(names, m.verb()+" "+pathOf(m.target))
		default:
			names = append(names, m.route.String())
		}
	}
	return strings.Join(names, ", ")
}

// targets is whom it is sent to.
func (o *benchOptions) targets() string {
	var names []string
	for _, m := range o.messages {
		if name := m.target.Name() + target.AtAddress(m.target); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// replay is standard input for several who each read all of it.
type replay struct {
	from io.Reader
	text []byte
	err  error
	done bool
}

// reader reads from the beginning.
func (r *replay) reader() io.Reader { return &replayed{all: r} }

type replayed struct {
	all *replay
	in  *bytes.Reader
}

// Read reads; only then is standard input itself read.
func (r *replayed) Read(p []byte) (int, error) {
	if !r.all.done {
		r.all.text, r.all.err = io.ReadAll(r.all.from)
		r.all.done = true
	}
	if r.in == nil {
		r.in = bytes.NewReader(r.all.text)
	}
	n, err := r.in.Read(p)
	if err != nil && r.all.err != nil {
		err = r.all.err
	}
	return n, err
}

// retype gives other the flags that cmd was given, with some changed. A flag of
// the load's shape takes the place of another one.
func retype(cmd, other *cobra.Command, changes map[string]string) error {
	shaped := slices.ContainsFunc(shapes(), func(name string) bool { _, ok := changes[name]; return ok })
	var err error
	set := func(f *pflag.Flag, value string) {
		if e := other.Flags().Set(f.Name, value); e != nil && err == nil {
			err = flagError(other, e)
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if _, changed := changes[f.Name]; changed || shaped && slices.Contains(shapes(), f.Name) {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				set(f, v)
			}
			return
		}
		set(f, f.Value.String())
	})
	for name, value := range changes {
		if f := other.Flags().Lookup(name); f != nil {
			set(f, value)
		}
	}
	return err
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
			if f.Name == "to" {
				v = target.Shown(v)
			}
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
	return printcode.ShellQuote(text)
}
