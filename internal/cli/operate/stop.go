package operate

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/term"
)

// stopTimeout limits how long `msctl stop` waits for a run to drain.
const stopTimeout = 2 * time.Minute

// NewStopCommand returns `msctl stop`.
func NewStopCommand(s *term.IO) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Drain and stop the running services",
		GroupID: command.GroupProject,
		Long: `Drain and stop every ` + "`msctl run`" + ` of this workspace, like Ctrl-C, and wait until its
services have ended. The exit code is 1 if nothing is running.`,
		Args: command.ArgCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStop(cmd.Context(), s)
		},
	}
}

func runStop(ctx context.Context, s *term.IO) error {
	w, err := command.RequireWorkspace()
	if err != nil {
		return err
	}
	runs, err := runningOf(ctx, s, w)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, c := range runs {
		status, err := c.Status(ctx)
		if err != nil {
			continue // it has just ended
		}
		start := time.Now()
		if err := c.Stop(ctx); err != nil {
			return exit.WithHint(err, "`kill %d` ends it and its services at once", status.Pid)
		}
		services := slices.DeleteFunc(status.Services, func(s proc.ServiceStatus) bool { return s.RunsBroker })
		s.Notef("%s %s: %s in %s", s.ErrPalette().Good("stopped"), w.Name, term.Count(len(services), "service"), term.Duration(time.Since(start)))
	}
	return nil
}
