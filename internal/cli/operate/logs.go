package operate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
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
	tail     int
	since    time.Duration
	times    bool
}

// NewLogsCommand returns `msctl logs`.
func NewLogsCommand(s *term.IO) *cobra.Command {
	o := logsOptions{}
	cmd := &cobra.Command{
		Use:     "logs [SERVICE…]",
		Short:   "Show the log of services in the background",
		GroupID: command.GroupProject,
		Long: `Show the log of the last ` + "`msctl run --detach`" + ` of this workspace. With SERVICE, show
only the lines of these services. A broker of the run has the name rabbitmq, redis, or
nats; naming one shows its complete log. The log consists of at most 40 MiB, and is
removed after two weeks.`,
		Example: `  msctl logs -f
  msctl logs items --tail 20
  msctl logs --since 5m --timestamps`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return runLogs(cmd.Context(), s, o)
		},
		ValidArgsFunction: completeServices,
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "keep printing new lines until the run ends")
	cmd.Flags().IntVarP(&o.tail, "tail", "n", -1, "print only the last `N` lines (default all)")
	command.DurationFlag(cmd.Flags(), &o.since, "since", 0, "print only lines of the last `DURATION`, such as 5m")
	cmd.Flags().BoolVar(&o.times, "timestamps", false, "print the time of each line")
	cmd.Flags().StringVar(&o.log, "log", logText, "log `FORMAT`: text, or json (one object per line)")
	return cmd
}

func runLogs(ctx context.Context, s *term.IO, o logsOptions) error {
	w, err := command.RequireWorkspace()
	if err != nil {
		return err
	}
	if o.tail < -1 {
		return exit.Usagef("--tail must not be negative")
	}
	named := slices.DeleteFunc(slices.Clone(o.services), func(name string) bool { return isBroker(w, name) })
	asked := runOptions{services: named, log: o.log}
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
	printer := runlog.New(s, w, supervisedServices(w, nil), runlog.Options{JSON: o.log == command.JSON, All: len(named) < len(o.services), FailFast: true, Past: true, Times: o.times})
	show := tail{n: o.tail}
	begin := time.Now().Add(-o.since)
	err = runlog.Follow(ctx, file, ended, show.flush, func(line string, e proc.Event, isEvent bool) bool {
		switch {
		case !isEvent && o.since == 0:
			show.print(func() { s.Notef("%s", s.Secrets().Mask(line)) })
		case !isEvent, o.since > 0 && e.Time.Before(begin):
		case len(o.services) == 0 || slices.Contains(o.services, e.Service):
			if printer.Prints(e) {
				show.print(func() { printer.Print(e) })
			}
		}
		return s.OutError() == nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return exit.WithHint(fmt.Errorf("%s has not run in the background yet", w.Name), "start it with `msctl run --detach`; `msctl run` without --detach prints its log itself")
	}
	return err
}

// tail delays printing until flush is called, and then prints only the last n lines; all
// lines if n is negative.
type tail struct {
	n       int
	flushed bool
	lines   []func()
}

func (t *tail) print(line func()) {
	if t.flushed || t.n < 0 {
		line()
		return
	}
	t.lines = append(t.lines, line)
	if len(t.lines) > 2*t.n+1000 { // not with each line, which would be slow
		t.lines = slices.Clone(t.lines[len(t.lines)-t.n:])
	}
}

func (t *tail) flush() {
	t.flushed = true
	for _, line := range t.lines[max(len(t.lines)-max(t.n, 0), 0):] {
		line()
	}
	t.lines = nil
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
