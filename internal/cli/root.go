package cli

import (
	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/term"
)

// The groups of `msctl --help`, in its order. A command says which is its own
// with cobra's GroupID.
const (
	groupProject = "project"
	groupTalk    = "talk"
	groupMeasure = "measure"
	groupMore    = "more"
)

// subcommands is the one list of commands: a new one is added here.
func subcommands(s *term.IO, version string) []*cobra.Command {
	return []*cobra.Command{
		newNewCommand(s, version),
		newRunCommand(s),
		newPsCommand(s),
		newLogsCommand(s),
		newStopCommand(s),
		newGuardCommand(s),
		newNATSCommand(s),
		newSendCommand(s),
		newEmitCommand(s),
		newLsCommand(s),
		newBenchCommand(s, version),
		newMockCommand(s),
		newFaultCommand(s),
		newVersionCommand(s, version),
		newCompletionCommand(s),
		newTargetsTopic(s),
	}
}

// newRootCommand makes the whole command tree. Nothing runs before Execute.
func newRootCommand(s *term.IO, version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "msctl",
		Short: "Scaffold, run, call and load-test microservices that speak NestJS.",
		Long: `msctl makes, runs, calls and load-tests microservices, wire-compatible with
NestJS microservices in both directions.`,
		Example: `  msctl new shop                          a workspace with a gateway and two services
  msctl run                               build and run it, rebuild on change
  msctl send cmd=findAllItems             send a message, print the answer
  msctl bench cmd=findAllItems --rate 500/s`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	asksVersion := root.Flags().Bool("version", false, "print the version, as the command version does")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(cmd, args[0])
		case *asksVersion:
			return runVersion(s, readVersion(version), "")
		}
		return cmd.Help()
	}
	root.AddGroup(
		&cobra.Group{ID: groupProject, Title: "Make and run a project"},
		&cobra.Group{ID: groupTalk, Title: "Talk to services"},
		&cobra.Group{ID: groupMeasure, Title: "Measure"},
		&cobra.Group{ID: groupMore, Title: "More"},
	)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelpCommand(s))
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(s, cmd) })
	root.PersistentFlags().VarP(&colorFlag{s}, "color", "", "use colour `WHEN`: auto, always or never")
	root.AddCommand(subcommands(s, version)...)
	return root
}

// unknownCommand says which command was probably meant.
func unknownCommand(parent *cobra.Command, word string) error {
	var names []string
	for _, c := range parent.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	err := exit.Usagef("unknown command %q", word)
	if near := nearest.Word(word, names); near != "" {
		return exit.WithHint(err, "did you mean `%s %s`?", parent.CommandPath(), near)
	}
	return exit.WithHint(err, "`%s --help` lists the commands", parent.CommandPath())
}

// colorFlag is --color: it sets the mode as soon as it is read, so that also
// errors in later flags are printed in the colours asked for.
type colorFlag struct{ io *term.IO }

func (f *colorFlag) String() string {
	if f.io == nil {
		return "auto"
	}
	return [...]string{term.ColorAuto: "auto", term.ColorAlways: "always", term.ColorNever: "never"}[f.io.ColorMode()]
}

func (f *colorFlag) Set(text string) error {
	mode, err := term.ParseColorMode(text)
	if err != nil {
		return err
	}
	f.io.SetColor(mode)
	return nil
}

func (f *colorFlag) Type() string { return "WHEN" }
