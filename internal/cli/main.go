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

// Main runs msctl with the arguments after the program's name and returns the
// exit code. version is what the build was stamped with, or "" to take it from
// the module's build information. The first SIGINT or SIGTERM ends the context
// of the command; a second one ends the process, unless the command has taken
// over signals itself.
func Main(s *term.IO, version string, args []string) int {
	cobra.EnableCommandSorting = false // the help lists commands in our order
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

// withSignals gives a context that ends with the first SIGINT or SIGTERM; its
// cause is a *signalError. stop releases the goroutine that waits for them.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case got := <-signals:
			signal.Stop(signals) // the next one has its usual effect
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
