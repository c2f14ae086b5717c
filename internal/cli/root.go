package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

// Main runs msctl with the arguments that follow the program's name and returns the
// exit code. version is the version stamped by the build, or "" to use the module's
// build information. The first SIGINT, SIGTERM, or SIGHUP cancels the context of the
// command. A second one, at least [sameSignal] later, ends the process, unless the command
// handles signals itself.
func Main(s *term.IO, version string, args []string) int {
	cobra.EnableCommandSorting = false // the help lists commands in the order of subcommands
	s.Secrets().Learn(args...)
	s.Secrets().LearnEnvironment(os.Environ())
	s.Secrets().LearnGenerated(workspace.CurrentEnviron())
	ctx, stop := withSignals(context.Background())
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
		if failed := exit.Report(s, lost); asksHelp || cmd.Annotations[incidental] == "" {
			return failed
		}
	}
	return code
}

// incidental is the annotation of commands whose exit code is about more than their
// output: losing it does not change the code.
const incidental = "msctl_incidental"

func incidentalOutput() map[string]string { return map[string]string{incidental: "true"} }

// withSignals returns a context that the first SIGINT, SIGTERM, or SIGHUP cancels with an
// *exit.SignalError as the cause. Signals that the parent process ignores, as nohup does,
// are ignored. SIGPIPE has no effect: a write to a closed pipe returns an error. Call stop
// to release its goroutine.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	// Notify rather than Ignore, because child processes inherit what is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	finished, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		defer signal.Stop(signals) // the next signal has its default effect
		select {
		case got := <-signals:
			cancel(&exit.SignalError{Signal: got})
			ignore(signals, stopped)
		case <-ctx.Done():
		}
	}()
	return ctx, sync.OnceFunc(func() {
		cancel(context.Canceled)
		close(stopped)
		<-finished
	})
}

// sameSignal is how long after the first signal others count as the same one: a wrapper,
// such as npm or make, forwards what the terminal has already sent to msctl.
const sameSignal = 500 * time.Millisecond

// signalCount counts signals. The zero value has counted none.
type signalCount struct{ first time.Time }

// second reports whether a signal follows another one that does not count as the same.
func (c *signalCount) second(now time.Time) bool {
	if c.first.IsZero() {
		c.first = now
		return false
	}
	return now.Sub(c.first) >= sameSignal
}

// ignore receives the signals that count as the first one, unless stopped is closed first.
func ignore(signals <-chan os.Signal, stopped <-chan struct{}) {
	timer := time.NewTimer(sameSignal)
	defer timer.Stop()
	for {
		select {
		case <-signals:
		case <-timer.C:
			return
		case <-stopped:
			return
		}
	}
}

// The groups of `msctl --help`, in order. A command selects one with cobra's GroupID.
const (
	groupProject = "project"
	groupTalk    = "talk"
	groupMeasure = "measure"
	groupMore    = "more"
)

// subcommands lists all commands. Add new commands here.
func subcommands(s *term.IO, version string) []*cobra.Command {
	return []*cobra.Command{
		newNewCommand(s, version),
		newInitCommand(s),
		newUpgradeCommand(s, version),
		newRunCommand(s, version),
		newPsCommand(s),
		newLogsCommand(s),
		newStopCommand(s),
		newTapCommand(s, version),
		newVerifyCommand(s),
		newGuardCommand(s),
		newNATSCommand(s),
		newTraceableCommand(),
		newSendCommand(s),
		newEmitCommand(s),
		newLsCommand(s),
		newHealthCommand(s),
		newDoctorCommand(s),
		newTokenCommand(s),
		newBenchCommand(s, version),
		newMockCommand(s),
		newFaultCommand(s),
		newVersionCommand(s, version),
		newCompletionCommand(s),
		newTargetsTopic(s),
		newWorkspaceTopic(s),
	}
}

// newRootCommand returns the complete command tree.
func newRootCommand(s *term.IO, version string) *cobra.Command {
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
			return runVersion(s, readVersion(version), false)
		}
		return cmd.Help()
	}
	root.AddGroup(
		&cobra.Group{ID: groupProject, Title: "Workspace commands"},
		&cobra.Group{ID: groupTalk, Title: "Message commands"},
		&cobra.Group{ID: groupMeasure, Title: "Load-testing commands"},
		&cobra.Group{ID: groupMore, Title: "Other commands"},
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
	root.AddCommand(subcommands(s, version)...)
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
