package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/proc/broker"
	"github.com/msctl/msctl/internal/runlog"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
)

type logsOptions struct {
	services []string
	follow   bool
	log      string
}

func newLogsCommand(s *term.IO) *cobra.Command {
	o := logsOptions{}
	cmd := &cobra.Command{
		Use:     "logs [SERVICE…]",
		Short:   "Show the log of services in the background",
		GroupID: groupProject,
		Long: `Show the log of the last ` + "`msctl run --detach`" + ` of this workspace. With SERVICE, show
only the lines of these services. A broker of the run has the name rabbitmq, redis, or
nats; naming one shows its complete log.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return runLogs(cmd.Context(), s, o)
		},
		ValidArgsFunction: completeServices,
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "keep printing new lines until the run ends")
	cmd.Flags().StringVar(&o.log, "log", logText, "log `FORMAT`: text, or json (one object per line)")
	return cmd
}

func runLogs(ctx context.Context, s *term.IO, o logsOptions) error {
	w, err := requireWorkspace()
	if err != nil {
		return err
	}
	named := slices.DeleteFunc(slices.Clone(o.services), func(name string) bool { return isBroker(w, name) })
	asked := runOptions{services: named, log: o.log, readyTimeout: 1, stopTimeout: 1}
	if err := asked.checkNames(w); err != nil {
		return err
	}
	file, err := proc.LogFile(w, "")
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	if o.follow {
		watching, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			defer close(ended)
			awaitNoRun(watching, w)
		}()
	} else {
		close(ended)
	}
	printer := runlog.New(s, w, supervisedServices(w, nil), runlog.Options{JSON: o.log == logJSON, All: len(named) < len(o.services), FailFast: true, Past: true})
	err = runlog.Follow(ctx, file, ended, func(line string, e proc.Event, isEvent bool) bool {
		switch {
		case !isEvent:
			s.Notef("%s", s.Secrets().Mask(line))
		case len(o.services) == 0 || slices.Contains(o.services, e.Service):
			printer.Print(e)
		}
		return s.OutError() == nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return exit.WithHint(fmt.Errorf("%s has not run in the background yet", w.Name), "start it with `msctl run --detach`; `msctl run` without --detach prints its log itself")
	}
	return err
}

// isBroker reports whether a run may start a broker with that name.
func isBroker(w *workspace.Workspace, name string) bool {
	return slices.ContainsFunc(workspace.Brokers(), func(t workspace.Transport) bool { return broker.Name(w, t) == name })
}

// awaitNoRun returns when the workspace is no longer running, or ctx ends.
func awaitNoRun(ctx context.Context, w *workspace.Workspace) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if runs, err := proc.Runs(ctx, w, ""); err != nil || len(runs) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
