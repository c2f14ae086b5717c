package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/term"
)

// Main runs msctl with the arguments that follow the program's name and returns the
// exit code. version is the version stamped by the build, or "" to use the module's
// build information. The first SIGINT or SIGTERM cancels the context of the command.
// The second ends the process, unless the command handles signals itself.
func Main(s *term.IO, version string, args []string) int {
	cobra.EnableCommandSorting = false // the help lists commands in the order of subcommands
	ctx, stop := withSignals(context.Background())
	defer stop()
	root := newRootCommand(s, version)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var bySignal *exit.SignalError
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &bySignal) && !errors.As(err, &bySignal) {
		err = bySignal
	}
	return exit.Report(s, err)
}

// withSignals returns a context that the first SIGINT or SIGTERM cancels with an
// *exit.SignalError as the cause. Call stop to release its goroutine.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case got := <-signals:
			signal.Stop(signals) // the next signal has its default effect
			cancel(&exit.SignalError{Signal: got})
		case <-ctx.Done():
			signal.Stop(signals)
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-finished
	}
}
