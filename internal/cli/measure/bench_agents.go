package measure

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/agents"
	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
)

// fleetFlags are the flags of `msctl bench` that make several processes run it.
type fleetFlags struct {
	agents, nats, pool, seed, onLoss string
	drawn                            bool // the runs are drawn on a screen
}

func (f *fleetFlags) register(cmd *cobra.Command) {
	const h = "Agents"
	flags := cmd.Flags()
	flags.StringVar(&f.agents, "agents", "", "run on `N` agents, or on N processes of this machine: local:N (see `msctl bench agent --help`)")
	flags.StringVar(&f.nats, "nats", "", "`URL` of the NATS server that connects the agents")
	flags.StringVar(&f.pool, "pool", agents.DefaultPool, "use the agents of the pool `NAME`")
	flags.StringVar(&f.seed, "agents-seed", "", "sign commands with the seed in `FILE` (default: in $MSCTL_BENCH_SEED)")
	flags.StringVar(&f.onLoss, "on-agent-loss", "continue", "when an agent is lost or stalled, `ACTION`: continue, or stop")
	_ = cmd.RegisterFlagCompletionFunc("on-agent-loss", cobra.FixedCompletions([]string{"continue", "stop"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	command.GroupFlags(cmd, h, "agents", "nats", "pool", "agents-seed", "on-agent-loss")
}

// fleet returns the coordinator of the agents; nil without --agents. All its errors are usage
// errors.
func (f *fleetFlags) fleet(cmd *cobra.Command, s *term.IO, version string) (*agents.Coordinator, error) {
	if f.agents == "" {
		for _, name := range []string{"nats", "pool", "agents-seed", "on-agent-loss"} {
			if cmd.Flags().Changed(name) {
				return nil, exit.Usagef("--%s requires --agents", name)
			}
		}
		return nil, nil
	}
	number, local := strings.CutPrefix(f.agents, "local:")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 1 || n > maxAgents:
		return nil, exit.Usagef("invalid --agents %q: use a number between 1 and %d, or local:N", f.agents, maxAgents)
	case local && (f.nats != "" || f.seed != "" || cmd.Flags().Changed("pool")):
		return nil, exit.Usagef("--agents local:%d has its own NATS server and key: remove --nats, --pool, and --agents-seed", n)
	case !local && f.nats == "":
		return nil, exit.WithHint(exit.Usagef("--agents %d requires --nats URL", n), "--agents local:%d needs no server", n)
	case !slices.Contains([]string{"continue", "stop"}, f.onLoss):
		return nil, exit.Usagef("unknown --on-agent-loss %q: use continue or stop", f.onLoss)
	}
	o := agents.Options{
		NATS: f.nats, Pool: f.pool, Agents: n, StopOnLoss: f.onLoss == "stop", Version: version,
		Notify: func(text string) {
			if !f.drawn { // the screen has a mark
				s.Remarkf("%s", text)
			}
		},
	}
	if err := checkPool(f.pool); err != nil {
		return nil, err
	}
	if local {
		var self string
		if self, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the msctl program: %w", err)
		}
		o.Local = []string{self, "bench", "agent", "--quiet"}
	} else {
		o.Signer, err = agents.LoadSigner(f.seed)
	}
	if err != nil {
		return nil, err
	}
	return agents.NewCoordinator(o), nil
}

// maxAgents bounds a typing error.
const maxAgents = 1000

func checkPool(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name) {
		return exit.Usagef("invalid --pool %q: use letters, digits, - and _", name)
	}
	return nil
}

// join makes a Spec run on the agents. The function ends them.
func (f *fleetFlags) join(cmd *cobra.Command, s *term.IO, version string, spec *bench.Spec) (leave func(), err error) {
	c, err := f.fleet(cmd, s, version)
	if c == nil || err != nil {
		return func() {}, err
	}
	spec.Fleet = c
	f.drawn = s.CanDraw() && !spec.NoTUI
	return c.Close, nil
}

func newBenchAgentCommand(s *term.IO, version string) *cobra.Command {
	var o agents.AgentOptions
	var quiet bool
	m := agents.Manifest{}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Wait for load tests to run a part of",
		Long: `Wait for the commands of a ` + "`msctl bench --agents N`" + ` and run a part of its load. The
agents of a pool and the command meet on a NATS server. An agent listens on no port.

It carries out only commands that are signed with the key whose public half is given
with --trust, and sends load only to addresses on its --allow list. References such as
'$NAME' in the messages are looked up in the agent's environment.

` + agents.URLSyntax,
		Example: `  msctl bench key
  msctl bench agent --nats nats://nats:4222 --trust UABC… --allow items.shop.svc:3002
  msctl bench cmd=findAllItems --to tcp://items.shop.svc:3002 --rate 5000/s --agents 4 --nats nats://nats:4222`,
		Args: command.ArgCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPool(o.Pool); err != nil {
				return err
			}
			if m.Kind != "" {
				m.Agent = o
				return printManifest(s, &m)
			}
			if err := requireFlags(o); err != nil {
				return err
			}
			o.Version, o.Secrets = version, s.Secrets()
			o.Log = func(format string, args ...any) {
				if !quiet {
					s.Notef("%s", fmt.Sprintf(format, args...))
				}
			}
			if fd, err := strconv.Atoi(os.Getenv(agents.ParentVariable)); err == nil {
				o.Parent = os.NewFile(uintptr(fd), "parent")
			}
			return agents.ServeAgent(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.NATS, "nats", "", "`URL` of the NATS server")
	f.StringVar(&o.Pool, "pool", agents.DefaultPool, "join the pool `NAME`")
	f.StringVar(&o.Trust, "trust", "", "carry out commands signed with the public `KEY`")
	f.StringArrayVar(&o.Allow, "allow", nil, "send load to `ADDRESS`: a host, host:port, an address, a network, or any (repeatable; default: loopback)")
	f.BoolVar(&o.Once, "once", false, "end after one run")
	f.BoolVarP(&quiet, "quiet", "q", false, "print nothing")
	f.StringVar(&m.Kind, "print", "", "print a manifest for agents instead, of `KIND` "+strings.Join(agents.ManifestKinds(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("print", cobra.FixedCompletions(agents.ManifestKinds(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	f.IntVar(&m.Count, "agents", 4, "with --print: `N` agents")
	f.StringVar(&m.Image, "image", "msctl", "with --print: the `IMAGE` of the agents, whose entrypoint is msctl")
	return cmd
}

// printManifest prints a manifest with agents.
func printManifest(s *term.IO, m *agents.Manifest) error {
	if !slices.Contains(agents.ManifestKinds(), m.Kind) {
		return exit.Usagef("unknown --print %q: use %s", m.Kind, strings.Join(agents.ManifestKinds(), ", "))
	}
	if m.Count < 1 || m.Count > maxAgents {
		return exit.Usagef("--agents must be between 1 and %d", maxAgents)
	}
	return m.Write(s.Out)
}

func requireFlags(o agents.AgentOptions) error {
	switch {
	case o.NATS == "":
		return exit.Usagef("msctl bench agent requires --nats URL")
	case o.Trust == "":
		return exit.WithHint(exit.Usagef("msctl bench agent requires --trust KEY"), "`msctl bench key` makes a key")
	}
	return nil
}

func newBenchKeyCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Make a key that signs the commands for agents",
		Long: `Print a new seed and its public key. The seed signs the commands of
` + "`msctl bench --agents`" + `: keep it secret, in a file for --agents-seed or in
MSCTL_BENCH_SEED. The public key is for --trust of the agents.`,
		Example: `  msctl bench key
  msctl bench key > bench.key`,
		Args: command.ArgCount(0, 0),
		RunE: func(*cobra.Command, []string) error {
			seed, public, err := agents.NewKey()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "seed    %s\npublic  %s\n", seed, public)
			return err
		},
	}
}
