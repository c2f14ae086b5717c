package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/cli/create"
	"github.com/msctl/msctl/internal/cli/measure"
	"github.com/msctl/msctl/internal/cli/message"
	"github.com/msctl/msctl/internal/cli/operate"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// Main runs msctl with the arguments that follow the program's name and returns the
// exit code. version is the version stamped by the build, or "" to use the module's
// build information. The first SIGINT, SIGTERM, or SIGHUP cancels the context of the
// command. A second one, at least half a second later, ends the process, unless the command
// handles signals itself.
func Main(s *term.IO, version string, args []string) int {
	cobra.EnableCommandSorting = false // the help lists commands in the order of subcommands
	s.Secrets().Learn(args...)
	s.Secrets().LearnEnvironment(os.Environ())
	s.Secrets().LearnGenerated(workspace.CurrentEnviron())
	ctx, stop := command.WithSignals(context.Background())
	defer stop()
	root := newRootCommand(s, version)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && cmd == root && root.Flags().NArg() > 0 { // with --help; otherwise, its RunE returns this
		err = unknownCommand(root, root.Flags().Arg(0))
	}
	var bySignal *exit.SignalError
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &bySignal) && !errors.As(err, &bySignal) {
		err = bySignal
	}
	code := exit.Report(s, err)
	if lost := s.OutError(); lost != nil && err == nil {
		asksHelp, _ := cmd.Flags().GetBool("help") // false if there is no such flag
		if failed := exit.Report(s, lost); asksHelp || !command.IsIncidental(cmd) {
			return failed
		}
	}
	return code
}

// subcommands lists all commands. Add new commands here.
func subcommands(s *term.IO, info versionInfo) []*cobra.Command {
	return []*cobra.Command{
		create.NewNewCommand(s, info.Version),
		create.NewInitCommand(s),
		create.NewUpgradeCommand(s, info.Version),
		operate.NewRunCommand(s, info.Version),
		operate.NewPsCommand(s),
		operate.NewLogsCommand(s),
		operate.NewStopCommand(s),
		operate.NewTapCommand(s, info.Version),
		message.NewVerifyCommand(s),
		operate.NewGuardCommand(s),
		operate.NewNATSCommand(s),
		operate.NewTraceableCommand(),
		message.NewSendCommand(s),
		message.NewEmitCommand(s),
		message.NewLsCommand(s),
		operate.NewHealthCommand(s),
		operate.NewDoctorCommand(s),
		create.NewTokenCommand(s),
		measure.NewBenchCommand(s, info.Version),
		message.NewMockCommand(s),
		measure.NewFaultCommand(s),
		newVersionCommand(s, info),
		newCompletionCommand(s),
		newTargetsTopic(s),
		newWorkspaceTopic(s),
	}
}

// newRootCommand returns the complete command tree.
func newRootCommand(s *term.IO, version string) *cobra.Command {
	info := readVersion(version)
	root := &cobra.Command{
		Use:   "msctl",
		Short: "Create, run, call, and load-test NestJS-compatible microservices",
		Long:  `Create, run, call, and load-test microservices that are wire-compatible with NestJS.`,
		Example: `  msctl new shop                             # a workspace with a gateway and two services
  msctl init                                 # or msctl.yaml for existing NestJS applications
  msctl run                                  # build and run it, rebuild on change
  msctl send cmd=findAllItems                # send a message, print the reply
  msctl bench cmd=findAllItems --rate 500/s  # load-test its handler`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	asksVersion := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return unknownCommand(cmd, args[0])
		case *asksVersion:
			return runVersion(s, info, false)
		}
		return cmd.Help()
	}
	root.AddGroup(
		&cobra.Group{ID: command.GroupProject, Title: "Workspace commands"},
		&cobra.Group{ID: command.GroupTalk, Title: "Message commands"},
		&cobra.Group{ID: command.GroupMeasure, Title: "Load-testing commands"},
		&cobra.Group{ID: command.GroupMore, Title: "Other commands"},
	)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(newHelpCommand(s))
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if cmd != root || root.Flags().NArg() == 0 { // Main reports an unknown command
			printHelp(s, cmd)
		}
	})
	root.PersistentFlags().VarP(&colorFlag{s}, "color", "", "when to use color: auto, always, or never")
	root.AddCommand(subcommands(s, info)...)
	command.RejectEmptyValues(root)
	return root
}

// unknownCommand suggests the command that was probably meant.
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

// colorFlag is --color. It sets the mode as soon as it is parsed, so that errors in
// later flags use it, too.
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
