package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
)

// NewPsCommand returns `msctl ps`.
func NewPsCommand(s *term.IO) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "ps",
		Short:   "Show the running services",
		GroupID: command.GroupProject,
		Long: `Show the services of this workspace that ` + "`msctl run`" + ` is running, in any terminal or
in the background. The exit code is 1 if nothing is running.`,
		Args: command.ArgCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPs(cmd.Context(), s, output == command.JSON)
		},
	}
	command.OutputFlag(cmd.Flags(), &output, "output `FORMAT`: json (one object per run)", command.JSON)
	return cmd
}

func runPs(ctx context.Context, s *term.IO, asJSON bool) error {
	w, err := command.RequireWorkspace()
	if err != nil {
		return err
	}
	runs, err := runningOf(ctx, s, w)
	if err != nil {
		return err
	}
	for _, c := range runs {
		status, err := c.Status(ctx)
		if err != nil {
			continue // it has just ended
		}
		if asJSON {
			text, err := json.Marshal(status.Redacted())
			if err != nil {
				return fmt.Errorf("print the status: %w", err)
			}
			if err := s.PrintJSON(term.JSONAuto, text); err != nil {
				return err
			}
			continue
		}
		printStatus(s, w, status)
	}
	return nil
}

// runningOf returns the runs of the workspace, or an error if there are none. Those that
// are suspended answer no requests: it reports them, and returns the others.
func runningOf(ctx context.Context, s *term.IO, w *workspace.Workspace) ([]proc.Control, error) {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil {
		return nil, err
	}
	var active []proc.Control
	var suspended error
	for _, c := range runs {
		if !c.Suspended {
			active = append(active, c)
			continue
		}
		if suspended != nil {
			exit.Report(s, suspended)
		}
		err := fmt.Errorf("%s is suspended (process %d); its services are running", w.Name, c.Pid)
		suspended = exit.WithHint(err, "`fg` in its terminal or `kill -CONT %d` resumes it", c.Pid)
	}
	switch {
	case suspended != nil && len(active) > 0:
		exit.Report(s, suspended)
	case suspended != nil:
		return nil, suspended
	case len(active) == 0:
		return nil, exit.WithHint(fmt.Errorf("%s is not running", w.Name), "start it with `msctl run`, or in the background with `msctl run --detach`")
	}
	return active, nil
}

func printStatus(s *term.IO, w *workspace.Workspace, status proc.Status) {
	c := s.OutPalette()
	width, long := len("service"), len("address")
	for _, service := range status.Services {
		width, long = max(width, len(service.Name)), max(long, len(service.URL))
	}
	fmt.Fprintln(s.Out, c.Bold(fmt.Sprintf("%-*s  %-8s  %-8s  %-7s  %-7s  %s", width, "service", "state", "age", "pid", "crashes", "address")))
	for _, service := range status.Services {
		state := fmt.Sprintf("%-8s", service.State)
		switch service.State {
		case proc.StateReady:
			state = c.Good(state)
		case proc.StateCrashed, proc.StateFailed:
			state = c.Bad(state)
		default:
			state = c.Warn(state)
		}
		pid, note := "-", ""
		if service.Pid != 0 {
			pid = fmt.Sprint(service.Pid)
		}
		if service.BuildFailed {
			note = c.Bad("  build failed")
		}
		if service.Problem != "" {
			note += c.Dim("  " + visible.Line(s.Secrets().Mask(service.Problem)))
		}
		if service.Debugger != "" {
			note += c.Dim("  debugger at " + service.Debugger)
		}
		number := indexOf(w.Names(), service.Name)
		if service.RunsBroker {
			note += c.Dim("  started for this run")
		}
		fmt.Fprintf(s.Out, "%s  %s  %-8s  %-7s  %-7d  %s%s\n", c.Service(number, fmt.Sprintf("%-*s", width, service.Name)), state,
			age(time.Since(service.Since)), pid, service.Crashes, runlog.Localhost(service.URL), note)
	}
}

func indexOf(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return len(words)
}

// age formats a duration for a table: 12s, 3m20s, 5h2m.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
}
